from __future__ import annotations

from dataclasses import replace

import pytest

from serving.state.decisions import DecisionPart, DecisionRecord, Items
from serving.state.merging import Identity
from serving.state.shop import State
from serving.state.store import Commit
from tests.serving.state.builders import DAY, HOUR, MILK, MONDAY, MONDAY_DAY, accept, answer, event, state_on
from tests.serving.state.memory_store import MemoryStore

NOW = MONDAY + DAY


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def state(memory: MemoryStore) -> State:
    """A state that knows anna, who was `guest-anna` before, by everything there is to know; and ben."""
    state = state_on(memory)
    state.put_consent("anna", {"personalize": True, "email": True}, MONDAY)
    state.issue("anna", MONDAY_DAY, answer(MILK), MONDAY)
    accept(state, [event("1"), event("2", customer_id="guest-anna"), event("3", customer_id="ben")])
    identities = [Identity(each, "email", "ann@example.com") for each in ("anna", "guest-anna")]
    state.link([*identities, Identity("ben", "email", "b@b")], is_loyal=lambda each: each == "anna", now_us=MONDAY)
    state.record(decision("d1", "anna", "ben")).result()
    state.record(decision("d2", "guest-anna")).result()
    return state


def decision(decision_id: str, *customers: str, at_us: int = MONDAY) -> DecisionRecord:
    parts = tuple(DecisionPart(each, ({"product_id": "milk-1"},)) for each in customers)
    return DecisionRecord(decision_id, "recommendations", at_us, "m", parts)


def n_erased_and_left(state: State, decision_id: str) -> tuple[int, list[str | None]]:
    found = state.decision(decision_id)
    assert found is not None
    return found.n_erased, [part.customer_id for part in found.record.parts]


@pytest.mark.parametrize("customer_id", ["anna", "guest-anna"])
def test_who_asked_to_be_forgotten_is_hidden_at_once_under_every_id(state: State, customer_id: str) -> None:
    state.forget(customer_id, NOW)
    for each in ("anna", "guest-anna"):
        live = state.live(each)
        assert (live.customer_id, live.events, live.consent, live.also) == (each, (), None, ())
        assert (live.is_erased, live.erased_us) == (True, NOW)
        assert state.customer(each) is None
        assert state.challenge(each, MONDAY_DAY) is None
    assert state.customer_of("email", "ann@example.com") is None
    assert [each.event_id for each in state.log()] == ["3"]
    assert n_erased_and_left(state, "d1") == (1, ["ben"])
    assert n_erased_and_left(state, "d2") == (1, [])
    assert (state.aliases(), state.consents()) == ({}, {})


def test_the_others_are_as_they_were(state: State) -> None:
    state.erase("anna", NOW)
    assert len(state.live("ben").events) == 1
    assert state.customer_of("email", "b@b") == "ben"
    assert not state.live("ben").is_erased


def test_who_is_not_known_can_be_forgotten(state: State) -> None:
    state.forget("nobody", NOW)
    assert state.live("nobody").is_erased
    assert state.erase("nobody", NOW).counts["events"] == 0


def test_erasing_leaves_nothing_that_holds_the_id_and_a_receipt(state: State, memory: MemoryStore) -> None:
    state.forget("guest-anna", NOW)
    receipt = state.erase("anna", NOW + HOUR)
    assert (receipt.erased_us, sorted(receipt.customer_ids)) == (NOW, ["anna", "guest-anna"])
    assert receipt.counts == {
        "events": 2,
        "decisions": 2,
        "consents": 1,
        "challenges": 1,
        "rewards": 1,
        "identities": 1,
        "holds": 0,
        "merged": 1,
    }
    assert set(state.erased().pending) == {"anna", "guest-anna"}
    state.finish_erasure("anna")
    assert state.erased().pending == {}
    assert not any("anna" in key or b"anna" in each.value for key, each in memory.documents.items())
    assert memory.n_scrubs == 2
    assert n_erased_and_left(state, "d1") == (1, ["ben"])


