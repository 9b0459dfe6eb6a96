"""Accepts events: each once, in one commit a customer that also moves consent, challenges and rewards."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from serving.errors import StateUnavailable
from serving.state.budgets import SWEPT_KEY, Moves, Swept
from serving.state.codec import consenting, decode, encode, encode_person, event_row
from serving.state.consent import refused_channels, with_event
from serving.state.events import Event, EventType
from serving.state.growing import with_plain
from serving.state.holding import with_redeems
from serving.state.keys import log_key, person_key
from serving.state.known import Live
from serving.state.people import People, View
from serving.state.person import DAY_US, Person, Reward, with_events
from serving.state.sends import is_same_send, mark_of_send
from serving.state.store import ABSENT, Commit, Document

if TYPE_CHECKING:
    from serving.decisioning.policy import StatePolicy

MayKeep = Callable[[Live], bool]
KindOf = Callable[[str], tuple[str, str] | None]
CostOf = Callable[[str], float | None]

# A day's counts stand in so many documents, so that workers seldom want the same one.
_SHARDS = 16


@dataclass(frozen=True, slots=True)
class Granted:
    """A reward that was granted just now, and to whom."""

    customer_id: str
    reward: Reward


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of events: newly accepted, or known before; and the rewards that they brought."""

    accepted: int = 0
    duplicates: int = 0
    completed: tuple[Granted, ...] = ()


@dataclass(frozen=True, slots=True)
class Asks:
    """What is asked of the bundle and the policy about events.

    Whether a customer's may be kept with their id (by who they are and what they said; their events are left out of
    what is asked with); the type and category of a product that was bought, and what an
    offer that was redeemed costs (None: not known).
    """

    may_keep: MayKeep
    kind_of: KindOf
    cost_of: CostOf


@dataclass(slots=True)
class _Group:
    """The new events of one customer: those to keep, those that only change consent, those that are only counted."""

    view: View
    expect: dict[str, int]
    kept: list[Event] = field(default_factory=list)
    heard: list[Event] = field(default_factory=list)
    counted: list[Event] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Plan:
    """A commit, the events that are accepted by it, and the rewards that it grants."""

    commit: Commit
    events: Sequence[Event]
    granted: tuple[Granted, ...] = ()


@dataclass(frozen=True, slots=True)
class Begun:
    """Events on their way: the ids of those known before, and what is committed for the others, with the outcomes.

    The events of a plan whose outcome is False are to be tried again: another worker was first.
    """

    known: Sequence[str]
    plans: Sequence[Plan]
    outcomes: Future[list[bool | StateUnavailable]]


