from __future__ import annotations

import asyncio
import time

import pytest

from serving.http_load import MAX_LAG_SECONDS, MAX_READ_SECONDS, LoadGate, OneByOne
from serving.http_problems import Problem


def test_a_gate_without_load_is_open() -> None:
    assert LoadGate(lambda: 0.0).is_open()


def test_a_late_event_loop_closes_the_gate_until_it_has_caught_up() -> None:
    gate = LoadGate(lambda: 0.0)

    gate.note(4 * MAX_LAG_SECONDS)
    gate.note(5 * MAX_LAG_SECONDS)
    closed = [gate.is_open()]
    for _ in range(3):
        gate.note(0.0)
        closed.append(gate.is_open())

    assert closed == [False, False, False, True]


def test_a_pause_is_no_queue() -> None:
    gate = LoadGate(lambda: 0.0)

    for lag in (20 * MAX_LAG_SECONDS, 0.0, 20 * MAX_LAG_SECONDS, 0.0):
        gate.note(lag)
        assert gate.is_open()


def test_too_many_waiting_close_the_gate() -> None:
    async def waiting_with(n: int) -> bool:
        gate = LoadGate(lambda: 0.0, max_waiting=3)
        never = asyncio.Event()
        tasks = [asyncio.create_task(gate.in_time(never.wait())) for _ in range(n)]
        await asyncio.sleep(0)
        is_open = gate.is_open()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert gate.is_open()
        return is_open

    assert asyncio.run(waiting_with(2))
    assert not asyncio.run(waiting_with(3))


def test_what_waits_too_long_ends_in_a_503() -> None:
    async def wait() -> None:
        now = [0.0]
        gate = LoadGate(lambda: now[0])
        task = asyncio.create_task(gate.in_time(asyncio.Event().wait()))
        await asyncio.sleep(0)
        now[0] = MAX_READ_SECONDS + 0.1
        gate.note(0.0)
        await task

    with pytest.raises(Problem, match="too long") as refused:
        asyncio.run(wait())
    assert refused.value.status == 503


def test_a_shutdown_is_no_late_body() -> None:
    async def wait() -> None:
        gate = LoadGate(lambda: 0.0)
        task = asyncio.create_task(gate.in_time(asyncio.Event().wait()))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(wait())


def test_a_watched_loop_that_was_held_up_is_seen() -> None:
    async def is_seen() -> bool:
        loop = asyncio.get_running_loop()
        now = [0.0]
        gate = LoadGate(lambda: now[0])
        watch = loop.create_task(gate.watch())
        await asyncio.sleep(0)
        seen = False
        for _ in range(80):
            now[0] += 4 * MAX_LAG_SECONDS
            await asyncio.sleep(0.005)
            seen = seen or gate.lag_seconds > MAX_LAG_SECONDS
        watch.cancel()
        return seen

    assert asyncio.run(is_seen())


def test_large_calls_are_let_through_one_by_one_and_no_more_than_a_number_wait() -> None:
    async def at_once() -> tuple[int, list[int]]:
        large, running, most = OneByOne(3), 0, 0

        async def one() -> int:
            nonlocal running, most
            try:
                async with large.turn(time.perf_counter() + 5):
                    running += 1
                    most = max(most, running)
                    await asyncio.sleep(0)
                    running -= 1
            except Problem as problem:
                return problem.status
            return 200

        statuses = sorted(await asyncio.gather(*(one() for _ in range(5))))
        return most, statuses

    assert asyncio.run(at_once()) == (1, [200, 200, 200, 503, 503])


def test_a_large_call_whose_turn_does_not_come_in_time_is_a_503_and_takes_no_place() -> None:
    async def late() -> None:
        large = OneByOne(2)
        async with large.turn(time.perf_counter() + 5):
            for _ in range(3):
                with pytest.raises(Problem, match="large"):
                    async with large.turn(time.perf_counter() + 0.01):
                        pass
        async with large.turn(time.perf_counter() + 5):
            pass

    asyncio.run(late())
