"""Links identities to customers, and makes two customers one where they share a value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from serving.state.budgets import SWEPT_KEY, Moves, Swept
from serving.state.codec import decode, encode, encode_person
from serving.state.holds import Hold
from serving.state.keys import identity_key, person_key
from serving.state.log import with_log
from serving.state.people import People, View
from serving.state.person import Person, merged, with_newest, with_purchases
from serving.state.store import ABSENT, Commit, Document

if TYPE_CHECKING:
    from serving.decisioning.policy import StatePolicy

IsLoyal = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Identity:
    """One way to recognise a customer; the value is never kept."""

    customer_id: str
    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Merged:
    """Two customers that turned out to be one: the id that goes, and the one that stays."""

    customer_id: str
    into: str


@dataclass(frozen=True, slots=True)
class Linked:
    """What became of identities; `rejected` are the places in the call of those with an empty value."""

    accepted: int
    merged: tuple[Merged, ...]
    rejected: tuple[int, ...]


class Merging:
    """Takes identities in."""

    def __init__(self, people: People, limits: Callable[[], StatePolicy]) -> None:
        self._people = people
        self._limits = limits

    def link(self, identities: Sequence[Identity], is_loyal: IsLoyal, now_us: int) -> Linked:
        """Return what became of the identities, each one committed before the next."""
        merges: list[Merged] = []
        rejected: list[int] = []
        for place, identity in enumerate(identities):
            name = self._people.hashes.identity_name(identity.kind, identity.value)
            if name:
                merges += self._people.tried(partial(self._link, identity.customer_id, name, is_loyal, now_us))
            else:
                rejected.append(place)
        return Linked(len(identities) - len(rejected), tuple(merges), tuple(rejected))

    def _link(self, customer_id: str, name: str, is_loyal: IsLoyal, now_us: int) -> list[Merged] | None:
        """Return the merges that this identity brought, None when another worker was first."""
        views, (owner,) = self._people.views([customer_id], [identity_key(name)])
        view = views[customer_id]
        if owner is None:
            person = view.person
            first_us = now_us if person.first_seen_us is None else person.first_seen_us
            grown = replace(person, identities=_with_name(person, name), first_seen_us=first_us)
            return [] if self._commit(grown, name, owner, Commit(expect=view.expect)) else None
        other = self._people.view(decode(owner.value)["id"])
        if other.person.customer_id == view.person.customer_id:
            return []
        stays, goes = sorted((view, other), key=partial(_seniority, is_loyal=is_loyal, now_us=now_us))
        return self._merge(stays, goes, name, owner)

    def _merge(self, stays: View, goes: View, name: str, owner: Document) -> list[Merged] | None:
        both = merged(stays.person, goes.person, goes_hidden=goes.erased_us is not None)
        since_us = min((each.starts_us for each in both.challenges.values()), default=None)
        if since_us is not None:
            lines, kinds = with_log(self._people, (goes.person, stays.person), since_us)
            both = with_purchases(replace(both, kinds={**kinds, **both.kinds}), lines, self._people.reward_id)
        both = with_newest(both, both.events, self._limits().events_per_customer)
        both = replace(both, identities=_with_name(both, name))
        moves = self._released(both, (*stays.person.holds, *goes.person.holds))
        into = encode({"into": both.customer_id})
        also = Commit(
            put={person_key(each): into for each in goes.person.ids},
            expect={**stays.expect, **goes.expect, **moves.expected()},
            add=moves.additions(),
        )
        if not self._commit(both, name, owner, also):
            return None
        return [Merged(goes.person.customer_id, both.customer_id)]

    def _released(self, both: Person, holds: Iterable[Hold]) -> Moves:
        """Return what comes back of offers that both customers held: one of the two holds is left."""
        lost = list(holds)
        for hold in both.holds:
            lost.remove(hold)
        moves = Moves(Swept.of(self._people.store.read([SWEPT_KEY])[0]) if lost else Swept())
        for hold in lost:
            moves.release(hold)
        return moves

    def _commit(self, person: Person, name: str, owner: Document | None, also: Commit) -> bool:
        """Return whether a person was written as the owner of an identity, with what is to happen besides."""
        put = {person_key(person.customer_id): encode_person(person), **also.put}
        put[identity_key(name)] = encode({"id": person.customer_id})
        version = ABSENT if owner is None else owner.version
        commit = replace(also, put=put, expect={**also.expect, identity_key(name): version})
        return self._people.store.commit(commit)


def _with_name(person: Person, name: str) -> tuple[str, ...]:
    return tuple(sorted({*person.identities, name}))


def _seniority(view: View, *, is_loyal: IsLoyal, now_us: int) -> tuple[bool, int, str]:
    """Return what orders customers: the loyal before guests, then whoever was seen first, then by id."""
    person = view.person
    first_us = now_us if person.first_seen_us is None else person.first_seen_us
    return not any(map(is_loyal, person.ids)), first_us, person.customer_id
