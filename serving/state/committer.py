"""Commits that arrive together go to disk together: one thread a process takes whatever waits as one batch."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Generic, NamedTuple, TypeVar

from serving.errors import StateUnavailable
from serving.state.store import Addition, Commit

T = TypeVar("T")

LOGGER = logging.getLogger(__name__)
MAX_BATCH = 256
"""Commits in one batch at most: what waits longer than these is the next batch, at once."""

PACE_SECONDS = 0.05
"""How long after a batch the next one begins where nobody waits for it: small ones would take what answers need."""

_CLOSE_SECONDS = 5.0


class EncodedCommit(NamedTuple):
    """A commit with its keys as UTF-8; a key that is put is not deleted."""

    put: dict[bytes, bytes]
    delete: tuple[bytes, ...]
    expect: dict[bytes, int]
    is_durable: bool
    add: dict[bytes, Addition]


def encode(commit: Commit) -> EncodedCommit:
    """Return the commit with its keys as bytes; ValueError for a key that is no Unicode text, or has two changes.

    >>> encode(Commit(put={"a": b"1"}, delete=("a", "b"))).delete
    (b'b',)
    """
    if not commit.add.keys().isdisjoint((*commit.put, *commit.delete)):
        raise ValueError("a document that is added to can't be put or deleted in the same commit")
    return EncodedCommit(
        put={key.encode(): value for key, value in commit.put.items()},
        delete=tuple(key.encode() for key in commit.delete if key not in commit.put),
        expect={key.encode(): version for key, version in commit.expect.items()},
        is_durable=commit.is_durable,
        add={key.encode(): addition for key, addition in commit.add.items()},
    )


Left = tuple[tuple[bytes, ...], tuple[bytes, ...], tuple[bytes, ...]]
"""A commit that nobody waits for, as plain tuples of bytes, which the garbage collector does not look through while it
waits: keys of new documents, their values, and other keys that must not be there. An `EncodedCommit`, a tuple as well,
is told apart by its type."""


def left(put: Mapping[str, bytes], absent: Iterable[str]) -> Left:
    """Return new documents to be put, where none of some other keys is there, as they wait.

    >>> left({"a": b"1"}, ("b", "c"))
    ((b'a',), (b'1',), (b'b', b'c'))
    """
    return tuple([key.encode() for key in put]), tuple(put.values()), tuple([key.encode() for key in absent])


def is_durable(commit: EncodedCommit | Left) -> bool:
    """Return whether a commit must have reached the disk before it is answered; what was left need not."""
    return isinstance(commit, EncodedCommit) and commit.is_durable


def expected(commit: EncodedCommit | Left) -> Iterable[bytes]:
    """Return the keys of which a commit expects a version, or that they are not there."""
    return commit.expect if isinstance(commit, EncodedCommit) else (*commit[0], *commit[2])


class PerProcess(Generic[T]):
    """Something that a process must make for itself: threads and connections do not survive a fork."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made = (os.getpid(), make())
        self._inherited: list[T] = []

    def get(self) -> T:
        """Return this process's own; a forked child makes one on first use."""
        made = self._made
        if made[0] != os.getpid():
            # What the parent uses must not be closed here, so it is kept from the garbage collector.
            self._inherited.append(made[1])
            self._made = made = (os.getpid(), self._make())
        return made[1]


