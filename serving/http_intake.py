"""Events of all calls that wait go in together: one look at their customers, one flush, and no thread for each call."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from threading import Lock

from serving.errors import StateDamaged, StateUnavailable
from serving.http_problems import not_ready
from serving.http_state import MAX_WAITING, StateDoor
from serving.state.accepting import Begun
from serving.state.events import Event
from serving.state.shop import State

MOST_AT_ONCE = 32
"""Events that are looked at while the event loop waits: some milliseconds at the worst."""

_TRIES = 3
_TICK_SECONDS = 0.05

Begin = Callable[[State, Mapping[str, Event]], Begun]


@dataclass(slots=True)
class Call:
    """The events of one call, by their id: those that are not settled yet, and how many were accepted by now.

    Once `done`, what is left in `pending` is to be accepted by itself.
    """

    pending: dict[str, Event]
    until: float
    done: asyncio.Future[None]
    n_accepted: int = 0
    n_tries: int = 0

    def fail(self, error: BaseException) -> None:
        """Answer the call with an error, unless it was answered."""
        if not self.done.done():
            # One of its own each: an error that several raise collects all their tracebacks.
            own = type(error)(str(error)) if isinstance(error, StateUnavailable) else error
            self.done.set_exception(own)

    def end(self) -> None:
        """Answer the call, unless it was answered."""
        if not self.done.done():
            self.done.set_result(None)


class Intake:
    """Takes in the events of calls on the event loop, one group after the other; `begin` begins to accept a group.

    While a group is written the next one gathers, so its size follows from the load, as that of a commit does.
    """

    def __init__(self, door: StateDoor, begin: Begin) -> None:
        self._door = door
        self._begin = begin
        self._waiting: deque[Call] = deque()
        self._group: list[Call] = []
        self._is_busy = False
        self._tick: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """Whether calls may be taken in here: not where a read has to be waited for, nor where each call is traced."""
        return self._door.reads_in_place and self._door.joins_writes

    async def take(self, events: Sequence[Event], until: float) -> Call:
        """Return a call with what was accepted of its events, at most `MOST_AT_ONCE` of them, durably.

        `until` is a moment of `time.perf_counter`. A 503 when too much waits already; StateUnavailable when the state
        is away or the time is up: what was begun then goes on by itself, so the call must be harmless to repeat.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise not_ready("too many requests at once", 1)
        loop = asyncio.get_running_loop()
        call = Call({}, until, loop.create_future())
        for event in events:
            call.pending.setdefault(event.event_id, event)
        self._waiting.append(call)
        if not self._is_busy:
            self._is_busy = True
            loop.call_soon(self._start, loop)
        if self._tick is None:
            self._tick = loop.call_later(_TICK_SECONDS, self._look, loop)
        await call.done
        return call

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin with those that wait; they are the next group."""
        owners = self._next_group()
        if not owners:
            self._is_busy = False
            self._stop_looking()
            return
        started = time.perf_counter()
        events = {event_id: call.pending[event_id] for event_id, call in owners.items()}
        try:
            begun = self._door.begin(lambda state: self._begin(state, events))
        # Whatever it is, whoever waits must hear of it.
        except Exception as error:
            self._give_up(error)
            loop.call_soon(self._start, loop)
            return
        for event_id in begun.known:
            del owners[event_id].pending[event_id]
        ended = partial(self._end, loop, begun, owners, started)
        after_all([outcome for _, outcome in begun.commits], loop, ended)

    def _next_group(self) -> dict[str, Call]:
        """Return which call each event of the next group is of; what two calls bring waits for another turn."""
        owners: dict[str, Call] = {}
        self._group = []
        left: list[Call] = []
        while self._waiting and len(owners) < MOST_AT_ONCE:
            call = self._waiting.popleft()
            if call.done.done():
                continue
            if owners.keys().isdisjoint(call.pending) and len(owners) + len(call.pending) <= MOST_AT_ONCE:
                owners.update(dict.fromkeys(call.pending, call))
                self._group.append(call)
            else:
                left.append(call)
        self._waiting.extendleft(reversed(left))
        return owners

    def _give_up(self, error: Exception) -> None:
        """Answer the group that could not begin: where one customer's document may be to blame, each by itself."""
        is_shared = not isinstance(error, StateUnavailable) or isinstance(error, StateDamaged)
        for call in self._group:
            if is_shared and len(self._group) > 1:
                call.end()
            else:
                call.fail(error)
        self._group = []

    def _end(self, loop: asyncio.AbstractEventLoop, begun: Begun, owners: Mapping[str, Call], started: float) -> None:
        """Answer the group, and have the next one begin once these answers are on their way."""
        failed: BaseException | None = None
        for plan, outcome in begun.commits:
            error = outcome.exception()
            failed = failed or error
            for event in plan.events:
                _settle(owners[event.event_id], event.event_id, error, is_accepted=error is None and outcome.result())
        if failed is None or isinstance(failed, StateUnavailable):
            self._door.ended(time.perf_counter() - started, failed)
        for call in reversed(self._group):
            call.n_tries += 1
            if call.pending and call.n_tries < _TRIES:
                self._waiting.appendleft(call)  # one that was answered by an error will be passed over
            else:
                call.end()
        self._group = []
        loop.call_soon(self._start, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer those whose time is up."""
        now = time.perf_counter()
        for call in (*self._group, *self._waiting):
            if now >= call.until and not call.done.done():
                call.fail(self._door.too_slow())
        self._tick = loop.call_later(_TICK_SECONDS, self._look, loop)

    def _stop_looking(self) -> None:
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None


def after_all(futures: Sequence[Future[bool]], loop: asyncio.AbstractEventLoop, then: Callable[[], None]) -> None:
    """Have `then` called on the event loop, once, when all futures are done."""
    left = len(futures)
    lock = Lock()

    def one_less(_done: Future[bool]) -> None:
        nonlocal left
        with lock:
            left -= 1
            is_last = not left
        if is_last:
            with suppress(RuntimeError):  # the loop has been closed: nobody waits any more
                loop.call_soon_threadsafe(then)

    for future in futures:
        future.add_done_callback(one_less)
    if not futures:
        loop.call_soon(then)


def _settle(call: Call, event_id: str, error: BaseException | None, *, is_accepted: bool) -> None:
    """Take in what became of an event of a call; one that is neither accepted nor failed stays pending."""
    if error is not None:
        call.fail(error)
    elif is_accepted:
        call.n_accepted += 1
        del call.pending[event_id]
