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
    """The time in which a challenge can be done: its moments, the local days of its start and end, its length.

    `n_days` is above 0 and at most 7, whole where it begins at midnight; a part of a local day counts by its share of
    that day's hours.
    """

    starts: datetime
    ends: datetime
    first_day: int
    end_day: int
    n_days: float


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


def challenge_window(at: datetime, zone: ZoneInfo) -> Window:
    """Return the window of a challenge that is first made at `at` (cut to whole seconds): until its week ends."""
    starts = at.astimezone(UTC)
    return _window_from(starts - timedelta(microseconds=starts.microsecond) if starts.microsecond else starts, zone)


@lru_cache(maxsize=1024)
def _window_from(starts: datetime, zone: ZoneInfo) -> Window:
    first_day = day_of(starts, zone)
    week = week_of(first_day, zone)
    end_day = week.first_day + DAYS_A_WEEK
    today, tomorrow = midnight(first_day, zone), midnight(first_day + 1, zone)
    # A day that a change of the calendar skips has no length; nothing of it is lost then.
    share = (tomorrow - starts) / (tomorrow - today) if tomorrow > today else 1.0
    return Window(starts, week.ends, first_day, end_day, end_day - first_day - 1 + min(share, 1.0))


def due_text(due_day: float, zone: ZoneInfo) -> str | None:
    """Return the beginning of the local day on which something is due, as answers write it; None off the calendar."""
    try:
        return midnight_text(math.floor(due_day), zone)
    except (ValueError, OverflowError):  # of a day that is not finite as well
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
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
