"""Experiments: who is held out, and which arm a customer is in, by hash of customer and experiment.

Nothing is stored: the same file gives the same customer the same arm, on every machine. Experiments draw independently
of each other, as each hashes with its own salt.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Annotated

from serving.api_answers import Experiment as Label
from serving.decisioning.policy import Range

HOLDOUT = "holdout"
"""The name of the holdout, which is its only arm's as well."""

_POINTS = 2**64


@dataclass(frozen=True)
class Holdout:
    """The customers who never get a personal answer; `salt` says which ones they are."""

    share: Annotated[float, Range(0.0, 0.5)] = 0.0
    salt: str = HOLDOUT


@dataclass(frozen=True)
class LiftPolicy:
    """How `tercet lift` measures an experiment."""

    days: Annotated[int, Range(1, 365)]
    before_days: Annotated[int, Range(7, 730)]
    min_customers: Annotated[int, Range(50, 1_000_000)]
    min_buyers: Annotated[int, Range(5, 100_000)]
    sample_ratio_p: Annotated[float, Range(0.000001, 0.05)]
    planned_customers: Annotated[int, Range(100, 100_000_000)]
    unsubscribe_cost: Annotated[float, Range(0, 100_000)]


@dataclass(frozen=True)
class Arm:
    """A part of an experiment's customers, and what their policy says differently, by full key."""

    name: str
    share: float
    policy: Mapping[str, str | float | bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """Arms that run side by side in [start, end); the first is the control."""

    name: str
    start: datetime
    end: datetime
    arms: tuple[Arm, ...]
    salt: str

    def runs(self, at: datetime) -> bool:
        """Say whether the experiment runs at a moment."""
        return self.start <= at < self.end

    def arm_of(self, customer_id: str) -> Arm | None:
        """Return the arm that a customer is in; None where they are left out."""
        edges, owners = self._line
        owner = owners[bisect_right(edges, point_of(customer_id, f"experiment:{self.salt}")) - 1]
        return None if owner < 0 else self.arms[owner]

    @cached_property
    def _line(self) -> tuple[tuple[float, ...], tuple[int, ...]]:
        return laid_out([arm.share for arm in self.arms])


@dataclass(frozen=True, slots=True)
class Assignment:
    """The arm that a customer is in. `probability`: with which someone whom the experiment draws from gets this arm."""

    experiment: str
    arm: str
    probability: float

    @property
    def is_holdout(self) -> bool:
        """Whether they get the non-personal answer."""
        return self.experiment == HOLDOUT

    def label(self) -> Label:
        """Return what a decision says of it."""
        return {"name": self.experiment, "arm": self.arm}


@dataclass(frozen=True)
class Experiments:
    """All that `experiments.toml` says."""

    holdout: Holdout
    lift: LiftPolicy
    experiments: tuple[Experiment, ...] = ()

    def assign(self, customer_id: str, at: datetime) -> Assignment | None:
        """Return the arm of a customer at a moment: the holdout first, then the first experiment that has a place.

        `customer_id` is the id that stands after merges, so that merged customers keep its arm. A few µs an
        experiment that runs.
        """
        if self.holdout.share > 0.0 and point_of(customer_id, f"{HOLDOUT}:{self.holdout.salt}") < self.holdout.share:
            return Assignment(HOLDOUT, HOLDOUT, self.holdout.share)
        for experiment in self.experiments:
            arm = experiment.arm_of(customer_id) if experiment.runs(at) else None
            if arm is not None:
                return Assignment(experiment.name, arm.name, arm.share)
        return None

    def named(self, name: str) -> Experiment | None:
        """Return the experiment of a name."""
        return next((each for each in self.experiments if each.name == name), None)


def point_of(customer_id: str, salt: str) -> float:
    """Return where a customer lies on a salt's line, in [0, 1).

    The line of another salt is independent of it. Not keyed: the assignment must survive the loss of a key.

    >>> point_of("anna", "a") == point_of("anna", "a"), 0.0 <= point_of("anna", "b") < 1.0
    (True, True)
    """
    whole = hashlib.blake2b(f"{salt}\0{customer_id}".encode(errors="surrogatepass"), digest_size=8)
    # The top 53 bits: all that a float holds, so that nothing rounds up to 1.
    return (int.from_bytes(whole.digest(), "big") >> 11) / (_POINTS >> 11)


def laid_out(shares: Sequence[float]) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Return the left edges of a line's pieces, rising from 0, and the arm that each belongs to, -1 for nobody's.

    Each of `n` arms has a stretch of 1/n of the line as its own, and grows within it from the left. One with a larger
    share borrows what the others leave free, from the right end of their stretches. So an arm that grows keeps its
    customers and takes none from another arm, only from those who are in none, as long as there are two arms, or no
    other arm borrows. (For three arms of any shares no layout can promise that.)

    >>> laid_out([0.25, 0.625])
    ((0.0, 0.25, 0.375, 0.5), (0, -1, 1, 1))
    """
    n = len(shares)
    own = [min(share, 1 / n) for share in shares]
    free_ends = [(arm + 1) / n for arm in range(n)]
    pieces = [(arm / n, arm / n + own[arm], arm) for arm in range(n)]
    for arm, share in enumerate(shares):
        wanted = share - own[arm]
        for lender in range(n):
            room = free_ends[lender] - (lender / n + own[lender])
            taken = min(wanted, room)
            if lender != arm and taken > 0.0:
                pieces.append((free_ends[lender] - taken, free_ends[lender], arm))
                free_ends[lender] -= taken
                wanted -= taken
    return _as_edges(sorted(pieces))


def _as_edges(pieces: Sequence[tuple[float, float, int]]) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Return the edges and owners of the pieces and of nobody's in between; no gap of rounding is left."""
    found = list(_edges(pieces))
    return tuple(edge for edge, _ in found), tuple(owner for _, owner in found)


def _edges(pieces: Sequence[tuple[float, float, int]]) -> Iterator[tuple[float, int]]:
    reached = 0.0
    for low, high, arm in pieces:
        if low - reached > 1e-12:
            yield reached, -1
            reached = low
        if high - reached > 1e-12:
            yield reached, arm
            reached = high
    if 1.0 - reached > 1e-12:
        yield reached, -1
