"""Events of calls that wait go in together, and each call hears of its own."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from concurrent.futures import Future
from typing import Any

import pytest

from serving.decision_ids import DecisionIds
from serving.decisioning.policy import default_policy
from serving.errors import StateUnavailable
from serving.http_intake import MOST_AT_ONCE, Call, Intake
from serving.http_metrics import Metrics
from serving.http_problems import Problem
from serving.http_state import MAX_WAITING, StateDoor
from serving.state.accepting import Asks, Begun
from serving.state.events import Event
from serving.state.keys import person_key
from serving.state.shop import State
from serving.state.store import Commit, Document
from serving.state_home import OpenState
from tests.serving.state.builders import event
from tests.serving.state.memory_store import MemoryStore

KEY = b"k" * 32
ASKS = Asks(lambda _live: True, lambda _product: None, lambda _offer: None)


class SlowStore(MemoryStore):
    """Answers commits when it is told to: `answer` carries out those that wait, one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[tuple[Commit, Future[bool]]] = []
        self.is_slow = True

    def submit(self, commit: Commit) -> Future[bool]:
        if not self.is_slow:
            return super().submit(commit)
        self.waiting.append((commit, Future()))
        return self.waiting[-1][1]

    def answer(self) -> None:
        waiting, self.waiting = self.waiting, []
        for commit, future in waiting:
            try:
                future.set_result(self.commit(commit))
            except StateUnavailable as error:
                future.set_exception(error)


@pytest.fixture
def store() -> SlowStore:
    return SlowStore()


@pytest.fixture
def state(store: SlowStore) -> State:
    return State(store, KEY, default_policy().state)


@pytest.fixture
def door(store: SlowStore, state: State) -> StateDoor:
    door = StateDoor(lambda: OpenState(state, store, DecisionIds(KEY)), Metrics(None))
    door.open()
    return door


@pytest.fixture
def intake(door: StateDoor) -> Intake:
    return Intake(door, lambda state, events: state.begin_accept(events, ASKS))


def view(event_id: str, customer_id: str = "anna") -> Event:
    return event(event_id, type="view", customer_id=customer_id)


async def until(is_so: Callable[[], Any]) -> None:
    """Return once something is so; asyncio ends the test otherwise."""
    async with asyncio.timeout(60):
        while not is_so():
            await asyncio.sleep(0.001)


def soon(intake: Intake, events: Collection[Event], seconds: float = 60.0) -> asyncio.Task[Call]:
    return asyncio.create_task(intake.take(list(events), time.perf_counter() + seconds))


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_what_waits_for_a_customer_who_is_under_way_is_the_next_group(intake: Intake, store: SlowStore) -> None:
    async def work() -> None:
        first = soon(intake, [view("1")])
        await until(lambda: store.waiting)
        others = [soon(intake, [view(str(n))]) for n in range(2, 8)]
        await asyncio.sleep(0)
        assert len(store.waiting) == 1
        store.answer()
        assert (await first).n_accepted == 1
        await until(lambda: store.waiting)
        assert len(store.waiting) == 1  # one commit a customer
        store.answer()
        assert [(await each).n_accepted for each in others] == [1] * 6

    run(work())


def test_an_event_that_several_bring_is_accepted_once(intake: Intake, store: SlowStore) -> None:
    async def work() -> None:
        store.is_slow = False
        calls = [soon(intake, [view("1"), view("1")]) for _ in range(3)]
        assert sum([(await each).n_accepted for each in calls]) == 1

    run(work())


def test_a_customer_whom_another_worker_changed_is_tried_again(intake: Intake, store: SlowStore, state: State) -> None:
    async def work() -> None:
        call = soon(intake, [view("1")])
        await until(lambda: store.waiting)
        store.commit(Commit(put={person_key("anna"): b'{"v": 1, "id": "anna"}'}))
        store.answer()
        await until(lambda: store.waiting)
        store.answer()
        assert (await call).n_accepted == 1

    run(work())
    assert [each.event_id for each in state.live("anna").events] == ["1"]


