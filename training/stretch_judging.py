"""Judging stretches: the new categories of later weeks beside popularity, and the chances of the one shown.

Customers as the model learns from (training.stretch_grid); a hit is a purchase within 28 days. precision@1 is over all
of them, recall@10 and nDCG@10 over those who bought of any new category; what is not among the candidates counts as
missed.
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
from training.first_week import TwoChances
from training.history import History
from training.judge import Judgement, calibration_of
from training.ranking import Label, Queries, Ranked
from training.stretch_grid import StretchGrid, StretchRules, first_days, stretch_grid
from training.topk import place_in_run, top_of_each

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

NAME, TASK, POPULARITY = "stretch", "new category in 28 days", "popularity"
SHOWN_28, SHOWN_7 = "the one shown, 28 days", "the one shown, 7 days"
K, HORIZON_DAYS, WINDOW_DAYS = 10, 28, 7


class StretchChances(Protocol):
    """A fitted stretch model, as far as judging needs it."""

    def __hash__(self) -> int:
        """Return what a cache knows the model by."""

    @property
    def rules(self) -> StretchRules:
        """Return what is new, and for whom."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what stands in for the model."""

    @property
    def importance(self) -> Mapping[str, float]:
        """Return what it looks at."""

    @property
    def chances(self) -> TwoChances:
        """Return the chances of margins."""

    def margin(self, features: pd.DataFrame) -> FloatArray:
        """Return raw scores."""


@dataclass(frozen=True)
class Trial:
    """One model at its cutoff: the first ten, ours and popularity's, and the chances of the first."""

    customers: IntArray
    ours: Ranked
    popular: Ranked
    p28: FloatArray
    p7: FloatArray
    day: FloatArray

    @classmethod
    def at(cls, moment: Moment, model: StretchChances, history: History) -> Trial:
        """Return the trial of `model` on the 28 days after `moment`."""
        grid = stretch_grid(history, moment, model.rules)
        lines = history.purchases_after(moment, HORIZON_DAYS)
        day, n_true = first_days(grid, lines), new_purchases(grid, history, moment, lines)
        blocks = [_ranked(grid, block, model, day) for block in grid.blocks()]
        who = np.flatnonzero(grid.is_learner)
        ours, popular, margin, shown = (np.concatenate(part) for part in zip(*blocks, strict=True))
        return cls(
            customers=grid.pairs.customers[who],
            ours=Ranked(ours, n_true[who]),
            popular=Ranked(popular, n_true[who]),
            p28=model.chances.p28(margin),
            p7=model.chances.p7(margin),
            day=shown,
        )


def judge(fitted: Mapping[Moment, StretchChances], history: History) -> Judgement:
    """Return the judgement of models by the cutoff that each had learned up to."""
    trials = trials_of(fitted, history)
    notes = tuple(sorted({note for model in fitted.values() for note in model.notes}))
    if not trials:
        return Judgement(NAME, iso_days(fitted), (), (), (*notes, "stretch: no customer to judge it on"))
    day = np.concatenate([trial.day for trial in trials])
    p28, p7 = (np.concatenate([getattr(trial, name) for trial in trials]) for name in ("p28", "p7"))
    return Judgement(
        model=NAME,
        cutoffs=iso_days(fitted),
        rows=tuple(_queries(trials, metric).row(_label(metric)) for metric in _METRICS),
        calibration=(
            calibration_of(SHOWN_28, p28, np.isfinite(day).astype(np.float64)),
            calibration_of(SHOWN_7, p7, (day < WINDOW_DAYS).astype(np.float64)),
        ),
        notes=notes,
    )


