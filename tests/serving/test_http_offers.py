"""Offers and actions over HTTP: each worker is an application over the same store."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from serving.bundle import Bundle, obeying
from serving.decisioning.policy import default_policy_text, parse_policy, with_values
from serving.engine import Engine
from tests.serving.asgi import Client, client
from tests.serving.state.memory_store import MemoryStore

NOW = datetime(2018, 1, 1, 18, tzinfo=UTC)
CUSTOMERS = ("anna", "cleo", "emil", "fay")

Worker = Callable[[], Client]


@pytest.fixture
def worker(tmp_path: Path, tiny_bundle: Bundle, store: MemoryStore) -> Worker:
    """Starts another worker of the same shop."""
    values = {"consent.email": True, "offers.min_expected_value": -100.0}
    engine = Engine(obeying(tiny_bundle, parse_policy(with_values(default_policy_text(), values))))
    return lambda: client(tmp_path, engine, NOW, store)


@pytest.fixture
def api(worker: Worker) -> Client:
    return worker()


def offers(api: Client, customer_id: str = "anna", **more: Any) -> Any:
    reply = api.post("/v1/offers", {"customer_id": customer_id, "channel": "web", **more})
    assert reply.status == 200, reply.body
    return reply.json()


def redeem(api: Client, event_id: str, offer_id: str, customer_id: str = "anna") -> Any:
    event = {
        "event_id": event_id,
        "customer_id": customer_id,
        "type": "redeem",
        "at": "2018-01-01T19:00:00Z",
        "offer_id": offer_id,
    }
    reply = api.post("/v1/events", {"events": [event]})
    assert reply.status == 202, reply.body
    return reply.json()


def ids(answer: Any) -> list[str]:
    return [each["offer_id"] for each in answer["offers"]]


def codes(answer: Any) -> dict[str, str]:
    return {each["offer_id"]: each["reason"]["code"] for each in answer["withheld"]}


def test_the_same_decision_comes_from_every_worker_also_when_they_are_asked_at_once(worker: Worker) -> None:
    workers = [worker() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(offers, workers))
    assert all(each == answers[0] for each in answers)
    assert offers(worker()) == answers[0]


def test_a_budget_is_not_overdrawn_by_all_workers_together(worker: Worker) -> None:
    workers = [worker() for _ in CUSTOMERS]
    with ThreadPoolExecutor(len(CUSTOMERS)) as pool:
        answers = list(pool.map(offers, workers, CUSTOMERS))
    assert sum("brie-off" in ids(each) for each in answers) == 2  # 5.00 pay for two at 2.00
    for answer in (each for each in answers if "brie-off" not in ids(each)):
        assert codes(answer)["brie-off"] == "budget_spent"


def test_a_redemption_is_shown_and_seen_by_the_next_decision(worker: Worker, api: Client) -> None:
    first = offers(api)
    assert "brie-off" in ids(first)
    assert redeem(worker(), "r1", "brie-off") == {"accepted": 1, "duplicates": 0, "rejected": []}
    assert redeem(api, "r1", "brie-off")["duplicates"] == 1
    assert codes(offers(worker()))["brie-off"] == "already_redeemed"
    story = api.get(f"/v1/decisions/{first['decision_id']}").json()
    assert story["offers"] == first["offers"]
    assert {each["offer_id"]: each["reason"] for each in story["withheld"]} == codes(first)
    assert [each["type"] for each in story["outcome"]["answered"]] == ["redeem"]
    held = {each["offer_id"]: each for each in api.get("/v1/customers/anna").json()["offers"]}
    assert held["brie-off"]["redeemed_at"] == "2018-01-01T19:00:00Z"
    assert held["brie-off"]["reserved"] == 2.0


def test_while_the_state_is_away_only_what_needs_no_promise_is_given(api: Client, store: MemoryStore) -> None:
    usual = offers(api, dry_run=True)
    store.is_away = True
    answer = offers(api)
    assert [each["code"] for each in answer["notes"]] == ["state_unavailable"]
    assert ids(answer)
    assert not {"coffee-off", "brie-off", "wine-off"} & set(ids(answer))
    assert offers(api, channel="email")["offers"] == []
    refused = api.post("/v1/actions", {"customer_id": "anna", "trigger": "cart"})
    assert (refused.status, "retry-after" in refused.headers) == (503, True)
    store.is_away = False
    assert ids(offers(api)) == ids(usual)
    assert api.post("/v1/actions", {"customer_id": "anna", "trigger": "cart"}).status == 200


def test_a_store_that_takes_nothing_gives_nothing_away_either(api: Client, store: MemoryStore) -> None:
    store.is_read_only = True
    assert not {"coffee-off", "brie-off", "wine-off"} & set(ids(offers(api)))
    assert api.post("/v1/actions", {"customer_id": "anna", "trigger": "cart"}).status == 503
    store.is_read_only = False
    assert "brie-off" in ids(offers(api))


def test_who_is_forgotten_gives_back_what_they_held(worker: Worker, api: Client) -> None:
    answers = {each: offers(api, each) for each in CUSTOMERS}
    holders = [each for each, answer in answers.items() if "brie-off" in ids(answer)]
    other = next(each for each in CUSTOMERS if each not in holders)
    assert api.delete(f"/v1/customers/{holders[0]}").status == 202
    assert redeem(api, "anything", "points", other)["accepted"] == 1  # something new, so that it is decided anew
    assert "brie-off" in ids(offers(worker(), other))
