from __future__ import annotations

import itertools
from collections import Counter

import pytest

from serving.errors import StateUnavailable, StateUnfit
from serving.state.codec import decode
from serving.state.known import Live
from serving.state.merging import Identity
from serving.state.shop import State
from serving.state.store import Commit
from tests.serving.state.builders import (
    DAY,
    HOUR,
    KINDS,
    MONDAY,
    accept,
    event,
    state_on,
)
from tests.serving.state.memory_store import MemoryStore


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def state(memory: MemoryStore) -> State:
    return state_on(memory)


def counts(memory: MemoryStore) -> Counter[str]:
    found: Counter[str] = Counter()
    for key, document in memory.scan("counts/"):
        found.update({f"{key.split('/')[1]} {name}": n for name, n in decode(document.value)["n"].items()})
    return found


def holds(memory: MemoryStore, text: str) -> bool:
    return any(text in key or text.encode() in document.value for key, document in memory.documents.items())


def test_nobody_is_known_at_first(state: State) -> None:
    assert state.live("anna") == Live("anna")
    assert state.customer("anna") is None


def test_what_was_accepted_is_known_from_the_next_call_on(state: State) -> None:
    done = accept(state, [event("1"), event("2", customer_id="ben")])
    assert (done.accepted, done.duplicates) == (2, 0)
    assert state.live("anna").events == (event("1"),)
    assert state.live("ben").events == (event("2", customer_id="ben"),)


def test_no_events_are_none_accepted(state: State) -> None:
    assert accept(state, []).accepted == 0


def test_a_repeat_is_a_duplicate_in_the_call_and_after_it_and_after_a_restart(
    state: State, memory: MemoryStore
) -> None:
    assert accept(state, [event("1"), event("1", "bread-1")]).duplicates == 1
    assert accept(state, [event("1")]).duplicates == 1
    assert accept(state_on(memory), [event("1")]).duplicates == 1
    assert state.live("anna").events == (event("1"),)


def test_an_id_is_one_event_whoever_sends_it(state: State) -> None:
    done = accept(state, [event("1"), event("1", customer_id="ben")])
    assert (done.accepted, done.duplicates) == (1, 1)
    assert state.live("ben").events == ()


def test_only_what_happened_before_the_moment_asked_about_counts(state: State) -> None:
    accept(state, [event("late", at=MONDAY + 1), event("early", at=MONDAY)])
    assert [each.event_id for each in state.live("anna").events] == ["early", "late"]
    assert [each.event_id for each in state.live("anna", before_us=MONDAY + 1).events] == ["early"]
    assert state.live("anna", before_us=MONDAY).events == ()


def test_many_customers_are_read_at_once_by_the_ids_asked_for(state: State) -> None:
    accept(state, [event("1"), event("2", customer_id="ben")])
    state.link([Identity(each, "email", "a@b") for each in ("anna", "ben")], is_loyal=lambda _: False, now_us=MONDAY)
    lives = state.lives(["ben", "nobody", "ben"], before_us=MONDAY + 1)
    assert list(lives) == ["ben", "nobody"]
    assert lives["ben"].customer_id == "anna"
    assert len(lives["ben"].events) == 2


def test_the_newest_events_of_a_customer_are_known_and_the_log_has_all(memory: MemoryStore) -> None:
    state = state_on(memory, events_per_customer=10)
    for start in range(0, 30, 5):
        accept(state, [event(f"{n:02}", at=MONDAY + n) for n in range(start, start + 5)])
    assert [each.event_id for each in state.live("anna").events] == [str(n) for n in range(20, 30)]
    assert len(list(state.log())) == 30


# Without consent


def test_without_consent_only_counts_go_up(state: State, memory: MemoryStore) -> None:
    state.put_consent("anna", {"personalize": False, "email": True}, MONDAY)
    sent = [event("secret-1"), event("secret-2", at=MONDAY + DAY), event("secret-3", type="view")]
    done = accept(state, sent)
    assert done.accepted == 3
    assert state.live("anna").events == ()
    assert list(state.log()) == []
    assert not holds(memory, "secret")
    assert not any("anna" in key for key in memory.documents if not key.startswith("person/"))
    assert counts(memory) == {"17532 purchase": 1, "17533 purchase": 1, "17532 view": 1}


