"""Confidence intervals by customer: all rows of one are drawn together, since they are not independent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm
from scipy.stats import t as student

FloatArray = npt.NDArray[np.float64]
_CHUNK = 4_000_000  # weights drawn at once: bounds memory at about 32 MB


@dataclass(frozen=True)
class Interval:
    """A value with the bounds that hold it in `level` (95 % unless told) of the resamples."""

    value: float
    low: float
    high: float


def bootstrap_interval(
    values: npt.ArrayLike, customers: npt.ArrayLike, rng: np.random.Generator, *, draws: int = 1000, level: float = 0.95
) -> Interval:
    """Return the mean of `values` over rows, with its interval when customers are drawn with replacement.

    Parameters
    ----------
    values
        One number a row (a recall, a loss, an error): `[n_rows]`.
    customers
        Each row's customer, any integers: `[n_rows]`.
    """
    array = np.asarray(values, dtype=np.float64)
    return ratio_interval(array, np.ones(len(array)), customers, rng, draws=draws, level=level)


def paired_interval(
    ours: npt.ArrayLike,
    theirs: npt.ArrayLike,
    customers: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    draws: int = 1000,
) -> Interval:
    """Return the mean of `ours − theirs` over the same rows, with its interval by customer."""
    difference = np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
    return bootstrap_interval(difference, customers, rng, draws=draws)


def ratio_interval(
    numerator: npt.ArrayLike,
    denominator: npt.ArrayLike,
    customers: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    draws: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Return Σ numerator ÷ Σ denominator over rows (expected ÷ observed, say), with its interval by customer."""
    groups, n = _dense(customers)
    if n == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    tops = np.bincount(groups, weights=np.asarray(numerator, dtype=np.float64), minlength=n)
    bottoms = np.bincount(groups, weights=np.asarray(denominator, dtype=np.float64), minlength=n)
    ratios = np.empty(draws)
    step = max(1, _CHUNK // n)
    for start in range(0, draws, step):
        weights = rng.multinomial(n, np.full(n, 1 / n), size=min(step, draws - start)).astype(np.float64)
        ratios[start : start + len(weights)] = _ratio(weights @ tops, weights @ bottoms)
    return drawn_interval(float(_ratio(tops.sum(), bottoms.sum())), ratios, n, level=level)


def linear_interval(
    numerator: npt.ArrayLike, denominator: npt.ArrayLike, customers: npt.ArrayLike, *, level: float = 0.95
) -> Interval:
    """Return Σ numerator ÷ Σ denominator over rows with its interval by customer, from the ratio's linear part.

    Nothing is drawn: the spread of what each customer has over their share, and Student's distribution (W. Cochran,
    "Sampling Techniques", 1977, chapter 6). Where few rows carry most of the weight, it held its level a little better
    than percentiles of resamples did (tests/training/test_off_policy.py). NaN bounds with fewer than two customers.
    """
    groups, n = _dense(customers)
    tops = np.bincount(groups, weights=np.asarray(numerator, dtype=np.float64), minlength=n)
    bottoms = np.bincount(groups, weights=np.asarray(denominator, dtype=np.float64), minlength=n)
    value = float(_ratio(tops.sum(), bottoms.sum()))
    if n < 2:
        return Interval(value, float("nan"), float("nan"))
    error = float(np.sqrt(np.square(tops - value * bottoms).sum() * n / (n - 1)) / abs(bottoms.sum()))
    half = float(student.ppf(0.5 + level / 2, n - 1)) * error
    return Interval(value, value - half, value + half)


def statistic_interval(
    statistic: Callable[[FloatArray], float],
    customers: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    draws: int = 200,
    level: float = 0.95,
) -> Interval:
    """Return any statistic of row weights (as `metrics.weighted_auc` gives one) with its interval by customer.

    For a paired interval, let the statistic be a difference: ``lambda w: ours(w) - theirs(w)``.
    """
    groups, n = _dense(customers)
    if n == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    drawn = np.empty(draws)
    for i in range(draws):
        drawn[i] = statistic(rng.multinomial(n, np.full(n, 1 / n)).astype(np.float64)[groups])
    return drawn_interval(statistic(np.ones(len(groups))), drawn, n, level=level)


def drawn_interval(value: float, drawn: FloatArray, n_customers: int, *, level: float = 0.95) -> Interval:
    """Return the value with the bounds of its resamples, made wider for few customers; NaN bounds for a single one.

    Resamples of few customers are too much alike: they lack a customer's degree of freedom, and percentiles take the
    spread for known. The bounds are moved off by what Student's distribution says of both: 9 times for two customers,
    1.2 for ten, nothing that shows for a thousand.
    """
    known = drawn[np.isfinite(drawn)]
    if len(known) == 0 or n_customers < 2:
        return Interval(value, float("nan"), float("nan"))
    tail = (1 - level) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    wider = student.ppf(1 - tail, n_customers - 1) / norm.ppf(1 - tail) * np.sqrt(n_customers / (n_customers - 1))
    middle = float(np.median(known)) if not np.isfinite(value) else value
    return Interval(value, float(middle + (low - middle) * wider), float(middle + (high - middle) * wider))


def _ratio(top: npt.ArrayLike, bottom: npt.ArrayLike) -> FloatArray:
    tops, bottoms = np.asarray(top, dtype=np.float64), np.asarray(bottom, dtype=np.float64)
    ratio: FloatArray = np.divide(tops, bottoms, out=np.full(tops.shape, np.nan), where=bottoms != 0)
    return ratio


def _dense(customers: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], int]:
    unique, groups = np.unique(np.asarray(customers), return_inverse=True)
    return groups.astype(np.int64), len(unique)
