"""What a metric is made of, customer by customer: enough to compare two recipes on the same days, long after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.intervals import Interval, drawn_interval

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

DRAWS = 1000
SEED = 7
_CHUNK = 4_000_000  # weights drawn at once: bounds memory at about 32 MB


@dataclass(frozen=True, eq=False)
class CustomerSums:
    """A metric as ``base + Σ top ÷ Σ bottom`` over customers, each once, in order of their rows.

    A mean of a number a query has base 0, each customer's sum of numbers as `tops` and how many as `bottoms`. A ROC AUC
    has itself as base and its influence parts as tops (`comparison.auc_parts`). A number of a whole list, such as
    coverage, is a base without customers.
    """

    base: float
    customers: IntArray
    tops: FloatArray
    bottoms: FloatArray

    @classmethod
    def of(cls, values: npt.ArrayLike, customers: npt.ArrayLike, *, base: float = 0.0) -> CustomerSums:
        """Return the sums of a number a row, ``(n,)``, whose mean plus `base` is the metric; NaN rows are left out."""
        numbers = np.asarray(values, dtype=np.float64)
        known = np.isfinite(numbers)
        rows, place = np.unique(np.asarray(customers, dtype=np.int64)[known], return_inverse=True)
        tops = np.bincount(place, weights=numbers[known], minlength=len(rows)).astype(np.float64)
        bottoms = np.bincount(place, minlength=len(rows)).astype(np.float64)
        return cls(base, rows, tops, bottoms)

    @classmethod
    def whole(cls, value: float) -> CustomerSums:
        """Return a number that no customer has a share in."""
        return cls(value, np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))

    @property
    def value(self) -> float:
        """Return the metric; NaN where there is nothing to divide by."""
        if len(self.customers) == 0:
            return self.base
        below = float(self.bottoms.sum())
        return self.base + float(self.tops.sum()) / below if below else float("nan")

    def at(self, customers: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return tops and bottoms of the given customers (sorted, each once), 0 where one has none."""
        place = np.searchsorted(customers, self.customers)
        tops, bottoms = np.zeros(len(customers)), np.zeros(len(customers))
        tops[place], bottoms[place] = self.tops, self.bottoms
        return tops, bottoms


def difference(one: CustomerSums, other: CustomerSums, *, draws: int = DRAWS, seed: int = SEED) -> Interval:
    """Return `one` − `other` with its 95 % interval when customers, those of either, are drawn with replacement.

    A customer whom only one of them asked about counts for that one. The bounds are the value itself where neither
    has customers.
    """
    value = one.value - other.value
    customers = np.union1d(one.customers, other.customers)
    n = len(customers)
    if n == 0:
        return Interval(value, value, value)
    parts = [each.at(customers) for each in (one, other)]
    rng = np.random.default_rng(seed)
    drawn = np.empty(draws)
    step = max(1, _CHUNK // n)
    for start in range(0, draws, step):
        weights = rng.multinomial(n, np.full(n, 1 / n), size=min(step, draws - start)).astype(np.float64)
        first, second = (_ratio(weights @ tops, weights @ bottoms) for tops, bottoms in parts)
        drawn[start : start + len(weights)] = first - second
    return drawn_interval(value, drawn + (one.base - other.base), n)


def _ratio(tops: FloatArray, bottoms: FloatArray) -> FloatArray:
    """Return the ratios; 0 of nothing at all (a number of a whole list), NaN where a draw has nothing to divide by."""
    if not bottoms.any():
        return np.zeros(len(tops))
    return np.asarray(np.divide(tops, bottoms, out=np.full(len(tops), np.nan), where=bottoms != 0), dtype=np.float64)
