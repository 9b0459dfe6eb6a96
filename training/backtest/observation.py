"""What a task of the backtest shows at one cutoff: numbers by query for every ranker, facts, and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from training.errors import BacktestError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

OURS = "tercet"
"""The name of our own column; every other name is a peer's."""

Statistic = Literal[
    "mean",
    "rmse",
    "auc",
    "macro_auc",
    "pr_auc",
    "spearman",
    "gini",
    "ece",
    "brier_skill",
    "expected_over_observed",
    "ratio_of_ratios",
]
"""How a metric comes from its rows. `mean`: `values` are the metric itself, a number a query (a recall, a loss, an
absolute error). `ratio_of_ratios`: `values` are amounts in the four `groups` 0 to 3, and the metric is (the sum of 1 ÷
that of 0) ÷ (the sum of 3 ÷ that of 2). The others: `values` are scores, and `outcomes` say what happened."""


_WITHOUT_OUTCOMES = ("mean", "ratio_of_ratios")


@dataclass(frozen=True)
class Observation:
    """One metric of one task at one cutoff, by ranker.

    Attributes
    ----------
    task, metric
        As they stand in the report: ``"next basket, types"``, ``"recall@10"``.
    values
        A number for each query, shape ``(n,)``, by ranker; `OURS` is one of them. NaN rows are left out of a `mean`.
    customers
        Whose query it is, shape ``(n,)``: all rows of one are drawn together in resamples, over all cutoffs.
    outcomes, groups
        What happened, shape ``(n,)``, where the statistic needs it; the group of each row for `macro_auc` and
        `ratio_of_ratios`.
    bins
        Bins of the `ece`.
    """

    task: str
    metric: str
    values: Mapping[str, FloatArray]
    customers: IntArray
    statistic: Statistic = "mean"
    higher_is_better: bool = True
    outcomes: FloatArray | None = None
    groups: IntArray | None = None
    bins: int = 20

    def __post_init__(self) -> None:
        """Refuse rows that don't belong together."""
        n = len(self.customers)
        lengths = {name: len(each) for name, each in self.values.items()}
        if OURS not in self.values or any(each != n for each in lengths.values()):
            raise BacktestError(f"{self.task}, {self.metric}: {n} customers, but values of {lengths}")
        if self.statistic not in _WITHOUT_OUTCOMES and (self.outcomes is None or len(self.outcomes) != n):
            raise BacktestError(f"{self.task}, {self.metric}: {self.statistic} needs an outcome for each of {n} rows")


@dataclass(frozen=True)
class Fact:
    """A number of a whole list rather than of a query, by ranker: coverage, say. Cutoffs are averaged."""

    task: str
    name: str
    by_ranker: Mapping[str, float]
    higher_is_better: bool | None = None
    """None: neither; it is shown, not judged."""


@dataclass(frozen=True)
class Table:
    """Rows for people: what is shown most, who is not served. The latest cutoff's is printed."""

    task: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Findings:
    """All that a task showed at one cutoff."""

    observations: Sequence[Observation] = ()
    facts: Sequence[Fact] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = field(default_factory=tuple)
    """What was left out, and why: "no amounts in this source: …"."""
