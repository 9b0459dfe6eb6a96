from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import StateUnfit
from serving.state.challenges import Line, new_challenge
from serving.state.codec import (
    NEWEST,
    SCHEMA,
    consenting,
    decode,
    encode,
    encode_person,
    event_of,
    event_row,
    live_of_raw,
    person_of,
    tells_doings,
    with_doings,
)
from serving.state.consent import Said
from serving.state.events import Event, EventType
from serving.state.holds import Hold
from serving.state.known import Live
from serving.state.person import Person, Reward, live_of
from tests.serving.state.builders import MONDAY, MONDAY_DAY, answer, event

texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
numbers = st.none() | st.floats(-1e6, 1e6)
ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
events = st.builds(
    Event,
    ids,
    ids,
    st.sampled_from(EventType),
    st.integers(0, 2**53),
    st.integers(0, 2**53),
    texts,
    texts,
    st.floats(-1e6, 1e6),
    numbers,
    numbers,
    texts,
    texts,
    texts,
    texts,
    texts,
)


@given(events)
def test_an_event_comes_back_as_it_was(one: Event) -> None:
    back = event_of(orjson.loads(orjson.dumps(event_row(one))))
    assert back == one
    assert hash(back) == hash(one)
    assert replace(back, value="x") == replace(one, value="x")


def test_an_event_that_was_read_is_as_frozen_as_any_other() -> None:
    with pytest.raises(FrozenInstanceError):
        event_of(event_row(event("1"))).quantity = 2.0  # type: ignore[misc]  # that is what is tried


def whole_person() -> Person:
    challenge = new_challenge(MONDAY_DAY, answer(), MONDAY)
    return Person(
        "anna",
        (event("1"), event("2", type="view", customer_id="guest")),
        {"milk-1": ("Milk", "Dairy")},
        {"email": Said(False, 3)},
        {MONDAY_DAY: replace(challenge, is_shown=True, lines=(Line(MONDAY, "1", "milk-1", 1.0),))},
        (Reward("r1", "c1", "discount", 2.0, 1.0, MONDAY),),
        ("guest", "old"),
        ("old",),
        ("email:0f",),
        5,
        7,
        (Hold("spring", 2.0, MONDAY, MONDAY + 5, MONDAY + 3, 7), Hold("summer", 0.0, MONDAY + 1, MONDAY + 5)),
    )


@pytest.mark.parametrize("person", [Person("anna"), whole_person()])
def test_a_person_comes_back_as_they_were(person: Person) -> None:
    raw = decode(encode_person(person))
    assert person_of(raw) == person
    assert live_of_raw(raw, 4) == live_of(person, 4)


def bare_person(**doings: Any) -> Person:
    """One who was promised things, of whom nothing else is known but these doings."""
    nothing: dict[str, Any] = {"events": (), "consent": {}, "also": (), "hidden": ()}
    hold = Hold('"events":', 2.0, MONDAY, MONDAY + 5, MONDAY + 3, 7)
    return replace(whole_person(), **(nothing | {"holds": (hold,)} | doings))


def test_a_document_without_doings_says_no_more_than_who_it_is_of() -> None:
    value = encode_person(bare_person())
    assert not tells_doings(value)
    assert with_doings(decode(value), None) == Live("anna")


@pytest.mark.parametrize(
    "doings", [{"events": (event("1"),)}, {"consent": {"email": Said(False, 3)}}, {"also": ("guest",)}]
)
def test_a_document_of_doings_is_to_be_decoded(doings: dict[str, Any]) -> None:
    assert tells_doings(encode_person(bare_person(**doings)))


@pytest.mark.parametrize("value", [b"", b"{}", encode({"into": "ben"}), orjson.dumps({"v": NEWEST + 1, "id": "anna"})])
def test_a_document_that_is_no_persons_is_to_be_decoded(value: bytes) -> None:
    assert tells_doings(value)


def test_a_document_of_a_newer_schema_is_refused_in_one_line() -> None:
    with pytest.raises(StateUnfit, match=f"newer tercet .schema {NEWEST + 1}, this one reads up to {NEWEST}") as caught:
        decode(orjson.dumps({"v": NEWEST + 1}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"{}", b"7", b'{"v": null}', b'{"v": "2"}'])
def test_what_is_no_document_is_refused(value: bytes) -> None:
    with pytest.raises(StateUnfit, match="damaged"):
        decode(value)


@pytest.mark.parametrize(
    "raw",
    [
        {"v": 1},
        {"v": 1, "id": "anna", "events": [["e-1", "anna", "sold", 1, 2]]},
        {"v": 1, "id": "anna", "events": [[]]},
        {"v": 1, "id": "anna", "consent": ["email"]},
        {"v": 1, "id": "anna", "challenges": [[1, 2]]},
        {"v": 1, "id": "anna", "holds": [7]},
        {"v": 1, "id": "anna", "kinds": {"milk-1": None}},
    ],
)
def test_a_document_of_another_shape_is_refused_as_damaged(raw: dict[str, object]) -> None:
    for read in (person_of, lambda raw: live_of_raw(raw, None)):
        with pytest.raises(StateUnfit, match="damaged"):
            read(raw)


def test_documents_carry_the_schema() -> None:
    assert decode(encode({"a": 1})) == {"v": SCHEMA, "a": 1}


@pytest.mark.parametrize("erased_us", [None, MONDAY])
def test_what_is_told_of_many_is_who_they_are_what_they_said_and_did(erased_us: int | None) -> None:
    person = replace(whole_person(), hidden=("guest",), also=("guest", "other"))
    raw = decode(encode_person(person))
    whole = live_of(person, erased_us)
    nothing: dict[str, Any] = {"holds": (), "tried": (), "challenge": None, "kinds": {}, "rewards": ()}

    assert with_doings(raw, erased_us) == replace(whole, **nothing)
    assert consenting(raw, erased_us) == replace(whole, events=(), **nothing)


@pytest.mark.parametrize("wrong", [{"events": [[1]]}, {"events": 7}, {"consent": [1]}, {"also": 7}])
def test_a_document_that_tells_nothing_readable_is_unfit(wrong: dict[str, object]) -> None:
    with pytest.raises(StateUnfit):
        with_doings({"v": 1, "id": "anna", **wrong}, None)