def test_erasing_leaves_nothing_of_what_a_customer_got_and_others_theirs(state: State, memory: MemoryStore) -> None:
    gone = DecisionPart("cleo", Items(["product_id", "score"], [("tea-1", 1.0)]))
    stays = DecisionPart("ben", Items(["product_id", "score"], [("milk-1", 2.0)]))
    state.record(DecisionRecord("d3", "recommendations", MONDAY, "m", (gone, stays))).result()
    assert b"tea-1" in memory.documents["decision/d3"].value
    state.erase("cleo", NOW)
    assert not any(b"tea-1" in each.value for each in memory.documents.values())
    found = state.decision("d3")
    assert found is not None
    assert (found.n_erased, found.record.parts) == (1, (stays,))


def test_erasing_again_finds_nothing_more(state: State) -> None:
    state.erase("anna", NOW)
    counts = state.erase("anna", NOW + 1).counts
    assert (counts["events"], counts["decisions"]) == (0, 0)


def test_an_erasure_that_broke_off_goes_on_where_it_was(state: State, memory: MemoryStore) -> None:
    state.forget("anna", NOW)
    del memory.documents["log/anna/1"]
    receipt = state_on(memory).erase("guest-anna", NOW + DAY)
    assert (receipt.erased_us, receipt.counts["events"]) == (NOW, 1)


def test_whoever_reads_the_retailers_rows_again_knows_who_was_erased_and_when(state: State) -> None:
    state.erase("anna", NOW)
    state.finish_erasure("anna")
    erased = state.erased()
    assert erased.moment_us("guest-anna") == NOW
    assert erased.moment_us("ben") is None


def test_what_is_told_of_the_time_before_is_only_counted_and_what_comes_after_is_a_new_life(state: State) -> None:
    state.forget("anna", NOW)
    old = [event("old", at=NOW, accepted_us=NOW + 5), event("1"), event("old 2", customer_id="guest-anna", at=MONDAY)]
    assert accept(state, old).accepted == 2
    assert state.live("anna").events == ()
    accept(state, [event("new", at=NOW + 1)])
    live = state.live("anna")
    assert [each.event_id for each in live.events] == ["new"]
    assert (live.is_erased, live.erased_us) == (True, NOW)
    state.erase("anna", NOW + DAY)
    assert [each.event_id for each in state.log()] == ["new", "3"]


def test_a_repeat_from_before_is_no_new_event(state: State) -> None:
    state.erase("anna", NOW)
    state.finish_erasure("anna")
    assert accept(state, [event("1", at=NOW + 1), event("2", customer_id="guest-anna", at=NOW + 1)]).duplicates == 2


def test_who_was_erased_is_not_merged_back_by_an_old_value(state: State) -> None:
    state.forget("anna", NOW)
    mail = Identity("cleo", "email", "ann@example.com")
    assert state.link([mail], is_loyal=lambda _: False, now_us=NOW).merged == ()
    assert state.customer_of("email", "ann@example.com") == "cleo"


def test_the_old_row_of_an_erased_one_who_came_back_and_was_merged_stays_hidden(state: State) -> None:
    state.erase("anna", NOW)
    accept(state, [event("new", at=NOW + 1)])
    pair = [Identity(each, "email", "new@example.com") for each in ("cleo", "anna")]
    accept(state, [event("c", customer_id="cleo", at=MONDAY)])
    assert state.link(pair, is_loyal=lambda _: False, now_us=NOW + 2).merged[0].customer_id == "anna"
    live = state.live("anna")
    assert (live.customer_id, live.also, live.is_erased) == ("cleo", (), False)
    assert [each.event_id for each in live.events] == ["c", "new"]
    accept(state, [event("old again", at=MONDAY)])
    assert len(state.live("cleo").events) == 2


