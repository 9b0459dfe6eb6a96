from __future__ import annotations

import pytest

from serving.state.codec import decode
from serving.state.merging import Identity, Linked, Merged
from serving.state.shop import State
from serving.state.store import Commit
from tests.serving.state.builders import BREAD, HOUR, MILK, MONDAY, MONDAY_DAY, accept, answer, event, state_on
from tests.serving.state.memory_store import MemoryStore

MAIL = "ann@example.com"


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def state(memory: MemoryStore) -> State:
    return state_on(memory)


def link(state: State, *pairs: tuple[str, str], now_us: int = MONDAY, kind: str = "email") -> Linked:
    """Link customers to values; those whose id begins with `loyal` are known to the bundle."""
    identities = [Identity(customer_id, kind, value) for customer_id, value in pairs]
    return state.link(identities, is_loyal=lambda customer_id: customer_id.startswith("loyal"), now_us=now_us)


def test_a_value_names_its_customer_and_is_never_kept(state: State, memory: MemoryStore) -> None:
    assert link(state, ("anna", MAIL)) == Linked(1, (), ())
    assert state.customer_of("email", " ANN@example.com") == "anna"
    assert state.customer_of("email", "ben@example.com") is None
    assert state.customer_of("phone", "none") is None
    assert not any("example" in key or b"example" in each.value for key, each in memory.documents.items())


def test_an_empty_value_is_rejected_by_its_place(state: State) -> None:
    assert link(state, ("anna", "030"), ("ben", "n/a"), kind="phone") == Linked(1, (), (1,))


def test_linking_the_same_again_changes_nothing(state: State, memory: MemoryStore) -> None:
    link(state, ("anna", MAIL))
    documents = dict(memory.documents)
    assert link(state, ("anna", MAIL), now_us=MONDAY + 1) == Linked(1, (), ())
    assert memory.documents == documents


def test_two_who_share_a_value_are_one_with_both_histories(state: State) -> None:
    accept(state, [event("1", at=MONDAY + 1, accepted_us=MONDAY), event("2", customer_id="ben")])
    assert link(state, ("anna", MAIL), ("ben", MAIL)).merged == (Merged("ben", "anna"),)
    for customer_id in ("anna", "ben"):
        live = state.live(customer_id)
        assert (live.customer_id, live.also) == ("anna", ("ben",))
        assert [each.event_id for each in live.events] == ["2", "1"]
        assert state.resolve(customer_id) == "anna"
    assert {each.event_id: each.customer_id for each in state.log()} == {"1": "anna", "2": "anna"}
    assert state.aliases() == {"ben": "anna"}


def test_what_is_told_of_the_id_that_went_belongs_to_the_one_that_stays(state: State) -> None:
    link(state, ("anna", MAIL), ("ben", MAIL))
    accept(state, [event("1", customer_id="ben"), event("2")])
    state.put_consent("ben", {"email": True}, MONDAY)
    assert len(state.live("anna").events) == 2
    assert list(state.consents()) == ["anna"]


def test_a_repeat_is_a_duplicate_under_either_id(state: State) -> None:
    accept(state, [event("1", customer_id="ben")])
    link(state, ("anna", MAIL), ("ben", MAIL))
    assert accept(state, [event("1"), event("1", customer_id="ben")]).duplicates == 2


@pytest.mark.parametrize("order", [("guest", "loyal-1"), ("loyal-1", "guest")])
def test_a_loyal_customer_stays_before_an_older_guest(state: State, order: tuple[str, str]) -> None:
    accept(state, [event("1", customer_id="guest", at=MONDAY - HOUR)])
    link(state, *((each, MAIL) for each in order))
    assert state.resolve("guest") == "loyal-1"


def test_a_guest_whom_a_later_bundle_knows_stays_although_it_went_before(state: State) -> None:
    link(state, ("guest-1", "1"), ("guest-2", "1"))
    accept(state, [event("1", customer_id="another", at=MONDAY - HOUR)])
    pair = [Identity(each, "email", "2") for each in ("another", "guest-1")]
    state.link(pair, is_loyal=lambda customer_id: customer_id == "guest-2", now_us=MONDAY)
    assert state.resolve("another") == "guest-1"


def test_of_two_alike_the_one_seen_first_stays_then_the_lesser_id(state: State) -> None:
    accept(state, [event("1", customer_id="loyal-2")])
    link(state, ("loyal-1", MAIL), ("loyal-2", MAIL), now_us=MONDAY + HOUR)
    assert state.resolve("loyal-1") == "loyal-2"
    link(state, ("b", "x"), ("a", "x"))
    assert state.resolve("b") == "a"


