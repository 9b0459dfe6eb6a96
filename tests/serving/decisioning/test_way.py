"""Channels and moments: where somebody answers, what they allow, quiet hours and their own hour."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.api_action_codes import ActionCode
from serving.channels import MESSAGE_CHANNELS, Channel
from serving.decisioning.policy_contact import QuietHoursPolicy
from serving.decisioning.quiet import QuietHours
from serving.decisioning.triggers import Timing
from serving.decisioning.way import Reach, Wish, send_at

BERLIN = ZoneInfo("Europe/Berlin")
NIGHTS = QuietHours(QuietHoursPolicy(email="21:00-08:00", sms="21:00-08:00", push=""))
NOON = datetime(2018, 1, 2, 12, 0, tzinfo=BERLIN)
WISH = Wish(NOON, None, Timing.THEIR_HOUR, BERLIN, best_hour=18, max_wait_hours=24.0)
REACH = Reach({"email": True, "sms": True, "push": False}, {}, None, Channel.WEB)


def test_only_channels_that_were_agreed_to_are_ranked_and_the_place_is_last() -> None:
    assert list(REACH.ranked()) == [Channel.EMAIL, Channel.SMS, Channel.WEB]


def test_the_channel_that_they_answer_is_first() -> None:
    assert replace(REACH, answers={Channel.SMS: 0.3, Channel.EMAIL: 0.2}).ranked()[0] is Channel.SMS
    assert replace(REACH, answers={Channel.SMS: 0.3}, best=Channel.EMAIL).ranked()[0] is Channel.EMAIL


def test_without_a_state_no_message_is_sent() -> None:
    assert list(replace(REACH, may_send=False).ranked()) == [Channel.WEB]


def test_a_message_waits_for_their_hour() -> None:
    assert send_at(WISH, Channel.EMAIL, NIGHTS) == datetime(2018, 1, 2, 18, 0, tzinfo=BERLIN)


def test_within_their_hour_it_goes_out_at_once() -> None:
    moment = datetime(2018, 1, 2, 18, 20, tzinfo=BERLIN)
    assert send_at(replace(WISH, earliest=moment), Channel.EMAIL, NIGHTS) == moment


def test_an_hour_that_is_quiet_or_too_far_off_is_not_waited_for() -> None:
    assert send_at(replace(WISH, best_hour=23), Channel.EMAIL, NIGHTS) == NOON
    assert send_at(replace(WISH, max_wait_hours=2.0), Channel.EMAIL, NIGHTS) == NOON
    assert send_at(replace(WISH, best_hour=None), Channel.EMAIL, NIGHTS) == NOON


def test_what_happens_now_is_said_now_or_never() -> None:
    night = datetime(2018, 1, 2, 23, 0, tzinfo=BERLIN)
    assert send_at(replace(WISH, timing=Timing.NOW), Channel.EMAIL, NIGHTS) == NOON
    assert send_at(replace(WISH, timing=Timing.NOW, earliest=night), Channel.EMAIL, NIGHTS) is ActionCode.QUIET_HOURS


def test_what_can_wait_waits_for_the_morning() -> None:
    night = datetime(2018, 1, 2, 23, 0, tzinfo=BERLIN)
    wish = replace(WISH, timing=Timing.SOON, earliest=night)
    assert send_at(wish, Channel.EMAIL, NIGHTS) == datetime(2018, 1, 3, 8, 0, tzinfo=BERLIN)
    assert send_at(replace(wish, until=night + timedelta(hours=2)), Channel.EMAIL, NIGHTS) is ActionCode.QUIET_HOURS


def test_a_page_has_no_quiet_hours() -> None:
    night = datetime(2018, 1, 2, 23, 0, tzinfo=BERLIN)
    assert send_at(replace(WISH, earliest=night, timing=Timing.NOW), Channel.WEB, NIGHTS) == night


@given(
    st.datetimes(datetime(2018, 1, 1), datetime(2018, 12, 31)).map(lambda each: each.replace(tzinfo=UTC)),
    st.sampled_from(list(Timing)),
    st.one_of(st.none(), st.integers(0, 23)),
    st.one_of(st.none(), st.floats(0.1, 72.0)),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"]),
)
def test_nothing_ever_goes_out_in_quiet_hours_too_early_or_too_late(
    at: datetime, timing: Timing, best_hour: int | None, ends_in: float | None, zone: str
) -> None:
    until = None if ends_in is None else at + timedelta(hours=ends_in)
    clock = ZoneInfo(zone)
    for channel in MESSAGE_CHANNELS:
        moment = send_at(Wish(at, until, timing, clock, best_hour, 24.0), channel, NIGHTS)
        if isinstance(moment, ActionCode):
            continue
        assert moment >= at
        assert until is None or moment < until or moment == at
        assert not NIGHTS.is_quiet(channel, moment, clock)


def test_there_is_no_way_where_only_a_place_is_left_and_none_was_agreed_to() -> None:
    refused = {str(each): False for each in MESSAGE_CHANNELS}
    assert list(replace(REACH, consents=refused).ranked()) == [Channel.WEB]


@pytest.mark.parametrize("channel", MESSAGE_CHANNELS)
def test_a_message_needs_consent_to_its_very_channel(channel: Channel) -> None:
    refused = {str(each): each is not channel for each in MESSAGE_CHANNELS}
    assert not replace(REACH, consents=refused).allows(channel)
