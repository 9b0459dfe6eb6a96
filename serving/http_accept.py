"""Connections that wait to be taken on, so that a client that comes now is heard although many are being answered.

libuv takes on one connection a turn of the event loop. Where hundreds of connections ask at once, a turn is as long as
their answers: a few newcomers a second are let in, and all others wait unheard for as long as the load lasts.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

SECONDS_ALONE = 0.010
"""Of a turn of the event loop that works no longer than this, one connection is enough: of two workers, each that wakes
takes its share of those that come at once."""

SECONDS_EACH = 0.001
"""For so much work of a turn beyond that, one more connection is taken on: the idler worker takes on more."""

MOST_AT_ONCE = 64
"""How many are taken on in one go, since that takes time from those that are here."""


class Newcomers:
    """Takes on more connections of a listening socket the longer a turn of the event loop works.

    `clock` counts the seconds that the loop's thread has worked: while others have the processor, nothing piles up that
    one worker should take on alone.
    """

    def __init__(self, listening: socket.socket, clock: Callable[[], float] = time.thread_time) -> None:
        self._listening = listening
        self._clock = clock
        self._is_measuring = False
        self._joining: set[asyncio.Task[object]] = set()
        self.is_over = False

    def follow(self, loop: asyncio.AbstractEventLoop, protocol: Callable[[], asyncio.Protocol]) -> None:
        """See, now that a connection was made, whether more of them should be: for each a `protocol` is made."""
        if not (self._is_measuring or self.is_over):
            self._is_measuring = True
            loop.call_soon(self._take_on, loop, protocol, self._clock())

    def end(self) -> None:
        """Take on none any more."""
        self.is_over = True
        self._listening.close()

    def _take_on(self, loop: asyncio.AbstractEventLoop, protocol: Callable[[], asyncio.Protocol], since: float) -> None:
        # What is called soon is called in the next turn.
        self._is_measuring = False
        n = 0 if self.is_over else min(int((self._clock() - since - SECONDS_ALONE) / SECONDS_EACH), MOST_AT_ONCE)
        for _ in range(n):
            try:
                connection, _address = self._listening.accept()
            except OSError:  # none waits, or there is no descriptor for it
                return
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            joining = loop.create_task(loop.connect_accepted_socket(protocol, connection))
            self._joining.add(joining)
            joining.add_done_callback(self._joining.discard)
