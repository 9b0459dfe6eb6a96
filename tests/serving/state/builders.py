"""Small parts that the tests of the state are made of: events, challenges, and a state over a store of one's own."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from serving.api_answers import ChallengeAnswer
from serving.decisioning.policy import StatePolicy, default_policy
from serving.state.accepting import Accepted
from serving.state.events import Event, EventType
from serving.state.known import Live
from serving.state.shop import State
from serving.state.store import Store
from tests.serving.state.memory_store import MemoryStore

T = TypeVar("T")

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
MONDAY_DAY = 17_532  # 2018-01-01
MONDAY = MONDAY_DAY * DAY
KEY = b"k" * 32
LIMITS = default_policy().state
# product_id: (product_type, category); "new-1" is a product that no bundle knows.
KINDS = {
    "milk-1": ("Milk", "Dairy"),
    "milk-2": ("Milk", "Dairy"),
    "bread-1": ("Bread", "Bakery"),
    "bread-2": ("Bread", "Bakery"),
    "coffee-1": ("Ground Coffee", "Coffee and Tea"),
    "tea-1": ("Tea", "Coffee and Tea"),
}


def event(
    event_id: str, product_id: str | None = "milk-1", *, at: int = MONDAY, type: str = "purchase", **fields: Any
) -> Event:
    """Return an event of anna's, accepted when it happened unless `accepted_us` says otherwise."""
    order_id = "o1" if type == "purchase" else None
    values: dict[str, Any] = {
        "customer_id": "anna",
        "accepted_us": at,
        "product_id": product_id,
        "order_id": order_id,
    } | fields
    return Event(event_id=event_id, type=EventType(type), at_us=at, **values)


def item(level: str, id: str, target: int = 1) -> dict[str, Any]:
    """Return an item of a challenge that counts what is named."""
    return {
        "product_id": id if level == "product" else f"a product of {id}",
        "name": id,
        "product_type": id,
        "category": id,
        "price": 2.0,
        "reason": {"code": "due", "text": "You usually buy it by now."},
        "role": "habit",
        "probability": 0.5,
        "target_quantity": target,
        "counts": {"level": level, "id": id},
        "done": False,
    }


MILK, BREAD, COFFEE = item("product_type", "Milk"), item("product_type", "Bread"), item("category", "Coffee and Tea")
REWARD = {"kind": "discount", "value": 2.0, "cost": 1.0}


def answer(
    *items: dict[str, Any],
    decision_id: str = "c" * 32,
    reward: dict[str, Any] | None = REWARD,
    starts: str = "2018-01-01T00:00:00Z",
    ends: str = "2018-01-08T00:00:00Z",
) -> ChallengeAnswer:
    """Return a challenge of milk, bread and something hot, for the week of 2018-01-01 in UTC."""
    whole = {
        "decision_id": decision_id,
        "model_version": "20180101-00000000",
        "personalized": True,
        "experiment": None,
        "currency": "EUR",
        "items": list(items) or [MILK, BREAD, COFFEE],
        "completion_probability": 0.1,
        "reward": reward,
        "expected_value": 1.0,
        "valid_from": starts,
        "valid_to": ends,
        "progress": {"done": 0, "of": len(items) or 3, "completed_at": None, "reward_id": None},
        "cold_start": False,
    }
    return cast(ChallengeAnswer, whole)


def state_on(store: Store | None = None, **limits: int) -> State:
    """Return a state over a store (None: a new one in memory) that doesn't wait between attempts."""
    kept: StatePolicy = replace(LIMITS, **limits)
    return State(store or MemoryStore(), KEY, kept, jitter=random.Random(1).random, sleep=lambda seconds: None)


def may_keep(live: Live) -> bool:
    """Return whether they have not refused."""
    return live.consent is None or live.consent.get("personalize", True)


def accept(state: State, events: Sequence[Event]) -> Accepted:
    """Return what became of events of customers who are taken to agree."""
    return state.accept(events, may_keep=may_keep, kind_of=KINDS.get)


class OpenDoor:
    """The way to a state in this process."""

    def __init__(self, state: State) -> None:
        self.state = state

    def read(self, work: Callable[[State], T]) -> T:
        return work(self.state)

    write = read
