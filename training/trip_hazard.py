"""The chance of a trip within 1 to 7 days, from a hazard a day.

Boosted trees say how likely a customer who has not come yet comes on the day d after the moment (its weekday and day of
the month are known); a trip within h days is one minus the product of not coming. Any line counts as a trip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment
from training.boosting import BoostedTrees, BoostingConfig, fit_trees
from training.calibration import MarginCalibration, fit_calibration, keeping_level
from training.errors import ConfigError
from training.examples import Examples, feature_columns, sampled
from training.history import History
from training.next_purchase_rows import (
    WINDOW_DAYS,
    day_rows,
    hazard_examples,
    known_customers,
    pooled,
    trip_rates,
    weekday_shares,
)

FloatArray = npt.NDArray[np.float64]
Stage = Literal["calibrated", "raw", "trial"]
T = TypeVar("T")

P_SHOP = tuple(f"p_shop_{h}" for h in range(1, WINDOW_DAYS + 1))
MIN_EVENTS = 100
"""With fewer trips or days without one than this, rates by recency and frequency stand in for trees."""

_N_KEPT = 4  # a hazard for each cutoff that is judged, and one for what ships


@dataclass(frozen=True)
class HazardConfig:
    """Settings of the hazard; the latest `n_held_out` of `n_cutoffs` weeks calibrate its shape."""

    n_cutoffs: int = 12
    n_held_out: int = 4
    n_bends: int = 2
    max_rows: int = 300_000
    seed: int = 20171009
    trees: BoostingConfig = field(
        default_factory=lambda: BoostingConfig(
            n_trees=80, learning_rate=0.08, n_leaves=15, min_rows_per_leaf=100, l2=10.0, feature_share=0.6
        )
    )

    def __post_init__(self) -> None:
        """Refuse another objective, and held-out weeks that leave none to learn from."""
        if self.trees.objective != "binary":
            raise ConfigError(f"hazard: trees.objective must be binary, found {self.trees.objective}")
        if not 1 <= self.n_held_out <= self.n_cutoffs // 2:
            raise ConfigError(f"hazard: 1 <= n_held_out <= n_cutoffs ÷ 2, found {self.n_held_out}, {self.n_cutoffs}")


@dataclass(frozen=True)
class TripHazard:
    """A fitted hazard. Without trees there was too little to learn from, and rates stand in.

    `trial` has not learned from the latest weeks, where whatever is built on top can be calibrated with it; `trees`
    have learned from all.
    """

    trees: BoostedTrees | None = None
    trial: BoostedTrees | None = None
    calibration: MarginCalibration = field(default_factory=MarginCalibration)
    notes: tuple[str, ...] = ()

    def chances(self, history: History, moment: Moment, stage: Stage = "calibrated") -> pd.DataFrame:
        """Return `customer_row` and `p_shop_1` to `p_shop_7` (rising) for all who had bought before `moment`.

        `stage` is ``calibrated``, ``raw`` (all weeks, not calibrated) or ``trial`` (without the latest weeks, neither).
        """
        customers = known_customers(history, moment)
        within = self._within(customers, history, moment, stage)
        rows = pd.DataFrame({c.CUSTOMER_ROW: customers[c.CUSTOMER_ROW].to_numpy()})
        return rows.assign(**{name: within[:, h] for h, name in enumerate(P_SHOP)})

    def _within(self, customers: pd.DataFrame, history: History, moment: Moment, stage: Stage) -> FloatArray:
        trees = self.trial if stage == "trial" else self.trees
        if trees is None:
            rate = trip_rates(customers)
            return np.asarray(1.0 - np.exp(-rate[:, None] * np.arange(1, WINDOW_DAYS + 1)), dtype=np.float64)
        rows = day_rows(customers, weekday_shares(history, moment), moment)
        calibration = self.calibration if stage == "calibrated" else MarginCalibration()
        hazard = calibration.probability(trees.margin(rows)).reshape(len(customers), WINDOW_DAYS)
        return np.asarray(1.0 - np.cumprod(1.0 - hazard, axis=1), dtype=np.float64)


@lru_cache(maxsize=_N_KEPT)
def fit_hazard(history: History, config: HazardConfig) -> TripHazard:
    """Return the hazard learned from the latest weeks; with too little to learn from, one of rates that says so.

    The latest few are kept: both levels of habit and the next purchase rest on the same one.
    """
    cutoffs = history.cutoff_before(WINDOW_DAYS, config.n_cutoffs)
    weeks = [hazard_examples(history, moment) for moment in cutoffs]
    early_weeks, late_weeks = early_and_late(weeks, config.n_held_out)
    early, everything = _pooled(early_weeks, config), _pooled(weeks, config)
    rare = min(early.n_positive, len(early) - early.n_positive)
    if rare < MIN_EVENTS:
        note = f"trips: {rare} trips or days without one to learn from, fewer than {MIN_EVENTS}: plain rates"
        return TripHazard(notes=(note,))
    names = list(feature_columns(early.features))
    trial = fit_trees(early.features[names], early.labels, config.trees)
    if not late_weeks:
        return TripHazard(trial, trial)
    late = _pooled(late_weeks, config)
    margin = trial.margin(late.features)
    shape = keeping_level(fit_calibration(margin, late.labels, n_bends=config.n_bends), margin)
    return TripHazard(fit_trees(everything.features[names], everything.labels, config.trees), trial, shape)


def early_and_late(weeks: Sequence[T], n_held_out: int) -> tuple[list[T], list[T]]:
    """Return the weeks to learn from first and the latest ones, held out; of a short history at most half.

    Examples
    --------
    >>> early_and_late([1, 2, 3, 4, 5, 6], 2)
    ([1, 2, 3, 4], [5, 6])
    >>> early_and_late([1, 2, 3], 2)
    ([1, 2], [3])
    """
    n_early = len(weeks) - min(n_held_out, len(weeks) // 2)
    return list(weeks[:n_early]), list(weeks[n_early:])


def _pooled(weeks: Sequence[Examples], config: HazardConfig) -> Examples:
    return sampled(pooled(weeks), config.max_rows, config.seed)
