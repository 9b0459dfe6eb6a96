"""Local days of any zone as two small tables, so that SQL needs neither a calendar nor a time zone library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa

MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Offsets are looked for once in this long: no zone has changed its clocks there and back within it.
_STRIDE = timedelta(days=7)


def epoch_us(moment: datetime) -> int:
    """Return an aware moment as microseconds since 1970-01-01 UTC."""
    return (moment - EPOCH) // MICROSECOND


def day_start_us(day: date, zone: str) -> int:
    """Return when a local day starts; where clocks skip midnight, the first moment that there is.

    Examples
    --------
    >>> day_start_us(date(1970, 1, 2), "UTC") == 86_400_000_000
    True
    """
    local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    return epoch_us(local.astimezone(UTC))


def zone_days(zones: Iterable[str], days: Iterable[date]) -> pa.Table:
    """Return a table of zone, day and start_us: when each of the days starts in each of the zones."""
    rows = [(zone, day, day_start_us(day, zone)) for zone in sorted(zones) for day in sorted(days)]
    names = {"zone": pa.string(), "day": pa.date32(), "start_us": pa.int64()}
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return pa.table({name: pa.array(values, kind) for (name, kind), values in zip(names.items(), columns, strict=True)})


def zone_offsets(zones: Iterable[str], first: datetime, last: datetime) -> pa.Table:
    """Return zone, from_us, offset_us: local time is UTC plus the offset of the latest from_us at or before it."""
    rows = [
        (zone, start_us, offset_us) for zone in sorted(zones) for start_us, offset_us in _offsets(zone, first, last)
    ]
    starts = [row[1] for row in rows]
    offsets = [row[2] for row in rows]
    return pa.table(
        {
            "zone": pa.array([row[0] for row in rows], pa.string()),
            "from_us": starts,
            "offset_us": pa.array(offsets, pa.int64()),
        }
    )


def _offsets(zone: str, first: datetime, last: datetime) -> Iterator[tuple[int, int]]:
    """Yield from when on, and how far local time is from UTC, from far before `first` until after `last`."""
    zone_info = ZoneInfo(zone)
    moment, offset = first, _offset(zone_info, first)
    yield epoch_us(datetime(1, 1, 2, tzinfo=UTC)), offset // MICROSECOND
    while moment <= last:
        after = moment + _STRIDE
        if _offset(zone_info, after) != offset:
            change = _change_between(zone_info, moment, after)
            offset = _offset(zone_info, change)
            yield epoch_us(change), offset // MICROSECOND
            after = change
        moment = after


def _change_between(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Return the first whole second at which the offset is no longer that of `before`."""
    old = _offset(zone, before)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        before, after = (middle, after) if _offset(zone, middle) == old else (before, middle)
    return after


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    offset = moment.astimezone(zone).utcoffset()
    return offset if offset is not None else timedelta()
