"""What a study has tried, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Trial:
    """One trial of a study that ended.

    Attributes
    ----------
    number
        Its place among those that ended; 0 is what ships.
    settings
        What it tried, by dotted name.
    by_cutoff
        What it reached at each cutoff, in the order of the search; fewer where it was pruned.
    value
        The mean over all cutoffs; None for one that was pruned.
    seconds
        What it took, by the clock.
    """

    number: int
    settings: Mapping[str, Any]  # Any: settings of several types
    by_cutoff: tuple[float, ...]
    value: float | None
    seconds: float

    @property
    def is_pruned(self) -> bool:
        """Return whether it was given up before its last cutoff."""
        return self.value is None


@dataclass(frozen=True)
class Found:
    """What a study has found: its trials, in order, and each setting's share of what moves the value."""

    trials: Sequence[Trial]
    importance: Mapping[str, float] = field(default_factory=dict)

    @property
    def shipped(self) -> Trial | None:
        """Return the trial of what ships, or None before it has ended."""
        return self.trials[0] if self.trials else None

    @property
    def best(self) -> Trial | None:
        """Return the trial that reached most, the first of equals: what ships stays unless another is better."""
        whole = [trial for trial in self.trials if trial.value is not None]
        return max(whole, key=lambda trial: (trial.value, -trial.number), default=None)

    @property
    def n_pruned(self) -> int:
        """Return how many were given up early."""
        return sum(trial.is_pruned for trial in self.trials)
