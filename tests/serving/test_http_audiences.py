"""Audiences and substitutes over HTTP, by what was told since the bundle."""

from __future__ import annotations

from typing import Any

from tests.serving.asgi import Client
from tests.serving.state.memory_store import MemoryStore

AUDIENCES, SUBSTITUTES = "/v1/audiences", "/v1/substitutes"
EVERYBODY = {"rule": "customer_score >= 0"}
NO_PERSONALIZE = {"personalize": False}


def found(api: Client, **more: Any) -> set[str]:
    reply = api.post(AUDIENCES, {**EVERYBODY, **more})
    assert reply.status == 200, reply.body
    return {each["customer_id"] for each in reply.json()["customers"]}


def test_consent_and_erasure_hold_from_the_next_call_on(api: Client) -> None:
    assert found(api) == {"anna", "cleo", "dora", "emil", "fay"}

    api.put("/v1/customers/anna/consent", NO_PERSONALIZE)
    api.delete("/v1/customers/emil")

    assert found(api) == {"cleo", "dora", "fay"}


def test_merged_customers_are_one(api: Client) -> None:
    told = [{"customer_id": each, "kind": "email", "value": "a@example.org"} for each in ("anna", "emil")]
    assert len(api.post("/v1/identities", {"identities": told}).json()["merged"]) == 1

    assert len(found(api) & {"anna", "emil"}) == 1


def test_the_record_of_an_audience_names_nobody(api: Client) -> None:
    answer = api.post(AUDIENCES, {**EVERYBODY, "placement": "newsletter"}).json()

    kept = api.get(f"/v1/decisions/{answer['decision_id']}")

    assert kept.status == 200
    assert kept.json()["call"] == "audiences"
    assert not any(name.encode() in kept.body for name in found(api))


def test_a_dry_run_keeps_nothing(api: Client, store: MemoryStore) -> None:
    assert found(api, dry_run=True)
    assert store.documents == {}


def test_without_the_state_nobody_is_listed(api: Client, store: MemoryStore) -> None:
    store.is_away = True

    reply = api.post(AUDIENCES, EVERYBODY)

    assert reply.status == 503
    assert "retry-after" in reply.headers
    store.is_away = False
    assert found(api)


def test_a_wrong_rule_says_where(api: Client) -> None:
    reply = api.post(AUDIENCES, {"rule": "churn_probability > 0.4 and nonsense = 1"})

    assert reply.status == 422
    assert reply.json()["errors"][0]["field"] == "rule"
    assert reply.json()["errors"][0]["message"].startswith("at character 29: expected one of churn_probability, ")


def test_what_is_out_of_stock_now_is_no_substitute(api: Client) -> None:
    def shown() -> list[str]:
        answer = api.post(SUBSTITUTES, {"product_id": "milk-1", "k": 1}).json()
        return [item["product_id"] for item in answer["items"]]

    assert shown() == ["milk-2"]
    api.post("/v1/stock", {"stock": [{"product_id": "milk-2", "available": False}]})
    assert shown() == ["yogurt-1"]


def test_the_record_of_substitutes_says_what_was_shown_and_withheld(api: Client) -> None:
    api.post("/v1/stock", {"stock": [{"product_id": "milk-2", "available": False}]})
    answer = api.post(SUBSTITUTES, {"product_id": "milk-1", "customer_id": "anna", "placement": "shelf"}).json()

    kept = api.get(f"/v1/decisions/{answer['decision_id']}").json()

    assert kept["call"] == "substitutes"
    assert [item["product_id"] for item in kept["shown"]] == ["yogurt-1"]
    assert {"product_id": "milk-2", "reason": "out_of_stock"} in kept["withheld"]


def test_substitutes_go_on_while_the_state_is_away(api: Client, store: MemoryStore) -> None:
    store.is_away = True

    answer = api.post(SUBSTITUTES, {"product_id": "milk-1"}).json()

    assert [item["product_id"] for item in answer["items"]] == ["milk-2", "yogurt-1"]
    assert [note["code"] for note in answer["notes"]] == ["state_unavailable"]
