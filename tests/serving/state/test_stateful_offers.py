"""Whatever is promised, redeemed, merged, forgotten and given back, in any order: the books against a plain model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from serving.state.events import Event, EventType
from serving.state.holds import Hold, KeptAnswer, Promise, Spending
from serving.state.merging import Identity
from serving.state.store import Store
from tests.serving.state.builders import DAY, HOUR, MONDAY, SECOND, may_keep, state_on
from tests.serving.state.machines import in_a_file, in_memory, in_redis, run
from tests.serving.state.redis_process import RedisProcess

MINUTE = 60 * SECOND
CUSTOMERS = ("anna", "ben", "loyal-1", "guest")
BUDGETS = {"spring": 6.0, "summer": 5.0}
COSTS = {"spring": 2.0, "summer": 1.5, "endless": 1.0}
KEPT_DAYS = 3

customers = st.sampled_from(CUSTOMERS)
offers = st.sampled_from(sorted(COSTS))


@dataclass
class ModelHold:
    """A hold of the model: plainly written over."""

    offer_id: str
    cost: float
    given: int
    until: int
    is_redeemed: bool = False

    def is_reserved(self, now: int) -> bool:
        """Its money is reserved until the first whole minute after its end."""
        return not self.is_redeemed and -(-self.until // MINUTE) > now // MINUTE

    def is_held(self, now: int) -> bool:
        return not self.is_redeemed and self.given <= now < self.until


class Books:
    """What should be: holds by customer, money spent by offer."""

    def __init__(self) -> None:
        self.holds: dict[str, list[ModelHold]] = {}
        self.into: dict[str, str] = {}
        self.forgotten: dict[str, int] = {}
        self.spent: Counter[str] = Counter()
        self.unreserved: Counter[str] = Counter()
        self.seen: set[str] = set()

    def who(self, customer_id: str) -> str:
        return self.into.get(customer_id, customer_id)

    def of(self, customer_id: str) -> list[ModelHold]:
        return self.holds.setdefault(self.who(customer_id), [])

    def reserved(self, offer_id: str, now: int) -> float:
        every = (hold for holds in self.holds.values() for hold in holds)
        return sum(each.cost for each in every if each.offer_id == offer_id and each.is_reserved(now))

    def promise(self, customer_id: str, given: list[ModelHold], now: int) -> set[str]:
        """Return the offers that are refused; where none is, all is held."""
        holds = self.of(customer_id)
        refused = set()
        for new in given:
            old = [each for each in holds if self.is_replaced(each, new)]
            freed = sum(each.cost for each in old if each.is_reserved(now))
            budget = BUDGETS.get(new.offer_id, 1e9)
            gone = self.reserved(new.offer_id, now) - freed + self.spent[new.offer_id]
            if new.offer_id in BUDGETS and round(gone + new.cost - budget, 6) > 0:
                refused.add(new.offer_id)
        if not refused:
            for new in given:
                for old_one in (each for each in holds if self.is_replaced(each, new)):
                    old_one.cost, old_one.until = 0.0, new.given
            holds += given
            self.drop(customer_id, now)
        return refused

    @staticmethod
    def is_replaced(old: ModelHold, new: ModelHold) -> bool:
        return old.offer_id == new.offer_id and not old.is_redeemed and old.until > new.given

    def drop(self, customer_id: str, now: int) -> None:
        holds = self.of(customer_id)
        holds[:] = [
            each
            for each in holds
            if each.until > now - KEPT_DAYS * DAY and (each.is_redeemed or each.until > each.given)
        ]

    def redeem(self, event_id: str, customer_id: str, offer_id: str, at: int, now: int, *, agrees: bool) -> bool:
        if event_id in self.seen:
            return False
        self.seen.add(event_id)
        forgotten = max(self.forgotten.get(customer_id, -1), self.forgotten.get(self.who(customer_id), -1))
        holds = [] if min(at, now) <= forgotten else self.of(customer_id)
        usable = [e for e in holds if e.offer_id == offer_id and not e.is_redeemed and e.given <= at]
        cost = COSTS.get(offer_id, 0.0)
        if usable:
            hold = max(usable, key=lambda each: each.given)
            cost = hold.cost or cost
            self.unreserved[offer_id] += 0 if hold.is_reserved(now) and hold.cost else cost
            hold.is_redeemed = True
            if not agrees:
                holds.remove(hold)
        else:
            self.unreserved[offer_id] += cost
        self.spent[offer_id] += cost
        return True

    def merge(self, goes: str, stays: str) -> None:
        ours, theirs = self.holds.get(stays, []), self.holds.pop(goes, [])
        both = [*ours, *theirs]
        for offer_id in COSTS:
            still = [each for each in both if each.offer_id == offer_id and not each.is_redeemed]
            for each in still:
                if each is not max(still, key=lambda hold: hold.until):
                    both = [hold for hold in both if hold is not each]
        self.holds[stays] = both
        for each in (goes, *(alias for alias, into in self.into.items() if into == goes)):
            self.into[each] = stays

    def forget(self, customer_id: str, now: int) -> None:
        stands = self.who(customer_id)
        self.holds.pop(stands, None)
        for each in [stands, *(alias for alias, into in self.into.items() if into == stands)]:
            self.forgotten[each] = now
            self.into.pop(each, None)


class OffersMachine(RuleBasedStateMachine):
    """The state and the books, told the same."""

    open_store: ClassVar[Callable[[], tuple[Store, Callable[[], None]]]]

    def __init__(self) -> None:
        super().__init__()
        self.store, self.clean_up = type(self).open_store()
        self.books = Books()
        self.restart()
        self.now = MONDAY + 3 * DAY

    def teardown(self) -> None:
        self.clean_up()

    def tick(self) -> int:
        self.now += 1
        return self.now

    @rule()
    def restart(self) -> None:
        self.state = state_on(self.store, attribution_days=KEPT_DAYS)

    @rule(length=st.sampled_from([30 * SECOND, MINUTE, HOUR, DAY, 4 * DAY]))
    def time_passes(self, length: int) -> None:
        self.now += length

    @rule(
        customer_id=customers,
        given=st.dictionaries(
            offers,
            st.tuples(st.sampled_from([1.0, 2.0, 2.5]), st.sampled_from([1, 90, HOUR // SECOND, 90_000])),
            max_size=3,
        ),
    )
    def something_is_promised(self, customer_id: str, given: dict[str, tuple[float, int]]) -> None:
        now = self.tick()
        holds = [
            Hold(offer_id, cost if offer_id in BUDGETS else 0.0, now, now + seconds * SECOND)
            for offer_id, (cost, seconds) in sorted(given.items())
        ]
        kept = KeptAnswer("offers/web", "f", now, now + HOUR, {"n": now})
        budgets = {each: BUDGETS[each] for each in given if each in BUDGETS}
        known = self.state.known(customer_id, offers=BUDGETS, asked="offers/web")
        done = self.state.promise(customer_id, Promise(kept, tuple(holds), budgets, (), known.basis), now_us=now)
        model = [ModelHold(each.offer_id, each.cost, each.given_us, each.until_us) for each in holds]
        assert done.refused == self.books.promise(customer_id, model, now)
        assert done.kept == (None if done.refused else kept)
        if done.kept:
            assert self.state.known(customer_id, asked="offers/web").kept["offers/web"] == kept

    @rule(
        name=st.integers(0, 200),
        customer_id=customers,
        offer_id=st.sampled_from([*sorted(COSTS), "spring", "unheard-of"]),
        ago=st.sampled_from([0, 0, 0, 40 * SECOND, 2 * HOUR, 2 * DAY, -HOUR]),
        agrees=st.sampled_from([True, True, True, False]),
    )
    def something_is_redeemed(self, name: int, customer_id: str, offer_id: str, ago: int, agrees: bool) -> None:
        now = self.tick()
        event = Event(f"r{name}", customer_id, EventType.REDEEM, now - ago, now, offer_id=offer_id)
        done = self.state.accept(
            [event],
            may_keep=may_keep if agrees else lambda _live: False,
            kind_of=lambda _product: None,
            cost_of=COSTS.get,
        )
        is_new = self.books.redeem(f"r{name}", customer_id, offer_id, now - ago, now, agrees=agrees)
        assert done.accepted == is_new

    @rule(customer_id=customers, value=st.sampled_from(["1@x", "2@x"]))
    def identity_is_told(self, customer_id: str, value: str) -> None:
        found = self.state.link(
            [Identity(customer_id, "email", value)], is_loyal=lambda each: each.startswith("loyal"), now_us=self.tick()
        )
        for merged in found.merged:
            self.books.merge(merged.customer_id, merged.into)

    @rule(customer_id=customers)
    def customer_asks_to_be_forgotten(self, customer_id: str) -> None:
        now = self.tick()
        self.state.forget(customer_id, now)
        self.books.forget(customer_id, now)

    @rule()
    def ended_holds_give_their_money_back(self) -> None:
        self.state.sweep(self.tick())

    @rule()
    def state_is_compacted(self) -> None:
        now = self.tick()
        self.state.compact(now)
        for customer_id in list(self.books.holds):
            self.books.drop(customer_id, now)

    @invariant()
    def the_books_are_right(self) -> None:
        found = self.state.spending(COSTS, at_us=self.now)
        for offer_id in COSTS:
            expected = Spending(self.books.reserved(offer_id, self.now), self.books.spent[offer_id])
            spending = found.get(offer_id, Spending())
            assert (round(spending.reserved, 4), round(spending.spent, 4)) == (expected.reserved, expected.spent)

    @invariant()
    def no_budget_is_promised_twice(self) -> None:
        for offer_id, budget in BUDGETS.items():
            # What was redeemed without a reservation was not promised by anybody: it is the customer's doing.
            promised = self.state.spending([offer_id], at_us=self.now).get(offer_id, Spending()).gone
            assert promised - self.books.unreserved[offer_id] <= budget + 1e-9

    @invariant()
    def customers_hold_what_they_should(self) -> None:
        for customer_id in CUSTOMERS:
            live = self.state.live(customer_id)
            held = sorted((each.offer_id, each.until_us) for each in live.held_at(self.now))
            assert held == sorted((e.offer_id, e.until) for e in self.books.of(customer_id) if e.is_held(self.now))
            assert live.customer_id == self.books.who(customer_id)


def test_whatever_happens_in_memory_the_books_are_right() -> None:
    run(OffersMachine, in_memory, 60, 25)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_happens_at_length_the_books_are_right() -> None:
    run(OffersMachine, in_memory, 1500, 50)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_happens_in_a_file_the_books_are_right() -> None:
    run(OffersMachine, in_a_file, 60, 40)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_happens_in_redis_the_books_are_right(shared_redis: RedisProcess) -> None:
    run(OffersMachine, in_redis(shared_redis), 30, 30)
