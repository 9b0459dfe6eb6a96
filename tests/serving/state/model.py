"""What the state should do, said as plainly as can be: dictionaries of this process, no documents, no commits.

Written apart from `serving.state`, of which it uses nothing but `Event`: the stateful test holds the two together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from serving.state.events import Event

DAY = 86_400_000_000
MESSAGES = ("email", "sms", "push")
KEYS = ("personalize", *MESSAGES, "location")
Kinds = Mapping[str, tuple[str, str]]


@dataclass
class ModelChallenge:
    decision_id: str
    items: list[tuple[str, str, int]]  # level, id, target
    at_us: int
    starts_us: int
    ends_us: int
    has_reward: bool
    is_shown: bool = False
    completed_us: int | None = None

    def counts(self, events: Sequence[Event], kinds: Kinds) -> list[float]:
        counts = [0.0] * len(self.items)
        for event in events:
            if event.type != "purchase" or not self.starts_us <= event.at_us < self.ends_us:
                continue
            product_type, category = kinds.get(event.product_id or "", (None, None))
            ids = {"product": event.product_id, "product_type": product_type, "category": category}
            for place, (level, wanted, _) in enumerate(self.items):
                counts[place] += event.quantity if ids[level] == wanted else 0
        return counts

    def done(self, events: Sequence[Event], kinds: Kinds) -> list[bool]:
        if self.completed_us is not None:
            return [True] * len(self.items)
        counts = self.counts(events, kinds)
        return [count >= target for count, (_, _, target) in zip(counts, self.items, strict=True)]

    def recount(self, events: Sequence[Event], kinds: Kinds) -> bool:
        """Count again; return whether it has just been completed."""
        was_completed = self.completed_us is not None
        if not was_completed and not all(self.done(events, kinds)):
            return False
        for moment in sorted({event.at_us for event in events}):
            counts = self.counts([event for event in events if event.at_us <= moment], kinds)
            if all(count >= target for count, (_, _, target) in zip(counts, self.items, strict=True)):
                self.completed_us = moment if self.completed_us is None else min(self.completed_us, moment)
                break
        return not was_completed


@dataclass
class ModelCustomer:
    customer_id: str
    also: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    events: dict[str, Event] = field(default_factory=dict)  # all that were kept
    recent: list[str] = field(default_factory=list)  # ids of the newest
    consent: dict[str, tuple[bool, int]] = field(default_factory=dict)
    challenges: dict[int, ModelChallenge] = field(default_factory=dict)
    rewards: dict[str, int] = field(default_factory=dict)  # decision_id → completed
    identities: set[tuple[str, str]] = field(default_factory=set)
    first_us: int | None = None
    cut_us: int | None = None  # the newest moment of an event that is not among the recent ones

    def is_blank(self) -> bool:
        kept = (self.recent, self.consent, self.challenges, self.rewards, self.also, self.identities)
        return not any(kept) and self.cut_us is None

    def refuse(self, key: str, at_us: int) -> None:
        if key not in self.consent or self.consent[key][1] <= at_us:
            self.consent[key] = (False, at_us)


@dataclass
class ModelDecision:
    customer_id: str
    at_us: int
    shown: list[str]


class Model:
    """A shop's state as it should be."""

    def __init__(self, kinds: Kinds, *, recent: int, events_days: int, decisions_days: int, weeks: int) -> None:
        self.kinds, self.n_recent = kinds, recent
        self.events_days, self.decisions_days, self.weeks = events_days, decisions_days, weeks
        self.customers: dict[str, ModelCustomer] = {}
        self.into: dict[str, str] = {}
        self.seen: dict[str, int] = {}
        self.counts: Counter[tuple[int, str]] = Counter()
        self.erased: dict[str, int] = {}
        self.notes: dict[str, dict[str, int]] = {}  # who is on the list, with the ids they had, each until when
        self.out_of_state: set[str] = set()
        self.decisions: dict[str, ModelDecision] = {}
        self.stock: dict[tuple[str, str | None], float] = {}

    def standing(self, customer_id: str) -> str:
        return self.into.get(customer_id, customer_id)

    def customer(self, customer_id: str) -> ModelCustomer:
        standing = self.standing(customer_id)
        return self.customers.get(standing) or ModelCustomer(standing)

    def may_keep(self, customer_id: str) -> bool:
        return self.customer(customer_id).consent.get("personalize", (True, 0))[0]

    # What is told

    def accept(self, events: Sequence[Event]) -> tuple[int, int, set[tuple[str, str]]]:
        """Return how many are new, how many are repeats, and (customer, decision_id) of rewards granted."""
        new = []
        for event in events:
            if event.event_id not in self.seen:
                self.seen[event.event_id] = event.accepted_us
                new.append(event)
        may = {event.customer_id: self.may_keep(event.customer_id) for event in new}
        touched: dict[str, ModelCustomer] = {}
        for event in new:
            customer = self.customer(event.customer_id)
            moments = [self.erased.get(event.customer_id), self.erased.get(customer.customer_id)]
            forgotten_us = max((each for each in moments if each is not None), default=None)
            is_forgotten = forgotten_us is not None and min(event.at_us, event.accepted_us) <= forgotten_us
            refused = self.refused(event)
            if not is_forgotten and (may[event.customer_id] or refused):
                self.customers[customer.customer_id] = customer
                for key in refused:
                    customer.refuse(key, min(event.at_us, event.accepted_us))
            if is_forgotten or not may[event.customer_id]:
                self.counts[event.at_us // DAY, event.type.value] += 1
                continue
            customer.events[event.event_id] = event
            customer.first_us = min(event.accepted_us, customer.first_us or event.accepted_us)
            touched[customer.customer_id] = customer
            customer.recent.append(event.event_id)
        granted = set()
        for customer in touched.values():
            granted |= self.recount(customer)
            self.trim(customer)
        return len(new), len(events) - len(new), granted

    def refused(self, event: Event) -> Sequence[str]:
        if event.type == "notification_block":
            return ["push"]
        if event.type == "unsubscribe":
            named = [each for each in (event.channel, event.value) if each in MESSAGES]
            return [each for each in named[:1] if each] or MESSAGES
        return []

    def recount(self, customer: ModelCustomer) -> set[tuple[str, str]]:
        granted = set()
        for challenge in customer.challenges.values():
            is_new = challenge.recount(list(customer.events.values()), self.kinds)
            if is_new and challenge.has_reward and challenge.completed_us is not None:
                customer.rewards[challenge.decision_id] = challenge.completed_us
                granted.add((customer.customer_id, challenge.decision_id))
        return granted

    def trim(self, customer: ModelCustomer) -> None:
        known = [event_id for event_id in set(customer.recent) if event_id in customer.events]
        known.sort(key=lambda each: (customer.events[each].at_us, each))
        customer.recent = known[-self.n_recent :]
        cuts = [customer.events[each].at_us for each in known[: -self.n_recent]]
        cuts += [] if customer.cut_us is None else [customer.cut_us]
        customer.cut_us = max(cuts, default=None)

    def link(self, customer_id: str, kind: str, value: str, now_us: int) -> list[tuple[str, str]]:
        ours = self.customer(customer_id)
        self.customers[ours.customer_id] = ours
        theirs = next((each for each in self.customers.values() if (kind, value) in each.identities), None)
        if theirs is None:
            ours.identities.add((kind, value))
            ours.first_us = now_us if ours.first_us is None else ours.first_us
            return []
        if theirs is ours:
            return []
        stays, goes = sorted((ours, theirs), key=lambda each: self.seniority(each, now_us))
        self.merge(stays, goes)
        stays.identities.add((kind, value))
        return [(goes.customer_id, stays.customer_id)]

    def seniority(self, customer: ModelCustomer, now_us: int) -> tuple[bool, int, str]:
        ids = {customer.customer_id, *customer.also}
        first_us = now_us if customer.first_us is None else customer.first_us
        return not any(each.startswith("loyal") for each in ids), first_us, customer.customer_id

    def merge(self, stays: ModelCustomer, goes: ModelCustomer) -> None:
        for monday, challenge in goes.challenges.items():
            ours = stays.challenges.get(monday)
            if ours is None or self.rank(challenge, goes) > self.rank(ours, stays):
                stays.challenges[monday] = challenge
        stays.events |= goes.events
        stays.recent += goes.recent
        for key, said in goes.consent.items():
            ours_said = stays.consent.get(key, said)
            if ours_said[0] == said[0]:
                stays.consent[key] = (said[0], max(said[1], ours_said[1]))
            else:
                stays.consent[key] = said if not said[0] else ours_said
        stays.rewards |= goes.rewards
        stays.also |= {goes.customer_id, *goes.also}
        stays.hidden |= goes.hidden | ({goes.customer_id} if goes.customer_id in self.erased else set())
        stays.identities |= goes.identities
        firsts = [each for each in (stays.first_us, goes.first_us) if each is not None]
        stays.first_us = min(firsts, default=None)
        cuts = [each for each in (stays.cut_us, goes.cut_us) if each is not None]
        stays.cut_us = max(cuts, default=None)
        self.into |= dict.fromkeys((goes.customer_id, *goes.also), stays.customer_id)
        del self.customers[goes.customer_id]
        self.recount(stays)
        self.trim(stays)

    def rank(self, challenge: ModelChallenge, customer: ModelCustomer) -> tuple[bool, int, int]:
        n_done = sum(challenge.done(list(customer.events.values()), self.kinds))
        return challenge.completed_us is not None and challenge.has_reward, n_done, -challenge.at_us

    def put_consent(self, customer_id: str, consent: Mapping[str, bool], now_us: int) -> None:
        customer = self.customer(customer_id)
        self.customers[customer.customer_id] = customer
        customer.consent = {key: (consent.get(key, False), now_us) for key in KEYS}

    # Challenges

    def issue(self, customer_id: str, monday: int, challenge: ModelChallenge) -> ModelChallenge:
        customer = self.customer(customer_id)
        self.customers[customer.customer_id] = customer
        if monday not in customer.challenges:
            customer.challenges[monday] = challenge
            self.recount(customer)
        return customer.challenges[monday]

    def show(self, customer_id: str, monday: int, items: list[tuple[str, str, int]] | None) -> None:
        customer = self.customer(customer_id)
        challenge = customer.challenges.get(monday)
        if challenge is None or challenge.is_shown:
            return
        challenge.is_shown = True
        if items is not None and challenge.completed_us is None:
            challenge.items, challenge.has_reward = items, True
        self.recount(customer)

    # Forgetting

    def forget(self, customer_id: str, now_us: int) -> None:
        customer = self.customer(customer_id)
        ids = {customer.customer_id, *customer.also}
        until_us: dict[str, int] = {}
        for each in ids:
            until_us |= self.notes.get(each, {})
        until_us |= dict.fromkeys(ids, now_us)
        for each in ids:
            self.erased[each] = now_us
            self.into.pop(each, None)
            self.notes[each] = until_us
        self.out_of_state -= ids
        self.customers.pop(customer.customer_id, None)

    def erase(self, customer_id: str, now_us: int) -> None:
        if customer_id not in self.notes:
            self.forget(customer_id, now_us)
        for each, until_us in self.notes[customer_id].items():
            if each in self.notes and self.notes[each][each] <= until_us:
                self.out_of_state.add(each)

    def finish(self, customer_id: str) -> None:
        for each in self.notes.get(customer_id, {}).keys() & self.out_of_state:
            del self.notes[each]
            self.out_of_state.discard(each)

    def compact(self, now_us: int) -> None:
        cutoff = now_us - self.events_days * DAY
        self.seen = {event_id: us for event_id, us in self.seen.items() if us > cutoff}
        self.counts = Counter({key: n for key, n in self.counts.items() if (key[0] + 1) * DAY > cutoff})
        decided = now_us - self.decisions_days * DAY
        self.decisions = {each: decision for each, decision in self.decisions.items() if decision.at_us > decided}
        for customer in self.customers.values():
            customer.events = {each: event for each, event in customer.events.items() if event.accepted_us > cutoff}
            ended = now_us - self.weeks * 7 * DAY
            customer.challenges = {day: each for day, each in customer.challenges.items() if each.ends_us > ended}
            customer.rewards = {each: us for each, us in customer.rewards.items() if us > decided}
            self.trim(customer)
            if customer.cut_us is not None and customer.cut_us <= cutoff:
                customer.cut_us = None
        self.customers = {each: customer for each, customer in self.customers.items() if not customer.is_blank()}
