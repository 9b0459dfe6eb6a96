from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.channels import CHANNELS, Channel
from serving.decisioning.policy_contact import QuietHoursPolicy, Span, span_of
from serving.decisioning.quiet import QuietHours

BERLIN = ZoneInfo("Europe/Berlin")
US = timedelta(microseconds=1)
# Clocks in Berlin went from 02:00 to 03:00 on 25 March 2018, and from 03:00 back to 02:00 on 28 October.


def quiet(sms: str, push: str = "") -> QuietHours:
    return QuietHours(QuietHoursPolicy(email="", sms=sms, push=push))


def local(text: str, fold: int = 0, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(f"2018-{text}").replace(tzinfo=zone, fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("span", "at", "is_quiet"),
    [
        ("21:00-08:00", "06-01 20:59", False),
        ("21:00-08:00", "06-01 21:00", True),
        ("21:00-08:00", "06-02 00:00", True),
        ("21:00-08:00", "06-02 07:59", True),
        ("21:00-08:00", "06-02 08:00", False),
        ("13:00-15:00", "06-01 12:59", False),
        ("13:00-15:00", "06-01 13:00", True),
        ("13:00-15:00", "06-01 15:00", False),
        ("00:00-06:30", "06-01 00:00", True),
        ("22:00-00:00", "06-01 23:59", True),
        ("22:00-00:00", "06-02 00:00", False),
    ],
)
def test_quiet_from_the_first_minute_until_the_last(span: str, at: str, is_quiet: bool) -> None:
    assert quiet(span).is_quiet(Channel.SMS, local(at), BERLIN) is is_quiet


def test_the_ends_are_exact_to_the_microsecond() -> None:
    hours = quiet("21:00-08:00")
    assert not hours.is_quiet(Channel.SMS, local("06-01 21:00") - US, BERLIN)
    assert hours.is_quiet(Channel.SMS, local("06-02 08:00") - US, BERLIN)


def test_it_is_the_customers_clock_that_counts() -> None:
    noon = datetime(2018, 6, 1, 12, tzinfo=UTC)
    hours = quiet("21:00-08:00")
    assert not hours.is_quiet(Channel.SMS, noon, BERLIN)
    assert hours.is_quiet(Channel.SMS, noon, timezone(timedelta(hours=9, minutes=30)))
    assert hours.next_allowed(Channel.SMS, noon, timezone(timedelta(hours=9, minutes=30))) == datetime(
        2018, 6, 1, 22, 30, tzinfo=UTC
    )


def test_each_channel_has_its_own_hours_and_places_have_none() -> None:
    hours = quiet("21:00-08:00", push="00:00-12:00")
    night = local("06-02 03:00")
    assert [channel for channel in CHANNELS if hours.is_quiet(channel, night, BERLIN)] == [Channel.SMS, Channel.PUSH]
    assert hours.next_allowed(Channel.SMS, night, BERLIN) == local("06-02 08:00")
    assert hours.next_allowed(Channel.PUSH, night, BERLIN) == local("06-02 12:00")
    assert hours.next_allowed(Channel.EMAIL, night, BERLIN) == hours.next_allowed(Channel.WEB, night, BERLIN) == night


def test_what_is_allowed_now_goes_out_now() -> None:
    at = local("06-01 12:00") + US
    assert quiet("21:00-08:00").next_allowed(Channel.SMS, at, BERLIN) == at


@pytest.mark.parametrize(
    ("span", "at", "fold", "allowed", "allowed_fold"),
    [
        # spring: the night is an hour shorter
        ("21:00-08:00", "03-24 22:00", 0, "03-25 08:00", 0),
        # it would end at a minute that there is not: it ends with the change, at 03:00
        ("21:00-02:30", "03-24 22:00", 0, "03-25 03:00", 0),
        # it would begin at one: it begins with the change
        ("02:30-05:00", "03-25 03:00", 0, "03-25 05:00", 0),
        # autumn: it ends at the second of two equal times, and does not stop in between
        ("21:00-02:30", "10-27 22:00", 0, "10-28 02:30", 1),
        ("21:00-02:30", "10-28 02:45", 0, "10-28 02:30", 1),
        # it begins at the first of two, and the clock's going back does not end it
        ("02:30-05:00", "10-28 02:30", 0, "10-28 05:00", 0),
        ("02:30-05:00", "10-28 02:00", 1, "10-28 05:00", 0),
    ],
)
def test_when_clocks_change(span: str, at: str, fold: int, allowed: str, allowed_fold: int) -> None:
    hours, moment = quiet(span), local(at, fold)
    assert hours.is_quiet(Channel.SMS, moment, BERLIN)
    until = hours.next_allowed(Channel.SMS, moment, BERLIN)
    assert until == local(allowed, allowed_fold)
    assert hours.is_quiet(Channel.SMS, until - US, BERLIN)


def test_a_quiet_time_that_the_change_skips_is_none() -> None:
    hours = quiet("02:10-02:50")
    assert not any(hours.is_quiet(Channel.SMS, local("03-25 01:00") + timedelta(minutes=m), BERLIN) for m in range(120))


def test_a_change_of_half_an_hour() -> None:
    lord_howe = ZoneInfo("Australia/Lord_Howe")  # 02:00 becomes 02:30 on 7 October 2018
    hours = quiet("22:00-02:15")
    asked = local("10-06 23:00", zone=lord_howe)
    assert hours.next_allowed(Channel.SMS, asked, lord_howe) == local("10-07 02:30", zone=lord_howe)


minutes = st.integers(0, 1439)
moments = st.datetimes(datetime(2018, 1, 1), datetime(2019, 1, 1), timezones=st.just(UTC))
zones = st.sampled_from([BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("UTC")])


@settings(deadline=None)
@given(minutes, minutes, moments, zones)
def test_the_next_allowed_moment_is_the_first_that_is_not_quiet(
    starts: int, ends: int, at: datetime, zone: ZoneInfo
) -> None:
    if starts == ends:
        return
    hours = quiet(f"{starts // 60:02}:{starts % 60:02}-{ends // 60:02}:{ends % 60:02}")
    allowed = hours.next_allowed(Channel.SMS, at, zone)
    assert allowed >= at
    assert not hours.is_quiet(Channel.SMS, allowed, zone)
    if allowed > at:
        passed = (at + (allowed - at) * i / 16 for i in range(16))
        assert all(hours.is_quiet(Channel.SMS, each, zone) for each in passed)
        assert hours.is_quiet(Channel.SMS, allowed - US, zone)


@settings(deadline=None)
@given(minutes, minutes, moments)
def test_without_a_change_of_clocks_it_is_what_the_clock_shows(starts: int, ends: int, at: datetime) -> None:
    if starts == ends:
        return
    minute = at.hour * 60 + at.minute
    inside = starts <= minute < ends if starts < ends else minute >= starts or minute < ends
    hours = quiet(f"{starts // 60:02}:{starts % 60:02}-{ends // 60:02}:{ends % 60:02}")
    assert hours.is_quiet(Channel.SMS, at, UTC) is inside


@pytest.mark.parametrize(
    "text", ["21-8", "24:00-08:00", "21:00-08:60", "21:00–08:00", " ", "21:00-08:00 ", "9:00-10:00"]
)
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a span such as"):
        span_of(text)


def test_a_span_that_ends_as_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="ends as it starts"):
        span_of("08:00-08:00")
    assert span_of("00:00-23:59") == Span(0, 1439)
