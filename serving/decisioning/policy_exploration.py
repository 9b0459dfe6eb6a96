"""``[exploration]``: how often something else than the best is shown, and when its log may value another policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from serving.decisioning.policy_types import Range, Share


@dataclass(frozen=True)
class ExplorationPolicy:
    """How much is drawn at random, among how many, by which odds; what `tercet replay --value` asks of the log."""

    stretch_share: Share
    offer_share: Share
    among: Annotated[int, Range(2, 20)]
    caution: Annotated[float, Range(0, 100)]
    min_effective: Annotated[int, Range(20, 1_000_000)]
    max_outside: Annotated[float, Range(0.0, 0.5)]
