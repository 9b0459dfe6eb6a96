"""Decisions as releases before schema 2 wrote them: a head, and each customer's part under a key of its own."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from serving.state.decisions import DecisionPart, DecisionRecord
from serving.state.known import WithheldItem
from serving.state.shop import State
from serving.state.store import Commit
from tests.serving.state.builders import DAY, MONDAY, accept, event, state_on
from tests.serving.state.memory_store import MemoryStore

ITEM = {"product_id": "milk-1", "reason": {"code": "due", "text": "…"}, "score": 2.0}
PART = {"shown": [ITEM], "withheld": [["tea-1", "just_bought"]], "asked": {"k": 2}}


@pytest.fixture
def memory() -> MemoryStore:
    """A store with a decision for anna and ben, and one for nobody."""
    memory = MemoryStore()
    head = {"id": "d1", "call": "challenge", "us": MONDAY, "made": MONDAY - 1, "model": "m", "placement": "home"}
    head |= {"channel": None, "store": "s1", "experiment": None, "probability": 1.0, "personal": True, "erased": 0}
    documents = {
        "decision/d1": {**head, "customers": ["anna", "ben"], "parts": []},
        "of/anna/d1": {"us": MONDAY, "decision": "d1", "made": MONDAY - 1, **PART},
        "of/ben/d1": {"us": MONDAY, "decision": "d1", "made": MONDAY - 1, **PART, "withheld": []},
        "decision/d2": {**head, "id": "d2", "customers": [], "parts": [PART]},
    }
    memory.commit(Commit({key: orjson.dumps({"v": 1, **each}) for key, each in documents.items()}))
    return memory


@pytest.fixture
def state(memory: MemoryStore) -> State:
    return state_on(memory)


def expected() -> DecisionRecord:
    anna = DecisionPart("anna", (ITEM,), (WithheldItem("tea-1", "just_bought"),), {"k": 2})
    parts = (anna, replace(anna, customer_id="ben", withheld=()))
    return DecisionRecord("d1", "challenge", MONDAY, "m", parts, "home", None, "s1", made_us=MONDAY - 1)


def test_they_are_told_as_they_were_made(state: State) -> None:
    found = state.decision("d1")
    assert found is not None
    assert found.record == expected()
    first, second = state.records()
    assert (first, second.parts[0].shown) == (expected(), (ITEM,))


def test_they_are_in_a_customers_view_beside_those_of_today(state: State) -> None:
    (part, _) = expected().parts
    state.record(DecisionRecord("d3", "recommendations", MONDAY + 1, "m", (part,))).result()
    accept(state, [event("1", decision_id="d1", at=MONDAY + 5)])
    view = state.customer("anna")
    assert view is not None
    assert [(each.decision_id, each.part) for each in view.decisions] == [("d3", part), ("d1", part)]
    assert len(view.decisions[1].outcome.answered) == 1


def test_who_is_forgotten_is_taken_out_of_them(state: State, memory: MemoryStore) -> None:
    state.forget("anna", MONDAY)
    hidden = state.decision("d1")
    assert state.erase("anna", MONDAY).counts["decisions"] == 1
    state.finish_erasure("anna")
    found = state.decision("d1")
    assert hidden == found
    assert found is not None
    assert (found.n_erased, found.record.parts) == (1, expected().parts[1:])
    assert not any(b"anna" in each.value or "anna" in key for key, each in memory.documents.items())


def test_a_challenge_of_then_is_recorded_anew_by_its_first_moment_and_request(state: State) -> None:
    later = DecisionPart("anna", ({"product_id": "bread-1"},), (), {"k": 3})
    again = DecisionRecord("d1", "challenge", MONDAY + 9, "m", (later,))
    same = replace(again, parts=(replace(later, shown=(ITEM,)),))
    assert not state.record(same).result()
    assert state.record(again).result()
    found = state.decision("d1")
    assert found is not None
    assert found.record == replace(expected(), parts=(replace(later, asked={"k": 2}),))


def test_they_are_dropped_in_their_time(state: State, memory: MemoryStore) -> None:
    done = state.compact(MONDAY + 5000 * DAY)
    assert (done.decisions, done.parts, memory.documents) == (2, 2, {})
