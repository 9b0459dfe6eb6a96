"""Any statistic of rows under resamples of customers: all rows of one, over all cutoffs, are drawn together.

Most statistics are a function of a few sums over rows (a mean, an ECE, a Brier skill), so that a resample costs a
product of matrices; an AUC moves by the influence of its rows (DeLong, DeLong and Clarke-Pearson 1988). Those that rank
anew (average precision, Spearman, Gini) are computed for each resample, from rows that were sorted once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from training.backtest.observation import Observation, Statistic
from training.comparison import AucParts, auc_parts
from training.metrics import bin_starts

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

DRAWS = 500
SEED = 7
_CHUNK = 4_000_000
"""Weights drawn at once: bounds memory at about 32 MB."""

OfWeights = Callable[[FloatArray], FloatArray]
"""From weights of customers, shape ``(draws, n_customers)``, to the statistic of each draw."""


def resampled(
    observation: Observation, *, draws: int = DRAWS, seed: int = SEED
) -> tuple[dict[str, float], dict[str, FloatArray]]:
    """Return each ranker's value, and its values when customers are drawn with replacement, shape ``(draws,)``.

    All rankers are seen under the same draws, so that a difference of two of them is paired. NaN where a statistic is
    not defined (one class only, no rows).
    """
    customers = Customers.of(observation.customers)
    statistics = {name: statistic_of(observation, name, customers) for name in observation.values}
    ones = np.ones((1, customers.n))
    values = {name: float(of_weights(ones)[0]) for name, of_weights in statistics.items()}
    parts: dict[str, list[FloatArray]] = {name: [] for name in statistics}
    for weights in customers.draws(draws, np.random.default_rng(seed)):
        for name, of_weights in statistics.items():
            parts[name].append(of_weights(weights))
    return values, {name: np.concatenate([np.zeros(0), *each]) for name, each in parts.items()}


@dataclass(frozen=True)
class Customers:
    """Whose each row is: dense numbers from 0 to n - 1, shape ``(n_rows,)``."""

    of_row: IntArray
    n: int

    @classmethod
    def of(cls, customers: IntArray) -> Customers:
        """Return the customers of rows."""
        unique, dense = np.unique(customers, return_inverse=True)
        return cls(dense.astype(np.int64), len(unique))

    def sums(self, values: FloatArray) -> FloatArray:
        """Return the sums by customer, shape ``(n,)``, of a number a row."""
        return np.bincount(self.of_row, weights=values, minlength=self.n).astype(np.float64)

    def draws(self, draws: int, rng: np.random.Generator) -> Iterator[FloatArray]:
        """Yield the weights of customers drawn with replacement, shape ``(some, n)``, `draws` in all."""
        if self.n == 0:
            return
        step = max(1, _CHUNK // self.n)
        for start in range(0, draws, step):
            size = min(step, draws - start)
            yield rng.multinomial(self.n, np.full(self.n, 1 / self.n), size=size).astype(np.float64)


def statistic_of(observation: Observation, name: str, customers: Customers) -> OfWeights:
    """Return the statistic of a ranker's rows as a function of the customers' weights."""
    values = np.asarray(observation.values[name], dtype=np.float64)
    if customers.n == 0:
        return lambda weights: np.full(len(weights), np.nan)
    rows = _Rows(values, _or_nothing(observation.outcomes), customers, observation)
    return _STATISTICS[observation.statistic](rows)


@dataclass(frozen=True)
class _Rows:
    values: FloatArray
    outcomes: FloatArray
    customers: Customers
    observation: Observation

    def ratio(self, top: FloatArray, bottom: FloatArray) -> OfWeights:
        tops, bottoms = self.customers.sums(top), self.customers.sums(bottom)
        return lambda weights: _divided(weights @ tops, weights @ bottoms)


def _or_nothing(outcomes: FloatArray | None) -> FloatArray:
    return np.zeros(0) if outcomes is None else np.asarray(outcomes, dtype=np.float64)


def _mean(rows: _Rows) -> OfWeights:
    is_known = np.isfinite(rows.values)
    return rows.ratio(np.where(is_known, rows.values, 0.0), is_known.astype(np.float64))


def _rmse(rows: _Rows) -> OfWeights:
    squared = rows.ratio((rows.values - rows.outcomes) ** 2, np.ones(len(rows.values)))
    return lambda weights: np.sqrt(squared(weights))


def _expected_over_observed(rows: _Rows) -> OfWeights:
    return rows.ratio(rows.values, rows.outcomes)


def _ratio_of_ratios(rows: _Rows) -> OfWeights:
    groups = np.zeros(0) if rows.observation.groups is None else np.asarray(rows.observation.groups)
    sums = [rows.customers.sums(np.where(groups == group, rows.values, 0.0)) for group in range(4)]

    def of(weights: FloatArray) -> FloatArray:
        below, above, placebo_below, placebo_above = (weights @ each for each in sums)
        return _divided(above * placebo_below, below * placebo_above)

    return of


def _brier_skill(rows: _Rows) -> OfWeights:
    error = rows.ratio((rows.values - rows.outcomes) ** 2, np.ones(len(rows.values)))
    rate, square = (rows.ratio(each, np.ones(len(each))) for each in (rows.outcomes, rows.outcomes**2))
    return lambda weights: 1.0 - _divided(error(weights), square(weights) - rate(weights) ** 2)


def _ece(rows: _Rows) -> OfWeights:
    """Return the ECE; its bins stay those of all rows, a resample moves what is in them."""
    order = np.argsort(rows.values, kind="stable")
    starts = bin_starts(len(order), rows.observation.bins)
    bins = np.empty(len(order), dtype=np.int64)
    bins[order] = np.searchsorted(starts, np.arange(len(order)), side="right") - 1
    shape = (rows.customers.n, len(starts))
    gaps = csr_array((rows.values - rows.outcomes, (rows.customers.of_row, bins)), shape=shape)
    n_rows = rows.customers.sums(np.ones(len(order)))
    return lambda weights: _divided(np.abs(weights @ gaps).sum(axis=1), weights @ n_rows)


def _auc(rows: _Rows) -> OfWeights:
    return _moved(auc_parts(rows.values, rows.outcomes), rows.customers)


def _macro_auc(rows: _Rows) -> OfWeights:
    groups = rows.observation.groups
    found = np.zeros(len(rows.values), dtype=np.int64) if groups is None else np.asarray(groups)
    return _moved(macro_auc_parts(rows.values, rows.outcomes, found), rows.customers)


def macro_auc_parts(scores: FloatArray, outcomes: FloatArray, groups: IntArray) -> AucParts:
    """Return the mean of the groups' ROC AUCs, with the influence of each row; groups of one class are left out."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=groups[order][:1] - 1))
    split = np.split(order, starts[1:])
    found = [(rows, auc_parts(scores[rows], outcomes[rows])) for rows in split]
    known = [(rows, each) for rows, each in found if np.isfinite(each.value)]
    parts = np.zeros(len(scores))
    for rows, each in known:
        parts[rows] = each.parts / len(known)
    return AucParts(float(np.mean([each.value for _, each in known])) if known else float("nan"), parts)


