from __future__ import annotations

from dataclasses import replace

import pytest

from serving.state.known import Trace
from serving.state.merging import Identity
from serving.state.shop import State
from tests.serving.state.builders import (
    BREAD,
    COFFEE,
    DAY,
    HOUR,
    MILK,
    MONDAY,
    MONDAY_DAY,
    accept,
    answer,
    event,
    state_on,
)
from tests.serving.state.memory_store import MemoryStore

ALL_THREE = [event("1", "milk-1"), event("2", "bread-2", at=MONDAY + HOUR), event("3", "tea-1", at=MONDAY + 2 * HOUR)]


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def state(memory: MemoryStore) -> State:
    return state_on(memory)


def test_there_is_none_until_one_was_issued(state: State) -> None:
    assert state.challenge("anna", MONDAY_DAY) is None
    assert state.show("anna", MONDAY_DAY) is None


def test_the_first_one_stands_whoever_asks(state: State, memory: MemoryStore) -> None:
    first = state.issue("anna", MONDAY_DAY, answer(decision_id="first"), MONDAY)
    second = state_on(memory).issue("anna", MONDAY_DAY, answer(MILK, decision_id="second"), MONDAY + 1)
    assert (first.decision_id, second.decision_id) == ("first", "first")
    assert second.answer == answer(decision_id="first")
    assert (second.at_us, second.is_shown) == (MONDAY, False)


def test_each_week_has_its_own(state: State) -> None:
    state.issue("anna", MONDAY_DAY, answer(decision_id="this"), MONDAY)
    following = answer(decision_id="next", starts="2018-01-08T00:00:00Z", ends="2018-01-15T00:00:00Z")
    assert state.issue("anna", MONDAY_DAY + 7, following, MONDAY + 7 * DAY).decision_id == "next"
    accept(state, [event("1", at=MONDAY + 7 * DAY)])
    assert [state.challenge("anna", day).progress()["done"] for day in (MONDAY_DAY, MONDAY_DAY + 7)] == [0, 1]  # type: ignore[union-attr]  # both were issued


def test_what_is_known_of_a_customer_tells_the_same_challenges(state: State) -> None:
    def told_alike() -> None:
        known = state.known("anna")
        for day in (MONDAY_DAY - 7, MONDAY_DAY, MONDAY_DAY + 7):
            assert known.challenge_of(day) == state.challenge("anna", day)

    told_alike()
    state.issue("anna", MONDAY_DAY, answer(), MONDAY)
    told_alike()
    state.show("anna", MONDAY_DAY)
    told_alike()
    accept(state, ALL_THREE[:1])
    told_alike()
    accept(state, ALL_THREE)
    told_alike()
    following = answer(decision_id="next", starts="2018-01-08T00:00:00Z", ends="2018-01-15T00:00:00Z")
    state.issue("anna", MONDAY_DAY + 7, following, MONDAY + 7 * DAY)
    told_alike()
    pair = [Identity(each, "email", "ann@example.com") for each in ("anna", "ben")]
    accept(state, [event("b", customer_id="ben", at=MONDAY - DAY)])
    state.link(pair, is_loyal=lambda each: each == "ben", now_us=MONDAY + 8 * DAY)
    assert state.resolve("anna") == "ben"
    told_alike()


def test_what_was_told_of_one_answer_is_not_in_the_next(state: State) -> None:
    state.issue("anna", MONDAY_DAY, answer(), MONDAY)
    for told in (state.known("anna").challenge_of(MONDAY_DAY), state.challenge("anna", MONDAY_DAY)):
        assert told is not None
        whole = told.told()
        whole["experiment"] = {"name": "x", "arm": "y"}
        whole["items"][0]["out_of_stock"] = True
        whole["items"].pop()
    kept = state.known("anna").challenge_of(MONDAY_DAY)
    assert kept is not None
    assert kept.told() == answer()


def test_the_purchase_that_completes_it_brings_the_reward_once(state: State) -> None:
    state.issue("anna", MONDAY_DAY, answer(), MONDAY)
    assert accept(state, ALL_THREE[:2]).completed == ()
    (granted,) = accept(state, ALL_THREE).completed
    assert (granted.customer_id, granted.reward.completed_us) == ("anna", MONDAY + 2 * HOUR)
    assert (granted.reward.kind, granted.reward.value, granted.reward.cost) == ("discount", 2.0, 1.0)
    assert accept(state, [*ALL_THREE, event("4", "milk-2", at=MONDAY + 3 * HOUR)]).completed == ()
    kept = state.challenge("anna", MONDAY_DAY)
    assert kept is not None
    assert kept.reward_id == granted.reward.reward_id
    assert len(granted.reward.reward_id) == 32


def test_the_reward_of_another_challenge_has_another_id(state: State) -> None:
    ids = set()
    for n, customer_id in enumerate(("anna", "ben")):
        state.issue(customer_id, MONDAY_DAY, answer(MILK, decision_id=customer_id), MONDAY)
        (granted,) = accept(state, [event(str(n), customer_id=customer_id)]).completed
        ids.add(granted.reward.reward_id)
    assert len(ids) == 2


