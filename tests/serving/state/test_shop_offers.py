"""Offers in the state: promised whole or not at all, redeemed once, given back in time, never over a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from serving.errors import StateUnavailable
from serving.state.accepting import Accepted
from serving.state.events import Event, EventType
from serving.state.holds import Hold, KeptAnswer, Promise, Promised, Spending
from serving.state.merging import Identity
from serving.state.sends import sent_id
from serving.state.shop import State
from tests.serving.state.builders import DAY, HOUR, KINDS, MONDAY, SECOND, event, may_keep, state_on
from tests.serving.state.memory_store import MemoryStore

MINUTE = 60 * SECOND
COSTS = {"spring": 2.0, "summer": 3.0}
BUDGETS = {"spring": 5.0}
KEY = "offers/web"


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def state(memory: MemoryStore) -> State:
    return state_on(memory)


def kept(at: int = MONDAY, *, key: str = KEY, name: str = "d1") -> KeptAnswer:
    return KeptAnswer(key, "f", at, at + DAY, {"decision_id": name})


def hold(offer_id: str = "spring", at: int = MONDAY, *, hours: float = 24) -> Hold:
    return Hold(offer_id, COSTS[offer_id] if offer_id in BUDGETS else 0.0, at, at + round(hours * HOUR))


def promise_of(*holds: Hold, at: int = MONDAY, sends: Sequence[Event] = (), name: str = "d1") -> Promise:
    return Promise(kept(at, name=name), holds, {h.offer_id: BUDGETS[h.offer_id] for h in holds if h.cost}, tuple(sends))


def promise(state: State, who: str, *holds: Hold, at: int = MONDAY, now: int | None = None) -> Promised:
    return state.promise(who, promise_of(*holds, at=at), now_us=at if now is None else now)


def redeem(event_id: str, who: str = "anna", *, at: int = MONDAY + HOUR, offer_id: str = "spring") -> Event:
    return event(event_id, None, type="redeem", at=at, customer_id=who, offer_id=offer_id)


def tell(state: State, *events: Event, agrees: bool = True) -> Accepted:
    return state.accept(
        events, may_keep=may_keep if agrees else lambda _live: False, kind_of=KINDS.get, cost_of=COSTS.get
    )


def spending(state: State, at: int = MONDAY, offer_id: str = "spring") -> tuple[float, float]:
    found = state.spending([offer_id], at_us=at).get(offer_id, Spending())
    return found.reserved, found.spent


def test_what_is_promised_is_held_and_its_money_reserved(state: State) -> None:
    done = promise(state, "anna", hold(), hold("summer"))
    assert done == Promised(kept())
    assert {each.offer_id for each in state.live("anna").held_at(MONDAY + HOUR)} == {"spring", "summer"}
    assert spending(state) == (2.0, 0.0)
    assert spending(state, offer_id="summer") == (0.0, 0.0)


def test_nothing_of_a_promise_is_kept_when_one_budget_has_not_enough_left(state: State) -> None:
    assert promise(state, "anna", hold()).kept is not None
    assert promise(state, "ben", hold()).kept is not None
    refused = promise(state, "cleo", hold(), hold("summer"))
    assert refused == Promised(None, frozenset({"spring"}))
    assert state.live("cleo").holds == ()
    assert state.known("cleo", asked=KEY).kept == {}
    assert spending(state) == (4.0, 0.0)


def test_a_budget_is_used_to_its_last_part(state: State) -> None:
    for n in range(10):
        each = Promise(kept(), (replace(hold(), cost=0.1),), {"spring": 1.0})
        assert state.promise(f"c{n}", each, now_us=MONDAY).kept is not None
    assert spending(state) == (1.0, 0.0)
    last = Promise(kept(), (replace(hold(), cost=0.0001),), {"spring": 1.0})
    assert state.promise("late", last, now_us=MONDAY).refused == {"spring"}


def test_a_kept_answer_is_known_again_and_the_latest_of_what_was_asked_stands(state: State) -> None:
    promise(state, "anna")
    state.promise("anna", promise_of(name="d2"), now_us=MONDAY)
    assert state.known("anna", asked=KEY).kept[KEY].answer == {"decision_id": "d2"}
    assert state.known("anna", asked="offers/email").kept == {}
    assert state.known("anna").kept == {}


def test_a_promise_by_what_has_changed_since_is_not_kept(state: State) -> None:
    known = state.known("anna", offers=BUDGETS, asked=KEY)
    tell(state, event("e1"))
    stale = replace(promise_of(hold()), basis=known.basis)
    assert state.promise("anna", stale, now_us=MONDAY) == Promised(None)
    fresh = replace(stale, basis=state.known("anna", offers=BUDGETS, asked=KEY).basis)
    assert state.promise("anna", fresh, now_us=MONDAY).kept == kept()
    assert state.promise("anna", fresh, now_us=MONDAY) == Promised(None)


def test_of_two_promises_by_the_same_facts_one_is_kept(state: State) -> None:
    promises = [replace(promise_of(hold(), name=name), basis=state.known("anna", asked=KEY).basis) for name in "ab"]
    done = [state.promise("anna", each, now_us=MONDAY) for each in promises]
    assert sorted(each.kept is not None for each in done) == [False, True]
    assert spending(state) == (2.0, 0.0)


def test_many_promises_stop_at_the_budget(state: State) -> None:
    promises = [(f"c{n}", promise_of(hold(), name=f"d{n}")) for n in range(5)]
    done = [state.promise(who, each, now_us=MONDAY) for who, each in promises]
    assert sum(each.kept is not None for each in done) == 2
    assert {each.kept.answer["decision_id"] for each in done if each.kept} <= {f"d{n}" for n in range(5)}
    for (who, _), each in zip(promises, done, strict=True):
        assert bool(state.live(who).holds) is (each.kept is not None)


def test_redeeming_turns_what_was_reserved_into_spent_money_once(state: State) -> None:
    promise(state, "anna", hold())
    assert tell(state, redeem("r1")).accepted == 1
    assert tell(state, redeem("r1")).duplicates == 1
    assert spending(state) == (0.0, 2.0)
    assert state.live("anna").held_at(MONDAY + 2 * HOUR) == ()
    assert spending(state, MONDAY + 9 * DAY) == (0.0, 2.0)


def test_a_second_redemption_without_a_hold_is_spent_whatever_is_left(state: State) -> None:
    promise(state, "anna", hold())
    for n in range(3):
        tell(state, redeem(f"r{n}"))
    assert spending(state) == (0.0, 6.0)
    assert promise(state, "ben", hold()).refused == {"spring"}


def test_a_budget_that_was_spent_without_any_hold_is_refused(state: State) -> None:
    tell(state, redeem("r1"), redeem("r2", "ben"))
    assert promise(state, "cleo", hold()).refused == {"spring"}
    assert promise(state, "dora", hold("summer")).kept is not None


def test_redemptions_of_what_is_not_known_spend_nothing(state: State) -> None:
    tell(state, redeem("r1", offer_id="a reward"), redeem("r2", offer_id="summer"))
    assert state.spending(["a reward", "summer"], at_us=MONDAY) == {"summer": Spending(0.0, 3.0)}


def test_what_was_held_without_a_budget_spends_the_offers_cost(state: State) -> None:
    promise(state, "anna", hold("summer"))
    tell(state, redeem("r1", offer_id="summer"))
    assert spending(state, offer_id="summer") == (0.0, 3.0)


def test_what_has_ended_comes_back_within_a_minute_and_once(state: State) -> None:
    promise(state, "anna", hold())
    end = MONDAY + DAY
    assert spending(state, end - 1) == (2.0, 0.0)
    assert spending(state, end) == (0.0, 0.0)
    assert state.sweep(end - 1)
    assert spending(state, end - 1) == (2.0, 0.0)
    assert state.sweep(end)
    assert not state.sweep(end)
    assert not state.sweep(end + 1)
    assert spending(state) == (0.0, 0.0)


def test_a_full_budget_makes_room_by_itself_when_holds_have_ended(state: State) -> None:
    for who in ("anna", "ben"):
        promise(state, who, hold())
    assert promise(state, "cleo", hold(at=MONDAY + HOUR), at=MONDAY + HOUR).refused == {"spring"}
    assert promise(state, "cleo", hold(at=MONDAY + DAY), at=MONDAY + DAY).kept is not None
    assert spending(state, MONDAY + DAY) == (2.0, 0.0)


@pytest.mark.parametrize("at", [MONDAY + HOUR, MONDAY + DAY - 1, MONDAY + DAY, MONDAY + 3 * DAY])
@pytest.mark.parametrize("is_swept", [True, False])
def test_a_redemption_that_arrives_after_the_end_spends_what_was_promised_once(
    state: State, at: int, is_swept: bool
) -> None:
    promise(state, "anna", hold())
    if is_swept:
        state.sweep(MONDAY + 2 * DAY)
    tell(state, redeem("r1", at=at))
    state.sweep(MONDAY + 4 * DAY)
    assert spending(state, MONDAY + 4 * DAY) == (0.0, 2.0)


def test_a_redemption_from_before_the_hold_leaves_it_standing(state: State) -> None:
    promise(state, "anna", hold())
    tell(state, redeem("r1", at=MONDAY - 1))
    assert spending(state) == (2.0, 2.0)
    assert state.live("anna").held_at(MONDAY + 1) != ()


def test_a_longer_hold_takes_the_place_of_a_shorter_one_and_its_money(state: State) -> None:
    promise(state, "anna", hold())
    promise(state, "ben", hold())
    longer = promise(state, "anna", hold(at=MONDAY + HOUR, hours=48), at=MONDAY + HOUR)
    assert longer.kept is not None
    assert spending(state, MONDAY + HOUR) == (4.0, 0.0)
    assert spending(state, MONDAY + DAY) == (2.0, 0.0)
    tell(state, redeem("r1", at=MONDAY + 2 * HOUR))
    assert spending(state, MONDAY + DAY) == (0.0, 2.0)


def test_for_a_moment_to_come_what_ends_by_then_is_free(state: State) -> None:
    for who in ("anna", "ben"):
        promise(state, who, hold())
    soon, later = MONDAY + 2 * HOUR, MONDAY + 2 * DAY
    assert promise(state, "cleo", hold(at=soon), at=soon, now=MONDAY).refused == {"spring"}
    assert promise(state, "cleo", hold(at=later), at=later, now=MONDAY).kept is not None
    assert promise(state, "dora", hold(at=later), at=later, now=MONDAY).kept is not None
    assert promise(state, "emil", hold(at=later), at=later, now=MONDAY).refused == {"spring"}
    assert spending(state) == (8.0, 0.0)
    assert spending(state, later) == (4.0, 0.0)


def test_for_a_moment_that_has_passed_by_the_clock_money_is_reserved_as_it_was_then(state: State) -> None:
    now = MONDAY + 900 * DAY
    for who in ("anna", "ben"):
        assert promise(state, who, hold(), now=now).kept is not None
    assert promise(state, "cleo", hold(), now=now).refused == {"spring"}
    assert promise(state, "cleo", hold(at=MONDAY + DAY), at=MONDAY + DAY, now=now).kept is not None


def test_a_hold_of_a_moment_that_was_given_back_already_is_reserved_until_the_next_minute(state: State) -> None:
    promise(state, "anna", hold())
    state.sweep(MONDAY + 2 * DAY)
    for who in ("ben", "cleo"):
        assert promise(state, who, hold(), now=MONDAY + 2 * DAY).kept is not None
    assert promise(state, "dora", hold(), now=MONDAY + 2 * DAY).refused == {"spring"}
    assert spending(state, MONDAY + 2 * DAY) == (4.0, 0.0)
    tell(state, redeem("r1", "ben", at=MONDAY + HOUR))
    assert spending(state, MONDAY + 2 * DAY + MINUTE) == (0.0, 2.0)


def test_the_past_sees_what_was_held_then(state: State) -> None:
    promise(state, "anna", hold())
    tell(state, redeem("r1", at=MONDAY + 2 * HOUR))
    assert state.live("anna", before_us=MONDAY - 1).holds == ()
    then = state.live("anna", before_us=MONDAY + HOUR)
    assert [each.offer_id for each in then.held_at(MONDAY + HOUR)] == ["spring"]
    assert state.live("anna").held_at(MONDAY + HOUR) == ()


def test_an_offer_that_both_of_a_merged_customer_held_is_held_once(state: State) -> None:
    promise(state, "anna", hold())
    promise(state, "guest", hold(hours=48), hold("summer"))
    for who in ("anna", "guest"):
        state.link([Identity(who, "email", "a@b")], is_loyal=lambda name: name == "anna", now_us=MONDAY)
    assert spending(state) == (2.0, 0.0)
    assert [(each.offer_id, each.until_us - MONDAY) for each in state.live("guest").held_at(MONDAY + HOUR)] == [
        ("spring", 2 * DAY),
        ("summer", DAY),
    ]
    assert spending(state, MONDAY + DAY) == (2.0, 0.0)
    tell(state, redeem("r1", "guest"))
    assert spending(state, MONDAY + HOUR) == (0.0, 2.0)


def test_twins_that_become_one_give_one_of_two_equal_holds_back(state: State) -> None:
    for who in ("anna", "guest"):
        promise(state, who, hold())
        state.link([Identity(who, "email", "a@b")], is_loyal=lambda name: name == "anna", now_us=MONDAY)
    assert spending(state) == (2.0, 0.0)


def test_a_promise_to_an_id_that_was_merged_is_one_to_the_id_that_stands(state: State) -> None:
    for who in ("anna", "guest"):
        state.link([Identity(who, "email", "a@b")], is_loyal=lambda name: name == "anna", now_us=MONDAY)
    known = state.known("guest", offers=BUDGETS, asked=KEY)
    assert state.promise("guest", replace(promise_of(hold()), basis=known.basis), now_us=MONDAY).kept is not None
    assert state.known("anna", asked=KEY).kept == {KEY: kept()}
    again = state.known("guest", offers=BUDGETS, asked=KEY)
    assert (again.kept, again.spending) == ({KEY: kept()}, {"spring": Spending(2.0, 0.0)})
    tell(state, event("e1", customer_id="guest"))
    assert state.promise("guest", replace(promise_of(), basis=again.basis), now_us=MONDAY) == Promised(None)


def test_forgetting_gives_money_back_and_leaves_no_trace(state: State, memory: MemoryStore) -> None:
    promise(state, "anna", hold(), hold("summer"))
    promise(state, "ben", hold())
    state.forget("anna", MONDAY + HOUR)
    assert spending(state) == (2.0, 0.0)
    assert state.live("anna").holds == ()
    assert state.known("anna", asked=KEY).kept == {}
    assert state.erase("anna", MONDAY + 2 * HOUR).counts["holds"] == 2
    state.finish_erasure("anna")
    assert not any("anna" in key or b"anna" in each.value for key, each in memory.documents.items())


def test_what_is_told_without_consent_spends_and_leaves_no_trace_of_the_redemption(
    state: State, memory: MemoryStore
) -> None:
    promise(state, "anna", hold())
    tell(state, redeem("secret"), redeem("secret-2", "zoe"), agrees=False)
    assert spending(state) == (0.0, 4.0)
    assert state.live("anna").holds == ()
    assert state.live("anna").events == ()
    tell(state, redeem("secret"), agrees=False)
    assert spending(state) == (0.0, 4.0)
    assert not any("zoe" in key or b"zoe" in each.value for key, each in memory.documents.items())
    assert sum(state.counts().values()) == 2


def test_a_message_that_was_decided_counts_at_once_and_is_reported_again_in_vain(state: State) -> None:
    sent = event(sent_id("d1"), None, type="send", decision_id="d1", channel="email")
    state.promise("anna", promise_of(sends=[sent]), now_us=MONDAY)
    assert [each.type for each in state.live("anna").events] == [EventType.SEND]
    assert [each.event_id for each in state.log()] == ["send-d1"]
    later = {"type": "send", "decision_id": "d1", "at": MONDAY + HOUR}
    for n, channel in enumerate(("email", None)):
        assert tell(state, event(f"s{n}", None, channel=channel, **later)).duplicates == 1
    assert tell(state, replace(sent, at_us=MONDAY + DAY)).duplicates == 1
    assert tell(state, event("s3", None, channel="sms", **later)).accepted == 1
    assert tell(state, event("s4", None, **{**later, "decision_id": "d2"}, channel="email")).accepted == 1
    assert len(state.live("anna").events) == 3


def test_ended_holds_and_answers_are_dropped_in_time(state: State, memory: MemoryStore) -> None:
    promise(state, "anna", hold())
    state.compact(MONDAY + DAY - 1)
    assert state.known("anna", asked=KEY).kept != {}
    assert state.compact(MONDAY + DAY).answers == 1
    assert state.live("anna").holds == (hold(),)
    week = state.limits.attribution_days * DAY
    state.compact(MONDAY + DAY + week)
    assert not any(key.startswith(("person/", "kept/")) for key in memory.documents)
    state.sweep(MONDAY + DAY + week)
    assert spending(state, MONDAY) == (0.0, 0.0)


def test_a_customer_of_many_promises_keeps_few_holds(state: State) -> None:
    for day in range(60):
        at = MONDAY + day * DAY
        assert promise(state, "anna", hold("summer", at), at=at).kept is not None
    assert len(state.live("anna").holds) == state.limits.attribution_days + 1


def test_a_budget_says_when_something_may_come_back(state: State) -> None:
    promise(state, "anna", hold())
    known = state.known("ben", offers=BUDGETS)
    assert known.is_late(MONDAY + DAY)
    state.sweep(MONDAY + DAY)
    assert not state.known("ben", offers=BUDGETS).is_late(MONDAY + DAY + MINUTE - 1)
    promise(state, "anna", hold(at=MONDAY + DAY), at=MONDAY + DAY)
    assert not state.known("ben", offers=BUDGETS).is_late(MONDAY + DAY + MINUTE - 1)
    assert state.known("ben", offers=BUDGETS).is_late(MONDAY + DAY + MINUTE)


def test_known_is_one_round_trip_with_budgets_and_answers(state: State, memory: MemoryStore) -> None:
    promise(state, "anna", hold())
    state.known("anna", offers=BUDGETS, asked=KEY)
    reads: list[Sequence[str]] = []
    read = memory.read
    memory.read = lambda keys: reads.append(keys) or read(keys)  # type: ignore[method-assign, func-returns-value]
    known = state.known("anna", offers=BUDGETS, asked=KEY)
    assert (len(reads), known.spending, known.kept) == (1, {"spring": Spending(2.0, 0.0)}, {KEY: kept()})


def test_a_state_that_is_away_promises_nothing(state: State, memory: MemoryStore) -> None:
    memory.is_away = True
    with pytest.raises(StateUnavailable):
        promise(state, "anna", hold())
    memory.is_away = False
    assert spending(state) == (0.0, 0.0)
