"""What reaches a customer, over the wire: the very next call on any worker honours what they said and what was sent."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from serving.bundle import write_bundle
from serving.champion import write_champion
from serving.channels import MESSAGE_CHANNELS
from serving.launch import Server
from tests.serving.running import eventually, running, send, worker_pids
from tests.serving.state.redis_process import RedisProcess
from tests.serving.tiny import tiny_contents

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

N_ASKED = 12
"""Connections of their own, so that both workers are all but surely among those that answer."""

AT = "2018-01-01T12:00:00Z"  # the server's clock at the start: 07:00 in New York, quiet for SMS and push
NOON = {"context": {"local_time": "2018-01-01T15:00:00+03:00"}}
CUSTOMERS = ("anna", "cleo", "dora", "emil", "fay")
ONE = {"high": 1, "medium": 1, "low": 1, "silent": 1, "untested": 1}
MANY = dict.fromkeys(ONE, 9)
POLICY: dict[str, Any] = {  # values of policy.toml
    **{f"consent.{channel}": True for channel in MESSAGE_CHANNELS},
    **{f"caps.{channel}_day": ONE for channel in MESSAGE_CHANNELS},
    **{f"caps.{channel}_week": MANY for channel in (*MESSAGE_CHANNELS, "all")},
    "caps.all_day": ONE,
    "caps.offer_showings_day": ONE,
    "offers.min_expected_value": -100.0,
    "offers.min_customer_value": 0.0,
    "offers.min_relevance": 0.0,
}
_numbers = count()


@pytest.fixture(scope="module", params=["file", "redis"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("home")
    write_champion(home, write_bundle(tiny_contents(POLICY), home / "bundles"))
    redis = RedisProcess(tmp_path_factory.mktemp("redis")).start() if request.param == "redis" else None
    try:
        with running(home, state="file" if redis is None else redis.url) as started:
            started.wait_until_ready()
            assert eventually(lambda: len(worker_pids(started)) == 2)
            yield started
    finally:
        if redis is not None:
            redis.stop()


def call(server: Server, path: str, body: dict[str, Any]) -> Any:
    answered = send("POST", server.url + path, json=body)
    assert answered.status_code in {200, 202}, answered.text
    return answered.json()


def tell(server: Server, kind: str, customer_id: str, **fields: Any) -> None:
    event = {"event_id": f"told-{next(_numbers)}", "customer_id": customer_id, "type": kind, "at": AT, **fields}
    assert call(server, "/v1/events", {"events": [event]})["accepted"] == 1


def fates(server: Server, customer_id: str, channel: str, **fields: Any) -> dict[str, str]:
    """Return what becomes of each offer: `given`, or the code for which it is withheld."""
    answer = call(server, "/v1/offers", {"customer_id": customer_id, "channel": channel, "k": 20, **fields})
    given = {each["offer_id"]: "given" for each in answer["offers"]}
    return given | {each["offer_id"]: each["reason"]["code"] for each in answer["withheld"]}


def everywhere(server: Server, customer_id: str, channel: str, **fields: Any) -> list[dict[str, str]]:
    """Return the same asked over many connections."""
    return [fates(server, customer_id, channel, **fields) for _ in range(N_ASKED)]


def test_an_unsubscribe_holds_on_every_worker_from_the_next_call_on(server: Server) -> None:
    assert "given" in fates(server, "dora", "email").values()
    tell(server, "unsubscribe", "dora", channel="email")
    assert all(set(each.values()) == {"no_consent"} for each in everywhere(server, "dora", "email"))
    assert "given" in fates(server, "dora", "web").values()
    asked = {"customer_id": "dora", "trigger": "replenish", "channel": "email"}
    assert {call(server, "/v1/actions", asked)["kind"] for _ in range(N_ASKED)} == {"none"}


def test_a_blocked_notification_holds_on_every_worker_from_the_next_call_on(server: Server) -> None:
    assert "given" in fates(server, "fay", "push", **NOON).values()
    tell(server, "notification_block", "fay")
    assert all(set(each.values()) == {"no_consent"} for each in everywhere(server, "fay", "push", **NOON))
    assert "given" in fates(server, "fay", "sms", **NOON).values()


def test_quiet_hours_are_those_of_the_customers_clock(server: Server) -> None:
    assert all(
        "given" not in each.values() and "quiet_hours" in each.values() for each in everywhere(server, "fay", "sms")
    )
    assert "given" in fates(server, "fay", "sms", **NOON).values()
    assert "given" in fates(server, "fay", "email").values()


def test_a_message_that_is_reported_reaches_the_cap_of_every_channel(server: Server) -> None:
    assert "given" in fates(server, "emil", "email").values()
    tell(server, "send", "emil", channel="push")
    for channel in MESSAGE_CHANNELS:
        found = everywhere(server, "emil", channel, **NOON)
        assert all("given" not in each.values() for each in found)
    assert "cap_reached" in fates(server, "emil", "email").values()
    assert "given" in fates(server, "emil", "web").values()


def test_an_action_that_is_sent_reaches_the_cap_and_asking_again_uses_nothing(server: Server) -> None:
    tell(server, "wishlist", "anna", product_id="coffee-1")
    tell(server, "cart", "anna", product_id="brie-1", at="2018-01-01T06:00:00Z")
    wish = {"customer_id": "anna", "trigger": "wishlist", "channel": "email"}
    first = call(server, "/v1/actions", wish)
    assert first["channel"] == "email", first
    assert all(call(server, "/v1/actions", wish) == first for _ in range(N_ASKED))
    assert all("given" not in each.values() for each in everywhere(server, "anna", "email"))
    basket = {"customer_id": "anna", "trigger": "cart", "channel": "email"}
    assert {call(server, "/v1/actions", basket)["reason"]["code"] for _ in range(N_ASKED)} == {"cap_reached"}


def test_an_offer_that_was_shown_reaches_its_cap_on_every_page(server: Server) -> None:
    shown = fates(server, "cleo", "web")
    assert shown["coffee-off"] == "given"
    tell(server, "impression", "cleo", channel="web", offer_id="coffee-off")
    assert {each["coffee-off"] for each in everywhere(server, "cleo", "app")} == {"cap_reached"}
