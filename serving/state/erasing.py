"""Forgets customers: hidden at once, then out of every document; a keyed hash with the moment is all that stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from serving.state.budgets import SWEPT_KEY, Moves, Swept
from serving.state.codec import decode, encode
from serving.state.decisions import known_us, without
from serving.state.keys import Hashes, decision_key, forget_key, identity_key, person_key
from serving.state.log import scanned
from serving.state.people import People, View
from serving.state.store import ABSENT, Commit, Document, prefix_of

_PAGE = 1000
_BATCH = 100  # decisions whose heads are rewritten in one commit


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was erased: how many of each kind, all ids of the customer taken together, and the moment it holds for."""

    erased_us: int
    customer_ids: tuple[str, ...]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Note:
    """An erasure to be carried out: up to when, by id; what is hidden already; and whether the state is done."""

    customer_id: str
    until_us: Mapping[str, int]
    counts: Mapping[str, int]
    is_out_of_state: bool = False
    version: int = ABSENT

    def encoded(self) -> bytes:
        return encode(
            {"id": self.customer_id, "us": self.until_us, "counts": self.counts, "done": self.is_out_of_state}
        )


@dataclass(frozen=True, slots=True)
class Erased:
    """Who was erased, for whoever reads the retailer's own rows again; `pending` has those still to be carried out."""

    moments: Mapping[str, int]
    pending: Mapping[str, int]
    hashes: Hashes

    def moment_us(self, customer_id: str) -> int | None:
        """Return when a customer was erased, None when they were not; rows up to then don't count."""
        return self.moments.get(self.hashes.erased_key(customer_id))


class Erasing:
    """Takes customers out."""

    def __init__(self, people: People) -> None:
        self._people = people

    def forget(self, customer_id: str, now_us: int) -> bool:
        """Hide a customer from every answer, and note that all of them is to be erased."""
        return self._people.tried(lambda: self._forget(customer_id, now_us) or None)

    def erase(self, customer_id: str, now_us: int) -> Receipt:
        """Return what was erased of a customer, after forgetting them where that was not done before."""
        note = self._notes([customer_id]).get(customer_id)
        if note is None:
            self.forget(customer_id, now_us)
            note = self._notes([customer_id]).get(customer_id, _Note(customer_id, {customer_id: now_us}, {}))
        counts = Counter(note.counts)
        for each, until_us in note.until_us.items():
            counts["events"] += self._erase_log(each, until_us)
            counts["decisions"] += self._erase_decisions(each, until_us)
        self._people.store.scrub()
        self._people.tried(partial(self._mark, note))
        return Receipt(note.until_us[customer_id], tuple(note.until_us), dict(counts))

    def finish(self, customer_id: str) -> None:
        """Take a customer off the list of what is still to be carried out; after it nothing holds the id.

        One who asked again since they were erased stays on it.
        """

        def attempt() -> bool | None:
            notes = self._notes([customer_id])
            if customer_id in notes:
                notes = self._notes(notes[customer_id].until_us)
            expect = {forget_key(each.customer_id): each.version for each in notes.values() if each.is_out_of_state}
            return self._people.store.commit(Commit(delete=list(expect), expect=expect)) or None if expect else False

        if self._people.tried(attempt):
            self._people.store.scrub()

    def erased(self) -> Erased:
        """Return who was erased, and who is to be."""
        store = self._people.store
        moments = {key: decode(document.value)["us"] for key, document in scanned(store, "erased/")}
        notes = [_note(document) for _, document in scanned(store, "forget/")]
        pending = {note.customer_id: note.until_us[note.customer_id] for note in notes}
        return Erased(moments, pending, self._people.hashes)

    def _notes(self, customer_ids: Iterable[str]) -> dict[str, _Note]:
        documents = self._people.store.read([forget_key(each) for each in customer_ids])
        notes = [_note(document) for document in documents if document is not None]
        return {note.customer_id: note for note in notes}

    def _mark(self, note: _Note) -> bool | None:
        """Return whether it was noted that the state is done with these ids; those forgotten again since are not."""
        notes = self._notes(note.until_us).values()
        found = [each for each in notes if each.until_us[each.customer_id] <= note.until_us[each.customer_id]]
        commit = Commit(
            put={forget_key(each.customer_id): replace(each, is_out_of_state=True).encoded() for each in found},
            expect={forget_key(each.customer_id): each.version for each in found},
        )
        return self._people.store.commit(commit) or None

    def _forget(self, customer_id: str, now_us: int) -> bool:
        views, (swept,) = self._people.views([customer_id], [SWEPT_KEY])
        view = views[customer_id]
        ids = view.person.ids
        moves = Moves(Swept.of(swept))
        for hold in view.person.holds:
            moves.release(hold)
        forgotten_us = max(now_us, view.forgotten_us or now_us)
        until_us: dict[str, int] = {}
        counts = _counts_of(view)
        for earlier in self._notes(ids).values():
            until_us |= earlier.until_us
            counts.update(earlier.counts)
        until_us |= dict.fromkeys(ids, forgotten_us)
        commit = Commit(
            put={
                **{self._people.hashes.erased_key(each): encode({"us": forgotten_us}) for each in ids},
                **{forget_key(each): _Note(each, until_us, counts).encoded() for each in ids},
            },
            delete=[
                *map(person_key, ids),
                *map(identity_key, view.person.identities),
                *(key for each in ids for key in self._kept_answers(each)),
            ],
            expect={**view.expect, **moves.expected()},
            add=moves.additions(),
        )
        return self._people.store.commit(commit)

    def _kept_answers(self, customer_id: str) -> list[str]:
        return [key for key, _ in scanned(self._people.store, prefix_of("kept", customer_id))]

    def _erase_log(self, customer_id: str, until_us: int) -> int:
        keys = [
            key
            for key, document in scanned(self._people.store, prefix_of("log", customer_id))
            if min(decode(document.value)["e"][3:5]) <= until_us  # its at, and when it was accepted
        ]
        for first in range(0, len(keys), _PAGE):
            self._people.store.commit(Commit(delete=keys[first : first + _PAGE]))
        return len(keys)

    def _erase_decisions(self, customer_id: str, until_us: int) -> int:
        prefix = prefix_of("of", customer_id)
        parts = [
            (key, raw["decision"])
            for key, document in scanned(self._people.store, prefix)
            if known_us(raw := decode(document.value)) <= until_us
        ]
        for first in range(0, len(parts), _BATCH):
            batch = dict(parts[first : first + _BATCH])
            self._people.tried(partial(self._without_customer, customer_id, batch))
        return len(parts)

    def _without_customer(self, customer_id: str, parts: Mapping[str, str]) -> bool | None:
        """Return whether heads that count a customer instead of naming them were committed, None when not.

        `parts`: key of a part → its decision.
        """
        keys = [decision_key(each) for each in parts.values()]
        put, expect = {}, {}
        for key, document in zip(keys, self._people.store.read(keys), strict=True):
            if document is None:
                continue
            put[key] = without(decode(document.value), customer_id)
            expect[key] = document.version
        return self._people.store.commit(Commit(put=put, delete=list(parts), expect=expect)) or None


def _note(document: Document) -> _Note:
    raw = decode(document.value)
    return _Note(raw["id"], raw["us"], raw["counts"], raw["done"], document.version)


def _counts_of(view: View) -> Counter[str]:
    person = view.person
    return Counter(
        consents=int(bool(person.consent)),
        challenges=len(person.challenges),
        rewards=len(person.rewards),
        identities=len(person.identities),
        holds=len(person.holds),
        merged=len(person.also),
    )
