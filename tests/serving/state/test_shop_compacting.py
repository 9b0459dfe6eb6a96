from __future__ import annotations

import pytest

from serving.state.decisions import DecisionPart, DecisionRecord
from serving.state.merging import Identity
from serving.state.shop import State
from serving.state.store import Commit
from tests.serving.state.builders import DAY, MONDAY, MONDAY_DAY, accept, answer, event, state_on
from tests.serving.state.memory_store import MemoryStore

KEPT = {"events_days": 30, "decisions_days": 20, "challenge_weeks": 2}


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def state(memory: MemoryStore) -> State:
    return state_on(memory, **KEPT)


def test_an_empty_state_has_nothing_to_drop(state: State) -> None:
    done = state.compact(MONDAY)
    assert (done.events, done.marks, done.counts, done.decisions, done.customers, done.stock) == (0, 0, 0, 0, 0, 0)


def test_events_go_when_they_are_older_than_the_policy_keeps_and_not_before(state: State, memory: MemoryStore) -> None:
    accept(state, [event("1"), event("2", at=MONDAY + 1)])
    assert state.compact(MONDAY + 30 * DAY - 1).events == 0
    done = state.compact(MONDAY + 30 * DAY)
    assert (done.events, done.marks, done.customers) == (1, 1, 1)
    assert [each.event_id for each in state.log()] == ["2"]
    assert [each.event_id for each in state.live("anna").events] == ["2"]
    state.compact(MONDAY + 31 * DAY)
    assert memory.documents == {}


def test_a_late_event_is_as_old_as_its_acceptance(state: State) -> None:
    accept(state, [event("1", at=MONDAY - 300 * DAY, accepted_us=MONDAY)])
    assert state.compact(MONDAY + DAY).events == 0
    assert len(state.live("anna").events) == 1


def test_counts_go_with_the_events_of_their_day(state: State, memory: MemoryStore) -> None:
    state.put_consent("anna", {}, MONDAY)
    accept(state, [event("1")])
    assert state.compact(MONDAY + 31 * DAY - 1).counts == 0
    assert state.compact(MONDAY + 31 * DAY).counts == 1


def test_consent_and_merges_are_kept_for_good(state: State) -> None:
    state.put_consent("anna", {"email": True}, MONDAY)
    state.link([Identity(each, "email", "a@b") for each in ("anna", "ben")], is_loyal=lambda _: False, now_us=MONDAY)
    state.forget("cleo", MONDAY)
    state.compact(MONDAY + 5000 * DAY)
    assert state.live("ben").customer_id == "anna"
    assert list(state.consents()) == ["anna"]
    assert state.live("cleo").is_erased


def test_decisions_go_with_their_parts(state: State, memory: MemoryStore) -> None:
    for n in range(2):
        part = DecisionPart("anna", ({"product_id": "milk-1"},))
        state.record(DecisionRecord(f"d{n}", "recommendations", MONDAY + n, "m", (part,))).result()
    done = state.compact(MONDAY + 20 * DAY)
    assert (done.decisions, done.parts) == (1, 1)
    assert sorted(memory.documents) == ["decision/d1", "of/anna/d1"]


def test_a_challenge_makes_progress_for_as_long_as_the_policy_says(state: State) -> None:
    state.issue("anna", MONDAY_DAY, answer(), MONDAY)
    state.compact(MONDAY + 21 * DAY - 1)
    assert state.challenge("anna", MONDAY_DAY) is not None
    state.compact(MONDAY + 21 * DAY)
    assert state.challenge("anna", MONDAY_DAY) is None


class ChangedMeanwhile(MemoryStore):
    """A store in which a customer does something just before their document is made smaller."""

    def __init__(self) -> None:
        super().__init__()
        self.other: State | None = None

    def commit(self, commit: Commit) -> bool:
        if self.other is not None and "person/anna" in commit.expect:
            other, self.other = self.other, None
            accept(other, [event("new", at=MONDAY + 40 * DAY)])
        return super().commit(commit)


def test_a_customer_who_acts_meanwhile_loses_nothing() -> None:
    memory = ChangedMeanwhile()
    state = state_on(memory, **KEPT)
    accept(state, [event("1")])
    memory.other = state_on(memory, **KEPT)
    assert state.compact(MONDAY + 40 * DAY).customers == 0
    assert "new" in [each.event_id for each in state.live("anna").events]
    assert state.compact(MONDAY + 40 * DAY).customers == 1
    assert [each.event_id for each in state.live("anna").events] == ["new"]


def test_more_than_a_page_is_dropped(state: State, memory: MemoryStore) -> None:
    accept(state, [event(f"{n}", customer_id=f"c{n}") for n in range(1500)])
    done = state.compact(MONDAY + 30 * DAY)
    assert (done.events, done.marks, done.customers) == (1500, 1500, 1500)
    assert memory.documents == {}
