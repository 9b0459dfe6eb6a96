"""Rows of a judgement for rankings: a number a query (a recall, a hit), ours beside a baseline's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.comparison import DRAWS, SEED
from training.intervals import bootstrap_interval, paired_interval
from training.judge import MetricRow
from training.sums import CustomerSums

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Label:
    """What a row of a judgement is about."""

    model: str
    task: str
    metric: str
    baseline: str
    is_primary: bool = False


@dataclass(frozen=True)
class Queries:
    """Ours and a baseline's number for each query, shape ``(n,)``, and its customer; a query with a NaN is left out."""

    ours: FloatArray
    theirs: FloatArray
    customers: IntArray

    def row(self, label: Label) -> MetricRow:
        """Return the means with their intervals by customer."""
        known = np.isfinite(self.ours) & np.isfinite(self.theirs)
        ours, theirs, customers = self.ours[known], self.theirs[known], self.customers[known]
        own = bootstrap_interval(ours, customers, np.random.default_rng(SEED), draws=DRAWS)
        gain = paired_interval(ours, theirs, customers, np.random.default_rng(SEED), draws=DRAWS)
        return MetricRow(
            model=label.model,
            task=label.task,
            metric=label.metric,
            ours=own.value,
            low=own.low,
            high=own.high,
            baseline=label.baseline,
            baseline_value=float(theirs.mean()) if len(theirs) else float("nan"),
            gain=gain.value,
            gain_low=gain.low,
            gain_high=gain.high,
            is_primary=label.is_primary,
            sums=CustomerSums.of(ours, customers),
        )


@dataclass(frozen=True)
class Ranked:
    """How the first answers did: `is_hit` is ``(n_queries, k)``, best first; `n_true` is what could be hit."""

    is_hit: npt.NDArray[np.bool_]
    n_true: IntArray

    def precision_at_1(self) -> FloatArray:
        """Return 1 where the first answer is right, else 0; shape ``(n_queries,)``."""
        return self.is_hit[:, 0].astype(np.float64)

    def recall(self) -> FloatArray:
        """Return hits ÷ what could be hit; NaN where nothing could."""
        return _ratio(self.is_hit.sum(axis=1), self.n_true)

    def ndcg(self) -> FloatArray:
        """Return Σ 1 ÷ log2(place + 1) over hits ÷ the most that could be; NaN where nothing could be hit."""
        k = self.is_hit.shape[1]
        gains = 1.0 / np.log2(np.arange(1, k + 1) + 1.0)
        best = np.concatenate([[0.0], np.cumsum(gains)])[np.minimum(self.n_true, k)]
        return _ratio(self.is_hit @ gains, best)


def _ratio(top: npt.ArrayLike, bottom: npt.ArrayLike) -> FloatArray:
    tops, bottoms = np.asarray(top, dtype=np.float64), np.asarray(bottom, dtype=np.float64)
    ratio: FloatArray = np.divide(tops, bottoms, out=np.full(tops.shape, np.nan), where=bottoms > 0)
    return ratio
