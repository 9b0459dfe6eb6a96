"""Habit: the chance that a customer buys again, within 7 days, what they have bought before.

The chance is p(buys it | shops) × p(shops): boosted trees over customer × item pairs learn the first from those who
came within the week, `training.trip_hazard` gives the second. Each customer's order is drawn towards that of their next
basket (`training.habit_order`). The shape of the product is calibrated on weeks that
neither part had learned from when it predicted them; the parts that ship are then fitted on all weeks, and have their
level from all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment
from training.boosting import BoostedTrees, BoostingConfig, fit_trees
from training.calibration import MarginCalibration, fit_calibration, keeping_level, log_odds
from training.errors import ConfigError
from training.guard import ranks_better
from training.habit_features import (
    FIRST_DAY_BOUGHT,
    HAS_SHOPPED,
    SHARE_H112,
    WINDOW_DAYS,
    CandidateRules,
    described,
    labelled,
    learnable_columns,
    shortlist,
    surroundings,
)
from training.habit_judging import figures, judge
from training.habit_order import BasketOrder, OrderConfig, fit_order
from training.history import History
from training.levels import Level, level_named
from training.topk import run_starts
from training.trip_hazard import P_SHOP, HazardConfig, Stage, TripHazard, early_and_late, fit_hazard
from training.windows import WindowPairs, fit_windows

__all__ = ["FittedHabit", "HabitConfig", "HabitModel", "figures", "judge"]

FloatArray = npt.NDArray[np.float64]

MIN_EVENTS = 300
"""With fewer repeat purchases than this to learn from, the share of recent baskets stands in for trees."""

_BLOCK_ROWS = 500_000  # pairs described at once when predicting: bounds memory at about 500 MB
_TOO_FEW = f"fewer than {MIN_EVENTS} repeat purchases to learn from: shares of recent baskets stand in"
_NO_BETTER = "trees rank no better than how often something was bought; recent shares of baskets stand in"
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
    shop: HazardConfig = field(default_factory=HazardConfig)
    order: OrderConfig = field(default_factory=OrderConfig)

    def __post_init__(self) -> None:
        """Refuse another objective, and held-out weeks that leave none to learn from."""
        if self.trees.objective != "binary":
            raise ConfigError(f"habit: trees.objective must be binary, found {self.trees.objective}")
        if not 1 <= self.n_held_out <= self.n_cutoffs // 2:
            raise ConfigError(f"habit: 1 <= n_held_out <= n_cutoffs ÷ 2, found {self.n_held_out}, {self.n_cutoffs}")
        if self.shop.n_held_out != self.n_held_out:
            raise ConfigError(
                f"habit: both parts hold out the same weeks, found {self.n_held_out} and {self.shop.n_held_out} (shop)"
            )


@dataclass(frozen=True)
class FittedHabit:
    """A fitted habit model; without trees, p(buys it | shops) is the item's share of the customer's recent baskets.

    `windows` converts its 7-day chances to those within 1 to 7 days (training/windows.py).
    """

    config: HabitConfig
    shop: TripHazard
    trees: BoostedTrees | None = None
    order: BasketOrder | None = None
    calibration: MarginCalibration = field(default_factory=MarginCalibration)
    windows: WindowPairs = ()
    notes: tuple[str, ...] = ()

    @property
    def level(self) -> Level:
        """Return the level of its items."""
        return level_named(self.config.level)

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:
        """Return `customer_row`, the item's row and `p7` for every customer's candidates, best first, ties by item."""
        pairs = shortlist(history, moment, self.level, self.config.candidates)
        around = surroundings(history, moment, self.level, self.config.candidates)
        p_shop = self.shop_chances(history, moment, "raw")
        margin = _joined([self.margin(described(block, around), p_shop) for block in _blocks(pairs)])
        frame = pairs[[c.CUSTOMER_ROW, self.level.item]].assign(**{c.P7: self.calibration.probability(margin)})
        order = np.lexsort((frame[self.level.item], -frame[c.P7], frame[c.CUSTOMER_ROW]))
        return frame.iloc[order].reset_index(drop=True)

    def shop_chances(self, history: History, moment: Moment, stage: Stage) -> pd.Series[float]:
        """Return each customer's chance of a trip within 7 days, by customer row."""
        chances: pd.Series[float] = self.shop.chances(history, moment, stage).set_index(c.CUSTOMER_ROW)[P_SHOP[-1]]
        return chances

    def margin(self, pairs: pd.DataFrame, p_shop: pd.Series[float]) -> FloatArray:
        """Return the log-odds of p(buys it | shops) × p(shops), in their order, before calibration, ``(n_pairs,)``."""
        of_pair = pairs[c.CUSTOMER_ROW].map(p_shop).to_numpy(dtype=np.float64, na_value=0.0)
        margin = log_odds(self.chance_given_shops(pairs) * of_pair)
        return self.order.drawn(pairs, margin) if self.order else margin

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
        about = {
            "level": self.config.level,
            "order_share": self.config.order.share,
            "windows": self.windows,
            "notes": self.notes,
        }
        texts = {"habit.json": json.dumps(about, indent=1), "calibration.json": self.calibration.to_json()}
        order = self.order.trees if self.order else None
        parts = {"trees.txt": self.trees, "order.txt": order, "shop.txt": self.shop.trees}
        return texts | {name: trees.to_text() for name, trees in parts.items() if trees is not None}


