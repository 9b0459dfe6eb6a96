"""Policy about reaching people: `[fatigue]`, `[caps]`, `[quiet_hours]` and `[trust]` (docs/fatigue.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Annotated

from serving.channels import MESSAGE_CHANNELS
from serving.decisioning.policy_types import Range, Share
from serving.tier import Tier

Cap = Annotated[int, Range(0, 1000)]
Times = Annotated[float, Range(0, 100)]

_CLOCK = r"([01]\d|2[0-3]):([0-5]\d)"
_SPAN = re.compile(f"{_CLOCK}-{_CLOCK}")


@dataclass(frozen=True)
class CapsByTier:
    """A cap for each engagement tier; 0 means never."""

    high: Cap
    medium: Cap
    low: Cap
    silent: Cap
    untested: Cap

    def of(self, tier: Tier) -> int:
        """Return the cap of a tier."""
        return int(getattr(self, tier.value))


@dataclass(frozen=True)
class TimesByTier:
    """A factor for each engagement tier."""

    high: Times
    medium: Times
    low: Times
    silent: Times
    untested: Times

    def of(self, tier: Tier) -> float:
        """Return the factor of a tier."""
        return float(getattr(self, tier.value))


@dataclass(frozen=True)
class FatiguePolicy:
    """What a message may cost the shop: the chance that it makes the customer leave, and what is then lost."""

    half_life_days: Annotated[float, Range(0.1, 28)]
    other_channel_share: Share
    answered_share: Share
    load_factor: Annotated[float, Range(0, 10)]
    tier_factor: TimesByTier
    prior_messages: Annotated[float, Range(1, 10_000_000)]
    prior_email: Share
    prior_sms: Share
    prior_push: Share
    share_email: Share
    share_sms: Share
    share_push: Share
    lost_days: Annotated[float, Range(84, 3650)]


@dataclass(frozen=True)
class CapsPolicy:
    """How many messages in the last 24 hours (`_day`) and 7 days (`_week`), and showings of one offer."""

    email_day: CapsByTier
    email_week: CapsByTier
    sms_day: CapsByTier
    sms_week: CapsByTier
    push_day: CapsByTier
    push_week: CapsByTier
    all_day: CapsByTier
    all_week: CapsByTier
    offer_sends_week: Cap
    offer_sends_4w: Cap
    offer_showings_day: CapsByTier
    offer_showings_week: CapsByTier


@dataclass(frozen=True)
class QuietHoursPolicy:
    """From when to when nothing is sent, by the customer's clock, such as 21:00-08:00; empty: always allowed."""

    email: str
    sms: str
    push: str


@dataclass(frozen=True)
class TrustPolicy:
    """How much each part of trust weighs, and what is usual: the usual customer's trust is 0.5."""

    answers_weight: Times
    returns_weight: Times
    completions_weight: Times
    prior_messages: Annotated[float, Range(0.1, 10_000)]
    usual_answer_share: Annotated[float, Range(0.001, 1)]
    left_messages: Annotated[float, Range(0, 10_000)]
    prior_baskets: Annotated[float, Range(0.1, 10_000)]
    usual_return_share: Annotated[float, Range(0.001, 1)]
    prior_challenges: Annotated[float, Range(0.1, 10_000)]
    usual_completion: Annotated[float, Range(0.001, 1)]


@dataclass(frozen=True)
class Span:
    """From one minute of the day to another, which may be on the next day: 0 to 1439, never the same."""

    starts: int
    ends: int


def span_of(text: str) -> Span | None:
    """Return the span that a text says, None for an empty one; ValueError for anything else.

    Examples
    --------
    >>> span_of("21:00-08:00"), span_of("")
    (Span(starts=1260, ends=480), None)
    """
    if not text:
        return None
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a span such as 21:00-08:00")
    hours_from, minutes_from, hours_to, minutes_to = map(int, match.groups())
    span = Span(hours_from * 60 + minutes_from, hours_to * 60 + minutes_to)
    if span.starts == span.ends:
        raise ValueError(f"{text!r} ends as it starts: leave it empty for no quiet hours, or set a cap of 0 for never")
    return span


def contact_mistakes(
    fatigue: FatiguePolicy, caps: CapsPolicy, quiet_hours: QuietHoursPolicy, trust: TrustPolicy
) -> list[str]:
    """Return what doesn't fit together in these sections, each with its key."""
    mistakes = _quiet_mistakes(quiet_hours) + _cap_mistakes(caps)
    factor = fatigue.tier_factor
    if not factor.high <= factor.medium <= factor.low <= factor.silent or factor.untested > factor.silent:
        mistakes.append(
            "fatigue.tier_factor: must not fall from high over medium and low to silent, nor untested be above silent: "
            "one more message would else make it less likely that they leave"
        )
    if fatigue.share_email + fatigue.share_sms + fatigue.share_push > 1.0:
        mistakes.append("fatigue.share_email, share_sms and share_push: must not add up to more than 1")
    if trust.answers_weight + trust.returns_weight + trust.completions_weight <= 0.0:
        mistakes.append("trust: one of answers_weight, returns_weight and completions_weight must be above 0")
    return mistakes


def _quiet_mistakes(quiet_hours: QuietHoursPolicy) -> list[str]:
    mistakes = []
    for field in fields(quiet_hours):
        try:
            span_of(getattr(quiet_hours, field.name))
        except ValueError as error:
            mistakes.append(f"quiet_hours.{field.name}: {error}")
    return mistakes


def _cap_mistakes(caps: CapsPolicy) -> list[str]:
    """Return where a day allows more than its week."""
    names = [*(str(channel) for channel in MESSAGE_CHANNELS), "all", "offer_showings"]
    mistakes = [
        f"caps.{name}_day.{tier}: {day} is above caps.{name}_week.{tier} ({week})"
        for name in names
        for tier in Tier
        if (day := getattr(caps, f"{name}_day").of(tier)) > (week := getattr(caps, f"{name}_week").of(tier))
    ]
    if caps.offer_sends_week > caps.offer_sends_4w:
        mistakes.append(
            f"caps.offer_sends_week: {caps.offer_sends_week} is above caps.offer_sends_4w ({caps.offer_sends_4w})"
        )
    return mistakes