def test_a_repeat_is_a_duplicate_although_consent_was_given_or_withdrawn_between(state: State) -> None:
    state.put_consent("anna", {}, MONDAY)
    accept(state, [event("1")])
    state.put_consent("anna", {"personalize": True}, MONDAY + 1)
    assert accept(state, [event("1"), event("2")]).duplicates == 1
    state.put_consent("anna", {}, MONDAY + 2)
    assert accept(state, [event("1"), event("2")]).duplicates == 2
    assert [each.event_id for each in state.live("anna").events] == ["2"]


def test_consent_is_judged_by_what_is_known_of_the_customer_once_a_call(state: State) -> None:
    asked = []

    def judge(live: Live) -> bool:
        asked.append(live.customer_id)
        return live.customer_id == "anna"

    events = [event("1"), event("2"), event("3", customer_id="ben")]
    assert state.accept(events, may_keep=judge, kind_of=KINDS.get).accepted == 3
    assert sorted(asked) == ["anna", "ben"]
    assert [each.event_id for each in state.log()] == ["1", "2"]


def test_counts_of_many_calls_add_up(state: State, memory: MemoryStore) -> None:
    state.put_consent("anna", {}, MONDAY)
    for n in range(40):
        accept(state, [event(f"{n}")])
    assert counts(memory) == {"17532 purchase": 40}


def test_an_unsubscribe_holds_from_the_next_call_on_also_without_consent_to_personalize(
    state: State, memory: MemoryStore
) -> None:
    accept(state, [event("1", None, type="unsubscribe", channel="email")])
    assert state.live("anna").consent == {"email": False}
    refused = State.accept(
        state,
        [event("2", None, type="unsubscribe", channel="sms", customer_id="ben")],
        may_keep=lambda live: False,
        kind_of=KINDS.get,
    )
    assert refused.accepted == 1
    assert state.live("ben").consent == {"sms": False}
    assert [each.event_id for each in state.log()] == ["1"]
    assert counts(memory) == {"17532 unsubscribe": 1}


def test_a_whole_consent_takes_the_place_of_what_was_said_before(state: State) -> None:
    accept(state, [event("1", None, type="unsubscribe", channel="email")])
    state.put_consent("anna", {"personalize": True, "email": True}, MONDAY + 1)
    whole = {"personalize": True, "email": True, "sms": False, "push": False, "location": False}
    assert state.live("anna").consent == whole
    assert state.consents() == {"anna": whole}


# When things go wrong


class ForestalledStore(MemoryStore):
    """A store in which another worker is first with the next few commits that expect something."""

    def __init__(self, n_lost: int) -> None:
        super().__init__()
        self.n_lost = n_lost

    def commit(self, commit: Commit) -> bool:
        if commit.expect and self.n_lost:
            self.n_lost -= 1
            return False
        return super().commit(commit)


def test_a_commit_that_others_forestalled_is_tried_again() -> None:
    state = state_on(ForestalledStore(5))
    assert accept(state, [event("1"), event("2", customer_id="ben")]).accepted == 2
    assert len(list(state.log())) == 2


def test_a_customer_who_is_changed_all_the_time_is_busy() -> None:
    with pytest.raises(StateUnavailable, match="busy") as caught:
        accept(state_on(ForestalledStore(10_000)), [event("1")])
    assert "anna" not in str(caught.value)


def test_a_lost_store_is_said_and_nothing_is_lost_when_it_comes_back(state: State, memory: MemoryStore) -> None:
    accept(state, [event("1")])
    memory.is_away = True
    for attempt in (
        lambda: accept(state, [event("2")]),
        lambda: state.live("anna"),
        lambda: state.known("anna"),
        lambda: state.forget("anna", MONDAY),
    ):
        with pytest.raises(StateUnavailable):
            attempt()
    memory.is_away = False
    assert accept(state, [event("1"), event("2")]).accepted == 1


def test_a_state_of_a_newer_version_is_refused_in_one_line(state: State, memory: MemoryStore) -> None:
    memory.commit(Commit(put={"person/anna": b'{"v":99}'}))
    with pytest.raises(StateUnfit, match="newer tercet"):
        state.live("anna")


def test_whatever_the_order_and_the_calls_the_customer_is_the_same() -> None:
    events = [event("1", "milk-1"), event("2", "tea-1", at=MONDAY + HOUR), event("3", type="view"), event("1")]
    lives = []
    for order in itertools.permutations(events):
        state = state_on()
        for each in order:
            accept(state, [each])
        lives.append(state.live("anna"))
    assert all(live == lives[0] for live in lives)
