from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.decisioning.windows import challenge_window, day_of, due_text, iso, midnight, week_of, zone_named

NEW_YORK, BERLIN = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin")
ZONES = [ZoneInfo(name) for name in ("UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "America/Sao_Paulo")]
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def test_a_week_is_monday_to_monday_in_the_stores_time_zone() -> None:
    sunday_evening = datetime(2018, 1, 8, 4, 59, tzinfo=UTC)
    window = challenge_window(sunday_evening, LONG_AGO, NEW_YORK)
    assert (iso(window.starts), iso(window.ends)) == ("2018-01-01T05:00:00Z", "2018-01-08T05:00:00Z")
    window = challenge_window(sunday_evening + timedelta(minutes=1), LONG_AGO, NEW_YORK)
    assert (iso(window.starts), iso(window.ends)) == ("2018-01-08T05:00:00Z", "2018-01-15T05:00:00Z")


@pytest.mark.parametrize(
    ("at", "hours"), [(datetime(2018, 3, 7, tzinfo=UTC), 167), (datetime(2018, 11, 2, tzinfo=UTC), 169)]
)
def test_weeks_with_a_clock_change_are_an_hour_shorter_or_longer(at: datetime, hours: int) -> None:
    window = challenge_window(at, LONG_AGO, NEW_YORK)
    assert window.ends - window.starts == timedelta(hours=hours)
    assert window.n_days == 7


def test_a_bundle_made_within_the_week_begins_the_window() -> None:
    as_of = datetime(2018, 1, 4, 5, tzinfo=UTC)
    window = challenge_window(datetime(2018, 1, 6, tzinfo=UTC), as_of, NEW_YORK)
    assert window.starts == as_of
    assert window.n_days == 4
    assert window.first_day == day_of(as_of, NEW_YORK)


def test_the_last_minute_of_a_week_still_has_one_day() -> None:
    as_of = datetime(2018, 1, 8, 4, 59, tzinfo=UTC)
    assert challenge_window(as_of, as_of, NEW_YORK).n_days == 1


@given(st.datetimes(datetime(2001, 1, 1), datetime(2037, 1, 1)), st.sampled_from(ZONES))
def test_every_moment_lies_in_its_week_and_days_count_up(moment: datetime, zone: ZoneInfo) -> None:
    at = moment.replace(tzinfo=UTC)
    week = week_of(day_of(at, zone), zone)
    assert week.starts <= at < week.ends
    assert week.starts.astimezone(zone).weekday() == 0
    assert day_of(week.ends, zone) - day_of(week.starts, zone) == 7
    assert midnight(day_of(at, zone), zone) <= at < midnight(day_of(at, zone) + 1, zone)


def test_days_are_local() -> None:
    moment = datetime(2018, 1, 1, 2, tzinfo=UTC)
    assert day_of(moment, NEW_YORK) == 17531
    assert day_of(moment, BERLIN) == 17532


def test_a_due_day_is_shown_as_its_beginning() -> None:
    assert due_text(17532.7, NEW_YORK) == "2018-01-01T05:00:00Z"
    assert due_text(float("inf"), NEW_YORK) is None
    assert due_text(1e12, NEW_YORK) is None


@pytest.mark.parametrize("name", ["", "Mars/Base", "../etc", "a\x00b"])
def test_what_is_no_time_zone_is_none(name: str) -> None:
    assert zone_named(name) is None
