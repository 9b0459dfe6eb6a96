"""Forgets customers: hidden at once, then out of every document; a keyed hash with the moment is all that stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from serving.state.codec import decode, encode
from serving.state.keys import Hashes, decision_key, forget_key, identity_key, person_key
from serving.state.log import scanned
from serving.state.people import People, View
from serving.state.store import Commit, Document, prefix_of

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
    """An erasure that is to be carried out: up to when, all ids of the customer, and what is gone already."""

    until_us: int
    ids: tuple[str, ...]
    counts: Mapping[str, int]


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
        note = self._note_of(customer_id)
        if note is None:
            self.forget(customer_id, now_us)
            note = self._note_of(customer_id) or _Note(now_us, (customer_id,), {})
        counts = Counter(note.counts)
        for each in note.ids:
            counts["events"] += self._erase_log(each, note.until_us)
            counts["decisions"] += self._erase_decisions(each, note.until_us)
        self._people.store.scrub()
        return Receipt(note.until_us, note.ids, dict(counts))

    def finish(self, customer_id: str) -> None:
        """Take an erasure off the list of what is still to be carried out; after it nothing holds the id."""
        note = self._note_of(customer_id)
        if note is not None:
            self._people.store.commit(Commit(delete=[forget_key(each) for each in note.ids]))
            self._people.store.scrub()

    def erased(self) -> Erased:
        """Return who was erased, and who is to be."""
        store = self._people.store
        moments = {key: decode(document.value)["us"] for key, document in scanned(store, "erased/")}
        notes = [_note(document) for _, document in scanned(store, "forget/")]
        pending = {each: note.until_us for note in notes for each in note.ids}
        return Erased(moments, pending, self._people.hashes)

    def _note_of(self, customer_id: str) -> _Note | None:
        document = self._people.store.read([forget_key(customer_id)])[0]
        return None if document is None else _note(document)

    def _forget(self, customer_id: str, now_us: int) -> bool:
        view = self._people.view(customer_id)
        person = view.person
        ids = list(person.ids)
        noted = self._people.store.read([forget_key(each) for each in ids])
        counts = _counts_of(view)
        for document in noted:
            if document is not None:
                note = _note(document)
                ids += [each for each in note.ids if each not in ids]
                counts.update(note.counts)
        forgotten_us = max(now_us, view.forgotten_us or now_us)
        to_do = encode({"us": forgotten_us, "ids": ids, "counts": counts})
        commit = Commit(
            put={
                **{self._people.hashes.erased_key(each): encode({"us": forgotten_us}) for each in ids},
                **{forget_key(each): to_do for each in ids},
            },
            delete=[*map(person_key, person.ids), *map(identity_key, person.identities)],
            expect=view.expect,
        )
        return self._people.store.commit(commit)

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
            if (raw := decode(document.value))["us"] <= until_us
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
            raw = decode(document.value)
            n_named = raw["customers"].count(customer_id)
            raw["customers"] = [each for each in raw["customers"] if each != customer_id]
            put[key] = encode(raw | {"erased": raw["erased"] + n_named})
            expect[key] = document.version
        return self._people.store.commit(Commit(put=put, delete=list(parts), expect=expect)) or None


def _note(document: Document) -> _Note:
    raw = decode(document.value)
    return _Note(raw["us"], tuple(raw["ids"]), raw["counts"])


def _counts_of(view: View) -> Counter[str]:
    person = view.person
    return Counter(
        consents=int(bool(person.consent)),
        challenges=len(person.challenges),
        rewards=len(person.rewards),
        identities=len(person.identities),
        merged=len(person.also),
    )