class Accepting:
    """Takes events in."""

    def __init__(
        self,
        people: People,
        limits: Callable[[], StatePolicy],
        *,
        pick_shard: Callable[[int], int] = random.randrange,
    ) -> None:
        self._people = people
        self._limits = limits
        self._pick_shard = pick_shard

    def accept(self, events: Sequence[Event], asks: Asks) -> Accepted:
        """Return what became of the events; all that were accepted are durable."""
        pending: dict[str, Event] = {}
        for event in events:
            pending.setdefault(event.event_id, event)
        n_accepted = 0
        granted: list[Granted] = []

        def attempt() -> bool | None:
            nonlocal n_accepted
            begun = self.begin(pending, asks)
            for event_id in begun.known:
                del pending[event_id]
            for plan, outcome in zip(begun.plans, begun.outcomes.result(), strict=True):
                if isinstance(outcome, StateUnavailable):
                    raise outcome
                if outcome:
                    n_accepted += len(plan.events)
                    granted.extend(plan.granted)
                    for event in plan.events:
                        del pending[event.event_id]
            return True if not pending else None

        if pending:
            self._people.tried(attempt)
        return Accepted(n_accepted, len(events) - n_accepted, tuple(granted))

    def begin(self, pending: Mapping[str, Event], asks: Asks) -> Begun:
        """Return what events, by their id, come to once their commits are through; waits for a read, and no commit."""
        known, plans = self._plans(pending, asks)
        return Begun(known, plans, self._people.store.submit_all([plan.commit for plan in plans]))

    def _plans(self, pending: Mapping[str, Event], asks: Asks) -> tuple[list[str], list[Plan]]:
        """Return which of the events were seen before, and what is to be committed for the others."""
        known: list[str] = []
        views, documents = self._look(pending.values())
        groups: dict[str, _Group] = {}
        may: dict[str, bool] = {}
        for event in pending.values():
            if self._is_known(event, documents):
                known.append(event.event_id)
                continue
            view = views[event.customer_id]
            customer_id = view.customer_id
            group = groups.setdefault(customer_id, _Group(view, {}))
            group.expect.update(view.expect)
            if customer_id not in may:
                may[customer_id] = asks.may_keep(consenting(view.raw, view.erased_us))
            _sort_in(group, event, view, may_keep=may[customer_id])
        swept = Swept.of(documents[SWEPT_KEY])
        plans = [self._plan(group, asks, Moves(swept)) for group in groups.values() if group.kept or group.heard]
        counted = [event for group in groups.values() for event in group.counted]
        return known, [*plans, self._plan_counted(counted, asks, Moves(swept))] if counted else plans

    def _look(self, events: Iterable[Event]) -> tuple[dict[str, View], dict[str, Document | None]]:
        """Return the customers of events, and the marks of these by key; one look where nobody is merged."""
        hashes, events = self._people.hashes, list(events)
        keys = dict.fromkeys((SWEPT_KEY, *(hashes.seen_key(event.event_id) for event in events)))
        keys |= dict.fromkeys(mark_of_send(hashes, event) for event in events if event.type is EventType.SEND)
        views, documents = self._people.views((event.customer_id for event in events), list(keys))
        return views, dict(zip(keys, documents, strict=True))

    def _is_known(self, event: Event, documents: Mapping[str, Document | None]) -> bool:
        """Return whether an event was accepted before, or tells of a message that was counted when it was decided."""
        hashes = self._people.hashes
        if documents[hashes.seen_key(event.event_id)] is not None:
            return True
        return event.type is EventType.SEND and is_same_send(event, documents[mark_of_send(hashes, event)])

    def _plan(self, group: _Group, asks: Asks, moves: Moves) -> Plan:
        """Return the commit of one customer."""
        plain = None if group.heard else with_plain(group.view.raw, group.kept, self._limits().events_per_customer)
        if plain is None:
            return self._plan_person(group, asks, moves)
        put = {
            **self._marks(group.kept),
            **{log_key(event.customer_id, event.event_id): log_document(event) for event in group.kept},
            person_key(group.view.customer_id): plain,
        }
        return Plan(Commit(put=put, expect={**self._unseen(group.kept), **group.expect}), group.kept)

    def _plan_person(self, group: _Group, asks: Asks, moves: Moves) -> Plan:
        """Return the commit of one customer whose events mean more than that they are kept."""
        person = group.view.person
        for event in group.heard:
            person = replace(person, consent=with_event(person.consent, event))
        person = _with_redeems(person, group, moves, asks.cost_of)
        bought = {event.product_id for event in group.kept if event.type is EventType.PURCHASE}
        found = {product_id: asks.kind_of(product_id) for product_id in bought if product_id is not None}
        kinds = {product_id: kind for product_id, kind in found.items() if kind is not None}
        if group.kept:
            person = with_events(person, group.kept, kinds, limits=self._limits(), reward_id_of=self._people.reward_id)
        counts, expect = self._counting(group.heard)
        put = {
            **self._marks((*group.kept, *group.heard)),
            **{log_key(event.customer_id, event.event_id): log_document(event, kinds) for event in group.kept},
            person_key(person.customer_id): encode_person(person),
            **counts,
        }
        known = {reward.reward_id for reward in group.view.person.rewards}
        granted = tuple(Granted(person.customer_id, each) for each in person.rewards if each.reward_id not in known)
        events = (*group.kept, *group.heard)
        expect = {**self._unseen(events), **group.expect, **expect, **moves.expected()}
        return Plan(Commit(put=put, expect=expect, add=moves.additions()), events, granted)

    def _plan_counted(self, events: Sequence[Event], asks: Asks, moves: Moves) -> Plan:
        """Return the commit of events that leave nothing but a count, and what they spend."""
        counts, expect = self._counting(events)
        _spend(moves, events, asks.cost_of)
        put, expect = {**self._marks(events), **counts}, {**self._unseen(events), **expect}
        return Plan(Commit(put=put, expect=expect, add=moves.additions()), events)

    def _counting(self, events: Sequence[Event]) -> tuple[dict[str, bytes], dict[str, int]]:
        """Return the day's counts with these events added, and the versions that they stand on."""
        if not events:
            return {}, {}
        shard = self._pick_shard(_SHARDS)
        by_day: dict[str, Counter[str]] = {}
        for event in events:
            by_day.setdefault(f"counts/{event.at_us // DAY_US}/{shard}", Counter())[event.type.value] += 1
        documents = dict(zip(by_day, self._people.store.read(list(by_day)), strict=True))
        for key, document in documents.items():
            if document is not None:
                by_day[key].update(decode(document.value)["n"])
        versions = {key: ABSENT if each is None else each.version for key, each in documents.items()}
        return {key: encode({"n": counts}) for key, counts in by_day.items()}, versions

    def _marks(self, events: Iterable[Event]) -> dict[str, bytes]:
        return {self._people.hashes.seen_key(each.event_id): encode({"us": each.accepted_us}) for each in events}

    def _unseen(self, events: Iterable[Event]) -> dict[str, int]:
        return {self._people.hashes.seen_key(event.event_id): ABSENT for event in events}


