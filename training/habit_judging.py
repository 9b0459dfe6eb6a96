"""Judging habits: the next basket, the two habit slots of a challenge, and the chances themselves.

- Next basket: what customers with at least three baskets buy in the first one after the cutoff.
- Habit slots: the best two of what a customer has bought before, for those with at least three baskets and the last one
  within 56 days. `precision@2` is among those who shop within 7 days, `both` among all of them.
- Chances: all candidate pairs of everyone, and the two shown.

Baskets are those with merchandise (training/habit_truth.py). Stronger peers, which take longer, are in the backtest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from features import columns as c
from features.asof import Moment
from training import metrics, plots
from training.comparison import iso_days
from training.habit_truth import HabitTruth, habit_truth
from training.history import History
from training.intervals import bootstrap_interval, paired_interval
from training.judge import Calibration, Judgement, MetricRow, calibration_of
from training.levels import Level
from training.peers.frequency import DECAYED, POPULARITY, TOP_FREQUENCY, own_items
from training.sums import CustomerSums

FloatArray = npt.NDArray[np.float64]

OURS = "ours"
NEXT_BASKET, SLOTS = "next basket", "habit slots"
RECALL_10, RECALL_20, NDCG_10, PRECISION_2, BOTH = "recall@10", "recall@20", "ndcg@10", "precision@2", "both"
ALL_PAIRS, SHOWN = "all pairs", "the two shown"

_BASELINES = (TOP_FREQUENCY, POPULARITY, DECAYED)
_PRIMARY = (TOP_FREQUENCY, POPULARITY)
_PRIMARY_METRIC = RECALL_10
_LONGEST = 20
_N_SLOTS = 2
_DRAWS = 500
_SEED = 7


class HabitChances(Protocol):
    """A fitted habit model, as far as judging needs it."""

    @property
    def level(self) -> Level:
        """Return the level of its items."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what there is to know of its fit."""

    @property
    def importance(self) -> dict[str, float]:
        """Return each feature's share of what it learned."""

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:
        """Return `customer_row`, the item's row and `p7`."""


@dataclass(frozen=True)
class Values:
    """One metric's value for each customer of a task, by ranker (`ours` and the peers), with the customers' rows."""

    task: str
    metric: str
    by_ranker: Mapping[str, FloatArray]
    customers: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Evidence:
    """What was seen at one cutoff: metric values a customer, and chances beside outcomes by task."""

    values: tuple[Values, ...]
    chances: Mapping[str, pd.DataFrame]


def judge(fitted: Mapping[Moment, HabitChances], history: History) -> Judgement:
    """Return the judgement of models by the cutoff that each had learned up to; `history` knows what came after."""
    seen = [evidence(model, history, moment) for moment, model in sorted(fitted.items())]
    name = "habit"
    rows = [row for values in _pooled(seen) for row in _rows(name, values)]
    return Judgement(
        model=name,
        cutoffs=iso_days(fitted),
        rows=tuple(rows),
        calibration=_calibrations([each.chances for each in seen]),
        notes=tuple(sorted({note for model in fitted.values() for note in model.notes})),
    )


def figures(fitted: Mapping[Moment, HabitChances], history: History) -> dict[str, Figure]:
    """Return pictures of the chances and of what the latest model looks at, by file name."""
    seen = [chances_at(model, history, moment) for moment, model in sorted(fitted.items())]
    drawn = {"importance.png": plots.importance_figure(fitted[max(fitted)].importance, title="habit: what it looks at")}
    for task, file in ((ALL_PAIRS, "calibration.png"), (SHOWN, "calibration_shown.png")):
        p, y = _said(seen, task)
        if len(p):
            drawn[file] = plots.calibration_figure(p, y, title=f"habit: {task}, 7 days", bins=20)
    p, y = _said(seen, ALL_PAIRS)
    if y.any():
        drawn["lift.png"] = plots.lift_figure(p, y, title=f"habit: {ALL_PAIRS}, 7 days")
    return drawn


def evidence(model: HabitChances, history: History, moment: Moment) -> Evidence:
    """Return what one model and the peers said as of `moment`, and what came of it."""
    known, level = history.until(moment), model.level
    truth = habit_truth(history, moment, level.item)
    chances = _chances(model, known, moment, truth)
    ranked = _rankings(known, moment, level, chances[ALL_PAIRS])
    values = (
        *_basket_values(ranked, truth.next_basket, level),
        _slot_values(PRECISION_2, ranked, truth.week, truth.shoppers, level),
        _slot_values(BOTH, ranked, truth.week, truth.active, level),
    )
    return Evidence(values, chances)


def chances_at(model: HabitChances, history: History, moment: Moment) -> dict[str, pd.DataFrame]:
    """Return by task the model's chances `p7` as of `moment`, with `n`: 1 where it was bought within 7 days, else 0."""
    return _chances(model, history.until(moment), moment, habit_truth(history, moment, model.level.item))