def test_a_decision_that_is_recorded_late_counts_the_erased_one(state: State, memory: MemoryStore) -> None:
    state.forget("anna", NOW)
    assert state.record(decision("late", "anna", "ben", at_us=NOW)).result()
    assert n_erased_and_left(state, "late") == (1, ["ben"])
    assert memory.scan("of/anna/late") == []
    state.record(decision("after", "anna", at_us=NOW + 1)).result()
    assert n_erased_and_left(state, "after") == (0, ["anna"])


def test_who_asks_again_while_the_erasure_is_carried_out_stays_on_the_list(state: State) -> None:
    state.erase("anna", NOW)
    state.forget("anna", NOW + DAY)
    state.finish_erasure("anna")
    state.finish_erasure("guest-anna")
    assert state.erased().pending == {"anna": NOW + DAY}


def test_one_of_two_who_were_one_can_be_forgotten_again_alone(state: State) -> None:
    state.forget("anna", NOW)
    accept(state, [event("new", customer_id="guest-anna", at=NOW + 1)])
    state.forget("anna", NOW + DAY)
    assert state.erase("anna", NOW + 2 * DAY).counts["events"] == 2
    assert [each.event_id for each in state.live("guest-anna").events] == ["new"]


def test_being_forgotten_twice_holds_up_to_the_later_moment(state: State) -> None:
    state.forget("anna", NOW)
    accept(state, [event("new", at=NOW + 1)])
    state.forget("anna", NOW + DAY)
    assert state.live("anna").erased_us == NOW + DAY
    receipt = state.erase("anna", NOW + 2 * DAY)
    assert sorted(receipt.customer_ids) == ["anna", "guest-anna"]
    assert [each.event_id for each in state.log()] == ["3"]
    assert receipt.counts["events"] == 3


def test_a_decision_for_a_later_moment_goes_with_whoever_was_forgotten_after_it_was_made(
    state: State, memory: MemoryStore
) -> None:
    ahead = replace(decision("d9", "anna", at_us=NOW + 7 * DAY), made_us=NOW - HOUR)
    state.record(ahead).result()
    assert n_erased_and_left(state, "d9") == (0, ["anna"])
    state.forget("anna", NOW)
    assert n_erased_and_left(state, "d9") == (1, [])
    state.erase("anna", NOW)
    state.finish_erasure("anna")
    assert not any("anna" in key for key in memory.documents)
    assert n_erased_and_left(state, "d9") == (1, [])


class LinkedMeanwhile(MemoryStore):
    """A store in which another worker merges cleo and anna just before anna is forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.other: State | None = None

    def commit(self, commit: Commit) -> bool:
        if self.other is not None:
            other, self.other = self.other, None
            pair = [Identity(each, "email", "new@example.com") for each in ("anna", "cleo")]
            other.link(pair, is_loyal=lambda each: each == "cleo", now_us=MONDAY)
        return super().commit(commit)


def test_who_is_merged_just_before_being_forgotten_is_forgotten_under_both_ids() -> None:
    memory = LinkedMeanwhile()
    state = state_on(memory)
    accept(state, [event("1"), event("2", customer_id="cleo")])
    memory.other = state_on(memory)
    state.forget("anna", NOW)
    assert state.customer_of("email", "new@example.com") is None
    assert [state.live(each).events for each in ("anna", "cleo")] == [(), ()]
    assert state.live("cleo").is_erased


class AskedAgainMeanwhile(MemoryStore):
    """A store in which anna asks again while the state is being scrubbed of her."""

    def __init__(self) -> None:
        super().__init__()
        self.other: State | None = None

    def scrub(self) -> None:
        super().scrub()
        if self.other is not None:
            other, self.other = self.other, None
            other.forget("anna", NOW + DAY)


def test_who_asks_again_while_the_state_is_scrubbed_of_them_stays_on_the_list() -> None:
    memory = AskedAgainMeanwhile()
    state = state_on(memory)
    memory.other = state_on(memory)
    assert state.erase("anna", NOW).erased_us == NOW
    state.finish_erasure("anna")
    assert state.erased().pending == {"anna": NOW + DAY}