def _sort_in(group: _Group, event: Event, view: View, *, may_keep: bool) -> None:
    """Put an event where it belongs: nothing of a forgotten time is kept, nor anything without consent."""
    is_forgotten = view.forgotten_us is not None and min(event.at_us, event.accepted_us) <= view.forgotten_us
    if is_forgotten:
        group.counted.append(event)
    elif may_keep:
        group.kept.append(event)
    elif refused_channels(event) or _is_held(event, view):
        # A refusal holds for whoever makes it, and an offer that was used is held no more: that is all that is written
        # down without consent.
        group.heard.append(event)
    else:
        group.counted.append(event)


def _is_held(event: Event, view: View) -> bool:
    return event.type is EventType.REDEEM and bool(with_redeems(view.person.holds, [event]).used)


def _with_redeems(person: Person, group: _Group, moves: Moves, cost_of: CostOf) -> Person:
    """Return the person after redemptions: what was reserved is spent; of what needs consent no trace is left."""
    kept = with_redeems(person.holds, group.kept)
    heard = with_redeems(kept.holds, group.heard)
    for hold in (*kept.used, *heard.used):
        moves.redeem(hold, cost_of(hold.offer_id) or 0.0)
    _spend(moves, (*kept.without, *heard.without), cost_of)
    left = heard.holds
    if heard.used:
        gone = {(hold.offer_id, hold.given_us) for hold in heard.used}
        left = tuple(hold for hold in left if (hold.offer_id, hold.given_us) not in gone)
    return person if left == person.holds else replace(person, holds=left)


def _spend(moves: Moves, events: Iterable[Event], cost_of: CostOf) -> None:
    for event in events:
        if event.type is EventType.REDEEM and event.offer_id is not None:
            moves.spend(event.offer_id, cost_of(event.offer_id) or 0.0)


def log_document(event: Event, kinds: Mapping[str, tuple[str, str]] = MappingProxyType({})) -> bytes:
    """Return the document of an event in the log, with the type and category of the product where it was bought."""
    kind = kinds.get(event.product_id or "") if event.type is EventType.PURCHASE else None
    row = event_row(event)
    return encode({"e": row} if kind is None else {"e": row, "k": kind})
