"""What several workers do at once, each with a state of its own over the same store: a file, and a real Redis."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from serving.decisioning.policy import default_policy
from serving.state.merging import Identity
from serving.state.shop import State
from serving.state.stock_words import StockWord
from tests.serving.state.builders import KEY, KINDS, MILK, MONDAY, MONDAY_DAY, accept, answer, event
from tests.serving.state.conftest import Opener

pytestmark = pytest.mark.usefixtures("persistent")
Outcome = TypeVar("Outcome")
N_WORKERS = 4


def workers(open_again: Opener) -> list[State]:
    """Return states that pause between attempts as those of a server do."""
    return [State(open_again(), KEY, default_policy().state) for _ in range(N_WORKERS)]


def at_once(states: Sequence[State], job: Callable[[int, State], Outcome]) -> list[Outcome]:
    """Return what the job returns for each worker's number and state, all begun at the same moment."""
    start = threading.Barrier(len(states))

    def begin(n: int) -> Outcome:
        start.wait()
        return job(n, states[n])

    with ThreadPoolExecutor(len(states)) as threads:
        return list(threads.map(begin, range(len(states))))


def test_an_event_that_is_sent_to_all_workers_at_once_is_accepted_by_one(open_again: Opener) -> None:
    states = workers(open_again)
    for event_id in "12345":
        done = at_once(states, lambda n, state, event_id=event_id: accept(state, [event(event_id)]))  # type: ignore[misc]  # a default
        assert sum(each.accepted for each in done) == 1
        assert sum(each.duplicates for each in done) == N_WORKERS - 1
    assert len(states[0].live("anna").events) == len(list(states[0].log())) == 5


def test_events_of_one_customer_at_all_workers_are_all_kept(open_again: Opener) -> None:
    states = workers(open_again)

    def send(worker: int, state: State) -> int:
        return sum(accept(state, [event(f"{worker}-{n}", at=MONDAY + n)]).accepted for n in range(8))

    assert at_once(states, send) == [8] * N_WORKERS
    assert len(states[0].live("anna").events) == len(list(states[1].log())) == 8 * N_WORKERS


def test_the_same_id_for_different_customers_is_accepted_once(open_again: Opener) -> None:
    states = workers(open_again)
    done = at_once(states, lambda n, state: accept(state, [event("1", customer_id=f"c{n}")]))
    assert sum(each.accepted for each in done) == 1
    assert len(list(states[0].log())) == 1


def test_counts_of_events_without_consent_add_up(open_again: Opener) -> None:
    states = workers(open_again)

    def send(worker: int, state: State) -> None:
        for n in range(8):
            state.accept([event(f"{worker}-{n}")], may_keep=lambda live: False, kind_of=KINDS.get)

    at_once(states, send)
    assert states[0].counts() == {(MONDAY_DAY, "purchase"): 8 * N_WORKERS}


def test_a_repeat_without_consent_is_counted_once_although_all_workers_get_it(open_again: Opener) -> None:
    states = workers(open_again)
    for event_id in "12345":
        sent = [event(event_id)]
        done = at_once(
            states,
            lambda _, state, sent=sent: state.accept(sent, may_keep=lambda live: False, kind_of=KINDS.get),  # type: ignore[misc]  # a default
        )
        assert sum(each.accepted for each in done) == 1
    assert states[0].counts() == {(MONDAY_DAY, "purchase"): 5}


def test_all_workers_issue_the_same_challenge(open_again: Opener) -> None:
    states = workers(open_again)
    kept = at_once(states, lambda n, state: state.issue("anna", MONDAY_DAY, answer(decision_id=f"d{n}"), MONDAY))
    assert len({each.decision_id for each in kept}) == 1
    assert {state.issue("anna", MONDAY_DAY, answer(), MONDAY).decision_id for state in states} == {kept[0].decision_id}


def test_a_reward_is_granted_once_when_workers_see_the_last_purchase_together(open_again: Opener) -> None:
    states = workers(open_again)
    states[0].issue("anna", MONDAY_DAY, answer(MILK), MONDAY)
    done = at_once(states, lambda n, state: accept(state, [event(f"{n}")]))
    assert sum(len(each.completed) for each in done) == 1
    view = states[1].customer("anna")
    assert view is not None
    assert len(view.rewards) == 1


def test_merges_that_meet_end_in_one_customer_with_everything(open_again: Opener) -> None:
    states = workers(open_again)
    pairs = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")]
    accept(states[0], [event(each, customer_id=each) for each in "abcd"])

    def link(worker: int, state: State) -> None:
        identities = [Identity(each, "email", f"{worker}@x") for each in pairs[worker]]
        state.link(identities, is_loyal=lambda _: False, now_us=MONDAY)

    at_once(states, link)
    for state in states:
        assert {state.resolve(each) for each in "abcd"} == {"a"}
        assert [each.event_id for each in state.live("d").events] == ["a", "b", "c", "d"]
    assert {states[0].customer_of("email", f"{worker}@x") for worker in range(N_WORKERS)} == {"a"}


def test_who_is_forgotten_while_events_come_keeps_none_from_before(open_again: Opener) -> None:
    states = workers(open_again)

    def work(worker: int, state: State) -> None:
        if worker == 0:
            state.forget("anna", MONDAY + 100)
        for n in range(8):
            accept(state, [event(f"{worker}-{n}", at=MONDAY + n)])

    at_once(states, work)
    assert states[1].live("anna").events == ()
    receipt = states[2].erase("anna", MONDAY + 200)
    assert receipt.erased_us == MONDAY + 100
    assert list(states[3].log()) == []
    assert [key for key, _ in open_again().scan("log/")] == []


def test_words_about_the_stock_from_all_workers_are_all_heard_while_it_is_folded(open_again: Opener) -> None:
    states = workers(open_again)

    def tell(worker: int, state: State) -> None:
        for n in range(6):
            state.put_stock([StockWord(f"p{worker}", None, n)])
            state.stock()
            if worker == 0:
                state.compact(MONDAY)

    at_once(states, tell)
    for state in states:
        assert state.stock().available == {(f"p{worker}", None): 5 for worker in range(N_WORKERS)}