def test_a_customer_whom_others_always_change_is_left_to_who_can_wait(intake: Intake, store: SlowStore) -> None:
    async def work() -> None:
        call = soon(intake, [view("1")])
        while not call.done():
            await until(lambda: store.waiting or call.done())
            store.commit(Commit(put={person_key("anna"): b'{"v": 1, "id": "anna"}'}))
            store.answer()
            await asyncio.sleep(0)
        assert list((await call).pending) == ["1"]

    run(work())


def test_a_disk_that_fails_fails_those_it_failed_and_none_that_come_later(
    intake: Intake, store: SlowStore, door: StateDoor
) -> None:
    async def work() -> None:
        call = soon(intake, [view("1")])
        await until(lambda: store.waiting)
        store.is_read_only = True
        store.answer()
        with pytest.raises(StateUnavailable):
            await call
        assert not door.is_available
        store.is_read_only = store.is_slow = False
        assert (await soon(intake, [view("1")])).n_accepted == 1

    run(work())
    assert door.is_available


def test_a_damaged_document_is_nobody_else_s_fault(intake: Intake, store: SlowStore) -> None:
    store.documents[person_key("ben")] = Document(b"damaged", 1)

    async def work() -> None:
        calls = [soon(intake, [view("1", "anna")]), soon(intake, [view("2", "ben")])]
        await until(lambda: all(each.done() for each in calls))
        assert [list(each.result().pending) for each in calls] == [["1"], ["2"]]  # each is to try by itself
        alone = soon(intake, [view("2", "ben")])
        with pytest.raises(StateUnavailable):
            await alone

    run(work())


def test_who_waits_too_long_hears_of_it_and_what_was_begun_goes_on(
    intake: Intake, store: SlowStore, state: State, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        late = [soon(intake, [view("1")], seconds=0.01), soon(intake, [view("2")], seconds=0.01)]
        await until(lambda: store.waiting)
        late.append(soon(intake, [view("3")], seconds=0.01))
        for each in late:
            with pytest.raises(StateUnavailable, match="too long"):
                await each
        store.answer()
        store.is_slow = False
        assert (await soon(intake, [view("4")])).n_accepted == 1

    with caplog.at_level(logging.ERROR):
        run(work())
    assert [each.event_id for each in state.live("anna").events] == ["1", "2", "4"]
    assert not caplog.records


def test_more_than_can_wait_is_a_503(intake: Intake) -> None:
    async def work() -> None:
        waiting = [soon(intake, [view(str(n))]) for n in range(MAX_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(Problem):
            await intake.take([view("more")], time.perf_counter() + 60.0)
        for each in waiting:
            each.cancel()

    run(work())


def test_a_group_has_so_many_events_at_most_and_the_next_begins_at_once(door: StateDoor, store: SlowStore) -> None:
    sizes: list[int] = []

    def begin(state: State, events: Mapping[str, Event]) -> Begun:
        sizes.append(len(events))
        return state.begin_accept(events, ASKS)

    intake = Intake(door, begin)

    async def work() -> None:
        calls = [soon(intake, [view(f"{n}-{k}", f"c{n}") for k in range(3)]) for n in range(MOST_AT_ONCE)]
        await until(lambda: len(store.waiting) == MOST_AT_ONCE)
        store.answer()
        assert [(await each).n_accepted for each in calls] == [3] * MOST_AT_ONCE

    run(work())
    assert sizes[:4] == [30, 30, 30, 6]


def test_another_customer_s_events_need_not_wait_for_those_under_way(intake: Intake, store: SlowStore) -> None:
    async def work() -> None:
        first = soon(intake, [view("1", "anna")])
        await until(lambda: store.waiting)
        others = [soon(intake, [view("2", "anna")]), soon(intake, [view("3", "ben")])]
        await until(lambda: len(store.waiting) == 2)
        store.answer()
        assert (await first).n_accepted == (await others[1]).n_accepted == 1
        await until(lambda: store.waiting)
        store.answer()
        assert (await others[0]).n_accepted == 1

    run(work())


def test_calls_are_taken_in_only_where_a_read_is_quick_and_none_is_traced(intake: Intake, door: StateDoor) -> None:
    assert intake.is_open
    door.joins_writes = False
    assert not intake.is_open
