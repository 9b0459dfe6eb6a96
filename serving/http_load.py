"""How much a worker takes on: past that, an honest 503 at once rather than a late answer; and no waiting for ever."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar, cast

from serving.http_problems import TooBusy, not_ready

MAX_WAITING = 512
"""Requests of one worker that may wait for their body at once."""

MAX_LAG_SECONDS = 0.25
"""How late the event loop may run, twice in a row, before decisions are refused."""

MAX_READ_SECONDS = 1.5
"""How long a body may take to arrive."""

MAX_LARGE = 6
"""Large calls of one worker, of many customers each, that are worked on or wait for their turn."""

AT_ONCE = 16
"""Requests that begin in one turn of the event loop without waiting: no load, or that of a few clients."""

A_TURN = 2
"""Of a crowd of requests, how many begin in a turn: what a quick answer has before it, no more."""

MOST_IN_BURST = 512
"""Requests of a worker that may wait for their turn while the crowd is young: a fifth of a second's work."""

MOST_IN_CROWD = 128
"""As many when it has stayed for `BURST_SECONDS`: who is let in is answered in a twentieth of a second or so."""

BURST_SECONDS = 0.5

_TICK_SECONDS = 0.05

T = TypeVar("T")


class LoadGate:
    """Says whether a worker should take on another decision, and ends those that wait too long for their body.

    Answers are made in one go, so a queue shows as an event loop that runs late: a tick measures by how much. The
    same tick looks for late bodies, which costs a request a tenth of what a timer of its own would.
    """

    def __init__(self, clock: Callable[[], float], max_waiting: int = MAX_WAITING) -> None:
        self.lag_seconds = 0.0
        self._last_lag = 0.0
        self._clock = clock
        self._max_waiting = max_waiting
        self._waiting: dict[asyncio.Task[object], float] = {}

    def is_open(self) -> bool:
        """Say whether there is room."""
        return len(self._waiting) < self._max_waiting and self.lag_seconds < MAX_LAG_SECONDS

    async def in_time(self, reading: Awaitable[T]) -> T:
        """Return what `reading` gives; a 503 when that takes longer than `MAX_READ_SECONDS`."""
        task = cast("asyncio.Task[object]", asyncio.current_task())
        self._waiting[task] = self._clock()
        try:
            return await reading
        except asyncio.CancelledError:
            if task in self._waiting:
                raise
            task.uncancel()
            raise not_ready("the body took too long to arrive", 1) from None
        finally:
            self._waiting.pop(task, None)

    async def watch(self) -> None:
        """Measure the lag and end what waits too long, until cancelled."""
        while True:
            due = self._clock() + _TICK_SECONDS
            await asyncio.sleep(_TICK_SECONDS)
            self.note(self._clock() - due)

    def note(self, lag_seconds: float) -> None:
        """Take in how late the last tick came. The lag falls by halves, so that the gate does not flicker.

        One tick that comes late is a pause, after which nothing waits any more; a queue makes the next one late too.
        """
        self.lag_seconds = max(min(lag_seconds, self._last_lag), self.lag_seconds / 2, 0.0)
        self._last_lag = lag_seconds
        for task, since in list(self._waiting.items()):
            if self._clock() - since > MAX_READ_SECONDS:
                del self._waiting[task]
                task.cancel()


class Turns:
    """Lets a crowd of requests begin a few at a time, so that quick answers are not behind all of them.

    The event loop answers all that has come before it looks for more. Here, what has come waits in a queue of its own,
    and each turn of the loop brings `A_TURN` of it and whatever is new. A queue that does not empty is one that no
    waiting helps: it is then kept short and the rest refused, while a burst is let in (controlled delay: K. Nichols and
    V. Jacobson, "Controlling Queue Delay", ACM Queue 10(5), 2012; for servers B. Maurer, "Fail at Scale", ACM Queue
    13(8), 2015).

    `clock` counts seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._is_counting = False
        self._n_begun = 0  # in this turn of the loop
        self._crowded_since = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def begin(self) -> asyncio.Future[None] | None:
        """Return what to wait for until it is the caller's turn, None if it is; a 503 where too many wait."""
        loop = asyncio.get_running_loop()
        if not self._is_counting:
            self._is_counting = True
            loop.call_soon(self._next_turn, loop)
        self._n_begun += 1
        if self._n_begun <= AT_ONCE and not self._waiting:
            return None
        if not self._waiting:
            self._crowded_since = self._clock()
        elif len(self._waiting) >= self._most():
            raise TooBusy
        mine = loop.create_future()
        self._waiting.append(mine)
        return mine

    def _most(self) -> int:
        return MOST_IN_BURST if self._clock() - self._crowded_since < BURST_SECONDS else MOST_IN_CROWD

    def _next_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        # What is called soon is called in the next turn.
        self._n_begun = 0
        while self._waiting and self._n_begun < A_TURN:
            mine = self._waiting.popleft()
            if not mine.done():
                mine.set_result(None)
                self._n_begun += 1
        self._is_counting = self._n_begun > 0
        if self._is_counting:
            loop.call_soon(self._next_turn, loop)


class OneByOne:
    """Lets large calls through one after the other: side by side none would be faster, and small ones would wait.

    Beyond `most` of them a call is refused at once.
    """

    def __init__(self, most: int = MAX_LARGE) -> None:
        self._most = most
        self._n_here = 0
        self._turn = asyncio.Lock()

    def check(self) -> None:
        """Raise a 503 where too many wait already."""
        if self._n_here >= self._most:
            raise not_ready("too many large calls at once", 1)

    @asynccontextmanager
    async def turn(self, until: float) -> AsyncIterator[None]:
        """Begin when it is the caller's turn; a 503 where too many wait, or it has not come by `until`.

        That is a moment of `time.perf_counter`.
        """
        self.check()
        self._n_here += 1
        try:
            try:
                await asyncio.wait_for(self._turn.acquire(), until - time.perf_counter())
            except TimeoutError:
                raise not_ready("too many large calls at once", 1) from None
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._n_here -= 1