class HabitModel:
    """Learns habits at one level from the latest weeks."""

    name: ClassVar[str] = "habit"

    def __init__(self, config: HabitConfig) -> None:
        self.config = config

    def fit(self, history: History) -> FittedHabit:
        """Return the fitted model; with too little to learn from, recent shares of baskets, said in its notes."""
        shop = fit_hazard(history, self.config.shop)
        weeks = self._weeks(history)
        early, late = early_and_late(weeks, self.config.n_held_out)
        trial, fallback = FittedHabit(self.config, shop, *self._trees(early)), _TOO_FEW
        if trial.trees and not _is_worth(trial, late):
            trial, fallback = replace(trial, trees=None, order=None), _NO_BETTER
        margin = _joined([trial.margin(week.pairs, trial.shop_chances(history, week.moment, "trial")) for week in late])
        first_day = _joined([week.pairs[FIRST_DAY_BOUGHT].to_numpy(dtype=np.float64) for week in late])
        calibration = fit_calibration(margin, np.isfinite(first_day), n_bends=self.config.n_bends)
        windows = fit_windows(calibration.probability(margin), first_day, seed=self.config.seed)
        trees, order = self._trees(weeks) if trial.trees and late else (trial.trees, trial.order)
        calibration = keeping_level(calibration, margin) if trees else calibration
        notes = shop.notes if trees else (*shop.notes, f"habit ({self.config.level}): {fallback}")
        return FittedHabit(self.config, shop, trees, order, calibration, windows, notes)

    def _weeks(self, history: History) -> list[_Week]:
        """Return the labelled pairs of every training cutoff, each thinned evenly to its part of `max_rows`."""
        level, rules = level_named(self.config.level), self.config.candidates
        rng = np.random.default_rng(self.config.seed)
        cutoffs = history.cutoff_before(WINDOW_DAYS, self.config.n_cutoffs)
        weeks = []
        for moment in cutoffs:
            pairs = shortlist(history, moment, level, rules)
            share = self.config.max_rows // len(cutoffs)
            if len(pairs) > share:
                pairs = pairs.iloc[np.sort(rng.choice(len(pairs), share, replace=False))]
            pairs = described(pairs, surroundings(history, moment, level, rules))
            weeks.append(_Week(moment, _narrow(labelled(history, moment, pairs, level))))
        return weeks

    def _trees(self, weeks: Sequence[_Week]) -> tuple[BoostedTrees | None, BasketOrder | None]:
        """Return trees for p(buys it | shops) from those who shopped, and the order of the next basket.

        Both are None when the weeks hold too little.
        """
        pairs = pd.concat([week.pairs for week in weeks]) if weeks else pd.DataFrame({HAS_SHOPPED: []}, dtype=bool)
        rows = pairs[pairs[HAS_SHOPPED]]
        n_events = int(rows[FIRST_DAY_BOUGHT].notna().sum()) if len(rows) else 0
        if min(n_events, len(rows) - n_events) < MIN_EVENTS:
            return None, None
        names = list(learnable_columns(rows))
        trees = fit_trees(rows[names], rows[FIRST_DAY_BOUGHT].notna(), self.config.trees)
        return trees, fit_order(pairs, self.config.trees, self.config.order)


@dataclass(frozen=True)
class _Week:
    """The labelled pairs of one training cutoff."""

    moment: Moment
    pairs: pd.DataFrame


def _is_worth(trial: FittedHabit, late: Sequence[_Week]) -> bool:
    """Return whether the trees rank what is bought in weeks that they have not seen better than top frequency does."""
    pairs = [week.pairs for week in late]
    return ranks_better(
        _joined([trial.chance_given_shops(each) for each in pairs]),
        _joined([each[c.N_BASKETS].to_numpy(dtype=np.float64) for each in pairs]),
        groups=np.concatenate([np.zeros(0, dtype=np.int64), *(each[c.CUSTOMER_ROW].to_numpy() for each in pairs)]),
        is_hit=np.isfinite(_joined([each[FIRST_DAY_BOUGHT].to_numpy(dtype=np.float64) for each in pairs])),
    )


def _blocks(pairs: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield pairs by customer a block after the other, each with all of its customers' pairs."""
    starts = run_starts(pairs[c.CUSTOMER_ROW].to_numpy())
    cuts = starts[np.flatnonzero(np.diff(starts // _BLOCK_ROWS, prepend=0))]
    for start, stop in pairwise([0, *cuts.tolist(), len(pairs)]):
        yield pairs.iloc[start:stop]


def _joined(parts: Sequence[FloatArray]) -> FloatArray:
    return np.concatenate([np.zeros(0), *parts])


def _narrow(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs with numbers in half the memory: trees see no more than that."""
    wide = pairs.select_dtypes(include=["float64", "int64"]).columns
    return pairs.astype(dict.fromkeys(wide, np.float32))
