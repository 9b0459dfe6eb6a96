"""The peers of the tasks about scores: what each learns from at a cutoff, and what it learned; as tuning measures them.

Their settings stand in ``configs/peers/<peer>-<task>.toml``. What a peer learns from depends on how many cutoffs it
takes at most, and on nothing else of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment
from training.churn import ChurnConfig
from training.churn import examples_at as churn_examples
from training.config import load_config
from training.coupon_response import ended_examples
from training.examples import Examples, gather
from training.history import History
from training.lifetime_value import LifetimeValueConfig
from training.lifetime_value import examples_at as spend_examples
from training.logistic import LogisticModel
from training.next_purchase_rows import days_examples
from training.peers import bg_nbd, gamma_gamma, linear_spend, recency_frequency, weibull_aft
from training.propensity import PropensityConfig
from training.propensity import examples_at as pair_examples

FloatArray = npt.NDArray[np.float64]

ACTIVE_DAYS, SPEND_DAYS, PAIR_DAYS = 56, 84, 28
N_CUTOFFS_LEARNED = 8
PAIRS = PropensityConfig(horizon_days=PAIR_DAYS, min_base_rate=0.01)
SPEND_ROWS = LifetimeValueConfig(horizon_days=SPEND_DAYS)

_N_PAIRS_LEARNED = 60_000
_N_SPEND_LEARNED, _SPEND_STEP_DAYS = 3, 28

T = TypeVar("T")


def settings(config_class: type[T], name: str) -> T:
    """Return the settings of a peer, ``<peer>-<task>``."""
    return load_config(config_class, f"peers/{name}")


def churn_rows(history: History, moment: Moment, days: int) -> Examples:
    """Return the customers active in the 56 days before `moment`, labelled 1 where they bought nothing in `days`."""
    return churn_examples(history, moment, ChurnConfig(horizon_days=days, active_days=ACTIVE_DAYS))


def churn_learned(known: History, days: int) -> Examples:
    """Return the same of the latest cutoffs whose windows had ended."""
    return _latest(known, days, lambda moment: churn_rows(known, moment, days))


def trip_rows(history: History, moment: Moment, cap_days: int) -> Examples:
    """Return the customers active before `moment`, labelled with the days to their next trip, at most `cap_days`."""
    rows = days_examples(history, moment, cap_days)
    return rows.only((rows.features[c.RECENCY_DAYS] <= ACTIVE_DAYS).to_numpy(dtype=np.bool_)) if len(rows) else rows


def trips_learned(known: History, cap_days: int, n_cutoffs: int) -> Examples:
    """Return the same of the latest cutoffs whose windows had ended."""
    return _latest(known, cap_days, lambda moment: trip_rows(known, moment, cap_days), n_cutoffs)


def weibull(learned: Examples, cap_days: int, config: weibull_aft.WeibullConfig) -> weibull_aft.WeibullAft:
    """Return the Weibull model of the days to the next trip."""
    return weibull_aft.fit(learned.features, learned.labels, cap_days, weibull_aft.COLUMNS, config)


def logistic(
    learned: Examples, columns: tuple[str, ...], config: recency_frequency.RecencyFrequencyConfig
) -> LogisticModel:
    """Return the logistic model by the named columns; the base rate where nothing was learned from."""
    return recency_frequency.fit(learned.features, learned.labels, columns if len(learned) else (), config)


def pairs_learned(known: History) -> Examples:
    """Return pairs of customers and categories of the latest cutoffs, labelled by what was bought in 28 days."""
    n_cutoffs = len(known.cutoff_before(PAIR_DAYS, N_CUTOFFS_LEARNED))
    share = _N_PAIRS_LEARNED // max(n_cutoffs, 1)
    return _latest(known, PAIR_DAYS, lambda moment: pair_examples(known, moment, PAIRS, n_rows=share))


def offers_learned(known: History, moment: Moment) -> Examples:
    """Return what was sent and had ended by `moment`, labelled 1 where it was redeemed."""
    return ended_examples(known, known.features("customer_offers", moment))


def spend_learned(known: History) -> Examples:
    """Return everyone who had bought, with rates, at the latest cutoffs whose 84 days had ended; what they spent."""
    cutoffs = known.cutoff_before(SPEND_DAYS, _N_SPEND_LEARNED, step_days=_SPEND_STEP_DAYS)
    learned = gather(cutoffs, lambda moment: spend_examples(known, moment, SPEND_ROWS))
    if len(learned) == 0:
        return learned
    return Examples(linear_spend.with_rates(learned.features), learned.labels, learned.customers)


def line(
    learned: Examples, customers: pd.DataFrame, aim: linear_spend.Aim, config: linear_spend.LinearSpendConfig
) -> FloatArray:
    """Return what the line of an aim says that customers spend, at least 0, ``(n_customers,)``."""
    fitted = linear_spend.fit(learned.features, learned.labels, linear_spend.COLUMNS, aim, config)
    return np.maximum(fitted.predict(linear_spend.with_rates(customers)), 0.0)


def trips_of_all(known: History, moment: Moment, config: bg_nbd.BgNbdConfig) -> bg_nbd.BgNbd:
    """Return BG/NBD of everyone's trips before `moment`."""
    return bg_nbd.fit(bg_nbd.Trips.of(known.features("customers", moment)), config)


@dataclass(frozen=True)
class Worth:
    """What a trip of each customer's was worth on average, ``(n,)``, and the days with trips."""

    mean: FloatArray
    n: FloatArray

    @classmethod
    def of(cls, customers: pd.DataFrame) -> Worth:
        """Return the numbers of customers' features."""
        n = customers[c.N_DAYS].to_numpy(dtype=np.float64)
        return cls(customers[c.SPEND].to_numpy(dtype=np.float64, na_value=0.0) / np.maximum(n, 1.0), n)


def trips_times_worth(
    known: History, moment: Moment, customers: pd.DataFrame, config: bg_nbd.BgNbdConfig
) -> FloatArray:
    """Return what BG/NBD's trips × Gamma-Gamma's worth of one say that customers spend in 84 days."""
    trips = trips_of_all(known, moment, config).expected(bg_nbd.Trips.of(customers), SPEND_DAYS)
    seen, asked = Worth.of(known.features("customers", moment)), Worth.of(customers)
    return np.asarray(trips * gamma_gamma.fit(seen.mean, seen.n).expected(asked.mean, asked.n), dtype=np.float64)


def _latest(
    known: History, days: int, at: Callable[[Moment], Examples], n_cutoffs: int = N_CUTOFFS_LEARNED
) -> Examples:
    return gather(known.cutoff_before(days, n_cutoffs), at)
