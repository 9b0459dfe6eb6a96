"""Habit: the chance that a customer buys again, within 7 days, what they have bought before.

The chance is p(buys it | shops) × p(shops): boosted trees over customer × item pairs learn the first from those who
came within the week, `training.next_purchase` gives the second. Their product is calibrated on weeks that neither part
had learned from when it predicted them (four by default: baskets follow the month, and four weeks are about one); the
parts that ship are then fitted on all weeks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment
from training.boosting import BoostedTrees, BoostingConfig, fit_trees
from training.calibration import MarginCalibration, fit_calibration, log_odds
from training.errors import ConfigError
from training.habit_features import (
    FIRST_DAY_BOUGHT,
    HAS_SHOPPED,
    SHARE_H112,
    WINDOW_DAYS,
    CandidateRules,
    candidates,
    labelled,
    learnable_columns,
)
from training.habit_judging import figures, judge
from training.history import History
from training.levels import Level, level_named
from training.next_purchase import P_SHOP, FittedNextPurchase, NextPurchaseConfig, NextPurchaseModel
from training.windows import WindowPairs, fit_windows

__all__ = ["FittedHabit", "HabitConfig", "HabitModel", "figures", "judge"]

FloatArray = npt.NDArray[np.float64]

MIN_EVENTS = 300
"""With fewer repeat purchases than this to learn from, the share of recent baskets stands in for trees."""

_RATE_COLUMNS = (SHARE_H112, c.N_BASKETS)


@dataclass(frozen=True)
class HabitConfig:
    """Settings of the habit model at one level; `n_held_out` of the `n_cutoffs` weeks, the latest, calibrate."""

    level: Literal["product", "type", "category"] = "type"
    n_cutoffs: int = 12
    n_held_out: int = 4
    n_bends: int = 4
    max_rows: int = 1_000_000
    seed: int = 20171009
    candidates: CandidateRules = field(default_factory=CandidateRules)
    trees: BoostingConfig = field(default_factory=BoostingConfig)
    shop: NextPurchaseConfig = field(default_factory=NextPurchaseConfig)

    def __post_init__(self) -> None:
        """Refuse another objective, and held-out weeks that leave none to learn from."""
        if self.trees.objective != "binary":
            raise ConfigError(f"habit: trees.objective must be binary, found {self.trees.objective}")
        if not 1 <= self.n_held_out < self.n_cutoffs:
            raise ConfigError(f"habit: 1 <= n_held_out < n_cutoffs, found {self.n_held_out}, {self.n_cutoffs}")


@dataclass(frozen=True)
class FittedHabit:
    """A fitted habit model; without trees, p(buys it | shops) is the item's share of the customer's recent baskets.

    `windows` converts its 7-day chances to those within 1 to 7 days (training/windows.py).
    """

    config: HabitConfig
    shop: FittedNextPurchase
    trees: BoostedTrees | None = None
    calibration: MarginCalibration = field(default_factory=MarginCalibration)
    windows: WindowPairs = ()
    notes: tuple[str, ...] = ()

    @property
    def level(self) -> Level:
        """Return the level of its items."""
        return level_named(self.config.level)

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:
        """Return `customer_row`, the item's row and `p7` for every customer's candidates, best first, ties by item."""
        pairs = candidates(history, moment, self.level, self.config.candidates)
        margin = self.margin(pairs, history, moment)
        frame = pairs[[c.CUSTOMER_ROW, self.level.item]].assign(**{c.P7: self.calibration.probability(margin)})
        order = np.lexsort((frame[self.level.item], -frame[c.P7], frame[c.CUSTOMER_ROW]))
        return frame.iloc[order].reset_index(drop=True)

    def margin(self, pairs: pd.DataFrame, history: History, moment: Moment) -> FloatArray:
        """Return the log-odds of p(buys it | shops) × p(shops) before calibration, ``(n_pairs,)``."""
        chances = self.shop.predict(history, moment).set_index(c.CUSTOMER_ROW)[P_SHOP[-1]]
        p_shop = pairs[c.CUSTOMER_ROW].map(chances).to_numpy(dtype=np.float64, na_value=0.0)
        return log_odds(self.chance_given_shops(pairs) * p_shop)

    def chance_given_shops(self, pairs: pd.DataFrame) -> FloatArray:
        """Return p(buys it within 7 days | shops within 7 days), ``(n_pairs,)``."""
        if self.trees is not None:
            return self.trees.predict(pairs)
        trips = pairs[c.N_BASKETS].to_numpy(dtype=np.float64)
        return np.asarray(pairs[SHARE_H112].to_numpy(dtype=np.float64) * trips / (trips + 1.0), dtype=np.float64)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Return what p(buys it | shops) reads."""
        return self.trees.feature_names if self.trees else _RATE_COLUMNS

    @property
    def importance(self) -> dict[str, float]:
        """Return each feature's share of what the trees gained."""
        return self.trees.importance if self.trees else {}

    def artifacts(self) -> dict[str, str]:
        """Return the files that hold the whole model."""
        about = {"level": self.config.level, "windows": self.windows, "notes": self.notes}
        texts = {"habit.json": json.dumps(about, indent=1), "calibration.json": self.calibration.to_json()}
        texts |= {f"shop_{name}": text for name, text in self.shop.artifacts().items()}
        return texts | ({"trees.txt": self.trees.to_text()} if self.trees else {})


