"""Documents that grow without a person being made come to the same as those of which one is made."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import StateUnfit
from serving.state.challenges import new_challenge
from serving.state.codec import blank, decode, encode_person, person_of
from serving.state.events import Event
from serving.state.growing import with_plain
from serving.state.person import Person, with_events
from tests.serving.state.builders import KINDS, LIMITS, MONDAY, MONDAY_DAY, answer, event

PLAIN = ("view", "search", "cart", "send", "impression", "click", "dismiss", "scan")
LIMIT = 6

plain_events = st.lists(
    st.builds(
        lambda number, at, type, offer_id: event(f"n{number}", at=MONDAY + at, type=type, offer_id=offer_id),
        st.integers(0, 30),
        st.integers(0, 5),
        st.sampled_from(PLAIN),
        st.sampled_from((None, None, "spring")),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda each: each.event_id,
)


def slowly(person: Person, events: list[Event], limit: int = LIMIT) -> Person:
    limits = replace(LIMITS, events_per_customer=limit)
    return with_events(person, events, {}, limits=limits, reward_id_of=str)


@given(st.lists(plain_events, min_size=1, max_size=5))
def test_plain_events_come_to_the_same_as_by_the_person(groups: list[list[Event]]) -> None:
    raw = blank("anna")
    for events in groups:
        known = {each.event_id for each in person_of(raw).events}
        person = slowly(person_of(raw), events)
        grown = with_plain(raw, events, LIMIT)
        assert (grown is None) == any(each.event_id in known for each in events)
        raw = decode(encode_person(person) if grown is None else grown)
        assert person_of(raw) == person


@pytest.mark.parametrize("type", ["purchase", "redeem", "unsubscribe", "notification_block"])
def test_an_event_that_says_more_is_left_to_the_person(type: str) -> None:
    assert with_plain(blank("anna"), [event("1", type="view"), event("2", type=type)], LIMIT) is None


def test_a_purchase_that_goes_takes_its_kind_along_by_the_person() -> None:
    bought = slowly(Person("anna", kinds=KINDS), [event("1")])

    raw = decode(encode_person(bought))

    assert with_plain(raw, [event("2", at=MONDAY + 1, type="view")], 1) is None
    assert with_plain(raw, [event("2", at=MONDAY + 1, type="view")], 2) is not None


def test_a_challenge_that_an_event_may_show_is_left_to_the_person() -> None:
    challenged = Person("anna", challenges={MONDAY_DAY: new_challenge(MONDAY_DAY, answer(), MONDAY)})
    raw = decode(encode_person(challenged))

    assert with_plain(raw, [event("1", type="click", decision_id="c" * 32)], LIMIT) is None
    assert with_plain(raw, [event("1", type="click")], LIMIT) is not None


def test_what_else_a_document_holds_stays() -> None:
    raw = decode(encode_person(Person("anna", also=("guest",), identities=("email:1",)))) | {"later": [1]}

    grown = with_plain(raw, [event("1", type="view")], LIMIT)

    assert grown is not None
    assert {name: orjson.loads(grown)[name] for name in raw} == raw


@pytest.mark.parametrize("events", ["[1]", '{"a": 1}', "[[]]", "7"])
def test_a_document_that_is_no_person_is_unfit(events: str) -> None:
    raw = blank("anna") | {"events": orjson.loads(events)}
    with pytest.raises(StateUnfit):
        with_plain(raw, [event("1", type="view")], LIMIT)