def figures(fitted: Mapping[Moment, StretchChances], history: History) -> dict[str, Figure]:
    """Return the pictures of the judgement, and what the latest model looks at."""
    drawn = {
        "importance.png": plots.importance_figure(fitted[max(fitted)].importance, title="stretch: what it looks at")
    }
    trials = trials_of(fitted, history)
    if not trials:
        return drawn
    day = np.concatenate([trial.day for trial in trials])
    p28, p7 = (np.concatenate([getattr(trial, name) for trial in trials]) for name in ("p28", "p7"))
    rows = [_queries(trials, metric).row(_label(metric)) for metric in _METRICS]
    gains = [plots.Gain(row.metric, row.gain, row.gain_low, row.gain_high) for row in rows]
    return drawn | {
        "calibration.png": plots.calibration_figure(p28, np.isfinite(day).astype(float), title=f"stretch: {SHOWN_28}"),
        "calibration_7.png": plots.calibration_figure(
            p7, (day < WINDOW_DAYS).astype(float), title=f"stretch: {SHOWN_7}"
        ),
        "gains.png": plots.comparison_figure(gains, title="stretch: ours minus popularity"),
    }


def trials_of(fitted: Mapping[Moment, StretchChances], history: History) -> list[Trial]:
    """Return the trials that have any customer, in the order of `fitted`."""
    return [trial for moment, model in fitted.items() if len((trial := _trial(moment, model, history)).customers)]


def new_purchases(grid: StretchGrid, history: History, moment: Moment, lines: pd.DataFrame) -> IntArray:
    """Return for each customer of the grid how many categories new to them they bought in the lines."""
    bought = lines.loc[lines[c.IS_PURCHASE], [c.CUSTOMER_ROW, c.CATEGORY_ROW]].drop_duplicates()
    owned = history.features("customer_categories", moment, [c.CUSTOMER_ROW, c.CATEGORY_ROW, c.RECENCY_DAYS])
    owned = owned[owned[c.RECENCY_DAYS] <= grid.rules.new_days]
    merged = bought.merge(owned, on=[c.CUSTOMER_ROW, c.CATEGORY_ROW], how="left")
    new = merged[merged[c.RECENCY_DAYS].isna()]
    place = pd.Index(grid.pairs.customers).get_indexer(pd.Index(new[c.CUSTOMER_ROW]))
    return np.bincount(place[place >= 0], minlength=len(grid.pairs.customers)).astype(np.int64)


@lru_cache(maxsize=8)  # the judgement and its pictures ask for the same trials
def _trial(moment: Moment, model: StretchChances, history: History) -> Trial:
    return Trial.at(moment, model, history)


_METRICS = ("precision@1", "recall@10", "ndcg@10")


def _label(metric: str) -> Label:
    return Label(NAME, TASK, metric, POPULARITY, is_primary=metric == "precision@1")


def _queries(trials: list[Trial], metric: str) -> Queries:
    read = {"precision@1": Ranked.precision_at_1, "recall@10": Ranked.recall, "ndcg@10": Ranked.ndcg}[metric]
    return Queries(
        np.concatenate([read(trial.ours) for trial in trials]),
        np.concatenate([read(trial.popular) for trial in trials]),
        np.concatenate([trial.customers for trial in trials]),
    )


def _ranked(
    grid: StretchGrid, block: tuple[int, int], model: StretchChances, day: FloatArray
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], FloatArray, FloatArray]:
    """Return hits of the first ten, ours and popularity's, and the margin and day of the first, by learner."""
    start, stop = block
    learners = np.flatnonzero(grid.is_learner[start:stop]) + start
    cells = grid.new_cells(start, stop)
    cells = cells[grid.is_learner[cells // grid.width]]
    features = grid.features(cells, start, stop)
    margin = model.margin(features)
    popularity = grid.n_buyers[cells % grid.width]
    place = np.searchsorted(learners, cells // grid.width)
    ours, popular = (_first_ten(place, score, np.isfinite(day[cells]), len(learners)) for score in (margin, popularity))
    first = top_of_each(place, margin, 1)
    shown = np.full((2, len(learners)), np.inf)
    shown[0] = margin.min(initial=0.0)
    shown[0, place[first]] = margin[first]
    shown[1, place[first]] = np.nan_to_num(day[cells[first]], nan=np.inf)
    return ours, popular, shown[0], shown[1]


def _first_ten(place: IntArray, score: FloatArray, is_hit: npt.NDArray[np.bool_], n: int) -> npt.NDArray[np.bool_]:
    table = np.zeros((n, K), dtype=np.bool_)
    kept = top_of_each(place, score, K)
    table[place[kept], place_in_run(place[kept])] = is_hit[kept]
    return table