class HabitModel:
    """Learns habits at one level from the latest weeks."""

    name: ClassVar[str] = "habit"

    def __init__(self, config: HabitConfig) -> None:
        self.config = config

    def fit(self, history: History) -> FittedHabit:
        """Return the fitted model; with too little to learn from, recent shares of baskets, said in its notes."""
        cutoffs = history.cutoff_before(WINDOW_DAYS, self.config.n_cutoffs)
        early, late = cutoffs[: -self.config.n_held_out], cutoffs[-self.config.n_held_out :]
        before = history.until(late[0]) if late else history
        trial = self._parts(before, early)
        margin, first_day = self._outcomes(trial, history, late)
        calibration = fit_calibration(margin, np.isfinite(first_day), n_bends=self.config.n_bends)
        windows = fit_windows(calibration.probability(margin), first_day, seed=self.config.seed)
        final = self._parts(history, cutoffs)
        notes = (*final.notes, *final.shop.notes)
        return FittedHabit(self.config, final.shop, final.trees, calibration, windows, notes)

    def _parts(self, history: History, cutoffs: list[Moment]) -> FittedHabit:
        """Return both parts, learned from the weeks after `cutoffs` and not calibrated."""
        shop = NextPurchaseModel(self.config.shop).fit(history)
        rows = self._learning_rows(history, cutoffs)
        n_events = int(rows[FIRST_DAY_BOUGHT].notna().sum()) if len(rows) else 0
        if n_events < MIN_EVENTS:
            note = f"habit ({self.config.level}): {n_events} repeat purchases to learn from, fewer than {MIN_EVENTS}"
            return FittedHabit(self.config, shop, notes=(f"{note}: shares of recent baskets",))
        names = list(learnable_columns(rows))
        trees = fit_trees(rows[names], rows[FIRST_DAY_BOUGHT].notna(), self.config.trees)
        return FittedHabit(self.config, shop, trees)

    def _learning_rows(self, history: History, cutoffs: list[Moment]) -> pd.DataFrame:
        """Return the pairs of those who shopped, over all cutoffs, each cutoff thinned to its part of `max_rows`."""
        level = level_named(self.config.level)
        rng = np.random.default_rng(self.config.seed)
        parts = []
        for moment in cutoffs:
            pairs = labelled(history, moment, candidates(history, moment, level, self.config.candidates), level)
            pairs = pairs[pairs[HAS_SHOPPED]]
            share = self.config.max_rows // len(cutoffs)
            if len(pairs) > share:
                pairs = pairs.iloc[np.sort(rng.choice(len(pairs), share, replace=False))]
            parts.append(_narrow(pairs))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def _outcomes(self, fitted: FittedHabit, history: History, cutoffs: list[Moment]) -> tuple[FloatArray, FloatArray]:
        """Return margins and the first day bought (NaN when not) of all candidates at cutoffs not learned from."""
        margins, days = [np.zeros(0)], [np.zeros(0)]
        for moment in cutoffs:
            pairs = candidates(history, moment, fitted.level, self.config.candidates)
            margins.append(fitted.margin(pairs, history, moment))
            days.append(labelled(history, moment, pairs, fitted.level)[FIRST_DAY_BOUGHT].to_numpy(dtype=np.float64))
        return np.concatenate(margins), np.concatenate(days)


def _narrow(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs with numbers in half the memory: trees see no more than that."""
    wide = pairs.select_dtypes(include=["float64", "int64"]).columns
    return pairs.astype(dict.fromkeys(wide, np.float32))
