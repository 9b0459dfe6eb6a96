"""What can be tuned: a model's or a peer's settings, and what they reach on days before any that it is tested on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from features.asof import Moment
from training.backtest.cutoffs import STEP_DAYS, judged_cutoffs
from training.history import History
from training.intervals import Interval
from training.sums import CustomerSums

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

N_CUTOFFS = 3

_DRAWS = 500
_SEED = 7
_CHUNK = 4_000_000  # weights drawn at once: bounds memory at about 32 MB


@dataclass(frozen=True)
class Term:
    """One metric at one cutoff, and what it weighs in the value: losses below 0, a squared error by its root."""

    sums: CustomerSums
    weight: float = 1.0
    is_squared: bool = False

    def of(self, metric: FloatArray) -> FloatArray:
        """Return what values of the metric add to the value."""
        return self.weight * (np.sqrt(np.maximum(metric, 0.0)) if self.is_squared else metric)


@dataclass(frozen=True)
class Reached:
    """What settings reached at one cutoff: Σ weight × metric, larger is better."""

    terms: tuple[Term, ...]

    @property
    def value(self) -> float:
        """Return the value; NaN where nothing could be measured."""
        return float(sum(term.of(np.asarray(term.sums.value)) for term in self.terms)) if self.terms else float("nan")


@dataclass(frozen=True)
class Days:
    """On which days settings are compared, the latest first, and the first day of a test: labels end before it."""

    cutoffs: tuple[Moment, ...]
    first_test: Moment


@dataclass(frozen=True)
class Tunable:
    """What a search needs to know of a model or a peer.

    Attributes
    ----------
    name
        Of its config: ``"churn"``, ``"peers/ease-stretch"``.
    metric
        What is searched for, in words.
    reached
        What settings reach at a cutoff: (config, what was known on the first test day, cutoff).
    days
        The days to compare on; None for a source that is too short.
    modules
        Where its code begins: a study of other code is another study.
    """

    name: str
    config_class: type[Any]
    metric: str
    reached: Callable[[Any, History, Moment], Reached]
    days: Callable[[History], Days | None]
    modules: tuple[str, ...]

    def value(self, config: Any, history: History, days: Days) -> Iterator[Reached]:
        """Return what a config reaches, cutoff by cutoff; nothing is seen of the days that it will be tested on."""
        known = history.until(days.first_test)
        for cutoff in days.cutoffs:
            yield self.reached(config, known, cutoff)


def days_before(
    history: History,
    window_days: int,
    tests: Sequence[tuple[int, int]],
    n: int = N_CUTOFFS,
    *,
    history_days: int | None = None,
) -> Days | None:
    """Return the `n` latest cutoffs whose windows had ended on the first of all test days, the latest first.

    `tests` are the (window, number of cutoffs) of each task that asks the model (training.backtest.cutoffs). A cutoff
    has `history_days` of the source before it, twice the window unless told: a model that has nothing to learn from yet
    would be compared with how it does without. None where the source is too short for a test, or for such a cutoff.
    """
    judged = [judged_cutoffs(history, window, n_tested) for window, n_tested in tests]
    firsts = [cutoffs[0] for cutoffs in judged if cutoffs]
    if not firsts:
        return None
    known = history.until(min(firsts))
    cutoffs = known.cutoff_before(window_days, n, step_days=STEP_DAYS, min_history_days=history_days or 2 * window_days)
    return Days(tuple(reversed(cutoffs)), known.known_until) if cutoffs else None


def gain(ours: Sequence[Reached], theirs: Sequence[Reached]) -> Interval:
    """Return how much more value `ours` reached than `theirs` on the same cutoffs, with its interval by customer.

    All cutoffs of a customer are drawn together. Bounds are NaN where no metric knows its customers.
    """
    signed = [(term, 1.0) for one in ours for term in one.terms] + [
        (term, -1.0) for one in theirs for term in one.terms
    ]
    value = float(np.mean([one.value - other.value for one, other in zip(ours, theirs, strict=True)]))
    customers = np.unique(np.concatenate([np.zeros(0, np.int64), *(term.sums.customers for term, _ in signed)]))
    n = len(customers)
    if n == 0:
        return Interval(value, float("nan"), float("nan"))
    rng = np.random.default_rng(_SEED)
    drawn: list[FloatArray] = []
    step = max(1, _CHUNK // n)
    for start in range(0, _DRAWS, step):
        weights = rng.multinomial(n, np.full(n, 1 / n), size=min(step, _DRAWS - start)).astype(np.float64)
        drawn.append(
            np.sum([sign * term.of(_redrawn(term.sums, customers, weights)) for term, sign in signed], axis=0)
            / len(ours)
        )
    low, high = np.nanquantile(np.concatenate(drawn), [0.025, 0.975])
    return Interval(value, float(low), float(high))


def _redrawn(sums: CustomerSums, customers: IntArray, weights: FloatArray) -> FloatArray:
    """Return the metric of each draw of customers, ``(n_draws,)``."""
    tops, bottoms = sums.at(customers)
    if not bottoms.any():
        return np.full(len(weights), sums.base)
    below = weights @ bottoms
    ratio: FloatArray = np.divide(weights @ tops, below, out=np.full(len(weights), np.nan), where=below != 0)
    return sums.base + ratio
