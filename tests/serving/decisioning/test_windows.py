from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.decisioning.windows import challenge_window, day_of, due_text, iso, midnight, week_of, zone_named

NEW_YORK, BERLIN = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin")
ZONES = [ZoneInfo(name) for name in ("UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "America/Sao_Paulo")]


def test_a_challenge_lasts_until_monday_in_the_stores_time_zone() -> None:
    sunday_evening = datetime(2018, 1, 8, 4, 59, tzinfo=UTC)
    window = challenge_window(sunday_evening, NEW_YORK)
    assert (iso(window.starts), iso(window.ends)) == ("2018-01-08T04:59:00Z", "2018-01-08T05:00:00Z")
    assert window.n_days == pytest.approx(1 / 1440)
    window = challenge_window(sunday_evening + timedelta(minutes=1), NEW_YORK)
    assert (iso(window.starts), iso(window.ends)) == ("2018-01-08T05:00:00Z", "2018-01-15T05:00:00Z")
    assert (window.end_day - window.first_day, window.n_days) == (7, 7.0)


@pytest.mark.parametrize(
    ("monday", "hours"), [(datetime(2018, 3, 5, 5, tzinfo=UTC), 167), (datetime(2018, 10, 29, 4, tzinfo=UTC), 169)]
)
def test_weeks_with_a_clock_change_are_an_hour_shorter_or_longer(monday: datetime, hours: int) -> None:
    window = challenge_window(monday, NEW_YORK)
    assert window.ends - window.starts == timedelta(hours=hours)
    assert window.n_days == 7
    # The last day of both weeks begins at midnight, and is one day long however many hours that is.
    sunday = challenge_window(midnight(window.end_day - 1, NEW_YORK), NEW_YORK)
    assert sunday.n_days == 1


def test_a_part_of_a_day_counts_by_its_hours() -> None:
    noon = datetime(2018, 1, 4, 17, tzinfo=UTC)
    window = challenge_window(noon + timedelta(microseconds=5), NEW_YORK)
    assert window.starts == noon
    assert window.first_day == day_of(noon, NEW_YORK)
    assert window.n_days == 3.5


@given(st.datetimes(datetime(2001, 1, 1), datetime(2037, 1, 1)), st.sampled_from(ZONES))
def test_a_window_has_some_of_a_week(moment: datetime, zone: ZoneInfo) -> None:
    window = challenge_window(moment.replace(tzinfo=UTC), zone)
    assert window.starts < window.ends
    assert 0 < window.n_days <= 7
    assert 1 <= window.end_day - window.first_day <= 7


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
