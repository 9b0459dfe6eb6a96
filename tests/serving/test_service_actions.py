"""Actions over HTTP, on a real server with two workers and its state: asked, asked again, and after what follows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.launch import Server
from tests.serving.running import publish, running, send

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home: Path = tmp_path_factory.mktemp("home")
    publish(home)
    with running(home) as found:
        yield found


def call(server: Server, method: str, path: str, body: Any) -> Any:
    reply = send(method, server.url + path, json=body)
    assert reply.status_code in (200, 202), reply.text
    return reply.json()


def tell(server: Server, customer_id: str, kind: str, product_id: str, **more: Any) -> None:
    event = {
        "event_id": f"{customer_id}-{kind}-{product_id}-{len(more)}",
        "customer_id": customer_id,
        "type": kind,
        "at": "2018-01-01T12:00:00Z",
        "product_id": product_id,
        **more,
    }
    assert call(server, "POST", "/v1/events", {"events": [event]})["accepted"] == 1


def act(server: Server, customer_id: str, trigger: str, **more: Any) -> Any:
    return call(server, "POST", "/v1/actions", {"customer_id": customer_id, "trigger": trigger, **more})


def allow(server: Server, customer_id: str, *channels: str) -> None:
    consent = {"personalize": True, **dict.fromkeys(channels, True)}
    call(server, "PUT", f"/v1/customers/{customer_id}/consent", consent)


def test_a_basket_that_was_left_is_spoken_of_once_and_no_more_once_it_is_bought(server: Server) -> None:
    allow(server, "anna", "email")
    assert act(server, "anna", "cart")["reason"]["code"] == "nothing_in_basket"
    tell(server, "anna", "cart", "salad-1")

    first = act(server, "anna", "cart")

    assert (first["kind"], first["channel"]) == ("items", "email")
    assert first["send_at"] >= "2018-01-01T13:00:00Z"
    assert first["text"].startswith("You left Mixed Salad in your basket.")
    assert [act(server, "anna", "cart") for _ in range(4)] == [first] * 4  # whichever worker answers
    events = call(server, "GET", "/v1/customers/anna", None)["events"]
    assert sum(each["type"] == "send" for each in events) == 1
    tell(server, "anna", "purchase", "salad-1", order_id="o-1")
    assert act(server, "anna", "cart")["reason"]["code"] == "nothing_in_basket"


def test_an_action_is_told_as_a_decision(server: Server) -> None:
    tell(server, "cleo", "wishlist", "salad-1")
    answer = act(server, "cleo", "wishlist", placement="home")
    assert (answer["kind"], answer["channel"]) == ("items", "web")  # no message was agreed to

    told = call(server, "GET", f"/v1/decisions/{answer['decision_id']}", None)

    assert (told["call"], told["placement"]) == ("actions", "home")
    assert [each["product_id"] for each in told["shown"]] == ["salad-1"]


def test_an_unsubscribe_is_heeded_by_the_next_action(server: Server) -> None:
    allow(server, "emil", "email")
    tell(server, "emil", "wishlist", "salad-1")
    before = act(server, "emil", "wishlist", channel="email", dry_run=True)
    assert before["reason"]["code"] in ("wished", "not_worth_it")
    tell(server, "emil", "unsubscribe", "salad-1", channel="email", at="2018-01-01T13:00:00Z")
    assert act(server, "emil", "wishlist", channel="email")["reason"]["code"] == "no_channel"
    assert act(server, "emil", "unsubscribe")["reason"]["code"] == "left_channel"


def test_a_reward_that_ends_is_known_from_the_state(server: Server) -> None:
    challenge = call(server, "POST", "/v1/challenge", {"customer_id": "fay"})
    assert act(server, "fay", "reward_expiring")["reason"]["code"] == "no_reward"
    answer = act(server, "fay", "reward_expiring", at="2018-01-06T18:00:00Z")
    assert (answer["kind"], len(answer["items"])) == ("reward", 3)
    assert {each["product_id"] for each in answer["items"]} == {each["product_id"] for each in challenge["items"]}


def test_what_is_back_in_stock_is_known_from_the_words_about_it(server: Server) -> None:
    tell(server, "dora", "wishlist", "brie-1")
    for available in (False, True):
        call(server, "POST", "/v1/stock", {"stock": [{"product_id": "brie-1", "available": available}]})
    answer = act(server, "dora", "back_in_stock")
    assert answer["reason"]["code"] == "back_in_stock"
    assert "Brie de Meaux" in answer["subject"]


def test_what_is_wrong_is_named(server: Server) -> None:
    for body, field in (
        ({"customer_id": "anna"}, "trigger"),
        ({"customer_id": "anna", "trigger": "birthday"}, "trigger"),
        ({"customer_id": "anna", "trigger": "cart", "channel": "fax"}, "channel"),
        ({"customer_id": "anna", "trigger": "visit", "context": {"latitude": 91}}, "context.latitude"),
        ({"customer_id": "anna", "trigger": "cart", "k": 3}, "k"),
    ):
        reply = send("POST", f"{server.url}/v1/actions", json=body)
        assert reply.status_code == 422
        assert [each["field"] for each in reply.json()["errors"]] == [field]
