"""``[gate]``: when a model's new recipe may replace the one that serves; training and promotion go by it."""

from __future__ import annotations

from dataclasses import dataclass

from serving.decisioning.policy_types import Share


@dataclass(frozen=True)
class GatePolicy:
    """How much worse a challenger may be than the champion: in what decides, and in what it must not spoil.

    All are shares of the champion's own number but `ece` and `top_share`, which are in the unit itself.
    """

    epsilon: Share
    recall: Share
    coverage: Share
    top_share: Share
    ece: Share
