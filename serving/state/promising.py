"""Keeps what answers promise: offers held, their money reserved, messages counted, and the answer itself, at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from serving.state.accepting import log_document
from serving.state.budgets import SWEPT_KEY, Budgets, Ended, Moves, Swept, gone_of, tally_key, units_of
from serving.state.codec import Raw, decode, encode, encode_person
from serving.state.holding import Given, Holds, after, with_new
from serving.state.holds import MINUTE_US, KeptAnswer, Promise, Promised
from serving.state.keys import kept_key, log_key, person_key
from serving.state.people import People, View
from serving.state.person import DAY_US, Person, with_events
from serving.state.sends import sent_mark
from serving.state.store import ABSENT, Commit, Document

if TYPE_CHECKING:
    from serving.decisioning.policy import StatePolicy

Documents = Mapping[str, Document | None]


class Promising:
    """Takes promises, each in one commit; those of several threads share a flush to disk."""

    def __init__(self, people: People, budgets: Budgets, limits: Callable[[], StatePolicy]) -> None:
        self._people = people
        self._budgets = budgets
        self._limits = limits

    def promise(self, customer_id: str, promise: Promise, now_us: int) -> Promised:
        """Return what became of a customer's promise; what was kept is durable."""
        return self._people.tried(lambda: self._attempted(customer_id, promise, now_us))

    def _attempted(self, customer_id: str, promise: Promise, now_us: int) -> Promised | None:
        """Return what is settled of a promise; None where it is to be tried again."""
        view, documents = self._read(customer_id, promise)
        if _has_changed(view, promise, documents):
            return Promised(None)
        draft = self._draft(view, promise, Swept.of(documents[SWEPT_KEY]), now_us)
        refused = draft.too_dear(documents)
        if not refused:
            return Promised(promise.kept) if self._people.store.commit(self._commit(draft, now_us)) else None
        until_us = min(now_us, promise.kept.at_us)
        is_swept = draft.swept.is_due(until_us) and self._budgets.sweep(until_us)
        return None if is_swept else Promised(None, refused)

    def _read(self, customer_id: str, promise: Promise) -> tuple[View, Documents]:
        """Return the customer, and every other document that the promise stands on, by key."""
        keys = list(dict.fromkeys((SWEPT_KEY, *map(tally_key, promise.budgets), *promise.basis)))
        views, documents = self._people.views([customer_id], keys)
        return views[customer_id], dict(zip(keys, documents, strict=True))

    def _draft(self, view: View, promise: Promise, swept: Swept, now_us: int) -> _Draft:
        """Return what a promise would change; of a moment to come, what ends by then counts as free."""
        is_to_come = promise.budgets and promise.kept.at_us // MINUTE_US > max(now_us // MINUTE_US, swept.minute)
        ended = self._budgets.ended(promise.kept.at_us) if is_to_come else Ended()
        holds = tuple(
            swept.reservable(hold) if hold.offer_id in promise.budgets else replace(hold, cost=0.0)
            for hold in promise.holds
        )
        return _Draft(view, promise, with_new(view.person.holds, holds), holds, swept, ended)

    def _commit(self, draft: _Draft, now_us: int) -> Commit:
        promise, hashes = draft.promise, self._people.hashes
        moves = draft.moves()
        person = self._promised(draft, now_us)
        put = {
            person_key(person.customer_id): encode_person(person),
            kept_key(person.customer_id, promise.kept.key): encode(_kept_document(promise.kept)),
            **{hashes.seen_key(each.event_id): sent_mark(each) for each in promise.sends},
            **{log_key(each.customer_id, each.event_id): log_document(each) for each in promise.sends},
        }
        expect = {
            **draft.view.expect,
            **promise.basis,
            **moves.expected(),
            **draft.ended.expect,
            **{hashes.seen_key(each.event_id): ABSENT for each in promise.sends},
        }
        is_durable = bool(promise.holds or promise.sends)
        return Commit(put=put, expect=expect, is_durable=is_durable, add=moves.additions())

    def _promised(self, draft: _Draft, now_us: int) -> Person:
        limits, promise = self._limits(), draft.promise
        ended_us = min(now_us, promise.kept.at_us) - limits.attribution_days * DAY_US
        person = replace(draft.view.person, holds=after(draft.given.holds, ended_us))
        if not promise.sends:
            return person
        return with_events(person, promise.sends, {}, limits=limits, reward_id_of=self._people.reward_id)


@dataclass(frozen=True, slots=True)
class _Draft:
    """What one promise would change, by what was read: `ended` is what will have come back by its moment."""

    view: View
    promise: Promise
    given: Given
    holds: Holds
    swept: Swept
    ended: Ended

    def most(self, offer_id: str) -> int:
        """Return how much of an offer's money may be gone at most, in units."""
        return units_of(self.promise.budgets[offer_id]) + self.ended.units.get(offer_id, 0)

    def moves(self) -> Moves:
        """Return what is reserved, and what comes back of holds that new ones have replaced."""
        moves = Moves(self.swept)
        for hold in self.given.replaced:
            moves.release(hold)
        for hold in self.holds:
            if hold.offer_id in self.promise.budgets:
                moves.reserve(hold, self.most(hold.offer_id))
        return moves

    def too_dear(self, documents: Documents) -> frozenset[str]:
        """Return the offers whose budgets have not enough left."""
        costs = {hold.offer_id: units_of(hold.cost) for hold in self.holds if hold.offer_id in self.promise.budgets}
        for hold in self.given.replaced:
            if hold.offer_id in costs and self.swept.is_reserved(hold):
                costs[hold.offer_id] -= units_of(hold.cost)
        return frozenset(
            offer_id
            for offer_id, units in costs.items()
            if gone_of(documents[tally_key(offer_id)]) + units > self.most(offer_id)
        )


def _has_changed(view: View, promise: Promise, documents: Documents) -> bool:
    """Return whether something is not as it was when the promise was decided."""
    now = {key: ABSENT if each is None else each.version for key, each in documents.items()}
    return any((view.expect | now)[key] != version for key, version in promise.basis.items())


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
