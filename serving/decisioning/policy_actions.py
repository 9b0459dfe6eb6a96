"""The policy of actions: when a trigger is true, how many products a message names, and how long it may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from serving.decisioning.policy_types import Range, Share


@dataclass(frozen=True)
class ActionsPolicy:
    """What makes a trigger true, and what a message may be (docs/actions.md)."""

    language: str
    max_items: Annotated[int, Range(1, 10)]
    subject_chars: Annotated[int, Range(20, 200)]
    text_chars: Annotated[int, Range(60, 2000)]
    sms_chars: Annotated[int, Range(60, 2000)]
    name_chars: Annotated[int, Range(10, 100)]
    wishlist_days: Annotated[float, Range(0, 365)]
    cart_wait_minutes: Annotated[float, Range(0, 1440)]
    just_now_minutes: Annotated[float, Range(1, 1440)]
    visit_km: Annotated[float, Range(0.05, 100)]
    visit_open_minutes: Annotated[float, Range(0, 240)]
    first_purchase_hours: Annotated[float, Range(1, 336)]
    overdue_gaps: Annotated[float, Range(1, 20)]
    launch_days: Annotated[float, Range(1, 180)]
    launch_purchases: Annotated[int, Range(2, 50)]
    churn_probability: Share
    reward_hours: Annotated[float, Range(1, 168)]
    wanted_days: Annotated[float, Range(0, 365)]
    max_wait_hours: Annotated[float, Range(0, 48)]
    repeat_days: Annotated[float, Range(0, 90)]
    surprise_kinds: tuple[str, ...]
    reminder_uplift: Share
