"""The customer's clock, from whatever is said of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.decisioning.local_clock import clock_zone, hour_there

NOON = datetime(2018, 1, 2, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def test_nothing_said_is_the_clock_of_their_store() -> None:
    assert clock_zone(None, NOON, BERLIN) is BERLIN
    assert hour_there(NOON, BERLIN) == 13


def test_an_offset_is_believed_whatever_the_time_beside_it() -> None:
    said = datetime(2017, 6, 1, 3, tzinfo=timezone(timedelta(hours=-5)))
    assert hour_there(NOON, clock_zone(said, NOON, BERLIN)) == 7


@pytest.mark.parametrize(("shown", "hours"), [((21, 30), 9.5), ((3, 59), -8.0), ((12, 7), 0.0), ((0, 0), 12.0)])
def test_a_time_of_day_tells_the_offset_to_a_quarter_of_an_hour(shown: tuple[int, int], hours: float) -> None:
    zone = clock_zone(datetime(2018, 1, 2, *shown), NOON, BERLIN)
    assert zone.utcoffset(NOON) == timedelta(hours=hours)


@given(st.integers(0, 24 * 60 - 1), st.integers(0, 24 * 60 - 1))
def test_what_the_clock_shows_is_at_most_half_a_quarter_away(shown: int, now: int) -> None:
    at = NOON.replace(hour=now // 60, minute=now % 60)
    there = hour_there(at, clock_zone(datetime(2018, 1, 2, shown // 60, shown % 60), at, BERLIN))
    apart = abs(there - shown / 60) % 24
    assert min(apart, 24 - apart) <= 7.5 / 60 + 1e-9
