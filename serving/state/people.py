"""Reads customers from a store, through merges, and tries commits again when another worker was first."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from serving.errors import StateUnavailable
from serving.state.codec import Raw, blank, decode, encode_person, person_of
from serving.state.keys import Hashes, person_key
from serving.state.person import Person
from serving.state.store import ABSENT, Commit, Document, Store

# At most about 1 s of pauses in all: the caller answers 503 then, and the client comes again.
_ATTEMPTS = 40
_LONGEST_PAUSE_S = 0.025
_QUEUE_S = 2.0

Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class View:
    """A customer as read: who they are now, and the versions that must still stand for this to be true.

    `raw` is the document of the id that stands (of one that is not there: without anything in it). `erased_us` is when
    that id was erased, `forgotten_us` the latest such moment of it and of the id that was asked for; None where there
    was none.
    """

    customer_id: str
    raw: Raw
    erased_us: int | None
    forgotten_us: int | None
    expect: dict[str, int]

    @cached_property
    def person(self) -> Person:
        """The customer; made when first asked for, since not everybody needs it. StateDamaged: the document is none."""
        return person_of(self.raw)


class People:
    """Customers by any of their ids."""

    def __init__(
        self,
        store: Store,
        hashes: Hashes,
        *,
        jitter: Callable[[], float] = random.random,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.store = store
        self.hashes = hashes
        self._jitter = jitter
        self._sleep = sleep
        self._queue = threading.Lock()

    def reward_id(self, decision_id: str) -> str:
        """Return the id of the reward of a challenge: always the same, and unguessable."""
        return self.hashes.of("reward", decision_id)

    def view(self, customer_id: str) -> View:
        """Return one customer."""
        return self.views([customer_id])[0][customer_id]

    def views(
        self, customer_ids: Iterable[str], more_keys: Sequence[str] = ()
    ) -> tuple[dict[str, View], list[Document | None]]:
        """Return each customer by the id asked for, and documents of further keys; one look where nobody is merged."""
        ids = list(dict.fromkeys(customer_ids))
        found = self._look(ids, more_keys)
        documents = found.pop_rest()
        views = {each: self._followed(each, found) for each in ids}
        return views, documents

    def erased_us(self, customer_id: str) -> int | None:
        """Return when this very id was erased, None when it was not."""
        return erased_moment(self.store.read([self.hashes.erased_key(customer_id)])[0])

    def tried(self, attempt: Callable[[], Outcome | None]) -> Outcome:
        """Return the first outcome of an attempt that isn't None; StateUnavailable when others are always first.

        Whoever fails once queues: of one process only one tries again at a time, so that nobody is overtaken for ever.
        """
        outcome = attempt()
        if outcome is not None:
            return outcome
        is_first = self._queue.acquire(timeout=_QUEUE_S)
        try:
            return self._tried_again(attempt)
        finally:
            if is_first:
                self._queue.release()

    def _tried_again(self, attempt: Callable[[], Outcome | None]) -> Outcome:
        for _ in range(_ATTEMPTS):
            outcome = attempt()
            if outcome is not None:
                return outcome
            self._sleep(_LONGEST_PAUSE_S * self._jitter())
        raise busy()

    def changed(self, customer_id: str, change: Callable[[View], Person]) -> Person:
        """Return a person after a change that was committed; the change may be asked more than once."""

        def attempt() -> Person | None:
            view = self.view(customer_id)
            person = change(view)
            return person if person == view.person or self.commit(person, view) else None

        return self.tried(attempt)

    def commit(self, person: Person, view: View) -> bool:
        """Return whether a person was written; not when what was read of them has changed."""
        put = {person_key(person.customer_id): encode_person(person)}
        return self.store.commit(Commit(put=put, expect=view.expect))

    def _look(self, ids: Sequence[str], more_keys: Sequence[str]) -> _Look:
        keys = [*map(person_key, ids), *map(self.hashes.erased_key, ids), *more_keys]
        return _Look(self.store.read(keys), ids)

    def _followed(self, customer_id: str, look: _Look) -> View:
        """Return the view of an id that may have been merged into another."""
        expect: dict[str, int] = {}
        moments: list[int] = []
        for _ in range(_ATTEMPTS):
            document, erased = look.of(customer_id)
            expect[person_key(customer_id)] = ABSENT if document is None else document.version
            expect[self.hashes.erased_key(customer_id)] = ABSENT if erased is None else erased.version
            erased_us = erased_moment(erased)
            moments += [] if erased_us is None else [erased_us]
            raw = None if document is None else decode(document.value)
            if raw is None or "into" not in raw:
                return View(customer_id, raw or blank(customer_id), erased_us, max(moments, default=None), expect)
            customer_id = raw["into"]
            look = self._look([customer_id], ())
        raise busy()  # merges keep every id one step from the one that stands, so others are changing it all the time


class _Look:
    """What one read brought: persons, then erasures, then whatever else was asked for."""

    def __init__(self, documents: list[Document | None], ids: Sequence[str]) -> None:
        self._documents = documents
        self._places = {each: place for place, each in enumerate(ids)}

    def of(self, customer_id: str) -> tuple[Document | None, Document | None]:
        place = self._places[customer_id]
        return self._documents[place], self._documents[place + len(self._places)]

    def pop_rest(self) -> list[Document | None]:
        rest = self._documents[2 * len(self._places) :]
        del self._documents[2 * len(self._places) :]
        return rest


def erased_moment(document: Document | None) -> int | None:
    """Return when a customer was erased, None when they were not."""
    return None if document is None else moment_of(decode(document.value))


def moment_of(raw: Raw) -> int:
    """Return the moment that a document holds."""
    us: int = raw["us"]
    return us


def busy() -> StateUnavailable:
    """Return the error of a document that others change all the time."""
    return StateUnavailable("busy: other workers kept changing the same customer; try again")
