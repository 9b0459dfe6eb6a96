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
from typing import TypeVar

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

T = TypeVar("T")

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


@dataclass(frozen=True, slots=True)
class _Group:
    """Calls that are taken in together: the call of each of their events, and when they were begun with."""

    calls: list[Call]
    owners: dict[str, Call]
    started: float

    def customers(self) -> set[str]:
        """Return whom the events are of, by the ids that they came with."""
        return {call.pending[event_id].customer_id for event_id, call in self.owners.items()}


class Intake:
    """Takes in the events of calls on the event loop, in groups; `begin` begins to accept a group.

    Those that came at once are a group. Of one customer only one is under way: the next would find another customer
    than it was made for. Groups that are under way at once share a flush, as all commits that wait do.
    """

    def __init__(self, door: StateDoor, begin: Begin) -> None:
        self._door = door
        self._begin = begin
        self._waiting: deque[Call] = deque()
        self._begun: list[_Group] = []
        self._n_begun = 0
        self._busy: set[str] = set()
        self._is_due = False
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
        if len(self._waiting) + self._n_begun >= MAX_WAITING:
            raise not_ready("too many requests at once", 1)
        loop = asyncio.get_running_loop()
        call = Call({}, until, loop.create_future())
        for event in events:
            call.pending.setdefault(event.event_id, event)
        self._waiting.append(call)
        self._start_soon(loop)
        if self._tick is None:
            self._tick = loop.call_later(_TICK_SECONDS, self._look, loop)
        await call.done
        return call

    def _start_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._waiting and not self._is_due:
            self._is_due = True
            loop.call_soon(self._start, loop)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin with those that wait, and whose customers are free."""
        self._is_due = False
        group = self._next_group()
        if not group.owners:
            return
        events = {event_id: call.pending[event_id] for event_id, call in group.owners.items()}
        customers = group.customers()
        try:
            begun = self._door.begin(lambda state: self._begin(state, events))
        # Whatever it is, whoever waits must hear of it.
        except Exception as error:
            self._give_up(group, error)
            self._go_on(loop)
            return
        self._begun.append(group)
        self._n_begun += len(group.calls)
        self._busy |= customers
        for event_id in begun.known:
            del group.owners[event_id].pending[event_id]
        after(begun.outcomes, loop, partial(self._end, loop, group, begun, customers))
        self._start_soon(loop)

    def _next_group(self) -> _Group:
        """Return who waits; what two calls bring, or bring of a customer who is under way, waits for another turn."""
        group = _Group([], {}, time.perf_counter())
        owners = group.owners
        left: list[Call] = []
        while self._waiting and len(owners) < MOST_AT_ONCE:
            call = self._waiting.popleft()
            if call.done.done():
                continue
            fits = len(owners) + len(call.pending) <= MOST_AT_ONCE and owners.keys().isdisjoint(call.pending)
            if fits and not any(event.customer_id in self._busy for event in call.pending.values()):
                owners.update(dict.fromkeys(call.pending, call))
                group.calls.append(call)
            else:
                left.append(call)
        self._waiting.extendleft(reversed(left))
        return group

    def _give_up(self, group: _Group, error: Exception) -> None:
        """Answer a group that could not begin: where one customer's document may be to blame, each by itself."""
        is_shared = not isinstance(error, StateUnavailable) or isinstance(error, StateDamaged)
        for call in group.calls:
            if is_shared and len(group.calls) > 1:
                call.end()
            else:
                call.fail(error)

    def _end(self, loop: asyncio.AbstractEventLoop, group: _Group, begun: Begun, customers: set[str]) -> None:
        """Answer a group, and have those begin who waited for its customers."""
        failed: StateUnavailable | None = None
        for plan, outcome in zip(begun.plans, begun.outcomes.result(), strict=True):
            failed = outcome if isinstance(outcome, StateUnavailable) else failed
            for event in plan.events:
                _settle(group.owners[event.event_id], event.event_id, outcome)
        self._door.ended(time.perf_counter() - group.started, failed)
        for call in reversed(group.calls):
            call.n_tries += 1
            if call.pending and call.n_tries < _TRIES:
                self._waiting.appendleft(call)  # one that was answered by an error will be passed over
            else:
                call.end()
        self._begun.remove(group)
        self._n_begun -= len(group.calls)
        self._busy -= customers
        self._go_on(loop)

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        self._start_soon(loop)
        if not self._waiting and not self._begun and self._tick is not None:
            self._tick.cancel()
            self._tick = None

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer those whose time is up."""
        now = time.perf_counter()
        for call in (*(call for group in self._begun for call in group.calls), *self._waiting):
            if now >= call.until and not call.done.done():
                call.fail(self._door.too_slow())
        self._tick = loop.call_later(_TICK_SECONDS, self._look, loop)


def after(future: Future[T], loop: asyncio.AbstractEventLoop, then: Callable[[], None]) -> None:
    """Have `then` called on the event loop, once, when the future is done."""

    def tell(_done: Future[T]) -> None:
        with suppress(RuntimeError):  # the loop has been closed: nobody waits any more
            loop.call_soon_threadsafe(then)

    future.add_done_callback(tell)


def _settle(call: Call, event_id: str, outcome: bool | StateUnavailable) -> None:
    """Take in what became of an event of a call; one that is neither accepted nor failed stays pending."""
    if isinstance(outcome, StateUnavailable):
        call.fail(outcome)
    elif outcome:
        call.n_accepted += 1
        del call.pending[event_id]
