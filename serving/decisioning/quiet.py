"""Quiet hours: when nothing is sent, by the clock on the customer's wall, and the first moment at which it may go out.

A night's quiet time is one stretch from its first minute to its last. Where clocks go back it starts at the first of
two equal times and ends at the second; where they go forward over its start or its end, that is the moment of change.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from serving.channels import MESSAGE_CHANNELS, Channel
from serving.decisioning.policy_contact import QuietHoursPolicy, Span, span_of

_DAY = timedelta(days=1)


class QuietHours:
    """The quiet hours of each message channel; places that a customer visits have none."""

    def __init__(self, policy: QuietHoursPolicy) -> None:
        """Take spans that parse: the policy's loading has made sure."""
        spans = {channel: span_of(getattr(policy, channel.value)) for channel in MESSAGE_CHANNELS}
        self._spans: Mapping[Channel, Span] = {channel: span for channel, span in spans.items() if span is not None}

    def is_quiet(self, channel: Channel, at: datetime, zone: tzinfo) -> bool:
        """Return whether nothing may be sent on the channel at a moment; `at` is aware, `zone` the customer's."""
        span = self._spans.get(channel)
        return span is not None and _end_of_quiet(span, at, zone) is not None

    def next_allowed(self, channel: Channel, at: datetime, zone: tzinfo) -> datetime:
        """Return the first moment, `at` or later, at which something may be sent on the channel; in UTC unless `at`."""
        span = self._spans.get(channel)
        while span is not None and (end := _end_of_quiet(span, at, zone)) is not None:
            at = end
        return at


def _end_of_quiet(span: Span, at: datetime, zone: tzinfo) -> datetime | None:
    """Return when the quiet time ends in which a moment lies, None when it lies in none."""
    today = at.astimezone(zone).date()
    is_overnight = span.ends < span.starts
    for starts_on in (today, today - _DAY) if is_overnight else (today,):
        starts = min(_moments(starts_on, span.starts, zone))
        ends = max(_moments(starts_on + _DAY if is_overnight else starts_on, span.ends, zone))
        if starts <= at < ends:
            return ends
    return None


def _moments(day: date, minute: int, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return both moments at which a clock shows a minute of a day; twice the change where it skips that minute."""
    local = datetime.combine(day, time(minute // 60, minute % 60), tzinfo=zone)
    first, second = (local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        return first, second
    change = _change(second, first, zone)
    return change, change


def _change(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """Return the first whole second after which a zone's clock differs from that at `before`."""
    was = before.astimezone(zone).utcoffset()
    n_seconds = int((after - before).total_seconds())
    low, high = 0, n_seconds
    while high - low > 1:
        middle = (low + high) // 2
        is_before = (before + timedelta(seconds=middle)).astimezone(zone).utcoffset() == was
        low, high = (middle, high) if is_before else (low, middle)
    return before + timedelta(seconds=high)
