"""What annotates the fields of a policy: the range that a number must lie in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True)
class Range:
    """The least and the most that a number may be, both included."""

    low: float
    high: float


Share = Annotated[float, Range(0.0, 1.0)]