def test_merges_of_merges_lead_to_the_one_that_stays(state: State, memory: MemoryStore) -> None:
    link(state, ("d", "1"), ("c", "1"), ("b", "2"), ("a", "2"), ("d", "3"), ("b", "3"))
    assert {each: state.resolve(each) for each in "abcd"} == dict.fromkeys("abcd", "a")
    assert sorted(state.live("d").also) == ["b", "c", "d"]
    assert [state.customer_of("email", each) for each in "123"] == ["a", "a", "a"]
    documents = memory.read([f"person/{each}" for each in "bcd"])
    assert [each and decode(each.value)["into"] for each in documents] == ["a", "a", "a"]


def test_a_refusal_wins(state: State) -> None:
    state.put_consent("anna", {"email": True, "push": True}, MONDAY)
    state.put_consent("ben", {"push": True}, MONDAY - 1)
    link(state, ("anna", MAIL), ("ben", MAIL))
    consent = state.live("ben").consent
    assert consent is not None
    assert (consent["email"], consent["push"]) == (False, True)


def test_purchases_of_both_count_towards_the_challenge_that_stays(state: State) -> None:
    state.issue("anna", MONDAY_DAY, answer(MILK, BREAD, decision_id="ours"), MONDAY)
    state.issue("ben", MONDAY_DAY, answer(MILK, decision_id="theirs"), MONDAY + HOUR)
    accept(state, [event("1", "milk-1"), event("2", "bread-1", customer_id="ben", at=MONDAY + HOUR)])
    link(state, ("anna", MAIL), ("ben", MAIL))
    kept = state.challenge("ben", MONDAY_DAY)
    assert kept is not None
    assert kept.decision_id == "ours"
    assert kept.progress()["completed_at"] == "2018-01-01T01:00:00Z"
    view = state.customer("anna")
    assert view is not None
    assert [each.decision_id for each in view.rewards] == ["ours"]


def test_rewards_that_both_had_are_both_kept_and_none_is_granted_again(state: State) -> None:
    for customer_id in ("anna", "ben"):
        state.issue(customer_id, MONDAY_DAY, answer(MILK, decision_id=f"of {customer_id}"), MONDAY)
        accept(state, [event(customer_id, customer_id=customer_id)])
    link(state, ("anna", MAIL), ("ben", MAIL))
    view = state.customer("ben")
    assert view is not None
    assert sorted(each.decision_id for each in view.rewards) == ["of anna", "of ben"]
    assert accept(state, [event("more")]).completed == ()


def test_purchases_that_only_the_log_knows_are_counted_when_two_become_one(memory: MemoryStore) -> None:
    state = state_on(memory, events_per_customer=10)
    accept(state, [event("milk", "milk-1", customer_id="ben")])
    views = [event(f"{n}", type="view", customer_id="ben", at=MONDAY + n) for n in range(1, 20)]
    accept(state, views)
    state.issue("anna", MONDAY_DAY, answer(MILK, BREAD), MONDAY)
    link(state, ("anna", MAIL), ("ben", MAIL))
    kept = state.challenge("anna", MONDAY_DAY)
    assert kept is not None
    assert kept.is_done == (True, False)


class LinkedMeanwhile(MemoryStore):
    """A store in which another worker links ben just before anna's link is committed."""

    def __init__(self) -> None:
        super().__init__()
        self.other: State | None = None

    def commit(self, commit: Commit) -> bool:
        if self.other is not None:
            other, self.other = self.other, None
            link(other, ("ben", MAIL))
        return super().commit(commit)


def test_two_who_are_given_a_value_at_the_same_moment_are_one() -> None:
    memory = LinkedMeanwhile()
    state = state_on(memory)
    memory.other = state_on(memory)
    assert link(state, ("anna", MAIL)).merged == (Merged("ben", "anna"),)
    assert state.resolve("ben") == state.customer_of("email", MAIL) == "anna"


def test_the_view_tells_kinds_and_merged_ids_and_no_value(state: State) -> None:
    link(state, ("anna", MAIL), ("ben", MAIL))
    link(state, ("ben", "0301234"), kind="phone")
    view = state.customer("ben")
    assert view is not None
    assert (view.customer_id, view.also, view.identity_kinds) == ("anna", ("ben",), ("email", "phone"))