def _chances(model: HabitChances, known: History, moment: Moment, truth: HabitTruth) -> dict[str, pd.DataFrame]:
    level = model.level
    bought = truth.week.assign(**{c.N: 1.0})
    pairs = model.predict(known, moment).merge(bought, on=[c.CUSTOMER_ROW, level.item], how="left")
    pairs = pairs.fillna({c.N: 0.0})
    best = metrics.rank_within(pairs, [c.CUSTOMER_ROW], c.P7, tie=level.item)
    is_shown = (best[metrics.RANK] <= _N_SLOTS) & best[c.CUSTOMER_ROW].isin(truth.active)
    return {ALL_PAIRS: pairs, SHOWN: best[is_shown]}


def _rankings(history: History, moment: Moment, level: Level, chances: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return what ours and frequencies rank best of what a customer has bought before, by customer with `rank`."""
    own = own_items(history, moment, level)
    scored = {OURS: chances.rename(columns={c.P7: c.SCORE})}
    scored |= {name: own.rename(columns={name: c.SCORE}) for name in _BASELINES}
    return {name: _first(frame, level) for name, frame in scored.items()}


def _first(scored: pd.DataFrame, level: Level) -> pd.DataFrame:
    """Return each customer's best items by `score`, at most as many as are ever asked for."""
    rows = scored[[c.CUSTOMER_ROW, level.item, c.SCORE]]
    best = metrics.rank_within(rows, [c.CUSTOMER_ROW], c.SCORE, tie=level.item)
    return best[best[metrics.RANK] <= _LONGEST]


def _basket_values(ranked: Mapping[str, pd.DataFrame], basket: pd.DataFrame, level: Level) -> list[Values]:
    customers = np.unique(basket[c.CUSTOMER_ROW].to_numpy(dtype=np.int64))
    query = [c.CUSTOMER_ROW]
    asked = (
        (RECALL_10, metrics.recall_at_k, 10),
        (NDCG_10, metrics.ndcg_at_k, 10),
        (RECALL_20, metrics.recall_at_k, 20),
    )
    return [
        Values(
            NEXT_BASKET,
            metric,
            {name: _floats(score(frame, basket, k, query=query, item=level.item)) for name, frame in ranked.items()},
            customers,
        )
        for metric, score, k in asked
    ]


def _slot_values(
    metric: str,
    ranked: Mapping[str, pd.DataFrame],
    bought: pd.DataFrame,
    customers: npt.NDArray[np.int64],
    level: Level,
) -> Values:
    asked = pd.DataFrame({c.CUSTOMER_ROW: np.unique(customers)})
    shares = {
        name: _floats(metrics.precision_at_k(frame, bought, _N_SLOTS, queries=asked, item=level.item))
        for name, frame in ranked.items()
    }
    if metric == BOTH:
        shares = {name: (share == 1).astype(np.float64) for name, share in shares.items()}
    return Values(SLOTS, metric, shares, asked[c.CUSTOMER_ROW].to_numpy(dtype=np.int64))


def _floats(values: pd.Series[float]) -> FloatArray:
    return np.asarray(values, dtype=np.float64)


def _pooled(seen: Sequence[Evidence]) -> list[Values]:
    """Return each metric's values over all cutoffs."""
    return [
        Values(
            parts[0].task,
            parts[0].metric,
            {name: np.concatenate([part.by_ranker[name] for part in parts]) for name in parts[0].by_ranker},
            np.concatenate([part.customers for part in parts]),
        )
        for parts in zip(*(each.values for each in seen), strict=True)
    ]


def _rows(model: str, values: Values) -> list[MetricRow]:
    if len(values.customers) == 0:
        return []
    ours = values.by_ranker[OURS]
    own = bootstrap_interval(ours, values.customers, np.random.default_rng(_SEED), draws=_DRAWS)
    rows = []
    for name in _BASELINES:
        theirs = values.by_ranker[name]
        gain = paired_interval(ours, theirs, values.customers, np.random.default_rng(_SEED), draws=_DRAWS)
        rows.append(
            MetricRow(
                model=model,
                task=values.task,
                metric=values.metric,
                ours=own.value,
                low=own.low,
                high=own.high,
                baseline=name,
                baseline_value=float(theirs.mean()),
                gain=gain.value,
                gain_low=gain.low,
                gain_high=gain.high,
                is_primary=values.metric == _PRIMARY_METRIC and name in _PRIMARY,
                sums=CustomerSums.of(ours, values.customers),
            )
        )
    return rows


def _calibrations(seen: Sequence[Mapping[str, pd.DataFrame]]) -> tuple[Calibration, ...]:
    found = []
    for task in (ALL_PAIRS, SHOWN):
        p, y = _said(seen, task)
        if len(p):
            found.append(calibration_of(task, p, y))
    return tuple(found)


def _said(seen: Sequence[Mapping[str, pd.DataFrame]], task: str) -> tuple[FloatArray, FloatArray]:
    """Return chances and outcomes of a task over all cutoffs."""
    both = np.concatenate([np.zeros((0, 2)), *(each[task][[c.P7, c.N]].to_numpy(np.float64) for each in seen)])
    return both[:, 0], both[:, 1]
