from __future__ import annotations

import asyncio
import time

import orjson
import pytest

from serving.http_load import (
    A_TURN,
    AT_ONCE,
    BURST_SECONDS,
    MAX_LAG_SECONDS,
    MAX_READ_SECONDS,
    MOST_IN_BURST,
    MOST_IN_CROWD,
    LoadGate,
    OneByOne,
    Turns,
)
from serving.http_problems import Problem, TooBusy


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


def test_a_few_at_once_have_no_turn_to_wait_for() -> None:
    async def begin() -> list[bool]:
        turns = Turns()
        found = [turns.begin() is None for _ in range(AT_ONCE + 1)]
        # The next turn of the loop has room again.
        for _ in range(3):
            await asyncio.sleep(0)
        return [*found, *(turns.begin() is None for _ in range(AT_ONCE))]

    assert asyncio.run(begin()) == [True] * AT_ONCE + [False] + [True] * AT_ONCE


def test_a_crowd_begins_in_order_a_few_a_turn_and_others_between() -> None:
    async def all_begin() -> list[list[int]]:
        turns, begun = Turns(), list[int]()

        async def one(number: int) -> None:
            waiting = turns.begin()
            if waiting is not None:
                await waiting
            begun.append(number)

        tasks = [asyncio.create_task(one(number)) for number in range(AT_ONCE + 5 * A_TURN)]
        seen = []
        while not all(task.done() for task in tasks):
            # What is no part of the crowd has its turn in each turn of the loop.
            await asyncio.sleep(0)
            seen.append(list(begun))
        return seen

    seen = asyncio.run(all_begin())
    steps = [len(after) - len(before) for before, after in zip([[], *seen], seen, strict=False)]

    assert seen[-1] == list(range(AT_ONCE + 5 * A_TURN))
    assert steps[0] == AT_ONCE
    assert max(steps[1:]) == A_TURN


def test_a_burst_waits_and_a_crowd_that_stays_is_refused() -> None:
    async def refused_after(n: int, seconds: float) -> bool:
        now = [100.0]
        turns = Turns(lambda: now[0])
        for _ in range(AT_ONCE + n):
            turns.begin()
        now[0] += seconds
        try:
            turns.begin()
        except TooBusy:
            return True
        return False

    def refused(n: int, seconds: float) -> bool:
        return asyncio.run(refused_after(n, seconds))

    young, old = 0.9 * BURST_SECONDS, BURST_SECONDS
    assert [refused(n, young) for n in (MOST_IN_CROWD, MOST_IN_BURST - 1, MOST_IN_BURST)] == [False, False, True]
    assert [refused(n, old) for n in (MOST_IN_CROWD - 1, MOST_IN_CROWD)] == [False, True]


def test_who_is_refused_for_want_of_time_is_told_when_to_come_again() -> None:
    answer = TooBusy().answer()

    assert (answer.status, orjson.loads(answer.body)["status"]) == (503, 503)
    assert (b"retry-after", b"1") in answer.headers


def test_after_a_crowd_has_gone_the_next_one_is_young() -> None:
    async def waits_again() -> bool:
        now = [100.0]
        turns = Turns(lambda: now[0])
        for _ in range(AT_ONCE + 1):
            turns.begin()
        for _ in range(3):
            await asyncio.sleep(0)
        now[0] += 10 * BURST_SECONDS
        found = [turns.begin() for _ in range(AT_ONCE + MOST_IN_CROWD + 1)]
        return found[-1] is not None

    assert asyncio.run(waits_again())


def test_one_who_no_longer_waits_takes_no_turn() -> None:
    async def n_begun() -> int:
        turns = Turns()
        waiting = [each for each in (turns.begin() for _ in range(AT_ONCE + 3 * A_TURN)) if each is not None]
        for gone in waiting[: 2 * A_TURN]:
            gone.cancel()
        for _ in range(2):
            await asyncio.sleep(0)
        return sum(each.done() and not each.cancelled() for each in waiting)

    assert asyncio.run(n_begun()) == A_TURN


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
