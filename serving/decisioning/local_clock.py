"""The clock on the customer's wall: as the caller says, else that of their usual store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo

_QUARTER_MINUTES = 15
_DAY_MINUTES = 24 * 60


def clock_zone(local_time: datetime | None, at: datetime, zone: tzinfo) -> tzinfo:
    """Return the zone of the customer's clock at a moment; `zone` where nothing is said of it.

    An offset in `local_time` is that of their clock. Without one its time of day is what their clock shows at `at`,
    which tells the offset to a quarter of an hour, from −11:45 to +12:00.

    Examples
    --------
    >>> noon = datetime(2018, 1, 2, 12, tzinfo=UTC)
    >>> clock_zone(datetime(2018, 1, 2, 20, 59), noon, UTC)
    datetime.timezone(datetime.timedelta(seconds=32400))
    >>> clock_zone(None, noon, UTC)
    datetime.timezone.utc
    """
    if local_time is None:
        return zone
    said = local_time.utcoffset()
    if said is not None:
        return timezone(said)
    there, here = (each.hour * 60 + each.minute for each in (local_time, at.astimezone(UTC)))
    quarters = round((there - here) / _QUARTER_MINUTES) * _QUARTER_MINUTES
    minutes = (quarters + _DAY_MINUTES // 2 - 1) % _DAY_MINUTES - _DAY_MINUTES // 2 + 1
    return timezone(timedelta(minutes=minutes))


def hour_there(at: datetime, zone: tzinfo) -> float:
    """Return the hour of the day at a moment on a clock, 0 to just under 24."""
    local = at.astimezone(zone)
    return local.hour + local.minute / 60
