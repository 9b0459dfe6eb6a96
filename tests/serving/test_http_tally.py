"""What decisions said is counted by call, role, reason and code: what an operator asks, and nobody's name."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from serving.bundle import Bundle
from serving.engine import Engine
from tests.serving.asgi import NOW, Client, client


@pytest.fixture
def api(tmp_path: Path, tiny_bundle: Bundle) -> Client:
    return client(tmp_path, Engine(tiny_bundle), NOW)


def counted(api: Client, name: str) -> dict[str, float]:
    """Return the samples of a metric by their labels, as /metrics writes them."""
    lines = api.get("/metrics").body.decode().splitlines()
    found = [line.rpartition(" ") for line in lines if line.startswith((f"{name}{{", f"{name} "))]
    return {labels.removeprefix(name): float(value) for labels, _, value in found}


def test_decisions_are_counted_by_whom_they_were_for(api: Client) -> None:
    for customer_id in ("anna", "anna", "ben", "nobody"):
        api.post("/v1/recommendations", {"customer_id": customer_id})

    assert counted(api, "tercet_decisions_total") == {
        '{path="/v1/recommendations",whose="personal"}': 2.0,
        '{path="/v1/recommendations",whose="common"}': 1.0,
        '{path="/v1/recommendations",whose="cold_start"}': 1.0,
    }


def test_what_was_decided_for_is_counted_by_role_and_reason(api: Client) -> None:
    shown = api.post("/v1/challenge", {"customer_id": "anna"}).json()["items"]
    action = api.post("/v1/actions", {"customer_id": "anna", "trigger": "replenish"}).json()

    items = counted(api, "tercet_items_total")
    of_challenge = {labels: n for labels, n in items.items() if "challenge" in labels}
    assert sum(of_challenge.values()) == len(shown)
    for each in shown:
        assert f'{{path="/v1/challenge",reason="{each["reason"]["code"]}",role="{each["role"]}"}}' in of_challenge
    assert items[f'{{path="/v1/actions",reason="{action["reason"]["code"]}",role="{action["kind"]}"}}'] == 1.0


def test_what_was_withheld_and_what_fell_short_is_counted_by_code(api: Client) -> None:
    withheld = api.post("/v1/offers", {"customer_id": "anna", "channel": "web", "context": {"basket": ["milk-1"]}})
    api.post("/v1/recommendations", {"customer_id": "anna", "category": "Nothing"})

    codes = counted(api, "tercet_withheld_total")
    for each in withheld.json()["withheld"]:
        assert codes[f'{{code="{each["reason"]["code"]}",path="/v1/offers"}}'] >= 1.0
    assert codes['{code="unknown_category",path="/v1/recommendations"}'] == 1.0


def test_nothing_is_counted_twice(api: Client) -> None:
    api.post("/v1/recommendations", {"customer_id": "anna"})

    assert counted(api, "tercet_decisions_total") == counted(api, "tercet_decisions_total")


def test_the_lag_of_events_and_the_age_of_the_bundle_can_be_read(api: Client) -> None:
    events = [
        {"event_id": f"e{minutes}", "customer_id": "anna", "type": "view", "at": at.isoformat(), "product_id": "milk-1"}
        for minutes, at in ((minutes, NOW - timedelta(minutes=minutes)) for minutes in (0, 2, 200))
    ]
    api.post("/v1/events", {"events": events})
    api.shop.metrics.tell_bundle("20180101-00000001", 1_514_782_800.0)
    api.shop.metrics.tell_bundle("20180102-00000002", 1_514_869_200.0, before="20180101-00000001")

    lags = counted(api, "tercet_event_lag_seconds_bucket")
    assert (lags['{le="60.0"}'], lags['{le="300.0"}'], lags['{le="43200.0"}']) == (1.0, 2.0, 3.0)
    assert counted(api, "tercet_clock_timestamp_seconds") == {"": NOW.timestamp()}
    assert counted(api, "tercet_bundle_as_of_timestamp_seconds") == {"": 1_514_869_200.0}
    assert counted(api, "tercet_bundle_info") == {
        '{version="20180101-00000001"}': 0.0,
        '{version="20180102-00000002"}': 1.0,
    }


def test_no_customer_is_in_the_metrics(api: Client) -> None:
    for path in ("challenge", "recommendations", "scores", "offers"):
        api.post(f"/v1/{path}", {"customer_id": "anna"} if path != "scores" else {"customer_ids": ["anna"]})

    assert b"anna" not in api.get("/metrics").body
