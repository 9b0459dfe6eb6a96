"""The peers of the tasks about scores that can be tuned: churn, the next trip, categories, offers, spend, hours.

What they learn from and are judged on does not depend on their settings: it is made once a cutoff.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from features import columns as c
from features.asof import Moment
from training import metrics
from training.backtest import coupon_task, score_peers
from training.backtest.category_task import CATEGORIES
from training.backtest.hours_task import HOURS
from training.backtest.score_tasks import CHURN, LONG_CHURN, SPEND_DAYS, TRIP, VALUE, WINDOW_DAYS
from training.best_hour import JUDGED_DAYS, factorised_chances, of_each_trip, trips_around, whose_trips
from training.comparison import absolute_error, auc_parts, squared_error
from training.coupon_response import ended_examples
from training.errors import TuningError
from training.examples import Examples
from training.history import History
from training.lifetime_value import examples_at as spend_examples
from training.peers.bg_nbd import BgNbdConfig, Trips
from training.peers.factorised_week import FactorisedConfig
from training.peers.linear_spend import LinearSpendConfig
from training.peers.recency_frequency import CATEGORIES as PAIR_COLUMNS
from training.peers.recency_frequency import CUSTOMERS, OFFERS, RecencyFrequencyConfig
from training.peers.weibull_aft import WeibullConfig
from training.propensity import examples_at as pair_examples
from training.sums import CustomerSums
from training.tuning.campaigns import campaign_days
from training.tuning.peer import Peer
from training.tuning.tunable import Reached, Term

FloatArray = npt.NDArray[np.float64]

_N_KEPT = 8  # rows of cutoffs at once: those of one search
_N_CAMPAIGN_DAYS = 3
_SPEND_HISTORY_DAYS = 2 * SPEND_DAYS  # lines learned from customers known for four weeks go wild at twelve


class Rows(NamedTuple):
    """Who is judged at a cutoff and what they did, and what a peer may learn from."""

    judged: Examples
    learned: Examples


def _auc(scores: FloatArray, rows: Examples) -> Reached:
    """Return the ROC AUC; a half where all did the same, so that no order can be told from another."""
    found = auc_parts(scores, rows.labels)
    if np.isnan(found.value):
        return Reached((Term(CustomerSums.whole(0.5)),))
    return Reached((Term(CustomerSums.of(found.parts * len(rows), rows.customers, base=found.value)),))


def _error(losses: FloatArray, rows: Examples) -> Reached:
    return Reached((Term(CustomerSums.of(losses, rows.customers), -1.0),))


def _both_errors(spent: FloatArray, mean: FloatArray, rows: Examples) -> Reached:
    absolute = CustomerSums.of(absolute_error(spent, rows.labels), rows.customers)
    squared = CustomerSums.of(squared_error(mean, rows.labels), rows.customers)
    return Reached((Term(absolute, -0.5), Term(squared, -0.5, is_squared=True)))


def _some(rows: Rows, task: str) -> Rows:
    """Return the rows; TuningError where settings can't be told apart by them."""
    if len(rows.judged) == 0 or len(rows.learned) == 0:
        raise TuningError(f"{task} can't be judged here: too few customers to tune on")
    return rows


@lru_cache(maxsize=_N_KEPT)
def _churn(history: History, moment: Moment) -> Rows:
    judged = score_peers.churn_rows(history, moment, WINDOW_DAYS)
    return _some(Rows(judged, score_peers.churn_learned(history.until(moment), WINDOW_DAYS)), CHURN.name)


@lru_cache(maxsize=4 * _N_KEPT)
def _trips(history: History, moment: Moment, n_cutoffs: int) -> Rows:
    judged = score_peers.trip_rows(history, moment, WINDOW_DAYS)
    return _some(Rows(judged, score_peers.trips_learned(history.until(moment), WINDOW_DAYS, n_cutoffs)), TRIP.name)


@lru_cache(maxsize=_N_KEPT)
def _pairs(history: History, moment: Moment) -> Rows:
    judged = pair_examples(history, moment, score_peers.PAIRS)
    return _some(Rows(judged, score_peers.pairs_learned(history.until(moment))), CATEGORIES.name)


@lru_cache(maxsize=_N_KEPT)
def _offers(history: History, moment: Moment) -> Rows:
    offers = history.features("customer_offers", history.known_until)
    judged = ended_examples(history, offers, chosen=offers[c.SENT_DAY] == moment.day)
    learned = score_peers.offers_learned(history.until(moment), moment)
    if len(judged) == 0:
        raise TuningError("offers can't be judged here: nobody was sent one that had ended")
    return Rows(judged, learned)  # before the first offer had ended there is nothing to learn, and one chance for all


@lru_cache(maxsize=_N_KEPT)
def _spenders(history: History, moment: Moment) -> Examples:
    judged = spend_examples(history, moment, score_peers.SPEND_ROWS)
    return _some(Rows(judged, judged), VALUE.name).judged


