"""What the engine decides by, read in as few round trips as can be, and kept ready as of the versions of documents."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from serving.state.budgets import SWEPT_KEY, Swept, spending_by_offer, tally_key
from serving.state.challenges import Challenge, KeptChallenge, kept
from serving.state.codec import Raw, challenge_in, decode, live_of_raw
from serving.state.holds import MINUTE_US
from serving.state.keys import kept_key, person_key
from serving.state.known import NO_STOCK, Known, Live, Stock, no_challenge
from serving.state.people import People, erased_moment
from serving.state.person import before, live_of
from serving.state.promising import kept_of
from serving.state.stock_words import HEAD, head_of, read_stock
from serving.state.store import ABSENT, Document

# Customers whose state is kept ready, each as of the versions of their documents: about 5 MB when each has 100 events.
# They pass through the youngest generation of the garbage collector, whose passes grow with their number: 1,000 of them
# were measured to hold up answers for 5 to 20 ms.
_CACHED_LIVES = 256


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


class Looking:
    """Reads customers, the stock, and what offers have left."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._store = people.store
        self._stock = NO_STOCK
        self._lives: dict[str, tuple[tuple[int, int], _Looked]] = {}

    def live(self, customer_id: str, before_us: int | None) -> Live:
        """Return what is known of a customer between bundles: every accepted event, or those strictly before."""
        return _as_of(self._looked(customer_id, self._store.read(self._keys(customer_id))).live, before_us)

    def lives(self, customer_ids: Sequence[str], before_us: int | None) -> dict[str, Live]:
        """Return what is known of customers, by the id asked for, in one look."""
        ids = list(dict.fromkeys(customer_ids))
        documents = self._store.read([key for each in ids for key in self._keys(each)])
        looked = ((each, self._looked(each, documents[2 * i : 2 * i + 2])) for i, each in enumerate(ids))
        return {each: _as_of(found.live, before_us) for each, found in looked}

    def stock(self) -> Stock:
        """Return what is in stock by the latest word."""
        return self._stock_at(self._store.read([HEAD])[0])

    def known(self, customer_id: str, before_us: int | None, *, offers: Collection[str], asked: str) -> Known:
        """Return what a call for a customer may decide by, with budgets and the answer to what was asked, in one look.

        One who was merged is looked at once more, under the id that stands.
        """
        keys = [*self._keys(customer_id), HEAD]
        keys += [SWEPT_KEY, *map(tally_key, offers)] if offers else []
        keys += [kept_key(customer_id, asked)] if asked else []
        documents = self._store.read(keys)
        looked = self._looked(customer_id, documents[:2])
        live = _as_of(looked.live, before_us)
        if asked and live.customer_id != customer_id:
            known = self.known(live.customer_id, before_us, offers=offers, asked=asked)
            return replace(known, basis={**known.basis, **_basis(keys[:2], documents)})
        stock, basis = self._stock_at(documents[2]), _basis(keys[:2], documents)
        known = Known(live, stock, basis=basis, challenge_of=looked.challenge_of)
        if offers:
            spending = spending_by_offer(list(offers), documents[4 : 4 + len(offers)])
            known = replace(known, spending=spending, swept_us=Swept.of(documents[3]).minute * MINUTE_US)
        if asked:
            kept = {} if documents[-1] is None else {asked: kept_of(documents[-1])}
            known = replace(known, kept=kept, basis={**known.basis, **_basis(keys[-1:], documents[-1:])})
        return known

    def _keys(self, customer_id: str) -> tuple[str, str]:
        return person_key(customer_id), self._people.hashes.erased_key(customer_id)

    def _looked(self, customer_id: str, documents: Sequence[Document | None]) -> _Looked:
        document, erased = documents
        erased_us = erased_moment(erased)
        if document is None:
            return _Looked(Live(customer_id, is_erased=erased_us is not None, erased_us=erased_us or 0), no_challenge)
        versions = (document.version, ABSENT if erased is None else erased.version)
        known = self._lives.get(customer_id)
        if known is not None and known[0] == versions:
            return known[1]
        raw = decode(document.value)
        if "into" in raw:
            # No cache by this id: what is known of the customer changes without a change of this document.
            view = self._people.view(raw["into"])
            return _Looked(live_of(view.person, view.erased_us), view.person.challenges.get)
        looked = _Looked(live_of_raw(raw, erased_us), partial(challenge_in, _challenges_of(raw)))
        self._lives.pop(customer_id, None)
        self._lives[customer_id] = (versions, looked)
        if len(self._lives) > _CACHED_LIVES:
            # One at a time: to let all of them go at once holds up every answer for some milliseconds.
            with suppress(StopIteration, KeyError, RuntimeError):  # another thread did so
                del self._lives[next(iter(self._lives))]
        return looked

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


def _basis(keys: Sequence[str], documents: Sequence[Document | None]) -> dict[str, int]:
    """Return the versions of documents by key, for as many as there are keys."""
    found = zip(keys, documents, strict=False)
    return {key: ABSENT if document is None else document.version for key, document in found}
