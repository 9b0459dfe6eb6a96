from __future__ import annotations

import asyncio
import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from serving.decision_ids import DecisionIds
from serving.decisioning.policy import default_policy
from serving.errors import StateUnavailable
from serving.http_metrics import Metrics
from serving.http_problems import Problem
from serving.http_state import MAX_WAITING, StateDoor
from serving.state.file_store import FileStore
from serving.state.shop import State
from serving.state.store import Store
from serving.state_home import OpenState
from tests.serving.state.memory_store import MemoryStore

KEY = b"k" * 32


def opened(store: Store) -> OpenState:
    return OpenState(State(store, KEY, default_policy().state), store, DecisionIds(KEY))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def door(store: MemoryStore) -> StateDoor:
    door = StateDoor(lambda: opened(store), Metrics(None))
    door.open()
    return door


def beside(door: StateDoor, work: Any, seconds: float) -> Any:
    async def ask() -> Any:
        return await door.beside(work, time.perf_counter() + seconds)

    return asyncio.run(ask())


def test_what_is_asked_is_answered_by_the_state(door: StateDoor) -> None:
    assert door.read(lambda state: state.resolve("anna")) == "anna"
    assert door.is_available


def test_a_state_that_is_away_is_known_to_be_until_it_is_back(door: StateDoor, store: MemoryStore) -> None:
    store.is_away = True
    with pytest.raises(StateUnavailable):
        door.read(lambda state: state.stock())
    was_available = door.is_available

    store.is_away = False
    door.read(lambda state: state.stock())

    assert (was_available, door.is_available) == (False, True)


def test_why_it_can_not_be_opened_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def open_state() -> OpenState:
        raise StateUnavailable("the disk is full")

    door = StateDoor(open_state, Metrics(None))
    door.open()
    door.open()

    assert [record.getMessage().endswith("the disk is full") for record in caplog.records] == [True]


def test_a_state_that_can_not_be_looked_at_is_not_open_yet(store: MemoryStore) -> None:
    door = StateDoor(lambda: opened(store), Metrics(None))
    store.is_away = True
    was_opened = door.open()

    store.is_away = False

    assert (was_opened, door.open()) == (False, True)


def test_a_file_that_is_gone_is_not_made_anew_by_a_worker_that_has_not_asked_anything_yet(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    door = StateDoor(lambda: opened(FileStore(path)), Metrics(None))
    door.open()
    for each in tmp_path.iterdir():
        each.unlink()

    with pytest.raises(StateUnavailable):
        door.write(lambda state: state.put_stock([]))
    door.close()

    assert not path.exists()


def test_writes_that_fail_are_told_from_reads_that_work(door: StateDoor, store: MemoryStore) -> None:
    store.is_read_only = True
    with pytest.raises(StateUnavailable):
        door.write(lambda state: state.put_stock([]))

    door.read(lambda state: state.stock())

    assert not door.is_available


def test_a_state_that_can_not_be_opened_is_tried_again(store: MemoryStore) -> None:
    def open_state() -> OpenState:
        if store.is_away:
            raise StateUnavailable("not yet")
        return opened(store)

    store.is_away = True
    door = StateDoor(open_state, Metrics(None))
    before = (door.open(), door.reads_in_place, door.ids is None)
    with pytest.raises(StateUnavailable):
        door.read(lambda state: state.stock())

    store.is_away = False
    after = (door.open(), door.is_available, door.ids is None)

    assert (before, after) == ((False, True, True), (True, True, False))


def test_work_beside_the_loop_is_done_in_a_thread(door: StateDoor) -> None:
    assert beside(door, threading.get_ident, 5) != threading.get_ident()


def test_what_goes_wrong_beside_the_loop_is_raised(door: StateDoor) -> None:
    def fail() -> None:
        raise Problem(404, "nothing there")

    with pytest.raises(Problem, match="nothing there"):
        beside(door, fail, 5)


def test_work_that_takes_too_long_is_not_waited_for(door: StateDoor) -> None:
    go_on = threading.Event()
    started = time.monotonic()

    async def ask() -> None:
        try:
            await door.beside(go_on.wait, time.perf_counter() + 0.05)
        finally:
            go_on.set()

    with pytest.raises(StateUnavailable, match="too long"):
        asyncio.run(ask())
    assert time.monotonic() - started < 20


def test_more_than_can_wait_is_a_503(door: StateDoor) -> None:
    go_on = threading.Event()

    async def ask_many() -> list[Any]:
        until = time.perf_counter() + 20
        waiting = [asyncio.create_task(door.beside(go_on.wait, until)) for _ in range(MAX_WAITING + 1)]
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
        go_on.set()
        await asyncio.gather(*waiting, return_exceptions=True)
        return [task.exception() for task in done]

    (error,) = [each for each in asyncio.run(ask_many()) if each is not None]

    assert isinstance(error, Problem)
    assert error.status == 503


def test_what_is_back_is_known_to_be_though_nobody_asks(door: StateDoor, store: MemoryStore) -> None:
    for failing in (door.read, door.write):
        store.is_away = True
        with pytest.raises(StateUnavailable):
            failing(lambda state: state.put_consent("anna", {"email": True}, 1))
        door.look_again()
        assert not door.is_available

        store.is_away = False
        door.look_again()
        assert door.is_available


def test_one_process_a_day_compacts(store: MemoryStore) -> None:
    first, second = opened(store), opened(store)

    assert first.is_compaction_due()
    assert not second.is_compaction_due()


def test_the_state_is_kept_small_once_a_day(door: StateDoor, caplog: pytest.LogCaptureFixture) -> None:
    door.read(lambda state: state.put_consent("anna", {"email": True}, 1))

    with caplog.at_level(logging.INFO):
        door.compact(10**18)
        door.compact(10**18)

    assert [record.getMessage() for record in caplog.records] == ["the state was compacted"]


def test_a_policy_is_obeyed_from_when_it_is_taken_up(door: StateDoor) -> None:
    limits = default_policy().state
    door.obey(limits)

    assert door.read(lambda state: state.limits) is limits
