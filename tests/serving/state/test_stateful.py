"""Everything that can happen to a state, in any order, against a plain model of what should be (model.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from serving.state.challenges import time_text
from serving.state.decisions import DecisionPart, DecisionRecord
from serving.state.events import Event, EventType
from serving.state.merging import Identity
from serving.state.stock_words import StockWord
from serving.state.store import Store
from tests.serving.state.builders import (
    DAY,
    HOUR,
    KINDS,
    MONDAY,
    MONDAY_DAY,
    REWARD,
    SECOND,
    accept,
    answer,
    item,
    state_on,
)
from tests.serving.state.machines import in_a_file, in_memory, in_redis, run
from tests.serving.state.model import KEYS, Model, ModelChallenge, ModelDecision
from tests.serving.state.redis_process import RedisProcess

CUSTOMERS = ("anna", "ben", "loyal-1", "loyal-2", "guest")
PRODUCTS = (*KINDS, "new-1")
RECENT, EVENTS_DAYS, DECISIONS_DAYS, WEEKS = 10, 40, 20, 2
LIMITS = {
    "events_per_customer": RECENT,
    "events_days": EVENTS_DAYS,
    "decisions_days": DECISIONS_DAYS,
    "challenge_weeks": WEEKS,
    "attribution_days": 7,
}

customers = st.sampled_from(CUSTOMERS)
drafts = st.fixed_dictionaries(
    {
        "name": st.integers(0, 60),
        "customer_id": customers,
        "type": st.sampled_from(["purchase"] * 6 + ["view", "dismiss", "unsubscribe", "notification_block", "redeem"]),
        "product_id": st.sampled_from(PRODUCTS),
        "quantity": st.sampled_from([1.0, 1.0, 2.0, -1.0, 0.5]),
        "ago": st.integers(-20 * HOUR, 4 * DAY),
        "channel": st.sampled_from([None, "email", "sms", "web"]),
    }
)
challenge_items = st.lists(
    st.sampled_from(
        [
            ("product_type", "Milk", 1),
            ("product_type", "Milk", 2),
            ("product_type", "Bread", 1),
            ("category", "Coffee and Tea", 1),
            ("product", "new-1", 1),
            ("product", "milk-1", 1),
        ]
    ),
    min_size=1,
    max_size=3,
    unique=True,
)
identities = st.tuples(st.sampled_from(["email", "phone"]), st.sampled_from(["1@x", "2@x", "3@x"]))


class StateMachine(RuleBasedStateMachine):
    """The state and the model, told the same."""

    open_store: ClassVar[Callable[[], tuple[Store, Callable[[], None]]]]

    def __init__(self) -> None:
        super().__init__()
        self.store, self.clean_up = type(self).open_store()
        self.model = Model(KINDS, recent=RECENT, events_days=EVENTS_DAYS, decisions_days=DECISIONS_DAYS, weeks=WEEKS)
        self.state = state_on(self.store, **LIMITS)
        self.now = MONDAY + 3 * DAY
        self.n_ids = 0
        self.reward_of: dict[str, str] = {}

    def teardown(self) -> None:
        self.clean_up()

    def monday(self) -> int:
        return MONDAY_DAY + (self.now - MONDAY) // (7 * DAY) * 7

    def tick(self) -> int:
        self.now += 1
        return self.now

    @rule(days=st.sampled_from([1 / 24, 1, 4, 11]))
    def time_passes(self, days: float) -> None:
        self.now += int(days * DAY)

    @rule()
    def restart(self) -> None:
        self.state = state_on(self.store, **LIMITS)

    @rule(told=st.lists(drafts, min_size=1, max_size=6))
    def events_come(self, told: list[dict[str, Any]]) -> None:
        now = self.tick()
        events = [
            Event(
                f"e{draft['name']}",
                draft["customer_id"],
                EventType(draft["type"]),
                now - draft["ago"],
                now,
                draft["product_id"],
                "o1",
                draft["quantity"],
                decision_id=f"{draft['name'] % 5:032x}",
                channel=draft["channel"],
            )
            for draft in told
        ]
        found = accept(self.state, events)
        n_new, n_repeats, granted = self.model.accept(events)
        assert (found.accepted, found.duplicates) == (n_new, n_repeats)
        assert {(each.customer_id, each.reward.decision_id) for each in found.completed} == granted
        for each in found.completed:
            assert self.reward_of.setdefault(each.reward.decision_id, each.reward.reward_id) == each.reward.reward_id

    @rule(customer_id=customers, items=challenge_items, has_reward=st.booleans(), hours_ago=st.integers(0, 60))
    def challenge_is_asked_for(
        self, customer_id: str, items: list[tuple[str, str, int]], has_reward: bool, hours_ago: int
    ) -> None:
        now, monday = self.tick(), self.monday()
        self.n_ids += 1
        ends_us = MONDAY + (monday - MONDAY_DAY + 7) * DAY
        starts_us = max(now // SECOND * SECOND - hours_ago * HOUR, ends_us - 7 * DAY)
        made = answer(
            *(item(*each) for each in items),
            decision_id=f"c{self.n_ids}",
            reward=REWARD if has_reward else None,
            starts=time_text(starts_us),
            ends=time_text(ends_us),
        )
        kept = self.state.issue(customer_id, monday, made, now)
        draft = ModelChallenge(f"c{self.n_ids}", items, now, starts_us, ends_us, has_reward)
        assert kept.decision_id == self.model.issue(customer_id, monday, draft).decision_id

    @rule(customer_id=customers, items=st.none() | challenge_items)
    def challenge_is_shown(self, customer_id: str, items: list[tuple[str, str, int]] | None) -> None:
        replaced = None if items is None else answer(*(item(*each) for each in items), decision_id="another")
        kept = self.state.show(customer_id, self.monday(), replaced)
        assert (kept is None) == (self.monday() not in self.model.customer(customer_id).challenges)
        self.model.show(customer_id, self.monday(), items)

    @rule(customer_id=customers, identity=identities)
    def identity_is_told(self, customer_id: str, identity: tuple[str, str]) -> None:
        now, (kind, value) = self.tick(), identity
        found = self.state.link([Identity(customer_id, kind, value)], is_loyal=is_loyal, now_us=now)
        assert [(each.customer_id, each.into) for each in found.merged] == self.model.link(customer_id, *identity, now)

    @rule(customer_id=customers, given=st.dictionaries(st.sampled_from(KEYS), st.booleans()))
    def consent_is_put(self, customer_id: str, given: dict[str, bool]) -> None:
        now = self.tick()
        self.state.put_consent(customer_id, given, now)
        self.model.put_consent(customer_id, given, now)

    @rule(customer_id=customers, shown=st.lists(st.sampled_from(PRODUCTS), max_size=3, unique=True))
    def decision_is_recorded(self, customer_id: str, shown: list[str]) -> None:
        now = self.tick()
        decision_id = f"{now % 5:032x}"
        part = DecisionPart(customer_id, tuple({"product_id": each} for each in shown))
        is_new = self.state.record(DecisionRecord(decision_id, "recommendations", now, "m", (part,))).result()
        assert is_new == (decision_id not in self.model.decisions)
        self.model.decisions.setdefault(decision_id, ModelDecision(customer_id, now, shown))

    @rule(product_id=st.sampled_from(PRODUCTS), store_id=st.sampled_from([None, "s1"]), pieces=st.integers(0, 2))
    def stock_is_put(self, product_id: str, store_id: str | None, pieces: int) -> None:
        self.state.put_stock([StockWord(product_id, store_id, pieces)])
        self.model.stock[product_id, store_id] = pieces

    @rule(customer_id=customers)
    def customer_asks_to_be_forgotten(self, customer_id: str) -> None:
        now = self.tick()
        self.state.forget(customer_id, now)
        self.model.forget(customer_id, now)

    @rule(customer_id=customers, finishes=st.booleans())
    def customer_is_erased(self, customer_id: str, finishes: bool) -> None:
        now = self.tick()
        self.model.erase(customer_id, now)
        receipt = self.state.erase(customer_id, now)
        assert set(receipt.customer_ids) == self.model.notes[customer_id].keys()
        if finishes:
            self.state.finish_erasure(customer_id)
            self.model.finish(customer_id)

    @rule()
    def state_is_compacted(self) -> None:
        now = self.tick()
        self.state.compact(now)
        self.model.compact(now)

    @invariant()
    def customers_are_as_they_should_be(self) -> None:
        for customer_id in CUSTOMERS:
            expected = self.model.customer(customer_id)
            live = self.state.live(customer_id)
            assert live.customer_id == expected.customer_id == self.state.resolve(customer_id)
            assert set(live.also) == expected.also - expected.hidden
            assert [event.event_id for event in live.events] == expected.recent
            assert all(event == expected.events[event.event_id] for event in live.events)
            assert (live.consent or {}) == {key: is_given for key, (is_given, _) in expected.consent.items()}
            assert (live.erased_us or None) == self.model.erased.get(expected.customer_id)

    @invariant()
    def challenges_are_as_they_should_be(self) -> None:
        for customer_id in CUSTOMERS:
            expected = self.model.customer(customer_id)
            view = self.state.customer(customer_id)
            found = {} if view is None else {each.monday_day: each for each in view.challenges}
            assert found.keys() == expected.challenges.keys()
            for monday, challenge in expected.challenges.items():
                kept = found[monday]
                assert kept.decision_id == challenge.decision_id
                assert kept.is_shown == challenge.is_shown
                assert list(kept.is_done) == challenge.done(list(expected.events.values()), KINDS)
                assert kept.completed_us == challenge.completed_us
                assert (kept.reward_id is not None) == (challenge.has_reward and challenge.completed_us is not None)
            rewards = () if view is None else view.rewards
            assert {each.decision_id for each in rewards} == expected.rewards.keys()

    @invariant()
    def nothing_is_lost_and_nothing_stays(self) -> None:
        log = {event.event_id: event.customer_id for event in self.state.log()}
        everyone = self.model.customers.values()
        assert log == {each: customer.customer_id for customer in everyone for each in customer.events}
        assert self.state.aliases() == self.model.into
        assert self.state.counts() == self.model.counts
        erased = self.state.erased()
        assert erased.pending == {each: until_us[each] for each, until_us in self.model.notes.items()}
        assert {each: erased.moment_us(each) for each in CUSTOMERS if erased.moment_us(each)} == self.model.erased

    @invariant()
    def decisions_are_as_they_should_be(self) -> None:
        for decision_id, decision in self.model.decisions.items():
            stored = self.state.decision(decision_id)
            assert stored is not None
            is_erased = self.model.erased.get(decision.customer_id, -1) >= decision.at_us
            assert (stored.n_erased, len(stored.record.parts)) == ((1, 0) if is_erased else (0, 1))
            if not is_erased and decision.shown:
                events = self.model.customer(decision.customer_id).events.values()
                outcome = stored.outcomes[decision.customer_id]
                assert {each.event_id for each in outcome.answered} == {
                    each.event_id for each in events if each.decision_id == decision_id
                }
                assert {each.event_id for each in outcome.bought} == {
                    each.event_id
                    for each in events
                    if each.type == "purchase" and each.product_id in decision.shown
                    if decision.at_us < each.at_us <= decision.at_us + 7 * DAY
                }

    @invariant()
    def stock_is_the_latest_word(self) -> None:
        assert self.state.stock().available == self.model.stock


def is_loyal(customer_id: str) -> bool:
    return customer_id.startswith("loyal")


def test_whatever_happens_in_memory_the_model_says_so_too() -> None:
    run(StateMachine, in_memory, 40, 20)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_happens_at_length_the_model_says_so_too() -> None:
    run(StateMachine, in_memory, 600, 50)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_happens_in_a_file_the_model_says_so_too() -> None:
    run(StateMachine, in_a_file, 60, 40)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_happens_in_redis_the_model_says_so_too(shared_redis: RedisProcess) -> None:
    run(StateMachine, in_redis(shared_redis), 30, 30)
