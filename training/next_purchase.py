"""Next purchase: the chance of a trip within 1 to 7 days, and the days until the next one.

The chances come from a hazard a day: boosted trees say how likely a customer who has not come yet comes on the day d
after the moment (its weekday is known), and a trip within h days is one minus the product of not coming. The days until
the next trip are the median that boosted trees with an absolute loss give, capped: the capped absolute error is what it
is judged by. Any line counts as a trip, merchandise or not.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment
from training.boosting import BoostedTrees, BoostingConfig, fit_trees
from training.calibration import MarginCalibration, fit_calibration
from training.errors import ConfigError
from training.examples import Examples, feature_columns, gather, sampled
from training.history import History

FloatArray = npt.NDArray[np.float64]

WINDOW_DAYS = 7
P_SHOP = tuple(f"p_shop_{h}" for h in range(1, WINDOW_DAYS + 1))
MIN_EVENTS = 100
"""With fewer trips or days without one than this, rates by recency and frequency stand in for trees."""

DAY_AHEAD = "day_ahead"
DAY_RECENCY = "day_recency_days"
DAY_GAP_RATIO = "day_gap_ratio"
WEEKDAY_SHARE = "weekday_share"

_DAY_US = 86_400_000_000
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0
_WEEKDAY_PRIOR = 3.0  # trips, spread evenly over the week, that a customer's weekdays start from
_RATE_PRIOR_DAYS = 14.0


@dataclass(frozen=True)
class NextPurchaseConfig:
    """Settings of both parts; `n_held_out` of the `n_cutoffs` weeks, the latest, calibrate before trees see them."""

    n_cutoffs: int = 12
    n_held_out: int = 2
    cap_days: int = 28
    max_rows: int = 300_000
    seed: int = 20171009
    hazard: BoostingConfig = field(default_factory=BoostingConfig)
    days: BoostingConfig = field(default_factory=lambda: BoostingConfig(objective="regression_l1"))

    def __post_init__(self) -> None:
        """Refuse parts with the wrong objective, and held-out weeks that leave none to learn from."""
        if self.hazard.objective != "binary":
            raise ConfigError(f"next purchase: hazard.objective must be binary, found {self.hazard.objective}")
        if self.days.objective not in ("regression_l1", "quantile"):
            raise ConfigError(f"next purchase: days.objective must give a median, found {self.days.objective}")
        if not 1 <= self.n_held_out < self.n_cutoffs:
            raise ConfigError(f"next purchase: 1 <= n_held_out < n_cutoffs, found {self.n_held_out}, {self.n_cutoffs}")


@dataclass(frozen=True)
class FittedNextPurchase:
    """Fitted trees; a part that is missing had too little to learn from, and rates stand in for it."""

    config: NextPurchaseConfig
    hazard: BoostedTrees | None = None
    calibration: MarginCalibration = field(default_factory=MarginCalibration)
    days: BoostedTrees | None = None
    notes: tuple[str, ...] = ()

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:
        """Return `customer_row`, `p_shop_1` to `p_shop_7` and `expected_days` for all who bought before `moment`.

        `expected_days` is the median number of days from `moment` to the next trip, at most the config's `cap_days`.
        """
        customers = known_customers(history, moment)
        within = self.trip_chances(customers, history, moment)
        frame = pd.DataFrame({c.CUSTOMER_ROW: customers[c.CUSTOMER_ROW].to_numpy()})
        for h, name in enumerate(P_SHOP):
            frame[name] = within[:, h]
        frame[c.EXPECTED_DAYS] = self._days(customers)
        return frame

    def trip_chances(self, customers: pd.DataFrame, history: History, moment: Moment) -> FloatArray:
        """Return the chances of a trip within 1 to 7 days of `moment`, ``(n_customers, 7)``, rising along rows."""
        if self.hazard is None:
            rate = trip_rates(customers)
            return np.asarray(1.0 - np.exp(-rate[:, None] * np.arange(1, WINDOW_DAYS + 1)), dtype=np.float64)
        rows = day_rows(customers, weekday_shares(history, moment), moment)
        hazard = self.calibration.probability(self.hazard.margin(rows)).reshape(len(customers), WINDOW_DAYS)
        return np.asarray(1.0 - np.cumprod(1.0 - hazard, axis=1), dtype=np.float64)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Return what the hazard's trees read, or what the rates do."""
        return self.hazard.feature_names if self.hazard else (c.N_BASKETS, c.TENURE_DAYS, c.RECENCY_DAYS)

    @property
    def importance(self) -> dict[str, float]:
        """Return each feature's share of what the hazard's trees gained."""
        return self.hazard.importance if self.hazard else {}

    def artifacts(self) -> dict[str, str]:
        """Return the files that hold the whole model."""
        texts = {"calibration.json": self.calibration.to_json(), "notes.json": json.dumps(self.notes)}
        parts = {"hazard.txt": self.hazard, "days.txt": self.days}
        return texts | {name: trees.to_text() for name, trees in parts.items() if trees is not None}

    def _days(self, customers: pd.DataFrame) -> FloatArray:
        cap = float(self.config.cap_days)
        if self.days is None:
            return np.asarray(np.minimum(np.log(2.0) / trip_rates(customers), cap), dtype=np.float64)
        return np.asarray(np.clip(self.days.predict(customers), 0.0, cap), dtype=np.float64)