@lru_cache(maxsize=_N_KEPT)
def _spend(history: History, moment: Moment) -> Rows:
    return _some(Rows(_spenders(history, moment), score_peers.spend_learned(history.until(moment))), VALUE.name)


def _weibull_churn(config: WeibullConfig, known: History, cutoff: Moment) -> Reached:
    fitted = score_peers.weibull(_trips(known, cutoff, config.n_cutoffs).learned, WINDOW_DAYS, config)
    rows = _churn(known, cutoff).judged
    return _auc(fitted.survival(rows.features, WINDOW_DAYS), rows)


def _weibull_trip(config: WeibullConfig, known: History, cutoff: Moment) -> Reached:
    rows = _trips(known, cutoff, config.n_cutoffs)
    days = score_peers.weibull(rows.learned, WINDOW_DAYS, config).median(rows.judged.features)
    return _error(absolute_error(np.minimum(days, WINDOW_DAYS), rows.judged.labels), rows.judged)


def _logistic_churn(config: RecencyFrequencyConfig, known: History, cutoff: Moment) -> Reached:
    rows = _churn(known, cutoff)
    return _auc(score_peers.logistic(rows.learned, CUSTOMERS, config).predict(rows.judged.features), rows.judged)


def _logistic_pairs(config: RecencyFrequencyConfig, known: History, cutoff: Moment) -> Reached:
    rows = _pairs(known, cutoff)
    chances = score_peers.logistic(rows.learned, PAIR_COLUMNS, config).predict(rows.judged.features)
    return _error(metrics.log_losses(chances, rows.judged.labels), rows.judged)


def _logistic_offers(config: RecencyFrequencyConfig, known: History, cutoff: Moment) -> Reached:
    rows = _offers(known, cutoff)
    return _auc(score_peers.logistic(rows.learned, OFFERS, config).predict(rows.judged.features), rows.judged)


def _bg_nbd_churn(config: BgNbdConfig, known: History, cutoff: Moment) -> Reached:
    rows = _churn(known, cutoff).judged
    alive = score_peers.trips_of_all(known.until(cutoff), cutoff, config).alive(Trips.of(rows.features))
    return _auc(1.0 - alive, rows)


def _bg_nbd_spend(config: BgNbdConfig, known: History, cutoff: Moment) -> Reached:
    rows = _spenders(known, cutoff)
    spent = score_peers.trips_times_worth(known.until(cutoff), cutoff, rows.features, config)
    return _both_errors(spent, spent, rows)


def _lines(config: LinearSpendConfig, known: History, cutoff: Moment) -> Reached:
    rows = _spend(known, cutoff)
    customers = rows.judged.features
    median, mean = (score_peers.line(rows.learned, customers, aim, config) for aim in ("median", "mean"))
    return _both_errors(median, mean, rows.judged)


def _factorised(config: FactorisedConfig, known: History, cutoff: Moment) -> Reached:
    _, later, customers = trips_around(known, cutoff, JUDGED_DAYS)
    if not later.any():
        raise TuningError("hours can't be judged here: nobody came, or the source has no times of day")
    given = of_each_trip(factorised_chances(known.until(cutoff), cutoff, config), later)
    return Reached((Term(CustomerSums.of(-np.log(given), whose_trips(customers, later)), -1.0),))


_LOG_LOSS, _SPENT = "-log_loss", "-(mae + rmse) / 2"

SCORE_PEERS: Mapping[str, Peer] = {
    "weibull_aft-churn": Peer((CHURN, LONG_CHURN), WeibullConfig, "auc", _weibull_churn),
    "recency_frequency-churn": Peer((CHURN, LONG_CHURN), RecencyFrequencyConfig, "auc", _logistic_churn),
    "bg_nbd-churn": Peer((CHURN, LONG_CHURN), BgNbdConfig, "auc", _bg_nbd_churn),
    "weibull_aft-next_trip": Peer((TRIP,), WeibullConfig, "-mae_days", _weibull_trip),
    "recency_frequency-categories": Peer((CATEGORIES,), RecencyFrequencyConfig, _LOG_LOSS, _logistic_pairs),
    "recency_frequency-offers": Peer(
        *((coupon_task.OFFERS,), RecencyFrequencyConfig, "auc", _logistic_offers),
        days=partial(campaign_days, n=_N_CAMPAIGN_DAYS),
    ),
    "linear_spend-spend": Peer((VALUE,), LinearSpendConfig, _SPENT, _lines, _SPEND_HISTORY_DAYS),
    "bg_nbd-spend": Peer((VALUE,), BgNbdConfig, _SPENT, _bg_nbd_spend),
    "factorised-hours": Peer((HOURS,), FactorisedConfig, _LOG_LOSS, _factorised),
}
