"""Next purchase: the chance of a trip within 1 to 7 days, and the days until the next one.

The chances come from a hazard a day (`training.trip_hazard`). The days are the median that boosted trees with an
absolute loss give, capped: the capped absolute error is what they are judged by. Any line counts as a trip.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment
from training.boosting import BoostedTrees, BoostingConfig, fit_trees
from training.errors import ConfigError
from training.examples import feature_columns, gather, sampled
from training.history import History
from training.next_purchase_judging import figures, judge
from training.next_purchase_rows import days_examples, known_customers, trip_rates
from training.trip_hazard import P_SHOP, HazardConfig, TripHazard, fit_hazard

__all__ = ["P_SHOP", "FittedNextPurchase", "NextPurchaseConfig", "NextPurchaseModel", "figures", "judge"]

FloatArray = npt.NDArray[np.float64]

MIN_EXAMPLES = 200
"""With fewer customers and cutoffs than this to learn the days from, rates by recency and frequency stand in."""


@dataclass(frozen=True)
class NextPurchaseConfig:
    """Settings of both parts; the days are learned at `n_cutoffs` weekly cutoffs, up to `cap_days`."""

    n_cutoffs: int = 12
    cap_days: int = 28
    max_rows: int = 300_000
    seed: int = 20171009
    hazard: HazardConfig = field(default_factory=HazardConfig)
    days: BoostingConfig = field(default_factory=lambda: BoostingConfig(objective="regression_l1"))

    def __post_init__(self) -> None:
        """Refuse an objective that gives no median."""
        if self.days.objective not in ("regression_l1", "quantile"):
            raise ConfigError(f"next purchase: days.objective must give a median, found {self.days.objective}")


@dataclass(frozen=True)
class FittedNextPurchase:
    """The fitted parts; without trees the days had too little to learn from, and rates stand in."""

    config: NextPurchaseConfig
    hazard: TripHazard
    days: BoostedTrees | None = None
    notes: tuple[str, ...] = ()

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:
        """Return `customer_row`, `p_shop_1` to `p_shop_7` and `expected_days` for all who bought before `moment`.

        `expected_days` is the median number of days from `moment` to the next trip, at most the config's `cap_days`.
        """
        customers = known_customers(history, moment)
        return self.hazard.chances(history, moment).assign(**{c.EXPECTED_DAYS: self._days(customers)})

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Return what the hazard's trees read, or what the rates do."""
        trees = self.hazard.trees
        return trees.feature_names if trees else (c.N_BASKETS, c.TENURE_DAYS, c.RECENCY_DAYS)

    @property
    def importance(self) -> dict[str, float]:
        """Return each feature's share of what the hazard's trees gained."""
        return self.hazard.trees.importance if self.hazard.trees else {}

    def artifacts(self) -> dict[str, str]:
        """Return the files that hold the whole model."""
        texts = {"calibration.json": self.hazard.calibration.to_json(), "notes.json": json.dumps(self.notes)}
        parts = {"hazard.txt": self.hazard.trees, "days.txt": self.days}
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
        hazard = fit_hazard(history, self.config.hazard)
        days, notes = self._days(history)
        return FittedNextPurchase(self.config, hazard, days, (*hazard.notes, *notes))

    def _days(self, history: History) -> tuple[BoostedTrees | None, tuple[str, ...]]:
        cutoffs = history.cutoff_before(self.config.cap_days, self.config.n_cutoffs)
        examples = gather(cutoffs, lambda moment: days_examples(history, moment, self.config.cap_days))
        if len(examples) < MIN_EXAMPLES:
            note = f"days to next trip: {len(examples)} examples, fewer than {MIN_EXAMPLES}: plain rates"
            return None, (note,)
        chosen = sampled(examples, self.config.max_rows, self.config.seed)
        names = list(feature_columns(chosen.features))
        return fit_trees(chosen.features[names], chosen.labels, self.config.days), ()
