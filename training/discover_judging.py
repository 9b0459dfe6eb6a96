"""Judging discoveries: products never bought before, in later weeks, beside popularity.

Customers with a trip in the 56 days before; the truth is every piece of merchandise that they bought in the window and
never before, whether it was among the candidates or not. The chances are those of each customer's first ten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from features import columns as c
from features.asof import Moment
from training import plots
from training.comparison import iso_days
from training.discover_grid import DiscoverGrid, DiscoverRules, discover_grid
from training.first_week import TwoChances
from training.history import History
from training.judge import Judgement, calibration_of
from training.ranking import Label, Queries, Ranked
from training.topk import place_in_run, top_of_each

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

NAME, POPULARITY, K = "discover", "popularity", 10
HORIZONS = (28, 7)


class Discoveries(Protocol):
    """A fitted discovery model, as far as judging needs it."""

    def __hash__(self) -> int:
        """Return what a cache knows the model by."""

    @property
    def rules(self) -> DiscoverRules:
        """Return what there is to discover."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what stands in for the model."""

    @property
    def importance(self) -> Mapping[str, float]:
        """Return what it looks at."""

    @property
    def chances(self) -> TwoChances:
        """Return the chances of margins."""

    def ranked(self, grid: DiscoverGrid, who: IntArray) -> tuple[IntArray, FloatArray]:
        """Return the best cells of some customers, best first, and their margins."""


@dataclass(frozen=True)
class Trial:
    """One model at its cutoff: the first ten cells of each customer, ours and popularity's, and what was bought."""

    customers: IntArray
    ours: IntArray
    popular: IntArray
    margin: FloatArray
    days: Mapping[int, float]
    n_true: Mapping[int, IntArray]
    model: Discoveries

    @classmethod
    def at(cls, moment: Moment, model: Discoveries, history: History) -> Trial:
        """Return the trial of `model` on the days after `moment`."""
        grid = discover_grid(history, moment, model.rules)
        who = np.flatnonzero(grid.is_active)
        blocks = [_answers(grid, block, model) for block in grid.blocks(who)]
        new = _new_purchases(grid, history, moment)
        cells = new.loc[new[_CELL] >= 0].set_index(_CELL)[c.DAY_OFFSET]
        nothing = np.zeros((0, K), dtype=np.int64)
        ours, popular, margin = (
            np.concatenate([block[i] for block in blocks]) if blocks else nothing.astype(np.float64) for i in range(3)
        )
        return cls(
            customers=grid.customers[who] if blocks else np.zeros(0, dtype=np.int64),
            ours=ours.astype(np.int64),
            popular=popular.astype(np.int64),
            margin=margin,
            days=dict(zip(cells.index.tolist(), cells.astype(float).tolist(), strict=True)),
            n_true={days: _n_true(grid, new, days)[who] for days in HORIZONS},
            model=model,
        )

    def day(self, cells: IntArray) -> FloatArray:
        """Return the day of each cell's purchase, inf without one; the shape of `cells`."""
        flat = [self.days.get(cell, np.inf) for cell in cells.ravel().tolist()]
        return np.asarray(flat, dtype=np.float64).reshape(cells.shape)

    def queries(self, days: int) -> Queries:
        """Return recall@10 of each customer within `days`."""
        ours, popular = (Ranked(self.day(cells) < days, self.n_true[days]) for cells in (self.ours, self.popular))
        return Queries(ours.recall(), popular.recall(), self.customers)


def judge(fitted: Mapping[Moment, Discoveries], history: History) -> Judgement:
    """Return the judgement of models by the cutoff that each had learned up to."""
    notes = tuple(sorted({note for model in fitted.values() for note in model.notes}))
    trials = _trials(fitted, history)
    if not trials:
        return Judgement(NAME, iso_days(fitted), (), (), (*notes, "discover: no customer to judge it on"))
    chances = {days: _chances(trials, days) for days in HORIZONS}
    return Judgement(
        model=NAME,
        cutoffs=iso_days(fitted),
        rows=tuple(_pooled(trials, days).row(_label(days)) for days in HORIZONS),
        calibration=tuple(calibration_of(f"the ten shown, {days} days", *chances[days]) for days in HORIZONS),
        notes=notes,
    )