def _moved(found: AucParts, customers: Customers) -> OfWeights:
    parts = customers.sums(found.parts)
    return lambda weights: np.clip(found.value + weights @ parts, 0.0, 1.0)


def _each(of_row_weights: Callable[[FloatArray], float], customers: Customers) -> OfWeights:
    return lambda weights: np.array([of_row_weights(each[customers.of_row]) for each in weights])


def _pr_auc(rows: _Rows) -> OfWeights:
    order = np.argsort(-rows.values, kind="stable")
    outcomes, ends = rows.outcomes[order], _tie_ends(rows.values[order])

    def of(weights: FloatArray) -> float:
        sorted_weights = weights[order]
        hits, seen = np.cumsum(sorted_weights * outcomes)[ends], np.cumsum(sorted_weights)[ends]
        if hits[-1] <= 0:
            return float("nan")
        gained = np.diff(hits, prepend=0.0) / hits[-1]
        return float((gained * np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)).sum())

    return _each(of, rows.customers)


def _spearman(rows: _Rows) -> OfWeights:
    ranks = [_ranker(rows.values), _ranker(rows.outcomes)]

    def of(weights: FloatArray) -> float:
        total = weights.sum()
        x, y = (rank(weights) for rank in ranks)
        x, y = x - (weights @ x) / total, y - (weights @ y) / total
        spread = np.sqrt((weights @ x**2) * (weights @ y**2))
        return float((weights @ (x * y)) / spread) if spread > 0 else float("nan")

    return _each(of, rows.customers)


