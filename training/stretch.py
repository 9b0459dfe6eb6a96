"""Stretch: the chance that a customer buys of a category that is new to them, within 28 and within 7 days.

Boosted trees over customer × new category pairs, on top of what customers like them have (EASE, implicit's nearest
items and alternating least squares over categories). Trees learn from every new purchase of the training weeks and a
sample of the other pairs, weighted back, so that the level of their log-odds is that of chances already. What is best
of some two hundred categories is also what the trees overrate the most, so their slope is that of trees which had not
seen the week (docs/adr/0012-chance-of-the-one-shown.md). The 7-day chance is theirs times the share of such purchases
that fall in the first week (training.first_week).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment
from training.boosting import BoostedTrees, BoostingConfig, FitOptions, fit_trees
from training.calibration import MarginCalibration, fit_calibration, keeping_level, log_odds
from training.first_week import WINDOW_DAYS, TwoChances, fit_first_week
from training.guard import ranks_better
from training.history import History
from training.stretch_grid import TAKEN_UP, StretchGrid, StretchRules, first_days, stretch_grid
from training.stretch_judging import figures, judge
from training.stretch_links import links
from training.topk import top_of_each
from training.windows import WindowPairs, fit_windows

__all__ = ["FittedStretch", "StretchConfig", "StretchModel", "figures", "judge"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MIN_EVENTS = 200
"""With fewer new purchases than this to learn from, a category's share of buyers stands in for the trees."""

HORIZON_DAYS = 28
THIN_EVENTS = 5_000
"""With fewer than this it is looked at first, on the latest weeks, whether trees rank better than popularity."""

_LEAVES_APART = 40  # leaves that a small sample may at most be divided into
NO_BETTER = "stretch: trees rank no better than a category's share of buyers here, which stands in"
TOO_FEW = "stretch: too few new purchases to learn from; a category's share of buyers stands in"


@dataclass(frozen=True)
class StretchConfig:
    """Settings of the stretch model.

    It learns from every new purchase of at most `max_learners` customers a week, and about `n_rows` other pairs in all.
    There is a tree for every `events_per_tree` new purchases at most: label windows of weekly cutoffs overlap, so that
    small shops would be learned by heart. The days within a week are learned from each customer's `n_shown` best pairs
    of the last `n_latest` cutoffs.
    """

    n_cutoffs: int = 11
    n_latest: int = 2
    n_shown: int = 24
    max_per_customer: int = 40
    n_rows: int = 500_000
    max_learners: int = 20_000
    events_per_tree: float = 20.0
    seed: int = 20171009
    rules: StretchRules = field(default_factory=StretchRules)
    trees: BoostingConfig = field(default_factory=BoostingConfig)