class Breaker:
    """Remembers a failure for a while, so that not every call has to wait for the same one."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._error: StateUnavailable | None = None
        self._until = 0.0

    @property
    def has_tripped(self) -> bool:
        """Whether a failure is remembered."""
        return self._error is not None

    def guard(self) -> None:
        """Return when a call may try; raise the last failure again when it was a moment ago.

        After that moment one call may try, while the others go on failing: to be asked once a call.
        """
        error = self._error
        if error is None:
            return
        now = self._clock()
        if now < self._until:
            raise type(error)(str(error))
        self._until = now + self._seconds

    def trip(self, error: StateUnavailable) -> StateUnavailable:
        """Remember the failure from now on, and return it."""
        self._error, self._until = error, self._clock() + self._seconds
        return error

    def reset(self) -> None:
        """Forget the failure: a call has succeeded."""
        self._error = None


Answer = bool | StateUnavailable


class Together:
    """Commits whose submitter hears of all of them at once: their answers so far, in order, and the future of all."""

    __slots__ = ("_answers", "_n", "future")

    def __init__(self, n: int) -> None:
        self._answers: list[Answer] = []
        self._n = n
        self.future: Future[list[Answer]] = Future()
        self._tell()

    def take(self, answer: Answer) -> None:
        """Take the answer of the next commit, and tell all of them once it is the last."""
        self._answers.append(answer)
        self._tell()

    def _tell(self) -> None:
        if len(self._answers) == self._n and self.future.set_running_or_notify_cancel():
            self.future.set_result(self._answers)


_Waiting = tuple[EncodedCommit | Left, Future[bool] | Together | None]


class Committer:
    """The thread that applies commits in the order in which they were submitted, batch by batch.

    `apply` answers a batch in its order, with an error in the place of a commit that failed alone; when it raises
    `StateUnavailable`, so do all that wait: they would only wait for the same.
    """

    def __init__(
        self,
        apply: Callable[[Sequence[EncodedCommit | Left]], Sequence[bool | StateUnavailable]],
        *,
        pace_seconds: float = PACE_SECONDS,
    ) -> None:
        self._apply = apply
        self._pace_seconds = pace_seconds
        self._waiting: deque[_Waiting] = deque()
        self._is_urgent = False
        self._due = 0.0
        self._arrived = threading.Condition()
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def submit(self, commit: EncodedCommit, *, is_awaited: bool = False) -> Future[bool]:
        """Return the future of the commit; StateUnavailable when the committer was closed.

        A commit that is neither durable nor awaited may be kept back for `PACE_SECONDS`, until others join it.
        """
        is_urgent = is_awaited or commit.is_durable
        future: Future[bool] = Future()
        self._take([(commit, future)], is_urgent=is_urgent)
        return future

    def submit_all(self, commits: Sequence[EncodedCommit]) -> Future[list[Answer]]:
        """Return one future of what becomes of commits, an error in place of each that failed; else as `submit`."""
        together = Together(len(commits))
        if commits:
            is_urgent = any(commit.is_durable for commit in commits)
            self._take([(commit, together) for commit in commits], is_urgent=is_urgent)
        return together.future

    def leave(self, commit: Left) -> None:
        """Have a commit applied that may be kept back, and of which nobody hears; StateUnavailable as `submit`."""
        self._take([(commit, None)], is_urgent=False)

    def _take(self, waiting: Sequence[_Waiting], *, is_urgent: bool) -> None:
        with self._arrived:
            if self._is_closed:
                raise StateUnavailable("the state is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tercet-state", daemon=True)
                self._thread.start()
            self._waiting.extend(waiting)
            if is_urgent or len(self._waiting) == len(waiting):
                self._is_urgent = self._is_urgent or is_urgent
                self._arrived.notify()

    def close(self) -> None:
        """Finish what was submitted, for some seconds at most, and take no more."""
        with self._arrived:
            self._is_closed = True
            self._arrived.notify()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                answers = self._apply([commit for commit, _ in batch])
            except StateUnavailable as error:
                with self._arrived:
                    self._is_urgent = False
                    batch.extend(self._waiting)
                    self._waiting.clear()
                answers = [error] * len(batch)
            except Exception as error:  # whoever waits must hear of it, and the next batch is not to blame
                LOGGER.exception("a batch of commits failed")
                answers = [StateUnavailable(f"the state failed: {type(error).__name__}")] * len(batch)
            for (_, future), answer in zip(batch, answers, strict=True):
                if future is not None:
                    _answer(future, answer)

    def _next_batch(self) -> list[_Waiting]:
        """Return what waits, once something does; empty when the committer was closed and nothing does."""
        with self._arrived:
            while not self._is_closed and not self._is_urgent:
                left = self._due - time.monotonic() if self._waiting else None
                if left is not None and left <= 0.0:
                    break
                self._arrived.wait(left)
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))]
            # What a full batch had no room for has waited its time.
            self._due = time.monotonic() + (0.0 if self._waiting else self._pace_seconds)
            self._is_urgent = self._is_urgent and bool(self._waiting)
            return batch


def _answer(future: Future[bool] | Together, answer: Answer) -> None:
    if isinstance(future, Together):
        future.take(answer)
        return
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(answer, StateUnavailable):
        # One of its own each: an error that several threads raise collects all their tracebacks.
        future.set_exception(type(answer)(str(answer)))
    else:
        future.set_result(answer)