def test_a_return_takes_progress_back_until_the_reward_is_granted(state: State) -> None:
    state.issue("anna", MONDAY_DAY, answer(), MONDAY)
    accept(state, [*ALL_THREE[:2], event("back", "bread-2", at=MONDAY + 2 * HOUR, quantity=-1.0)])
    assert state.issue("anna", MONDAY_DAY, answer(), MONDAY).progress()["done"] == 1
    accept(state, [ALL_THREE[2], event("again", "bread-1", at=MONDAY + 3 * HOUR)])
    accept(state, [event("all back", "bread-1", at=MONDAY + 4 * HOUR, quantity=-1.0)])
    progress = state.issue("anna", MONDAY_DAY, answer(), MONDAY).progress()
    assert (progress["done"], progress["completed_at"]) == (3, "2018-01-01T03:00:00Z")


def test_a_purchase_of_the_week_counts_also_when_it_is_told_after_it(state: State) -> None:
    state.issue("anna", MONDAY_DAY, answer(MILK), MONDAY)
    late = event("1", at=MONDAY + 6 * DAY, accepted_us=MONDAY + 9 * DAY)
    assert len(accept(state, [late]).completed) == 1


def test_what_was_bought_before_it_was_issued_counts_from_its_start_on(memory: MemoryStore) -> None:
    state = state_on(memory, events_per_customer=10)
    early = [event("before", "milk-1", at=MONDAY - 1), event("in", "bread-1", at=MONDAY)]
    accept(state, early + [event(f"v{n}", type="view", at=MONDAY + n) for n in range(1, 20)])
    assert "in" not in [each.event_id for each in state.live("anna").events]
    kept = state.issue("anna", MONDAY_DAY, answer(MILK, BREAD), MONDAY + DAY)
    assert kept.is_done == (False, True)


def test_all_purchases_of_the_week_count_however_many_events_came_since(memory: MemoryStore) -> None:
    state = state_on(memory, events_per_customer=10)
    state.issue("anna", MONDAY_DAY, answer(MILK, BREAD), MONDAY)
    accept(state, [event("1", "milk-1")])
    accept(state, [event(f"v{n}", type="view", at=MONDAY + n) for n in range(1, 20)])
    assert len(accept(state, [event("2", "bread-1", at=MONDAY + DAY)]).completed) == 1


def test_before_it_is_shown_its_items_can_be_replaced_and_after_it_they_stay(state: State) -> None:
    state.issue("anna", MONDAY_DAY, answer(MILK, BREAD, decision_id="first"), MONDAY)
    accept(state, [event("1", "tea-1")])
    replaced = state.show("anna", MONDAY_DAY, answer(COFFEE, BREAD, decision_id="other"))
    assert replaced is not None
    assert (replaced.decision_id, replaced.is_shown, replaced.is_done) == ("first", True, (True, False))
    again = state.show("anna", MONDAY_DAY, answer(MILK, BREAD))
    assert again == replaced


def test_what_is_replaced_without_being_shown_can_be_replaced_again(state: State) -> None:
    state.issue("anna", MONDAY_DAY, answer(MILK, BREAD), MONDAY)
    unshown = state.show("anna", MONDAY_DAY, answer(COFFEE, BREAD), is_shown=False)
    assert unshown is not None
    assert not unshown.is_shown
    shown = state.show("anna", MONDAY_DAY, answer(MILK, BREAD))
    assert shown is not None
    assert (shown.is_shown, shown.answer["items"]) == (True, answer(MILK, BREAD)["items"])


def test_showing_it_twice_writes_once(state: State, memory: MemoryStore) -> None:
    state.issue("anna", MONDAY_DAY, answer(), MONDAY)
    state.show("anna", MONDAY_DAY)
    documents = dict(memory.documents)
    shown = state.show("anna", MONDAY_DAY)
    assert shown is not None
    assert shown.is_shown
    assert memory.documents == documents


def test_rewards_and_challenges_stand_in_the_customers_view(state: State) -> None:
    state.issue("anna", MONDAY_DAY, answer(MILK), MONDAY)
    (granted,) = accept(state, [event("1")]).completed
    redeem = event("2", None, type="redeem", offer_id=granted.reward.reward_id, at=MONDAY + DAY)
    accept(state, [redeem])
    view = state.customer("anna")
    assert view is not None
    assert view.rewards == (replace(granted.reward, redeemed_us=MONDAY + DAY),)
    assert [each.monday_day for each in view.challenges] == [MONDAY_DAY]


def test_what_is_known_with_a_trace_is_known_all_the_same(state: State) -> None:
    state.issue("anna", MONDAY_DAY, answer(), MONDAY)
    known, trace = state.known("anna"), Trace()
    assert known.traced(trace) == replace(known, trace=trace)
    assert known.traced(trace).trace is trace
    assert known.traced(trace).challenge_of(MONDAY_DAY) == known.challenge_of(MONDAY_DAY)