class NextPurchaseModel:
    """Learns trips from the latest weeks, and days to the next trip from the latest windows as long as the cap."""

    name: ClassVar[str] = "next_purchase"

    def __init__(self, config: NextPurchaseConfig) -> None:
        self.config = config

    def fit(self, history: History) -> FittedNextPurchase:
        """Return the fitted model; with too little to learn from, simple rates that say so in its notes."""
        hazard, calibration, notes = self._hazard(history)
        days, more = self._days(history)
        return FittedNextPurchase(self.config, hazard, calibration, days, (*notes, *more))

    def _hazard(self, history: History) -> tuple[BoostedTrees | None, MarginCalibration, tuple[str, ...]]:
        cutoffs = history.cutoff_before(WINDOW_DAYS, self.config.n_cutoffs)
        by_cutoff = [hazard_examples(history, moment) for moment in cutoffs]
        early = self._pooled(by_cutoff[: -self.config.n_held_out])
        rare = min(early.n_positive, len(early) - early.n_positive)
        if rare < MIN_EVENTS:
            note = f"next purchase: {rare} trips or days without to learn from, fewer than {MIN_EVENTS}: plain rates"
            return None, MarginCalibration(), (note,)
        late = self._pooled(by_cutoff[-self.config.n_held_out :])
        names = list(feature_columns(early.features))
        margin = fit_trees(early.features[names], early.labels, self.config.hazard).margin(late.features)
        calibration = fit_calibration(margin, late.labels, n_bends=2)
        everything = self._pooled(by_cutoff)
        return fit_trees(everything.features[names], everything.labels, self.config.hazard), calibration, ()

    def _pooled(self, parts: Sequence[Examples]) -> Examples:
        return sampled(pooled(parts), self.config.max_rows, self.config.seed)

    def _days(self, history: History) -> tuple[BoostedTrees | None, tuple[str, ...]]:
        cutoffs = history.cutoff_before(self.config.cap_days, self.config.n_cutoffs)
        examples = gather(cutoffs, lambda moment: days_examples(history, moment, self.config.cap_days))
        if len(examples) < MIN_EVENTS:
            note = f"days to next trip: {len(examples)} examples, fewer than {MIN_EVENTS}: plain rates"
            return None, (note,)
        chosen = sampled(examples, self.config.max_rows, self.config.seed)
        names = list(feature_columns(chosen.features))
        return fit_trees(chosen.features[names], chosen.labels, self.config.days), ()


def pooled(parts: Sequence[Examples]) -> Examples:
    """Return the examples of all parts, in their order."""
    kept = [part for part in parts if len(part)]
    if not kept:
        return Examples(pd.DataFrame(), np.zeros(0), np.zeros(0, dtype=np.int64))
    features = pd.concat([part.features for part in kept], ignore_index=True)
    labels = np.concatenate([part.labels for part in kept])
    return Examples(features, labels, np.concatenate([part.customers for part in kept]))


def known_customers(history: History, moment: Moment) -> pd.DataFrame:
    """Return the features of all who had a basket before `moment`."""
    customers = history.features("customers", moment)
    return customers[customers[c.N_BASKETS] > 0].reset_index(drop=True)


