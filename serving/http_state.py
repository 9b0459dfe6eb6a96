"""The way from requests to the state: who waits in place, who in a thread, for how long, and what when it is away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from typing import TypeVar

from serving.decision_ids import DecisionIds
from serving.decisioning.policy import StatePolicy
from serving.errors import StateDamaged, StateUnavailable
from serving.http_metrics import Metrics
from serving.http_problems import not_ready
from serving.state.shop import State
from serving.state.store import Commit
from serving.state_home import OpenState

logger = logging.getLogger(__name__)

N_THREADS = 24
"""How many requests of a worker may wait for the disk or the network at once; commits that wait share one flush."""

MAX_WAITING = 256
"""Requests of one worker that may wait for a thread; past that there is too much to do."""

_LOOKED = "looked"
_DAMAGE_SECONDS = 60.0

T = TypeVar("T")


class StateDoor:
    """Opens the state, asks it, and knows whether it is away; one for all requests of a worker.

    `open_state` opens it, or raises StateUnavailable: then the server goes on without, and `open` is to be tried again.
    A store that is away says so at once while its last failure is a moment ago, so nobody waits here in vain.
    """

    def __init__(self, open_state: Callable[[], OpenState], metrics: Metrics) -> None:
        self._open_state = open_state
        self._metrics = metrics
        self._opened: OpenState | None = None
        self._is_away = {"read": False, "write": False}
        self._threads = ThreadPoolExecutor(N_THREADS, thread_name_prefix="state")
        self._n_waiting = 0
        self._why_not_open = ""
        self._tell_damage_at = 0.0
        self.joins_writes = True
        """Whether what several requests tell may be written as one; not where each is traced by itself."""

    @property
    def reads_in_place(self) -> bool:
        """Whether a read takes microseconds, so that the event loop may wait for it; also while there is no state."""
        return self._opened is None or self._opened.reads_in_place

    @property
    def is_available(self) -> bool:
        """Whether the last read and the last write worked."""
        return self._opened is not None and not any(self._is_away.values())

    @property
    def ids(self) -> DecisionIds | None:
        """The ids of decisions under the key that the state goes by; None until it was opened."""
        return None if self._opened is None else self._opened.ids

    def open(self) -> bool:
        """Open the state if it is not open, and say whether it is now; waits for the disk or the network."""
        if self._opened is None:
            try:
                self._opened = self._looked_at(self._open_state())
            except StateUnavailable as error:
                if str(error) != self._why_not_open:
                    logger.error("the state can't be opened, decisions go on from the bundle: %s", error)
                self._why_not_open = str(error)
        return self._opened is not None

    def _looked_at(self, opened: OpenState) -> OpenState:
        """Return the state once something was read of it.

        A file is made by the first look at it: one that is gone later must not be made anew by a worker that had
        nothing to ask of it until then.
        """
        try:
            opened.store.read([_LOOKED])
        except StateUnavailable:
            opened.close()
            raise
        return opened

    def look_again(self) -> None:
        """Try what failed last, so that it is known when it is back also where nobody asks; waits for the disk."""
        opened = self._opened
        if opened is None:
            return
        with suppress(StateUnavailable):
            if self._is_away["read"]:
                self.read(lambda _state: opened.store.read([_LOOKED]))
            if self._is_away["write"]:
                self.write(lambda _state: opened.store.commit(Commit(put={_LOOKED: b""})))

    def obey(self, limits: StatePolicy) -> None:
        """Go by what a policy says of how long, and how much of it, the state is kept."""
        if self._opened is not None:
            self._opened.state.limits = limits

    def compact(self, now_us: int) -> None:
        """Drop what is older than the policy keeps, once a day, whichever worker comes first."""
        opened = self._opened
        if opened is None or not opened.is_compaction_due():
            return
        compacted = self.write(lambda state: state.compact(now_us))
        logger.info("the state was compacted", extra={"fields": asdict(compacted)})

    def close(self) -> None:
        """Finish what was begun and let the state go."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        if self._opened is not None:
            self._opened.close()

    def read(self, work: Callable[[State], T]) -> T:
        """Return what `work` reads; StateUnavailable when the state is away."""
        return self._do(work, "read")

    def write(self, work: Callable[[State], T]) -> T:
        """Return what `work` writes; StateUnavailable when the state is away."""
        return self._do(work, "write")

    async def beside(self, work: Callable[[], T], until: float) -> T:
        """Return what `work` does in a thread, beside the event loop; `until` is a moment of `time.perf_counter`.

        A 503 when too much waits already; StateUnavailable when the time is up: the work then goes on by itself, so it
        must be harmless to repeat.
        """
        if self._n_waiting >= MAX_WAITING:
            raise not_ready("too many requests at once", 1)
        self._n_waiting += 1
        done = asyncio.get_running_loop().run_in_executor(self._threads, work)
        done.add_done_callback(self._one_less)
        try:
            return await asyncio.wait_for(asyncio.shield(done), until - time.perf_counter())
        except TimeoutError:
            raise self.too_slow() from None

    def too_slow(self) -> StateUnavailable:
        """Count that the state took too long for a request, and return the error that says so."""
        self._metrics.count_state_failure("slow")
        return StateUnavailable("the state takes too long to answer")

    def _one_less(self, done: asyncio.Future[T]) -> None:
        self._n_waiting -= 1
        if not done.cancelled():
            # Whoever waited has gone when the time was up: what became of it is nobody's any more.
            done.exception()

    def begin(self, work: Callable[[State], T]) -> T:
        """Return what `work` begins to write, which `ended` is told of; StateUnavailable when the state is away."""
        return self._ask(work, "write")

    def ended(self, seconds: float, error: StateUnavailable | None = None) -> None:
        """Note that what began some seconds ago was written, or (with an error) was not."""
        if error is None:
            self._worked("write", seconds)
        else:
            self._failed("write", error)

    def _do(self, work: Callable[[State], T], kind: str) -> T:
        started = time.perf_counter()
        done = self._ask(work, kind)
        self._worked(kind, time.perf_counter() - started)
        return done

    def _ask(self, work: Callable[[State], T], kind: str) -> T:
        if self._opened is None:
            raise StateUnavailable("the state could not be opened yet")
        try:
            return work(self._opened.state)
        except StateDamaged:
            self.tell_damage()
            raise
        except StateUnavailable as error:
            self._failed(kind, error)
            raise

    def tell_damage(self) -> None:
        """Count a document that can't be used, and say so, once a minute at most; the state itself is not away."""
        self._metrics.count_state_failure("damaged")
        now = time.monotonic()
        if now >= self._tell_damage_at:
            self._tell_damage_at = now + _DAMAGE_SECONDS
            logger.error("a document of the state is damaged: its customer is answered without it, or by a 503")

    def _failed(self, kind: str, error: StateUnavailable) -> None:
        if not self._is_away[kind]:
            logger.error("the state is away for a %s: %s", kind, error)
        self._is_away[kind] = True
        self._metrics.count_state_failure(kind)

    def _worked(self, kind: str, seconds: float) -> None:
        if self._is_away[kind]:
            logger.warning("the state is back for a %s", kind)
            self._is_away[kind] = False
        self._metrics.observe_state(kind, seconds)
