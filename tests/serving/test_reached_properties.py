"""No history leads to an offer that consent, a cap or a quiet hour forbids; each is counted here once more, plainly."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.api_offers import OffersRequest
from serving.bundle import Bundle, obeying
from serving.channels import CHANNELS, MESSAGE_CHANNELS, Channel
from serving.decisioning.policy import default_policy_text, parse_policy, with_values
from serving.engine import Engine
from serving.live import epoch_us
from serving.state.consent import Said, with_event
from serving.state.events import Event, EventType
from serving.state.known import Known, Live
from serving.tier import Tier, tier_of
from tests.serving.tiny import AS_OF

NEW_YORK = ZoneInfo("America/New_York")
DAY_US = 86_400_000_000
WINDOWS = {"day": DAY_US, "week": 7 * DAY_US}
OFFERS = ("coffee-off", "brie-off", "points", "wine-off")
KINDS = ("send", "send", "impression", "open", "redeem", "unsubscribe", "notification_block", "dismiss")

happenings: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.builds(
        dict,
        kind=st.sampled_from(KINDS),
        minutes=st.integers(0, 10 * 1440),
        channel=st.sampled_from([None, *(channel.value for channel in CHANNELS)]),
        offer_id=st.sampled_from([None, *OFFERS]),
        decision_id=st.sampled_from([None, None, "d1", "d2"]),
    ),
    max_size=25,
)


@pytest.fixture(scope="module")
def engine(tiny_bundle: Bundle) -> Engine:
    generous: dict[str, Any] = {  # values of policy.toml
        **{f"consent.{channel}": True for channel in MESSAGE_CHANNELS},
        "caps.offer_showings_day": dict.fromkeys(Tier, 1),
        "caps.offer_showings_week": dict.fromkeys(Tier, 2),
        "offers.min_expected_value": -100.0,
        "offers.min_customer_value": 0.0,
        "offers.min_relevance": 0.0,
    }
    return Engine(obeying(tiny_bundle, parse_policy(with_values(default_policy_text(), generous))))


def told(happened: list[dict[str, Any]], at_us: int) -> Known:
    """Return what the state would tell of `fay` at a moment."""
    events = [
        Event(
            f"e{number}",
            "fay",
            EventType(each["kind"]),
            epoch_us(AS_OF + timedelta(minutes=each["minutes"])),
            epoch_us(AS_OF + timedelta(minutes=each["minutes"])),
            offer_id=each["offer_id"],
            decision_id=each["decision_id"],
            channel=each["channel"],
        )
        for number, each in enumerate(happened)
    ]
    past = sorted((each for each in events if each.at_us < at_us), key=lambda each: (each.at_us, each.event_id))
    consent: Mapping[str, Said] = {}
    for event in past:
        consent = with_event(consent, event)
    return Known(Live("fay", events=tuple(past), consent={key: said.is_given for key, said in consent.items()} or None))


def messages_of(live: Live) -> dict[tuple[str, str | None], int]:
    """Return when each message went out: one decision on one channel is one, at its first send."""
    found: dict[tuple[str, str | None], int] = {}
    for event in live.events:
        if event.type is EventType.SEND:
            channel = event.channel if event.channel in CHANNELS else None
            found.setdefault((event.decision_id or event.event_id, channel), event.at_us)
    return found


def is_allowed(engine: Engine, live: Live, channel: Channel, at: datetime) -> bool:
    """Return whether any message may go out: consent, quiet hours and the caps of the customer's tier, by the book."""
    if not channel.is_message:
        return True
    local = at.astimezone(NEW_YORK).hour
    if not (live.consent or {}).get(channel, True) or (channel is not Channel.EMAIL and (local >= 21 or local < 8)):
        return False
    sends = messages_of(live)
    answers = sum(event.type in {EventType.OPEN, EventType.CLICK, EventType.REDEEM} for event in live.events)
    tier = tier_of(8 + len(sends), 4 + answers, engine.bundle.numbers.tiers)  # tiny_offers.CONTACTS: fay
    caps = engine.bundle.policy.caps
    for window, us in WINDOWS.items():
        recent = [on for (_, on), at_us in sends.items() if at_us > epoch_us(at) - us]
        if recent.count(channel.value) >= getattr(caps, f"{channel}_{window}").of(tier):
            return False
        if len(recent) >= getattr(caps, f"all_{window}").of(tier):
            return False
    return True


@settings(max_examples=150, deadline=None)
@given(happenings, st.integers(1, 11 * 1440), st.sampled_from(CHANNELS))
def test_no_history_leads_to_an_offer_that_is_forbidden(
    engine: Engine, happened: list[dict[str, Any]], minutes: int, channel: Channel
) -> None:
    at = AS_OF + timedelta(minutes=minutes)
    known = told(happened, epoch_us(at))
    answer = engine.offers(OffersRequest(customer_id="fay", channel=channel, k=20), at, "", known)
    given = {each["offer_id"] for each in answer["offers"]}
    if not is_allowed(engine, known.live, channel, at):
        assert not given
        return
    codes = {each["offer_id"]: each["reason"]["code"] for each in answer["withheld"]}
    assert "no_consent" not in codes.values()
    assert "quiet_hours" not in codes.values()
    for offer_id in OFFERS:
        if codes.get(offer_id) == "cap_reached" or offer_id in given:
            assert (offer_id in given) is not is_worn_out(engine, known.live, offer_id, channel, at)


def is_worn_out(engine: Engine, live: Live, offer_id: str, channel: Channel, at: datetime) -> bool:
    """Return whether the offer itself was sent, or shown, as often as it may be: here for all tiers alike."""
    caps, now_us = engine.bundle.policy.caps, epoch_us(at)
    if channel.is_message:
        keys = [
            (event.decision_id or event.event_id, event.channel)
            for event in live.events
            if event.type is EventType.SEND and event.offer_id == offer_id
        ]
        moments = [at_us for key, at_us in messages_of(live).items() if key in keys]
        sent = {days: sum(us > now_us - days * DAY_US for us in moments) for days in (7, 28)}
        return sent[7] >= caps.offer_sends_week or sent[28] >= caps.offer_sends_4w
    shown = [
        event.at_us
        for event in live.events
        if event.type is EventType.IMPRESSION and event.offer_id == offer_id and event.channel not in MESSAGE_CHANNELS
    ]
    by_day, by_week = (sum(us > now_us - window for us in shown) for window in WINDOWS.values())
    return by_day >= caps.offer_showings_day.low or by_week >= caps.offer_showings_week.low
