"""What the engine decides by, read in as few round trips as can be, and kept ready as of the versions of documents."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import NamedTuple

from serving.state.budgets import SWEPT_KEY, Swept, spending_by_offer, tally_key
from serving.state.challenges import Challenge, KeptChallenge, kept
from serving.state.codec import Raw, challenge_in, decode, live_of_raw, tells_doings, with_doings
from serving.state.holds import MINUTE_US
from serving.state.keys import kept_key, person_key
from serving.state.known import NO_STOCK, Known, Live, Stock, no_challenge
from serving.state.marks import Stamp
from serving.state.people import People, erased_moment
from serving.state.person import before, live_of
from serving.state.promising import kept_of
from serving.state.stock_words import HEAD, head_of, read_stock
from serving.state.store import ABSENT, Document, Marking

# Bytes of documents whose customers are kept ready, each as of the versions of their documents: what 256 customers of
# 100 events have, some 5 MB in memory. They pass through the youngest generation of the garbage collector, whose passes
# grow with what is kept: 1,000 such customers were measured to hold up answers for 5 to 20 ms.
_READY_BYTES = 2 << 20
_LEAST_BYTES = 512  # what is kept of one of whom there is no document counts as
_WEEKS_REMEMBERED = 2  # whose challenges are kept ready with a customer: the current one, and the next around midnight


class _Looked(NamedTuple):
    """What is known of a customer, and where their challenges are."""

    live: Live
    challenge_in: Callable[[int], Challenge | None]

    def challenge_of(self, monday_day: int) -> KeptChallenge | None:
        """Return the challenge of a week."""
        newest = self.live.challenge
        is_newest = newest is not None and newest.monday_day == monday_day
        challenge = newest if is_newest else self.challenge_in(monday_day)
        return None if challenge is None else kept(challenge, self.live.kinds)


class _Told(NamedTuple):
    """What a call was told of a customer, and as of when."""

    known: Known
    stamp: Stamp


class _Ready(NamedTuple):
    """What is kept of a customer, as of which versions of their two documents."""

    versions: tuple[int, int]
    n_bytes: int
    looked: _Looked
    told: _Told | None


class Looking:
    """Reads customers, the stock, and what offers have left."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._store = people.store
        self._marking = people.store if isinstance(people.store, Marking) else None
        self._stock = NO_STOCK
        self._ready: dict[str, _Ready] = {}
        self._n_bytes = 0
        self._lock = threading.Lock()

    def live(self, customer_id: str, before_us: int | None) -> Live:
        """Return what is known of a customer between bundles: every accepted event, or those strictly before."""
        return _as_of(self._looked(customer_id, self._store.read(self._keys(customer_id))).live, before_us)

    def lives(self, customer_ids: Sequence[str], before_us: int | None) -> dict[str, Live]:
        """Return who customers are, what they said and what they did, by the id asked for, in one look.

        Their challenges, rewards and offers are left out: that is for those for whom something is decided.
        """
        ids = list(dict.fromkeys(customer_ids))
        documents = self._store.read([*map(person_key, ids), *map(self._people.hashes.erased_key, ids)])
        return {
            customer_id: self._briefly(customer_id, document, erased, before_us)
            for customer_id, document, erased in zip(ids, documents, documents[len(ids) :], strict=False)
        }

    def _briefly(
        self, customer_id: str, document: Document | None, erased: Document | None, before_us: int | None
    ) -> Live:
        erased_us = erased_moment(erased)
        if document is None or not tells_doings(document.value):
            return Live(customer_id) if erased_us is None else Live(customer_id, is_erased=True, erased_us=erased_us)
        raw = decode(document.value)
        if "into" in raw:
            view = self._people.view(raw["into"])
            raw, erased_us = view.raw, view.erased_us
        return _as_of(with_doings(raw, erased_us), before_us)

    def stock(self) -> Stock:
        """Return what is in stock by the latest word."""
        return self._stock_at(self._store.read([HEAD])[0])

    def known(self, customer_id: str, before_us: int | None, *, offers: Collection[str], asked: str) -> Known:
        """Return what a call for a customer may decide by, with budgets and the answer to what was asked, in one look.

        One who was merged is looked at once more, under the id that stands.
        """
        if before_us is None and not offers and not asked:
            return self._known_now(customer_id)
        keys = [*self._keys(customer_id), HEAD]
        keys += [SWEPT_KEY, *map(tally_key, offers)] if offers else []
        keys += [kept_key(customer_id, asked)] if asked else []
        documents = self._store.read(keys)
        known = self._known_of(self._looked(customer_id, documents[:2]), keys, documents, before_us)
        if asked and known.live.customer_id != customer_id:
            known = self.known(known.live.customer_id, before_us, offers=offers, asked=asked)
            return replace(known, basis={**known.basis, **_basis(keys[:2], documents)})
        if offers:
            spending = spending_by_offer(list(offers), documents[4 : 4 + len(offers)])
            known = replace(known, spending=spending, swept_us=Swept.of(documents[3]).minute * MINUTE_US)
        if asked:
            kept = {} if documents[-1] is None else {asked: kept_of(documents[-1])}
            known = replace(known, kept=kept, basis={**known.basis, **_basis(keys[-1:], documents[-1:])})
        return known

    def _known_now(self, customer_id: str) -> Known:
        """Return what is known by now: what was read before, where the store says that it stands."""
        marking, ready = self._marking, self._ready.get(customer_id)
        if marking is not None and ready is not None and ready.told is not None and marking.stands(ready.told.stamp):
            return ready.told.known
        keys = (*self._keys(customer_id), HEAD)
        documents, stamp = (self._store.read(keys), None) if marking is None else marking.read_stamped(keys)
        looked = self._looked(customer_id, documents[:2])
        known = self._known_of(looked, keys, documents, None)
        # What is known of one who was merged stands in another document.
        if stamp is not None and looked.live.customer_id == customer_id:
            self._keep(customer_id, documents, looked, _Told(known, stamp))
        return known

    def _known_of(
        self, looked: _Looked, keys: Sequence[str], documents: Sequence[Document | None], before_us: int | None
    ) -> Known:
        """Return what is known, by the customer's two documents and the head of the stock."""
        live, stock = _as_of(looked.live, before_us), self._stock_at(documents[2])
        has_none = documents[0] is None
        challenge_of = no_challenge if has_none else lru_cache(_WEEKS_REMEMBERED)(looked.challenge_of)
        return Known(live, stock, basis=_basis(keys[:2], documents), challenge_of=challenge_of)

    def _keys(self, customer_id: str) -> tuple[str, str]:
        return person_key(customer_id), self._people.hashes.erased_key(customer_id)

    def _looked(self, customer_id: str, documents: Sequence[Document | None]) -> _Looked:
        document, erased = documents
        erased_us = erased_moment(erased)
        if document is None:
            return _Looked(Live(customer_id, is_erased=erased_us is not None, erased_us=erased_us or 0), no_challenge)
        ready = self._ready.get(customer_id)
        if ready is not None and ready.versions == _versions(documents):
            return ready.looked
        raw = decode(document.value)
        if "into" in raw:
            view = self._people.view(raw["into"])
            return _Looked(live_of(view.person, view.erased_us), view.person.challenges.get)
        looked = _Looked(live_of_raw(raw, erased_us), partial(challenge_in, _challenges_of(raw)))
        self._keep(customer_id, documents, looked)
        return looked

    def _keep(
        self, customer_id: str, documents: Sequence[Document | None], looked: _Looked, told: _Told | None = None
    ) -> None:
        """Keep a customer ready, in place of those who were read the longest ago."""
        n_bytes = _LEAST_BYTES if documents[0] is None else max(len(documents[0].value), _LEAST_BYTES)
        ready = _Ready(_versions(documents), n_bytes, looked, told)
        with self._lock:
            before = self._ready.pop(customer_id, None)
            self._ready[customer_id] = ready
            self._n_bytes += ready.n_bytes - (0 if before is None else before.n_bytes)
            # One at a time: to let all of them go at once holds up every answer for some milliseconds.
            while self._n_bytes > _READY_BYTES:
                self._n_bytes -= self._ready.pop(next(iter(self._ready))).n_bytes

    def _stock_at(self, document: Document | None) -> Stock:
        cached = self._stock
        head = head_of(document)
        if head.generation == cached.generation:
            return cached

        def attempt() -> Stock | None:
            latest = head_of(self._store.read([HEAD])[0])
            return read_stock(self._store, latest, cached)

        found = read_stock(self._store, head, cached) or self._people.tried(attempt)
        self._stock = found
        return found


def _as_of(live: Live, before_us: int | None) -> Live:
    return live if before_us is None else before(live, before_us)


def _challenges_of(raw: Raw) -> Raw:
    """Return of a document what holds challenges: the rest of it need not be kept ready."""
    return {"challenges": raw.get("challenges", ())}


def _versions(documents: Sequence[Document | None]) -> tuple[int, int]:
    """Return the versions of a customer's two documents, the first of `documents`."""
    person, erased = (ABSENT if each is None else each.version for each in documents[:2])
    return person, erased


def _basis(keys: Sequence[str], documents: Sequence[Document | None]) -> dict[str, int]:
    """Return the versions of documents by key, for as many as there are keys."""
    found = zip(keys, documents, strict=False)
    return {key: ABSENT if document is None else document.version for key, document in found}
