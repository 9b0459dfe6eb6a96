"""What a shop knows between bundles: reads, and changes that happen exactly once, on any state store."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from serving.api_answers import ChallengeAnswer
from serving.state.accepting import Accepted, Accepting, Asks, Begun, CostOf, KindOf, MayKeep
from serving.state.budgets import Budgets
from serving.state.challenges import KeptChallenge, kept, new_challenge
from serving.state.codec import decode, person_of
from serving.state.compacting import Compacted, Compacting
from serving.state.consent import with_whole
from serving.state.deciding import Deciding
from serving.state.decisions import DecisionHead, DecisionRecord, DecisionSummary, StoredDecision
from serving.state.erasing import Erased, Erasing, Receipt
from serving.state.events import Event
from serving.state.holds import Hold, Promise, Promised, Spending
from serving.state.keys import Hashes, identity_key
from serving.state.known import NO_BASIS, NOBODY, Draw, Known, Live, Stock
from serving.state.log import logged, scanned, with_log
from serving.state.looking import Looking
from serving.state.merging import Identity, IsLoyal, Linked, Merging
from serving.state.people import People
from serving.state.person import Person, Reward, live_of, with_answer, with_challenge, with_newest
from serving.state.promising import Promising
from serving.state.stock_words import HEAD, StockWord, adding, head_of
from serving.state.store import Store

if TYPE_CHECKING:
    from serving.decisioning.policy import StatePolicy


def _nothing(_offer_id: str) -> None:
    return None


N_DECISIONS = 50
"""Decisions in the single customer view: the newest ones."""


@dataclass(frozen=True, slots=True)
class CustomerState:
    """The single customer view of the state: events, decisions, challenges (by week) and holds, the newest first.

    `identity_kinds` are the kinds of the identities that are linked, one for each value; values are never kept.
    """

    customer_id: str
    also: tuple[str, ...]
    first_seen_us: int | None
    is_erased: bool
    events: tuple[Event, ...]
    consent: Mapping[str, bool] | None
    decisions: tuple[DecisionSummary, ...]
    challenges: tuple[KeptChallenge, ...]
    rewards: tuple[Reward, ...]
    identity_kinds: tuple[str, ...]
    holds: tuple[Hold, ...]


class State:
    """All that changes between bundles, for every worker of a shop; thread-safe. Every method raises StateUnavailable.

    `limits` may be assigned when another policy comes into force.
    """

    def __init__(
        self,
        store: Store,
        key: bytes,
        limits: StatePolicy,
        *,
        jitter: Callable[[], float] = random.random,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.limits = limits
        self._store = store
        self._people = People(store, Hashes(key), jitter=jitter, sleep=sleep)
        self._accepting = Accepting(self._people, self._current_limits)
        self._merging = Merging(self._people, self._current_limits)
        self._deciding = Deciding(self._people, self._current_limits)
        self._erasing = Erasing(self._people)
        self._budgets = Budgets(self._people)
        self._promising = Promising(self._people, self._budgets, self._current_limits)
        self._compacting = Compacting(self._people, self._current_limits)
        self._looking = Looking(self._people)

    def _current_limits(self) -> StatePolicy:
        return self.limits

    # What the engine decides by

    def live(self, customer_id: str, *, before_us: int | None = None) -> Live:
        """Return what is known of a customer between bundles: every accepted event, or those strictly before."""
        return self._looking.live(customer_id, before_us)

    def lives(self, customer_ids: Sequence[str], *, before_us: int | None = None) -> dict[str, Live]:
        """Return what is known of customers, by the id asked for, in one look."""
        return self._looking.lives(customer_ids, before_us)

    def stock(self) -> Stock:
        """Return what is in stock by the latest word."""
        return self._looking.stock()

    def known(
        self, customer_id: str | None, *, before_us: int | None = None, offers: Collection[str] = (), asked: str = ""
    ) -> Known:
        """Return what a call for a customer (None: for nobody in particular) may decide by, in one look.

        Of `offers` it says what is gone of their budgets, and of what was `asked` the answer that may stand still.
        """
        if customer_id is None:
            return Known(NOBODY, self.stock())
        return self._looking.known(customer_id, before_us, offers=offers, asked=asked)

    # What is told

    def accept(
        self, events: Sequence[Event], *, may_keep: MayKeep, kind_of: KindOf, cost_of: CostOf = _nothing
    ) -> Accepted:
        """Return what became of events, durably: each counts once, whatever worker it is sent to how often.

        `may_keep` is asked with what is known of a customer whether their events may be kept with their id: without,
        and for what they did before they were erased, only a count goes up. `kind_of` gives the type and category of
        a product (None: not known), which challenges count by. A `redeem` turns what its hold has reserved into spent
        money, once; without a hold it spends `cost_of` the offer (None: not known), whatever is left of the budget. A
        `send` of a decision that was counted as a message when it was made is a duplicate.
        """
        return self._accepting.accept(events, Asks(may_keep, kind_of, cost_of))

    def begin_accept(self, events: Mapping[str, Event], asks: Asks) -> Begun:
        """Return what becomes of events, by their id, as `accept` has it, without waiting for the disk.

        Where another worker was first with a customer their events are not accepted yet: they are to be tried again.
        """
        return self._accepting.begin(events, asks)

    def link(self, identities: Sequence[Identity], *, is_loyal: IsLoyal, now_us: int) -> Linked:
        """Return what became of identities: a value that two customers share makes them one, durably.

        The id that stays is a loyal one before a guest's, then the one seen first, then the lesser. Histories are
        united, each event once; a refusal of consent wins.
        """
        return self._merging.link(identities, is_loyal, now_us)

    def put_stock(self, words: Sequence[StockWord]) -> int:
        """Return the generation of the stock after these words; of two on the same product and store, the later."""

        def attempt() -> int | None:
            head = head_of(self._store.read([HEAD])[0])
            return head.generation + 1 if self._store.commit(adding(head, words)) else None

        return self._people.tried(attempt)

    def put_consent(self, customer_id: str, consent: Mapping[str, bool], now_us: int) -> None:
        """Keep a whole consent: a key that is missing is refused."""
        self._people.changed(
            customer_id, lambda view: replace(view.person, consent=with_whole(view.person.consent, consent, now_us))
        )

    # Offers

    def promise(self, customer_id: str, promise: Promise, *, now_us: int) -> Promised:
        """Return what became of a promise: kept as a whole, durably, or not at all; never over a budget."""
        return self._promising.promise(customer_id, promise, now_us)

    def spending(self, offers: Collection[str], *, at_us: int) -> dict[str, Spending]:
        """Return what is gone of the budgets of offers at a moment; what ends by then has come back."""
        return self._budgets.spending(offers, at_us)

    def sweep(self, until_us: int) -> bool:
        """Return whether the money of holds that have ended by then may have been given back just now."""
        return self._budgets.sweep(until_us)

    # Challenges

    def challenge(self, customer_id: str, monday_day: int) -> KeptChallenge | None:
        """Return the challenge of a customer's week, None where none was issued."""
        return _kept(self._people.view(customer_id).person, monday_day)

    def issue(
        self, customer_id: str, monday_day: int, answer: ChallengeAnswer, at_us: int, *, draws: Sequence[Draw] = ()
    ) -> KeptChallenge:
        """Return the challenge that stands for a customer's week: this answer (by these draws), or the first one."""

        def attempt() -> KeptChallenge | None:
            view = self._people.view(customer_id)
            standing = _kept(view.person, monday_day)
            if standing is not None:
                return standing
            challenge = new_challenge(monday_day, answer, at_us, draws)
            lines, kinds = with_log(self._people, [view.person], challenge.starts_us)
            person = replace(view.person, kinds={**kinds, **view.person.kinds})
            person = with_challenge(person, challenge, lines, self._people.reward_id(challenge.decision_id))
            person = with_newest(person, person.events, self.limits.events_per_customer)
            return _kept(person, monday_day) if self._people.commit(person, view) else None

        return self._people.tried(attempt)

    def show(
        self, customer_id: str, monday_day: int, replaced: ChallengeAnswer | None = None, *, is_shown: bool = True
    ) -> KeptChallenge | None:
        """Return the challenge that was just shown, None where there is none (any more).

        `replaced` takes the answer's place where it was neither shown nor completed before: the id and the window stay.
        Without `is_shown` only that is done, and it may be replaced again.
        """

        def change(person: Person) -> Person:
            challenge = person.challenges.get(monday_day)
            if challenge is None or challenge.is_shown:
                return person
            reward_id = self._people.reward_id(challenge.decision_id)
            return with_answer(person, challenge, replaced, reward_id, is_shown=is_shown)

        return _kept(self._people.changed(customer_id, lambda view: change(view.person)), monday_day)

    # Decisions

    def record(self, decision: DecisionRecord, basis: Mapping[str, int] = NO_BASIS) -> Future[bool]:
        """Return a future of whether a decision was kept; of several under one id the first stands.

        Only a customer's challenge is recorded anew, when other items have taken the place of those first recorded.
        `basis` is that of what was known when it was made, where it was just read.
        """
        return self._deciding.record(decision, basis)

    def leave_record(self, decision: DecisionRecord, basis: Mapping[str, int] = NO_BASIS) -> None:
        """Have a decision kept some time soon, as `record`: nobody hears whether it was."""
        self._deciding.leave(decision, basis)

    def decision(self, decision_id: str) -> StoredDecision | None:
        """Return a decision with what came of it, None where it isn't known (any more)."""
        return self._deciding.decision(decision_id)

    # Customers

    def customer(self, customer_id: str) -> CustomerState | None:
        """Return all that the state knows of a customer, None where that is nothing."""
        view = self._people.view(customer_id)
        person = view.person
        decisions = self._deciding.summaries(person, N_DECISIONS)
        if person.is_blank and not decisions:
            return None
        live = live_of(person, view.erased_us)
        return CustomerState(
            person.customer_id,
            person.also,
            person.first_seen_us,
            live.is_erased,
            tuple(reversed(person.events)),
            live.consent,
            decisions,
            tuple(kept(person.challenges[day], person.kinds) for day in sorted(person.challenges, reverse=True)),
            person.rewards,
            tuple(name.partition(":")[0] for name in person.identities),
            tuple(reversed(person.holds)),
        )

    def resolve(self, customer_id: str) -> str:
        """Return the id that stands for a customer after merges."""
        return self._people.view(customer_id).person.customer_id

    def customer_of(self, kind: str, value: str) -> str | None:
        """Return the customer with an identity, None where nobody has it."""
        name = self._people.hashes.identity_name(kind, value)
        found = self._store.read([identity_key(name)])[0] if name else None
        return None if found is None else self.resolve(decode(found.value)["id"])

    def forget(self, customer_id: str, now_us: int) -> None:
        """Hide a customer, known or not, from every answer at once; `erase` carries the rest out."""
        self._erasing.forget(customer_id, now_us)

    def erase(self, customer_id: str, now_us: int) -> Receipt:
        """Return what was taken out of all state documents: all up to when they were forgotten, else up to now.

        Run again after a failure it goes on where it was. The id still stands in the list of pending erasures until
        `finish_erasure`.
        """
        return self._erasing.erase(customer_id, now_us)

    def finish_erasure(self, customer_id: str) -> None:
        """Take a customer off the list of pending erasures, once nothing outside the state holds them either."""
        self._erasing.finish(customer_id)

    # For training, and housekeeping

    def log(self) -> Iterator[Event]:
        """Return every kept event, by the id that stands for its customer; none of what was forgotten."""
        aliases = self.aliases()
        for each in logged(self._people):
            event = each.event
            yield replace(event, customer_id=aliases.get(event.customer_id, event.customer_id))

    def decided(self) -> Iterator[DecisionHead]:
        """Return every kept decision without what was shown, in no order of time; none of a forgotten customer."""
        return self._deciding.heads(self.aliases(), self.erased().moment_us)

    def records(self) -> Iterator[DecisionRecord]:
        """Return every kept decision with what was shown, in no order of time; none of a forgotten customer."""
        return self._deciding.records()

    def rewards(self) -> Iterator[tuple[str, Reward]]:
        """Return every granted reward with its customer."""
        return ((person.customer_id, reward) for person in self._persons() for reward in person.rewards)

    def aliases(self) -> dict[str, str]:
        """Return the id that stands, by each id that was merged into it."""
        found = ((person, each) for person in self._persons() for each in person.also)
        return {each: person.customer_id for person, each in found}

    def consents(self) -> dict[str, Mapping[str, bool]]:
        """Return what customers said of consent, by the id that stands; a key that isn't there was not spoken of."""
        return {
            person.customer_id: {key: said.is_given for key, said in person.consent.items()}
            for person in self._persons()
            if person.consent
        }

    def erased(self) -> Erased:
        """Return who was erased, and whose erasure is still to be carried out."""
        return self._erasing.erased()

    def counts(self) -> dict[tuple[int, str], int]:
        """Return how many events were kept as counts alone, by UTC day number of their at and by type."""
        found: Counter[tuple[int, str]] = Counter()
        for key, document in scanned(self._store, "counts/"):
            day = int(key.split("/")[1])
            found.update({(day, name): n for name, n in decode(document.value)["n"].items()})
        return dict(found)

    def latest_us(self) -> int:
        """Return the latest moment of the servers' clock that anything tells; 0 where nothing does."""
        accepted_us = max((each.event.accepted_us for each in logged(self._people)), default=0)
        return max(accepted_us, self._deciding.latest_us())

    def compact(self, now_us: int) -> Compacted:
        """Return what was dropped because it is older than the policy keeps."""
        return self._compacting.compact(now_us)

    def _persons(self) -> Iterator[Person]:
        for _, document in scanned(self._store, "person/"):
            raw = decode(document.value)
            if "into" not in raw:
                yield person_of(raw)


def _kept(person: Person, monday_day: int) -> KeptChallenge | None:
    challenge = person.challenges.get(monday_day)
    return None if challenge is None else kept(challenge, person.kinds)
