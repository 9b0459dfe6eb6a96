"""Offers and actions as they are promised: the same when asked again, held once, sent once, and never over a budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest

from serving.api_actions import ActionsRequest
from serving.api_offer_codes import Trigger
from serving.api_offers import OffersRequest
from serving.bundle import Bundle, obeying
from serving.channels import Channel
from serving.decide import Decider
from serving.decision_ids import DecisionIds
from serving.decisioning.policy import default_policy_text, parse_policy, with_values
from serving.engine import Engine
from serving.errors import StateUnavailable
from serving.keeping import AWAY, MustCommit
from serving.kept import customer_answer, decision_answer
from serving.live import epoch_us
from serving.state.events import Event, EventType
from serving.state.shop import State
from serving.state.stock_words import StockWord
from tests.serving.state.builders import state_on
from tests.serving.state.memory_store import MemoryStore
from tests.serving.tiny import AS_OF

T = TypeVar("T")
IDS = DecisionIds(b"k" * 32)
NOW = AS_OF + timedelta(hours=10)
WEB = OffersRequest(customer_id="anna", channel=Channel.WEB)
APP = OffersRequest(customer_id="anna", channel=Channel.APP)
CART = ActionsRequest(customer_id="anna", trigger=Trigger.CART)


class Open:
    """The way to a state in this process."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.state = state_on(self.store)

    def read(self, work: Callable[[State], T]) -> T:
        return work(self.state)

    write = read


@pytest.fixture
def door() -> Open:
    return Open()


@pytest.fixture(scope="module")
def engine(tiny_bundle: Bundle) -> Engine:
    values = {"consent.email": True, "consent.push": True, "offers.min_expected_value": -100.0}
    return Engine(obeying(tiny_bundle, parse_policy(with_values(default_policy_text(), values))))


@pytest.fixture
def decider(engine: Engine, door: Open) -> Decider:
    return Decider(engine, door, IDS)


def ask(decider: Decider, request: Any, now: datetime = NOW) -> Any:
    return decider.decide(request, now)


def given(answer: Any) -> dict[str, str]:
    """Return until when each offer is valid, by its id."""
    return {each["offer_id"]: each["valid_to"] for each in answer["offers"]}


def told(
    door: Open, engine: Engine, event_id: str, type: str, at: datetime = NOW, customer_id: str = "anna", **fields: Any
) -> Any:
    """Return what became of an event."""
    event = Event(event_id, customer_id, EventType(type), epoch_us(at), epoch_us(at), **fields)
    return door.state.accept([event], may_keep=lambda _live: True, kind_of=engine.kinds, cost_of=engine.offer_cost)


def reserved(door: Open, engine: Engine, now: datetime = NOW) -> dict[str, float]:
    found = door.state.spending(engine.budgets, at_us=epoch_us(now))
    return {offer_id: each.reserved for offer_id, each in found.items() if each.reserved}


def test_asking_again_gives_the_same_decision_and_reserves_nothing_more(
    decider: Decider, door: Open, engine: Engine
) -> None:
    first = ask(decider, WEB)
    held = reserved(door, engine)
    assert held
    again = ask(Decider(engine, door, IDS), WEB, NOW + timedelta(hours=1))
    assert again == first
    assert reserved(door, engine) == held
    assert all(held[each] == engine.offer_cost(each) for each in held)