def figures(fitted: Mapping[Moment, Discoveries], history: History) -> dict[str, Figure]:
    """Return the pictures of the judgement, and what the latest model looks at."""
    importance = fitted[max(fitted)].importance
    drawn = {"importance.png": plots.importance_figure(importance, title="discover: what it looks at")}
    trials = _trials(fitted, history)
    if not trials:
        return drawn
    rows = [_pooled(trials, days).row(_label(days)) for days in HORIZONS]
    gains = [plots.Gain(row.task, row.gain, row.gain_low, row.gain_high) for row in rows]
    p, y = _chances(trials, HORIZONS[0])
    return drawn | {
        "calibration.png": plots.calibration_figure(p, y, title="discover: the ten shown, 28 days"),
        "gains.png": plots.comparison_figure(gains, title="discover: recall@10, ours minus popularity"),
    }


_CELL = "cell"


def _trials(fitted: Mapping[Moment, Discoveries], history: History) -> list[Trial]:
    found = [_trial(moment, model, history) for moment, model in fitted.items()]
    return [trial for trial in found if len(trial.customers)]


@lru_cache(maxsize=8)  # the judgement and its pictures ask for the same trials
def _trial(moment: Moment, model: Discoveries, history: History) -> Trial:
    return Trial.at(moment, model, history)


def _label(days: int) -> Label:
    return Label(NAME, f"never bought before, {days} days", f"recall@{K}", POPULARITY, is_primary=days == HORIZONS[0])


def _pooled(trials: list[Trial], days: int) -> Queries:
    parts = [trial.queries(days) for trial in trials]
    ours, theirs = (np.concatenate([getattr(part, name) for part in parts]) for name in ("ours", "theirs"))
    return Queries(ours, theirs, np.concatenate([part.customers for part in parts]))


def _chances(trials: list[Trial], days: int) -> tuple[FloatArray, FloatArray]:
    """Return the chances of all first tens, and whether each came true, ``(n,)`` both."""
    p, y = [], []
    for trial in trials:
        shown = trial.ours >= 0
        chances = trial.model.chances
        p.append((chances.p28 if days == HORIZONS[0] else chances.p7)(trial.margin[shown]))
        y.append((trial.day(trial.ours[shown]) < days).astype(np.float64))
    return np.concatenate(p), np.concatenate(y)


def _answers(grid: DiscoverGrid, who: IntArray, model: Discoveries) -> tuple[IntArray, IntArray, FloatArray]:
    """Return the first ten cells of each customer (−1: there are fewer), ours and popularity's, and our margins."""
    cells, margin = model.ranked(grid, who)
    owner = np.searchsorted(who, cells // grid.width)
    place = place_in_run(owner)
    first = place < K
    ours, margins = np.full((len(who), K), -1, dtype=np.int64), np.zeros((len(who), K))
    ours[owner[first], place[first]] = cells[first]
    margins[owner[first], place[first]] = margin[first]
    table = grid.block(who).popular()
    best = top_of_each(np.repeat(np.arange(len(who)), grid.width), table.ravel(), K)
    row = best // grid.width
    popular = np.full((len(who), K), -1, dtype=np.int64)
    popular[row, place_in_run(row)] = who[row] * grid.width + best % grid.width
    return ours, popular, margins


def _new_purchases(grid: DiscoverGrid, history: History, moment: Moment) -> pd.DataFrame:
    """Return when each customer bought each product new to them, with its cell (−1: not in the grid)."""
    lines = history.purchases_after(moment, HORIZONS[0])
    keys = [c.CUSTOMER_ROW, c.PRODUCT_ROW]
    bought = lines[lines[c.IS_PURCHASE]].groupby(keys, as_index=False)[c.DAY_OFFSET].min()
    own = history.features("customer_products", moment, keys).assign(is_owned=True)
    merged = bought.merge(own, on=keys, how="left")
    new = pd.DataFrame(merged[merged["is_owned"].isna()]).reset_index(drop=True)
    who = pd.Index(grid.customers).get_indexer(pd.Index(new[c.CUSTOMER_ROW]))
    what = pd.Index(grid.products).get_indexer(pd.Index(new[c.PRODUCT_ROW]))
    cell = np.where((who >= 0) & (what >= 0), who * grid.width + what, -1)
    new[_CELL], new[c.CUSTOMER_ROW] = cell, who
    return new


def _n_true(grid: DiscoverGrid, new: pd.DataFrame, days: int) -> IntArray:
    who = new.loc[(new[c.DAY_OFFSET] < days) & (new[c.CUSTOMER_ROW] >= 0), c.CUSTOMER_ROW].to_numpy()
    return np.bincount(who, minlength=len(grid.customers)).astype(np.int64)
