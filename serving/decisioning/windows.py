"""Days and weeks on a shop's own calendar; a day is its number since 1970-01-01, a moment an aware datetime in UTC."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_MONDAY = 4  # 1970-01-05
DAYS_A_WEEK = 7


@dataclass(frozen=True, slots=True)
class Week:
    """Monday 00:00 to Monday 00:00, local; clock changes make it an hour shorter or longer."""

    starts: datetime
    ends: datetime
    first_day: int


@dataclass(frozen=True, slots=True)
class Window:
    """The time in which a challenge can be done: its moments, the local day of its start, its length (1 to 7)."""

    starts: datetime
    ends: datetime
    first_day: int
    n_days: int


@lru_cache(maxsize=512)
def zone_named(name: str) -> ZoneInfo | None:
    """Return the time zone, or None when there is no such zone."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def day_of(moment: datetime, zone: ZoneInfo) -> int:
    """Return the local day number of a moment."""
    return moment.astimezone(zone).toordinal() - _EPOCH_ORDINAL


def day_of_us(at_us: int, zone: ZoneInfo) -> int:
    """Return the local day number of a moment in epoch microseconds."""
    return datetime.fromtimestamp(at_us / 1e6, zone).toordinal() - _EPOCH_ORDINAL


@lru_cache(maxsize=8192)
def midnight(day: int, zone: ZoneInfo) -> datetime:
    """Return when the local day begins: its first moment, where clocks change at midnight."""
    local = date.fromordinal(day + _EPOCH_ORDINAL)
    return datetime(local.year, local.month, local.day, tzinfo=zone).astimezone(UTC)


@lru_cache(maxsize=8192)
def midnight_text(day: int, zone: ZoneInfo) -> str:
    """Return when the local day begins, as answers write it."""
    return iso(midnight(day, zone))


def week_of(day: int, zone: ZoneInfo) -> Week:
    """Return the week that holds a local day."""
    monday = day - (day - _MONDAY) % DAYS_A_WEEK
    return Week(midnight(monday, zone), midnight(monday + DAYS_A_WEEK, zone), monday)


def challenge_window(at: datetime, as_of: datetime, zone: ZoneInfo) -> Window:
    """Return the window of the challenge that stands at `at`, the same for every moment of a week.

    It begins with the week, or with the bundle's `as_of` where that is later: before it there was nothing to make it
    from.
    """
    week = week_of(day_of(at, zone), zone)
    starts = max(week.starts, as_of)
    first_day = day_of(starts, zone)
    n_days = min(max(week.first_day + DAYS_A_WEEK - first_day, 1), DAYS_A_WEEK)
    return Window(starts, week.ends, first_day, n_days)


def due_text(due_day: float, zone: ZoneInfo) -> str | None:
    """Return the beginning of the local day on which something is due, as answers write it; None off the calendar."""
    if not math.isfinite(due_day):
        return None
    try:
        return midnight_text(math.floor(due_day), zone)
    except (ValueError, OverflowError):
        return None


def plus_days(moment: datetime, days: float) -> datetime:
    """Return the moment that many days of 24 hours later."""
    return moment + timedelta(days=days)


@lru_cache(maxsize=8192)
def iso(moment: datetime) -> str:
    """Return a moment as answers write it: ISO 8601, UTC, whole seconds.

    Examples
    --------
    >>> iso(datetime(2018, 1, 1, 5, tzinfo=UTC))
    '2018-01-01T05:00:00Z'
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