@dataclass(frozen=True)
class FittedStretch:
    """A fitted stretch model; without trees a category's share of buyers ranks.

    `windows` converts its 7-day chances to those within 1 to 7 days (training/windows.py).
    """

    config: StretchConfig
    trees: BoostedTrees | None
    chances: TwoChances
    windows: WindowPairs
    notes: tuple[str, ...] = ()

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:
        """Return customer_row, category_row, p28, p7, source_category_row and lift of everyone's best new categories.

        At most ``max_per_customer`` each, by customer and falling chance. `source_category_row` is the category that
        they buy from which it is most strongly reached (−1 when from none), `lift` how much likelier it is from there.
        """
        grid = stretch_grid(history, moment, self.config.rules)
        parts = [self._best(grid, *block) for block in grid.blocks()]
        empty = pd.DataFrame({c.CUSTOMER_ROW: np.zeros(0, dtype=np.int32), c.CATEGORY_ROW: np.zeros(0, dtype=np.int32)})
        frame = pd.concat(parts, ignore_index=True) if parts else empty.assign(**{c.P28: 0.0, c.P7: 0.0})
        return links(frame, history, moment)

    def scored(self, grid: StretchGrid, start: int, stop: int) -> tuple[IntArray, FloatArray]:
        """Return the new cells of the customers from `start` to `stop`, and their raw margins."""
        cells = grid.new_cells(start, stop)
        return cells, self.margin(grid.features(cells, start, stop))

    def margin(self, features: pd.DataFrame) -> FloatArray:
        """Return log-odds before calibration, ``(n_rows,)``."""
        return margin_of(self.trees, features)

    @property
    def rules(self) -> StretchRules:
        """Return what is new, and for whom the model learned."""
        return self.config.rules

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Return what the model reads."""
        return self.trees.feature_names if self.trees else (TAKEN_UP,)

    @property
    def importance(self) -> dict[str, float]:
        """Return what the trees gained by each feature."""
        return self.trees.importance if self.trees else {TAKEN_UP: 1.0}

    def artifacts(self) -> dict[str, str]:
        """Return the files that hold the whole model."""
        about = {"config": asdict(self.config), "windows": self.windows, "notes": self.notes}
        texts = {
            "stretch.json": json.dumps(about, indent=1),
            "chances.json": self.chances.to_json(),
        }
        return texts | ({"trees.txt": self.trees.to_text()} if self.trees else {})

    def _best(self, grid: StretchGrid, start: int, stop: int) -> pd.DataFrame:
        cells, margin = self.scored(grid, start, stop)
        kept = top_of_each(cells // grid.width, margin, self.config.max_per_customer)
        rows = grid.pairs.rows(cells[kept]).astype({c.CUSTOMER_ROW: np.int32, c.CATEGORY_ROW: np.int32})
        return rows.assign(**{c.P28: self.chances.p28(margin[kept]), c.P7: self.chances.p7(margin[kept])})


class StretchModel:
    """Learns from the latest weekly cutoffs whose 28 days had ended."""

    name: ClassVar[str] = "stretch"

    def __init__(self, config: StretchConfig) -> None:
        self.config = config

    def fit(self, history: History) -> FittedStretch:
        """Return the fitted model; with too few new purchases, popularity calibrated, which its notes say."""
        cutoffs = history.cutoff_before(HORIZON_DAYS, self.config.n_cutoffs)
        samples: list[_Sample] = []
        latest: list[_Week] = []
        for moment in cutoffs:
            week = _week(history, moment, self.config)
            samples.append(_sample(week, self.config, self.config.n_rows // len(cutoffs)))
            latest = [*latest, week][-self.config.n_latest :]
        learned = _Sample.of(samples)
        trees = _trees(learned, self.config)
        notes = () if trees else (TOO_FEW,)
        earlier = self._earlier_trees(samples, cutoffs, latest[-1]) if trees else None
        if trees and np.isfinite(learned.day).sum() < THIN_EVENTS and not _is_worth(earlier, latest[-1]):
            trees, notes = None, (NO_BETTER,)
        shown = _shown(latest, trees, self.config)
        seen = _shown([latest[-1]], earlier, self.config) if earlier else None
        within_28 = _within_28(shown, seen) if trees else _calibrated(shown)
        chances = TwoChances(within_28, fit_first_week(margin_of(trees, learned.features), learned.day))
        return FittedStretch(
            config=self.config,
            trees=trees,
            chances=chances,
            windows=fit_windows(chances.p7(shown.margin), shown.week_day, seed=self.config.seed),
            notes=notes,
        )

    def _earlier_trees(self, samples: list[_Sample], cutoffs: list[Moment], latest: _Week) -> BoostedTrees | None:
        """Return trees of the weeks whose 28 days had ended by the latest cutoff: these have not seen its purchases."""
        ended = [each for each, at in zip(samples, cutoffs, strict=True) if at.day + HORIZON_DAYS <= latest.moment.day]
        return _trees(_Sample.of(ended), self.config)


def _is_worth(earlier: BoostedTrees | None, latest: _Week) -> bool:
    """Return whether trees that had not seen the latest week rank better there than popularity; true without them."""
    if earlier is None:
        return True
    grid, parts = latest.grid, []
    for start, stop in grid.blocks():
        cells = grid.new_cells(start, stop)
        cells = cells[grid.is_learner[cells // grid.width]]
        features = grid.features(cells, start, stop)
        is_hit = np.isfinite(latest.first_day[cells])
        parts.append((margin_of(earlier, features), _start(features), cells // grid.width, is_hit))
    if not parts:
        return True
    ours, popular, groups, is_hit = (np.concatenate(each) for each in zip(*parts, strict=True))
    return ranks_better(ours, popular, groups=groups, is_hit=is_hit)


def margin_of(trees: BoostedTrees | None, features: pd.DataFrame) -> FloatArray:
    """Return log-odds before calibration: of each category's share of buyers, and what the trees add."""
    start = _start(features)
    return start if trees is None else start + trees.margin(features.reindex(columns=list(trees.feature_names)))


def _start(features: pd.DataFrame) -> FloatArray:
    """Return where the trees start: the log-odds of how fast it is taken up, so that few data stay near it."""
    share = features.get(TAKEN_UP, pd.Series(0.0, index=features.index))
    return log_odds(share.fillna(0.0).clip(1e-4, 0.5))


@dataclass(frozen=True)
class _Week:
    """One training cutoff: its grid, and the first day of each cell's purchase in the 28 days after it (else NaN)."""

    grid: StretchGrid
    first_day: FloatArray
    moment: Moment


