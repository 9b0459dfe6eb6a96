"""Keeps what answers promise: offers held, their money reserved, messages counted, and the answer itself, at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from serving.state.accepting import log_document
from serving.state.budgets import SWEPT_KEY, Budgets, Moves, Swept, gone_of, tally_key, units_of
from serving.state.codec import Raw, decode, encode, encode_person
from serving.state.holding import after, in_order
from serving.state.holds import KeptAnswer, Promise, Promised
from serving.state.keys import kept_key, log_key, person_key
from serving.state.people import People, View
from serving.state.person import DAY_US, Person, with_events
from serving.state.sends import sent_mark
from serving.state.store import ABSENT, Commit, Document

if TYPE_CHECKING:
    from serving.decisioning.policy import StatePolicy

Documents = Mapping[str, Document | None]


class Promising:
    """Takes promises, of many customers at once: whatever waits shares one flush to disk."""

    def __init__(self, people: People, budgets: Budgets, limits: Callable[[], StatePolicy]) -> None:
        self._people = people
        self._budgets = budgets
        self._limits = limits

    def promise(self, promises: Sequence[tuple[str, Promise]], now_us: int) -> list[Promised]:
        """Return what became of each customer's promise, in their order; all that was kept is durable.

        Of several of one customer each but the first finds that something has changed.
        """
        done: dict[int, Promised] = {}

        def attempt() -> bool | None:
            waiting = [place for place in range(len(promises)) if place not in done]
            done.update(self._attempted([promises[place] for place in waiting], waiting, now_us))
            return True if len(done) == len(promises) else None

        if promises:
            self._people.tried(attempt)
        return [done[place] for place in range(len(promises))]

    def _attempted(
        self, promises: Sequence[tuple[str, Promise]], places: Sequence[int], now_us: int
    ) -> dict[int, Promised]:
        """Return what is settled of promises, by their places; the others are to be tried again."""
        views, documents = self._read(promises)
        swept = Swept.of(documents[SWEPT_KEY])
        is_late = swept.is_due(now_us)
        settled: dict[int, Promised] = {}
        submitted = []
        for place, (customer_id, promise) in zip(places, promises, strict=True):
            view = views[customer_id]
            if _has_changed(view, promise, documents):
                settled[place] = Promised(None)
            elif refused := _too_dear(promise, documents):
                if not is_late:
                    settled[place] = Promised(None, refused)
            else:
                commit = self._commit(view, promise, swept, now_us)
                submitted.append((place, promise, self._people.store.submit(commit)))
        settled |= {place: Promised(promise.kept) for place, promise, outcome in submitted if outcome.result()}
        if is_late and len(settled) < len(promises):
            self._budgets.sweep(now_us)
        return settled

    def _read(self, promises: Sequence[tuple[str, Promise]]) -> tuple[dict[str, View], Documents]:
        """Return the customers, and every other document that the promises stand on, by key."""
        keys = {SWEPT_KEY: None}
        for _, promise in promises:
            keys |= dict.fromkeys(map(tally_key, promise.budgets))
            keys |= dict.fromkeys(promise.basis)
        views, documents = self._people.views((customer_id for customer_id, _ in promises), list(keys))
        return views, dict(zip(keys, documents, strict=True))

    def _commit(self, view: View, promise: Promise, swept: Swept, now_us: int) -> Commit:
        moves = Moves(swept)
        for hold in promise.holds:
            if hold.offer_id in promise.budgets:
                moves.reserve(hold, promise.budgets[hold.offer_id])
        person = self._promised(view.person, promise, now_us)
        key = kept_key(person.customer_id, promise.kept.key)
        hashes = self._people.hashes
        put = {
            person_key(person.customer_id): encode_person(person),
            key: encode(_kept_document(promise.kept)),
            **{hashes.seen_key(each.event_id): sent_mark(each) for each in promise.sends},
            **{log_key(each.customer_id, each.event_id): log_document(each) for each in promise.sends},
        }
        expect = {
            **view.expect,
            **promise.basis,
            **moves.expected(),
            **{hashes.seen_key(each.event_id): ABSENT for each in promise.sends},
        }
        return Commit(put=put, expect=expect, add=moves.additions())

    def _promised(self, person: Person, promise: Promise, now_us: int) -> Person:
        limits = self._limits()
        kept = after(person.holds, now_us - limits.attribution_days * DAY_US)
        person = replace(person, holds=in_order((*kept, *promise.holds)))
        if not promise.sends:
            return person
        return with_events(person, promise.sends, {}, limits=limits, reward_id_of=self._people.reward_id)


def _has_changed(view: View, promise: Promise, documents: Documents) -> bool:
    """Return whether something is not as it was when the promise was decided."""
    now = {key: ABSENT if each is None else each.version for key, each in documents.items()}
    return any((view.expect | now)[key] != version for key, version in promise.basis.items())


def _too_dear(promise: Promise, documents: Documents) -> frozenset[str]:
    """Return the offers whose budgets have not enough left."""
    costs = {hold.offer_id: units_of(hold.cost) for hold in promise.holds}
    return frozenset(
        offer_id
        for offer_id, budget in promise.budgets.items()
        if offer_id in costs and gone_of(documents[tally_key(offer_id)]) + costs[offer_id] > units_of(budget)
    )


def kept_of(document: Document) -> KeptAnswer:
    """Return the kept answer of a document."""
    raw = decode(document.value)
    return KeptAnswer(raw["key"], raw["print"], raw["us"], raw["until"], raw["answer"], raw["stock"])


def is_over(raw: Raw, now_us: int) -> bool:
    """Return whether the kept answer of a document stands no more."""
    until_us: int = raw["until"]
    return until_us <= now_us


def _kept_document(kept: KeptAnswer) -> dict[str, object]:
    return {
        "key": kept.key,
        "print": kept.fingerprint,
        "us": kept.at_us,
        "until": kept.until_us,
        "answer": kept.answer,
        "stock": kept.stock,
    }
