from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import uvloop

from serving.http_accept import MOST_AT_ONCE, SECONDS_ALONE, SECONDS_EACH, Newcomers

N_CLIENTS = 100


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        each.listen(2 * N_CLIENTS)
        each.setblocking(False)
        yield each


@contextmanager
def clients(listening: socket.socket) -> Iterator[list[socket.socket]]:
    """Connections that wait to be taken on."""
    with ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(listening.getsockname())) for _ in range(N_CLIENTS)]


def turns_until_all_are_here(listening: socket.socket, clock: Callable[[], float] | None, turn_seconds: float) -> int:
    """Return after how many turns of so many seconds all clients are taken on; no clock: by uvloop alone."""
    newcomers = None if clock is None else Newcomers(listening.dup(), clock)

    async def main() -> int:
        loop, here, n_turns = asyncio.get_running_loop(), [0], 0

        class Counted(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                here[0] += 1
                transport.close()
                if newcomers is not None:
                    newcomers.follow(loop, Counted)

        server = await loop.create_server(Counted, sock=listening)
        while here[0] < N_CLIENTS:
            n_turns += 1
            time.sleep(turn_seconds)  # as the answers to many clients would
            await asyncio.sleep(0)
        if newcomers is not None:
            newcomers.end()
        server.close()
        return n_turns

    with clients(listening):
        return uvloop.run(main())


def test_alone_a_loop_takes_on_one_a_turn(listening: socket.socket) -> None:
    """What makes the rest of this module necessary; once it fails, all of it can go."""
    assert turns_until_all_are_here(listening, None, 0.001) >= N_CLIENTS


def test_where_turns_are_long_many_are_taken_on_in_one(listening: socket.socket) -> None:
    ticks = iter(range(10**6))

    turns = turns_until_all_are_here(listening, lambda: (SECONDS_ALONE + 10 * SECONDS_EACH) * next(ticks), 0.001)

    assert turns < N_CLIENTS / 3


def test_where_turns_are_short_others_that_listen_get_their_share(listening: socket.socket) -> None:
    ticks = iter(range(10**6))

    assert turns_until_all_are_here(listening, lambda: SECONDS_ALONE * next(ticks), 0.0) >= N_CLIENTS


def test_of_however_long_a_turn_no_more_than_some_are_taken_on(listening: socket.socket) -> None:
    ticks = iter(range(10**6))
    with clients(listening):
        taken = n_taken(Newcomers(listening.dup(), lambda: 1000.0 * next(ticks)))

    assert 0 < taken <= MOST_AT_ONCE


def test_after_the_end_none_is_taken_on(listening: socket.socket) -> None:
    ticks = iter(range(10**6))
    newcomers = Newcomers(listening.dup(), lambda: 1000.0 * next(ticks))
    newcomers.end()
    with clients(listening):
        assert n_taken(newcomers) == 0


def n_taken(newcomers: Newcomers) -> int:
    """Return how many are taken on after one connection was made."""

    async def main() -> int:
        loop, here = asyncio.get_running_loop(), [0]

        class Counted(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                here[0] += 1
                transport.close()

        newcomers.follow(loop, Counted)
        for _ in range(20):
            await asyncio.sleep(0)
        newcomers.end()
        return here[0]

    return uvloop.run(main())
