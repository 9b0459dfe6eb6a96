"""Forgets customers: hidden at once, then out of every document; a keyed hash with the moment is all that stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from serving.state.codec import decode, encode
from serving.state.keys import Hashes, decision_key, forget_key, identity_key, person_key
from serving.state.log import scanned
from serving.state.people import People, View
from serving.state.store import Commit, prefix_of

_BATCH = 100  # decisions whose heads are rewritten in one commit


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was erased: how many of each kind, all ids of the customer taken together, and the moment it holds for."""

    erased_us: int
    customer_ids: tuple[str, ...]
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
        store = self._people.store
        noted = store.read([forget_key(customer_id)])[0]
        if noted is None:
            self.forget(customer_id, now_us)
            noted = store.read([forget_key(customer_id)])[0]
        raw = {"us": now_us, "ids": [customer_id], "counts": {}} if noted is None else decode(noted.value)
        counts = Counter(raw["counts"])
        for each in raw["ids"]:
            counts["events"] += self._erase_log(each, raw["us"])
            counts["decisions"] += self._erase_decisions(each, raw["us"])
        store.scrub()
        return Receipt(raw["us"], tuple(raw["ids"]), dict(counts))

    def finish(self, customer_id: str) -> None:
        """Take an erasure off the list of what is still to be carried out; after it nothing holds the id."""
        store = self._people.store
        noted = store.read([forget_key(customer_id)])[0]
        if noted is not None:
            store.commit(Commit(delete=[forget_key(each) for each in decode(noted.value)["ids"]]))
            store.scrub()

    def erased(self) -> Erased:
        """Return who was erased, and who is to be."""
        store = self._people.store
        moments = {key: decode(document.value)["us"] for key, document in scanned(store, "erased/")}
        pending = {}
        for _, document in scanned(store, "forget/"):
            raw = decode(document.value)
            pending |= dict.fromkeys(raw["ids"], raw["us"])
        return Erased(moments, pending, self._people.hashes)

    def _forget(self, customer_id: str, now_us: int) -> bool:
        view = self._people.view(customer_id)
        person = view.person
        ids = list(person.ids)
        noted = self._people.store.read([forget_key(each) for each in ids])
        counts = _counts_of(view)
        for document in noted:
            if document is not None:
                raw = decode(document.value)
                ids += [each for each in raw["ids"] if each not in ids]
                counts.update(raw["counts"])
        forgotten_us = max(now_us, view.forgotten_us or now_us)
        note = encode({"us": forgotten_us, "ids": ids, "counts": counts})
        commit = Commit(
            put={
                **{self._people.hashes.erased_key(each): encode({"us": forgotten_us}) for each in ids},
                **{forget_key(each): note for each in ids},
            },
            delete=[*map(person_key, person.ids), *map(identity_key, person.identities)],
            expect=view.expect,
        )
        return self._people.store.commit(commit)

    def _erase_log(self, customer_id: str, until_us: int) -> int:
        n_erased = 0
        keys = []
        for key, document in scanned(self._people.store, prefix_of("log", customer_id)):
            raw = decode(document.value)["e"]
            at_us, accepted_us = raw[3], raw[4]
            if min(at_us, accepted_us) <= until_us:
                keys.append(key)
        for first in range(0, len(keys), 1000):
            page = keys[first : first + 1000]
            self._people.store.commit(Commit(delete=page))
            n_erased += len(page)
        return n_erased

    def _erase_decisions(self, customer_id: str, until_us: int) -> int:
        prefix = prefix_of("of", customer_id)
        parts = [
            (key, raw["decision"])
            for key, document in scanned(self._people.store, prefix)
            if (raw := decode(document.value))["us"] <= until_us
        ]
        for first in range(0, len(parts), _BATCH):
            batch = dict(parts[first : first + _BATCH])
            self._people.tried(lambda batch=batch: self._without_customer(customer_id, batch) or None)
        return len(parts)

    def _without_customer(self, customer_id: str, parts: Mapping[str, str]) -> bool:
        """Commit heads that count a customer instead of naming them; `parts`: key of a part → its decision."""
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
        return self._people.store.commit(Commit(put=put, delete=list(parts), expect=expect))


def _counts_of(view: View) -> Counter[str]:
    person = view.person
    return Counter(
        consents=int(bool(person.consent)),
        challenges=len(person.challenges),
        rewards=len(person.rewards),
        identities=len(person.identities),
        merged=len(person.also),
    )
