"""Judging the next purchase: the chance of a trip within 7 days, and the days until the next one.

The chances are judged on everyone who had bought before, the days (capped) on those active in the 56 days before: the
rest come too rarely to tell anything within the cap. The peers, learned from the same weeks:

- recency-frequency: an additive logistic model of recency, frequency and tenure, for the chances.
- Weibull median: gaps spread around the customer's own mean as a Weibull distribution does; the median of what is left
  of the present gap. Its shape is the best of a grid on the training weeks.
- own mean gap: what is left of the customer's mean gap, at least half a day.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from features import columns as c
from features.asof import Moment
from training import metrics
from training.comparison import (
    Contest,
    absolute_error,
    auc_rows,
    iso_days,
    loss_rows,
    probability_figures,
    squared_error,
)
from training.examples import gather
from training.history import History
from training.judge import Judgement, calibration_of
from training.logistic import LogisticConfig, fit_logistic
from training.next_purchase_rows import WINDOW_DAYS, days_examples, trip_examples

FloatArray = npt.NDArray[np.float64]

MODEL = "next_purchase"
TRIP, DAYS = "trip within 7 days", "days to the next trip"
RECENCY_FREQUENCY, WEIBULL, MEAN_GAP = "recency-frequency", "Weibull median", "own mean gap"
CAP_DAYS = 28

_LOGISTIC = LogisticConfig(n_knots=0, inverse_penalty=1.0)
_COLUMNS = (c.RECENCY_DAYS, c.N_BASKETS, c.N_BASKETS_12W, c.TENURE_DAYS)
_SHAPES = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5)
_PRIOR_GAP_DAYS = 14.0
_ACTIVE_DAYS = 56
_N_CUTOFFS = 8
_BINS = 15


class Trips(Protocol):
    """A fitted model, as far as judging needs it."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what there is to know of its fit."""

    @property
    def importance(self) -> dict[str, float]:
        """Return each feature's share of what it learned."""

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:
        """Return `customer_row`, the chances of a trip, and `expected_days`."""


def judge(fitted: Mapping[Moment, Trips], history: History) -> Judgement:
    """Return the judgement of models by the cutoff that each had learned up to; `history` knows what came after."""
    trips = _pooled(trip_contest, fitted, history)
    days = _pooled(days_contest, fitted, history)
    rows = auc_rows(trips, is_primary=True)
    rows += loss_rows(trips, "brier", squared_error, is_primary=False)
    rows += loss_rows(trips, "log_loss", metrics.log_losses, is_primary=False)
    rows += loss_rows(days, "mae_days", absolute_error, is_primary=True)
    calibrations = (
        (calibration_of(TRIP, trips.ours, trips.outcomes, customers=trips.customers, bins=_BINS),) if len(trips) else ()
    )
    return Judgement(
        model=MODEL,
        cutoffs=iso_days(fitted),
        rows=tuple(rows),
        calibration=calibrations,
        notes=tuple(sorted({note for model in fitted.values() for note in model.notes})),
    )


def figures(fitted: Mapping[Moment, Trips], history: History) -> dict[str, Figure]:
    """Return the pictures of the chances, and what the latest model looks at."""
    return probability_figures(_pooled(trip_contest, fitted, history), fitted[max(fitted)].importance)


def trip_contest(model: Trips, history: History, moment: Moment) -> Contest:
    """Return the chances of a trip within 7 days, and whether there was one, for everyone who had bought."""
    known = history.until(moment)
    learned = gather(known.cutoff_before(WINDOW_DAYS, _N_CUTOFFS), lambda at: trip_examples(known, at))
    peer = fit_logistic(learned.features, learned.labels, _COLUMNS if len(learned) else (), _LOGISTIC)
    at = trip_examples(history, moment)
    said = model.predict(known, moment).set_index(c.CUSTOMER_ROW)[f"p_shop_{WINDOW_DAYS}"]
    ours = said.reindex(at.customers).to_numpy(dtype=np.float64)
    return Contest(MODEL, TRIP, ours, {RECENCY_FREQUENCY: peer.predict(at.features)}, at.labels, at.customers)


def days_contest(model: Trips, history: History, moment: Moment) -> Contest:
    """Return the days to the next trip that were said and that came, capped, for active customers."""
    known = history.until(moment)
    at = days_examples(history, moment, CAP_DAYS)
    at = at.only((at.features[c.RECENCY_DAYS] <= _ACTIVE_DAYS).to_numpy(dtype=np.bool_))
    said = model.predict(known, moment).set_index(c.CUSTOMER_ROW)[c.EXPECTED_DAYS]
    ours = np.minimum(said.reindex(at.customers).to_numpy(dtype=np.float64), CAP_DAYS)
    peers = {
        WEIBULL: weibull_median(at.features, _best_shape(known)),
        MEAN_GAP: mean_gap_left(at.features),
    }
    return Contest(MODEL, DAYS, ours, peers, at.labels, at.customers)


def weibull_median(customers: pd.DataFrame, shape: float) -> FloatArray:
    """Return the median days left of each customer's present gap, capped, ``(n_customers,)``.

    The gap's mean is the customer's own, (tenure + 14 days) ÷ trips; with shape 1 what has passed does not matter.
    """
    passed = customers[c.RECENCY_DAYS].to_numpy(dtype=np.float64)
    mean = (customers[c.TENURE_DAYS].to_numpy(dtype=np.float64) + _PRIOR_GAP_DAYS) / customers[c.N_BASKETS].to_numpy()
    scale = mean / math.gamma(1.0 + 1.0 / shape)
    whole = scale * ((passed / scale) ** shape + math.log(2.0)) ** (1.0 / shape)
    return np.asarray(np.minimum(whole - passed, CAP_DAYS), dtype=np.float64)


def mean_gap_left(customers: pd.DataFrame) -> FloatArray:
    """Return what is left of each customer's mean gap, at least half a day and capped; after one trip the cap."""
    gap = customers[c.GAP_MEAN_DAYS].to_numpy(dtype=np.float64, na_value=np.inf)
    left = gap - customers[c.RECENCY_DAYS].to_numpy(dtype=np.float64)
    return np.asarray(np.clip(left, 0.5, CAP_DAYS), dtype=np.float64)


def _best_shape(history: History) -> float:
    cutoffs = history.cutoff_before(CAP_DAYS, _N_CUTOFFS)
    learned = gather(cutoffs, lambda at: days_examples(history, at, CAP_DAYS))
    if len(learned) == 0:
        return 1.0
    learned = learned.only((learned.features[c.RECENCY_DAYS] <= _ACTIVE_DAYS).to_numpy(dtype=np.bool_))
    errors = [np.abs(weibull_median(learned.features, shape) - learned.labels).mean() for shape in _SHAPES]
    return _SHAPES[int(np.argmin(errors))]


class _Compare(Protocol):
    def __call__(self, model: Trips, history: History, moment: Moment) -> Contest: ...


def _pooled(compare: _Compare, fitted: Mapping[Moment, Trips], history: History) -> Contest:
    return Contest.pooled([compare(model, history, moment) for moment, model in sorted(fitted.items())])