def _ranker(values: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """Return a function from row weights to the rows' middle ranks."""
    _, place = np.unique(values, return_inverse=True)

    def of(weights: FloatArray) -> FloatArray:
        mass = np.bincount(place, weights=weights)
        middle = np.cumsum(mass) - 0.5 * mass
        return np.asarray(middle[place], dtype=np.float64)

    return of


def _gini(rows: _Rows) -> OfWeights:
    """Normalised: 1 orders customers as their outcomes do, 0 like chance."""
    ours, best = _concentration(rows.values, rows.outcomes), _concentration(rows.outcomes, rows.outcomes)

    def of(weights: FloatArray) -> float:
        top = best(weights)
        return ours(weights) / top if top else float("nan")

    return _each(of, rows.customers)


def _concentration(scores: FloatArray, outcomes: FloatArray) -> Callable[[FloatArray], float]:
    """Return a function from row weights to the area between the curve of gains, best first, and the diagonal."""
    order = np.argsort(-scores, kind="stable")
    ends = _tie_ends(scores[order])

    def of(weights: FloatArray) -> float:
        sorted_weights = weights[order]
        seen = np.cumsum(sorted_weights)[ends]
        gained = np.cumsum(sorted_weights * outcomes[order])[ends]
        if seen[-1] <= 0 or gained[-1] <= 0:
            return float("nan")
        x, y = np.concatenate([[0.0], seen / seen[-1]]), np.concatenate([[0.0], gained / gained[-1]])
        return float(np.trapezoid(y, x) - 0.5)

    return of


def _tie_ends(ordered: FloatArray) -> IntArray:
    """Return the last place of each run of equal values."""
    return np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1).astype(np.int64)


def _divided(top: FloatArray, bottom: FloatArray) -> FloatArray:
    ratio: FloatArray = np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom != 0)
    return ratio


_STATISTICS: Mapping[Statistic, Callable[[_Rows], OfWeights]] = {
    "mean": _mean,
    "rmse": _rmse,
    "auc": _auc,
    "macro_auc": _macro_auc,
    "pr_auc": _pr_auc,
    "spearman": _spearman,
    "gini": _gini,
    "ece": _ece,
    "brier_skill": _brier_skill,
    "expected_over_observed": _expected_over_observed,
    "ratio_of_ratios": _ratio_of_ratios,
}


def pooled(parts: Sequence[Observation]) -> Observation:
    """Return the rows of one metric over several cutoffs; a ranker that a cutoff lacks has NaN there, or is left out.

    Only means can have rows that are not known: for all other statistics, only rankers that every cutoff has stay.
    """
    first = parts[0]
    if first.statistic == "mean":
        names = list(dict.fromkeys(name for part in parts for name in part.values))
    else:
        names = [name for name in first.values if all(name in part.values for part in parts)]
    values = {
        name: np.concatenate([part.values.get(name, np.full(len(part.customers), np.nan)) for part in parts])
        for name in names
    }
    has_outcomes = all(part.outcomes is not None for part in parts)
    has_groups = all(part.groups is not None for part in parts)
    return Observation(
        task=first.task,
        metric=first.metric,
        values=values,
        customers=np.concatenate([part.customers for part in parts]),
        statistic=first.statistic,
        higher_is_better=first.higher_is_better,
        outcomes=np.concatenate([_or_nothing(part.outcomes) for part in parts]) if has_outcomes else None,
        groups=np.concatenate([np.asarray(part.groups) for part in parts]) if has_groups else None,
        bins=first.bins,
    )
