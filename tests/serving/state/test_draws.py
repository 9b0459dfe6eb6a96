"""Draws in the state: kept with the challenge and the decision, through purchases, merges and older documents."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.state.codec import decode, draw_document, draw_of, encode_person, person_of
from serving.state.decisions import DecisionPart, DecisionRecord
from serving.state.known import Draw, Odds, Trace
from serving.state.merging import Identity
from serving.state.shop import State
from tests.serving.state.builders import MONDAY, MONDAY_DAY, accept, answer, event, state_on

DRAW = Draw("stretch", "tea-1", 0.25, (Odds("milk-1", 0.75, 2.0), Odds("tea-1", 0.25, 1.0)))


@pytest.fixture
def state() -> State:
    return state_on()


def test_a_challenge_keeps_the_draws_that_it_was_made_by(state: State) -> None:
    state.issue("anna", MONDAY_DAY, answer(), MONDAY, draws=[DRAW])
    assert state.issue("anna", MONDAY_DAY, answer(), MONDAY, draws=[]).challenge.draws == (DRAW,)
    accept(state, [event("1", "milk-1")])
    state.show("anna", MONDAY_DAY, answer())
    state.link([Identity(each, "email", "a@b") for each in ("anna", "ben")], is_loyal=lambda _: False, now_us=MONDAY)
    kept = state.challenge("ben", MONDAY_DAY)
    assert kept is not None
    assert kept.challenge.draws == (DRAW,)


def test_a_challenge_from_before_there_were_draws_has_none(state: State) -> None:
    kept = state.issue("anna", MONDAY_DAY, answer(), MONDAY)
    document = decode(encode_person(replace(person_of({"id": "anna"}), challenges={MONDAY_DAY: kept.challenge})))
    assert len(document["challenges"][0]) == 9  # as it was written then
    assert person_of(document).challenges[MONDAY_DAY].draws == ()


def test_a_decision_keeps_its_draws_with_the_customer_s_part_alone(state: State) -> None:
    part = DecisionPart("anna", ({"product_id": "tea-1"},), draws=(replace(DRAW, replaced_by="milk-1"),))
    state.record(DecisionRecord("d1", "challenge", MONDAY, "v", (part,))).result()
    found = state.decision("d1")
    assert found is not None
    assert found.record.parts == (part,)
    assert [each.parts[0].draws for each in state.records()] == [part.draws]
    state.forget("anna", MONDAY + 1)
    (record,) = state.records()
    assert record.parts == ()


@given(
    st.lists(st.tuples(st.text(max_size=5), st.floats(0, 1), st.floats(-1e9, 1e9)), min_size=1, max_size=5),
    st.none() | st.text(max_size=5),
)
def test_a_draw_is_read_as_it_was_written(among: list[tuple[str, float, float]], replaced_by: str | None) -> None:
    odds = tuple(Odds(*each) for each in among)
    draw = Draw("stretch", odds[0].id, odds[0].probability, odds, replaced_by)
    assert draw_of(draw_document(draw)) == draw


def test_an_answer_that_is_made_anew_keeps_the_last_draw_of_a_slot() -> None:
    trace = Trace()
    for draw in (DRAW, replace(DRAW, slot="first_offer"), replace(DRAW, chosen="milk-1")):
        trace.draw(draw)
    assert [(each.slot, each.chosen) for each in trace.draws] == [("first_offer", "tea-1"), ("stretch", "milk-1")]


def test_a_person_s_document_has_the_draws(state: State) -> None:
    kept = state.issue("anna", MONDAY_DAY, answer(), MONDAY, draws=[DRAW])
    person = replace(person_of({"id": "anna"}), challenges={MONDAY_DAY: kept.challenge})
    assert person_of(decode(encode_person(person))).challenges[MONDAY_DAY].draws == (DRAW,)