@dataclass(frozen=True)
class _Shown:
    """The pairs that rank first: their margins, and the first day of a purchase within 28 days (inf without one)."""

    margin: FloatArray
    day: FloatArray

    @property
    def week_day(self) -> FloatArray:
        """Return the first day of a purchase within 7 days, NaN without one."""
        return np.where(self.day < WINDOW_DAYS, self.day, np.nan)


def _week(history: History, moment: Moment, config: StretchConfig) -> _Week:
    grid = stretch_grid(history, moment, config.rules)
    return _Week(grid, first_days(grid, history.purchases_after(moment, HORIZON_DAYS)), moment)


@dataclass(frozen=True)
class _Sample:
    """Pairs to learn from, what each weighs, and the first day of a purchase within 28 days (inf without one)."""

    features: pd.DataFrame
    day: FloatArray
    weight: FloatArray

    @classmethod
    def of(cls, parts: list[_Sample]) -> _Sample:
        frames = [part.features for part in parts if len(part.day)]
        features = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
        day, weight = (np.concatenate([np.zeros(0), *(getattr(part, name) for part in parts)]) for name in _NUMBERS)
        return cls(features, day, weight)


_NUMBERS = ("day", "weight")


def _calibrated(shown: _Shown) -> MarginCalibration:
    """Return the straight line from margins to the log-odds of what came of them."""
    return fit_calibration(shown.margin, np.isfinite(shown.day), n_bends=0)


def _within_28(shown: _Shown, seen: _Shown | None) -> MarginCalibration:
    """Return what makes chances of margins: as steep as earlier trees' turned out, at the level of all weeks.

    `seen` are the best pairs of the latest week by trees that had not seen it; None where there are no such trees.
    """
    return MarginCalibration() if seen is None else keeping_level(_calibrated(seen), shown.margin)


def _trees(sample: _Sample, config: StretchConfig) -> BoostedTrees | None:
    """Return trees learned from the sample, or nothing when it holds too few new purchases."""
    labels = np.isfinite(sample.day).astype(np.float64)
    if min(labels.sum(), len(labels) - labels.sum()) < MIN_EVENTS:
        return None
    features = sample.features.loc[:, sample.features.notna().any()]
    trees = replace(
        config.trees,
        n_trees=int(np.clip(labels.sum() / config.events_per_tree, 1, config.trees.n_trees)),
        min_rows_per_leaf=int(np.clip(len(labels) / _LEAVES_APART, 1, config.trees.min_rows_per_leaf)),
    )
    return fit_trees(features, labels, trees, FitOptions(weights=sample.weight, offset=_start(features)))


def _sample(week: _Week, config: StretchConfig, n_rows: int) -> _Sample:
    """Return all new purchases of the week's learners, and about `n_rows` of their other new pairs, weighted back."""
    grid, rng = week.grid, np.random.default_rng([config.seed, week.moment.day])
    learners = np.flatnonzero(grid.is_learner)
    is_chosen = np.zeros(len(grid.is_learner), dtype=np.bool_)
    is_chosen[rng.choice(learners, min(config.max_learners, len(learners)), replace=False)] = True
    share = min(1.0, n_rows / max(int(is_chosen.sum()) * grid.width, 1))
    parts = []
    for start, stop in grid.blocks():
        cells = grid.new_cells(start, stop)
        cells = cells[is_chosen[cells // grid.width]]
        is_bought = np.isfinite(week.first_day[cells])
        is_kept = is_bought | (rng.random(len(cells)) < share)
        day = np.asarray(np.nan_to_num(week.first_day[cells[is_kept]], nan=np.inf), dtype=np.float64)
        weight = np.where(is_bought[is_kept], 1.0, 1.0 / share)
        parts.append(_Sample(grid.features(cells[is_kept], start, stop), day, weight))
    return _Sample.of(parts)


def _shown(weeks: list[_Week], trees: BoostedTrees | None, config: StretchConfig) -> _Shown:
    """Return the best pairs of each learner in some weeks."""
    margins, days = [np.zeros(0)], [np.zeros(0)]
    for week in weeks:
        for start, stop in week.grid.blocks():
            cells = week.grid.new_cells(start, stop)
            cells = cells[week.grid.is_learner[cells // week.grid.width]]
            margin = margin_of(trees, week.grid.features(cells, start, stop))
            kept = top_of_each(cells // week.grid.width, margin, config.n_shown)
            margins.append(margin[kept])
            days.append(np.nan_to_num(week.first_day[cells[kept]], nan=np.inf))
    return _Shown(np.concatenate(margins), np.concatenate(days))
