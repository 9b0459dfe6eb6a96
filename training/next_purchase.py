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
from training.next_purchase_judging import figures, judge
from training.next_purchase_rows import (
    WINDOW_DAYS,
    day_rows,
    days_examples,
    hazard_examples,
    known_customers,
    pooled,
    trip_rates,
    weekday_shares,
)

__all__ = ["P_SHOP", "FittedNextPurchase", "NextPurchaseConfig", "NextPurchaseModel", "figures", "judge"]

FloatArray = npt.NDArray[np.float64]

P_SHOP = tuple(f"p_shop_{h}" for h in range(1, WINDOW_DAYS + 1))
MIN_EVENTS = 100
"""With fewer trips or days without one than this, rates by recency and frequency stand in for trees."""


@dataclass(frozen=True)
class NextPurchaseConfig:
    """Settings of both parts; `n_held_out` of the `n_cutoffs` weeks, the latest, calibrate before trees see them."""

    n_cutoffs: int = 12
    n_held_out: int = 4
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