def trip_rates(customers: pd.DataFrame) -> FloatArray:
    """Return expected trips a day, ``(n_customers,)``: trips + 1 over tenure + recency + two weeks.

    Recency counts twice, so that who stays away longer than their gaps is expected ever less.
    """
    days = customers[c.TENURE_DAYS].to_numpy(dtype=np.float64) + customers[c.RECENCY_DAYS].to_numpy(dtype=np.float64)
    rate: FloatArray = (customers[c.N_BASKETS].to_numpy(dtype=np.float64) + 1.0) / (days + _RATE_PRIOR_DAYS)
    return rate


def weekday_shares(history: History, moment: Moment) -> pd.DataFrame:
    """Return each customer's share of trips by weekday (columns 0 to 6, Monday first), shrunk to an even week."""
    hours = history.features("customer_hours", moment, [c.CUSTOMER_ROW, c.WEEKDAY, c.N_BASKETS])
    counts = hours.pivot_table(index=c.CUSTOMER_ROW, columns=c.WEEKDAY, values=c.N_BASKETS, aggfunc="sum")
    counts = counts.reindex(columns=range(WINDOW_DAYS)).fillna(0.0) + _WEEKDAY_PRIOR / WINDOW_DAYS
    return counts.div(counts.sum(axis=1), axis=0)


def day_rows(customers: pd.DataFrame, shares: pd.DataFrame, moment: Moment) -> pd.DataFrame:
    """Return a row a customer and day of the window, customers in their order, with what is known of that day."""
    n = len(customers)
    rows = customers.loc[customers.index.repeat(WINDOW_DAYS)].reset_index(drop=True)
    ahead = np.tile(np.arange(WINDOW_DAYS), n)
    weekday = (moment.day + ahead + _EPOCH_WEEKDAY) % WINDOW_DAYS
    by_customer = shares.reindex(customers[c.CUSTOMER_ROW]).fillna(1.0 / WINDOW_DAYS).to_numpy(dtype=np.float64)
    recency = rows[c.RECENCY_DAYS].to_numpy(dtype=np.float64) + ahead
    gap = rows[c.GAP_MEAN_DAYS].to_numpy(dtype=np.float64, na_value=np.nan)
    return rows.assign(
        **{
            DAY_AHEAD: ahead,
            c.WEEKDAY: weekday,
            WEEKDAY_SHARE: by_customer[np.repeat(np.arange(n), WINDOW_DAYS), weekday],
            DAY_RECENCY: recency,
            DAY_GAP_RATIO: np.divide(recency, gap, out=np.full(len(gap), np.nan), where=gap > 0),
        }
    )


def hazard_examples(history: History, moment: Moment) -> Examples:
    """Return a row a customer and day up to their first trip after `moment`, labelled 1 on the day of that trip."""
    customers = known_customers(history, moment)
    rows = day_rows(customers, weekday_shares(history, moment), moment)
    first = first_days(history.purchases_after(moment, WINDOW_DAYS), [c.CUSTOMER_ROW])
    came = customers[c.CUSTOMER_ROW].map(first).to_numpy(dtype=np.float64, na_value=np.inf).repeat(WINDOW_DAYS)
    ahead = rows[DAY_AHEAD].to_numpy()
    labels = (ahead == came).astype(np.float64)
    return Examples(rows, labels, rows[c.CUSTOMER_ROW].to_numpy(dtype=np.int64)).only(ahead <= came)


def days_examples(history: History, moment: Moment, cap_days: int) -> Examples:
    """Return all who had bought before `moment`, labelled with the days (fractional, capped) to their next trip."""
    customers = known_customers(history, moment)
    lines = history.purchases_after(moment, cap_days)
    at_us = customers[c.CUSTOMER_ROW].map(lines.groupby(c.CUSTOMER_ROW)[c.ORDERED_US].min())
    days = (at_us.to_numpy(dtype=np.float64, na_value=np.inf) - moment.us) / _DAY_US
    labels = np.minimum(days, float(cap_days))
    return Examples(customers, labels, customers[c.CUSTOMER_ROW].to_numpy(dtype=np.int64))


def first_days(lines: pd.DataFrame, keys: Sequence[str]) -> pd.Series[int]:
    """Return the first day (0-based, after the cutoff) on which each key occurs among label lines."""
    found: pd.Series[int] = lines.groupby(list(keys))[c.DAY_OFFSET].min()
    return found
