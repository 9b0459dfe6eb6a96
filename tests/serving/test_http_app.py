from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serving import http_load
from serving.decisioning.policy import default_policy
from serving.errors import InvalidRequest, UnknownProduct
from serving.http_clock import Clock
from serving.http_connection import TOO_BUSY
from serving.http_load import AT_ONCE, MOST_IN_BURST
from serving.http_pages import pages
from serving.http_shop import RETRY_SECONDS
from serving.state.known import Known, Live
from tests.serving.asgi import Client, client

NOW = datetime(2018, 1, 1, 12, tzinfo=UTC)
CALL = "/v1/recommendations"


class Echo:
    """An engine that answers with what it was asked; customers called `broken` and so on make it fail."""

    bundle = SimpleNamespace(
        manifest=SimpleNamespace(as_of=datetime(2018, 1, 1, 5, tzinfo=UTC)), policy=default_policy()
    )

    def may_personalize(self, _customer_id: str, _live: Live) -> bool:
        return True

    def odds(self, _label: object) -> float:
        return 1.0

    def recommendations(self, request: Any, at: datetime, decision_id: str, known: Known) -> dict[str, object]:
        if request.customer_id == "broken":
            raise KeyError("a secret of customer 17")
        if request.customer_id == "early":
            raise InvalidRequest("at", "is before the bundle's as-of")
        return {**_answer(decision_id), "customer_id": request.customer_id, "at": at.isoformat()}

    def also_bought(self, request: Any, at: datetime, decision_id: str, known: Known) -> dict[str, object]:
        if request.product_ids == ["nothing"]:
            raise UnknownProduct("nothing")
        return _answer(decision_id)

    def scores(self, request: Any, at: datetime, decision_id: str, known: object) -> dict[str, object]:
        return _answer(decision_id)


def _answer(decision_id: str) -> dict[str, object]:
    return {"decision_id": decision_id, "model_version": "1", "personalized": True, "experiment": None}


@pytest.fixture
def shop(tmp_path: Path) -> Client:
    return client(tmp_path, Echo(), NOW)


def test_a_decision_is_answered_for_the_server_s_now(shop: Client) -> None:
    reply = shop.post(CALL, {"customer_id": "anna"})

    assert reply.status == 200
    assert reply.json()["at"] == "2018-01-01T12:00:00+00:00"
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["content-length"] == str(len(reply.body))
    assert reply.headers["cache-control"] == "no-store"


def test_a_decision_is_answered_for_the_moment_asked_about_in_utc(shop: Client) -> None:
    reply = shop.post(CALL, {"customer_id": "anna", "at": "2018-01-02T00:30:00-05:00"})

    assert reply.json()["at"] == "2018-01-02T05:30:00+00:00"


def test_in_a_crowd_of_decisions_challenges_and_probes_are_heard_at_once_and_what_is_told_has_turns_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_load, "BURST_SECONDS", 3600.0)
    paths = [CALL] * (AT_ONCE + MOST_IN_BURST + 1) + [
        "/livez",
        "/v1/challenge",
        "/v1/events",
        "/v1/customers/anna",
        "/v1/nothing",
    ]
    shop = client(tmp_path, Echo(), NOW)

    order, statuses, scopes = asyncio.run(_answered(shop, paths))

    first, last_call = order[:AT_ONCE], len(paths) - 6
    assert set(first) == set(range(AT_ONCE))
    # All that is prompt is answered before the second turn, and so is who is refused: the last of the calls.
    at_once = order[AT_ONCE:]
    assert at_once[:6] == list(range(last_call, len(paths)))
    assert [statuses[number] for number in at_once[:6]] == [503, 200, 422, 422, 405, 503]
    assert {statuses[number] for number in range(last_call)} == {422}
    assert [number for number, scope in enumerate(scopes) if TOO_BUSY in scope] == [last_call, len(paths) - 1]


async def _answered(shop: Client, paths: Sequence[str]) -> tuple[list[int], dict[int, int], list[dict[str, Any]]]:
    """Return in which order requests that come at once, none of use, are answered, with what, and their scopes then."""
    order: list[int] = []
    statuses: dict[int, int] = {}
    scopes = [
        {"type": "http", "method": "GET" if path == "/livez" else "POST", "path": path, "raw_path": path.encode()}
        | {"query_string": b"", "headers": [], "client": ("127.0.0.1", 5000)}
        for path in paths
    ]

    async def receive() -> Any:
        return {"type": "http.request", "body": b"[]", "more_body": False}

    async def one(number: int) -> None:
        async def send(message: Any) -> None:
            if "status" in message:
                order.append(number)
                statuses[number] = message["status"]

        await shop.app(scopes[number], receive, send)

    await asyncio.gather(*map(one, range(len(paths))))
    return order, statuses, scopes


def test_every_decision_has_an_id_of_its_own(shop: Client) -> None:
    one, other = (shop.post("/v1/also-bought", {"product_ids": []}).json()["decision_id"] for _ in range(2))

    assert one != other
    assert len(one) == len(other) == 32


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "not JSON"),
        (b"{", 400, "not JSON"),
        (b"\xff\xfe{}", 400, "not UTF-8"),
        (b'\xef\xbb\xbf{"customer_id":"a"}', 400, "not JSON"),
        (b'{"customer_id": NaN}', 400, "NaN"),
        (b'{"customer_id": -Infinity}', 400, "-Infinity"),
        (b"[" * 100_000, 400, "deep"),
        (b'{"customer_id": "a",}', 400, "not JSON"),
        (b"[]", 422, "object"),
        (b"null", 422, "object"),
        (b'"anna"', 422, "object"),
        (b'{"customer_id": "a", "customer_id": "b"}', 422, "twice"),
    ],
)
def test_what_is_no_json_object_is_refused(shop: Client, body: bytes, status: int, said: str) -> None:
    reply = shop.post(CALL, body)

    assert reply.status == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert said in reply.json()["detail"]
    assert reply.json()["status"] == status


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{}", "customer_id"),
        (b'{"customer_id": null}', "customer_id"),
        (b'{"customer_id": 17}', "customer_id"),
        (b'{"customer_id": ' + b"9" * 5000 + b"}", "customer_id"),
        (b'{"customer_id": "a", "k": ' + b"9" * 5000 + b"}", "k"),
        (b'{"customer_id": "a", "k": 1000000000000000000000000}', "k"),
        (b'{"customer_id": ""}', "customer_id"),
        (b'{"customer_id": "\\ud800"}', "customer_id"),
        (b'{"customer_id": "' + b"a" * 201 + b'"}', "customer_id"),
        (b'{"customer_id": "a", "shoe_size": 43}', "shoe_size"),
        (b'{"customer_id": "a", "\\ud800": 1}', "body"),
        (b'{"customer_id": "a", "basket": ["x", 3]}', "basket.1"),
        (b'{"customer_id": "a", "at": 1514764800}', "at"),
        (b'{"customer_id": "a", "at": "1514764800"}', "at"),
        (b'{"customer_id": "a", "at": "2018-01-01T00:00:00"}', "at"),
        (b'{"customer_id": "a", "at": "2018-01-01"}', "at"),
        (b'{"customer_id": "a", "at": "2018-02-30T00:00:00Z"}', "at"),
        (b'{"customer_id": "a", "at": "0001-01-01T00:00:00+14:00"}', "at"),
        (b'{"customer_id": "early"}', "at"),
    ],
)
def test_a_wrong_field_is_named(shop: Client, body: bytes, field: str) -> None:
    reply = shop.post(CALL, body)

    assert reply.status == 422
    assert reply.fields == [field]


def test_all_wrong_fields_are_named_at_once(shop: Client) -> None:
    reply = shop.post(CALL, {"at": "noon", "colour": "red"})

    assert sorted(reply.fields) == ["at", "colour", "customer_id"]


def test_a_customer_id_may_hold_anything_that_unicode_has(shop: Client) -> None:
    strange = "a\0b\u202e\U0001f600'; drop table--"

    assert shop.post(CALL, {"customer_id": strange}).json()["customer_id"] == strange


def test_an_unknown_product_alone_is_a_404(shop: Client) -> None:
    assert shop.post("/v1/also-bought", {"product_ids": ["nothing"]}).status == 404


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/challenge/", "/v1/Challenge", "/schema.json", "/healthz", "/v1/../etc", "//"]
)
def test_another_path_is_a_404(shop: Client, path: str) -> None:
    reply = shop.get(path)

    assert reply.status == 404
    assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", CALL, "POST"),
        ("OPTIONS", CALL, "POST"),
        ("POST", "/readyz", "GET, HEAD"),
        ("DELETE", "/docs.json", "GET, HEAD"),
    ],
)
def test_another_method_is_a_405_that_names_the_right_ones(shop: Client, method: str, path: str, allow: str) -> None:
    reply = shop.send(method, path, [b""])

    assert reply.status == 405
    assert reply.headers["allow"] == allow


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
def test_another_kind_of_body_is_a_415(shop: Client, headers: dict[str, str]) -> None:
    assert shop.post(CALL, {"customer_id": "anna"}, headers=headers).status == 415


@pytest.mark.parametrize(
    "headers", [{}, {"content-type": "application/json; charset=UTF-8"}, {"content-type": "Application/JSON"}]
)
def test_json_is_understood_however_it_is_announced(shop: Client, headers: dict[str, str]) -> None:
    assert shop.post(CALL, {"customer_id": "anna"}, headers=headers).status == 200


def test_a_field_in_the_address_is_refused_and_named(shop: Client) -> None:
    reply = shop.post(CALL, {"customer_id": "anna"}, query="at=2018-01-01")

    assert reply.status == 422
    assert reply.fields == ["at"]


def test_a_body_in_parts_is_put_together(shop: Client) -> None:
    assert shop.send("POST", CALL, [b'{"customer', b"", b'_id": "anna"}']).json()["customer_id"] == "anna"


@pytest.mark.parametrize("parts", [1, 40])
def test_a_body_that_is_too_large_is_a_413(shop: Client, parts: int) -> None:
    whole = json.dumps({"customer_id": "a", "basket": ["x" * 100] * 20_000}).encode()
    step = -(-len(whole) // parts)

    reply = shop.send("POST", CALL, [whole[start : start + step] for start in range(0, len(whole), step)])

    assert reply.status == 413


def test_a_client_that_has_gone_gets_nothing(shop: Client) -> None:
    assert shop.send("POST", CALL, []).status == 0


def test_what_nobody_foresaw_is_a_503_and_tells_nothing(shop: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        reply = shop.post(CALL, {"customer_id": "broken"})

    assert reply.status == 503
    assert reply.headers["retry-after"] == "1"
    assert b"secret" not in reply.body
    assert [record.message for record in caplog.records] == ["a request to /v1/recommendations failed"]


def test_without_a_bundle_the_server_lives_but_is_not_ready(tmp_path: Path) -> None:
    shop = client(tmp_path, None)

    assert shop.get("/livez").status == 200
    for reply in (shop.get("/readyz"), shop.post(CALL, {"customer_id": "anna"})):
        assert reply.status == 503
        assert reply.headers["retry-after"] == str(RETRY_SECONDS)


def test_ready_says_which_bundle_serves(shop: Client) -> None:
    assert shop.get("/readyz").json() == {"ready": True, "model_version": "20180101-00000000", "state": "available"}


def test_ready_says_which_bundle_was_refused(shop: Client) -> None:
    shop.shop.champion.refused = "20180102-bad00000"

    assert shop.get("/readyz").json()["refused"] == "20180102-bad00000"


def test_a_clock_before_the_bundle_is_no_moment_that_a_client_named(shop: Client) -> None:
    shop.shop.clock = Clock(seconds=lambda: 0.0)

    assert shop.post(CALL, {"customer_id": "anna"}).status == 200


def test_too_much_to_do_is_a_503_at_once_but_health_is_still_told(shop: Client) -> None:
    for _ in range(2):
        shop.shop.gate.note(lag_seconds=1.0)

    reply = shop.post(CALL, {"customer_id": "anna"})

    assert reply.status == 503
    assert reply.headers["retry-after"] == "1"
    assert shop.get("/livez").status == 200


def test_the_document_says_from_when_on_the_bundle_answers(shop: Client, tmp_path: Path) -> None:
    with_bundle, without = (
        each.get("/docs.json").json()["components"]["schemas"]["At"] for each in (shop, client(tmp_path / "new", None))
    )

    assert "2018-01-01T05:00:00Z" in with_bundle["description"]
    assert "pattern" not in without


def test_head_has_the_headers_of_get_and_no_body(shop: Client) -> None:
    whole, head = shop.get("/docs.json"), shop.send("HEAD", "/docs.json", [b""])

    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]


def test_a_page_of_another_site_may_not_ask(shop: Client) -> None:
    asked = {"origin": "https://elsewhere.example", "access-control-request-method": "POST"}

    before = shop.send("OPTIONS", "/v1/recommendations", [b""], headers=asked)
    answered = shop.post(
        "/v1/recommendations", {"customer_id": "anna"}, headers={**asked, "content-type": "application/json"}
    )

    for reply in (before, answered):
        assert reply.status == 403
        assert not [name for name in reply.headers if name.startswith("access-control")]


@pytest.mark.parametrize("host", ["192.168.1.7", "::ffff:10.0.0.1"])
def test_another_machine_is_turned_away(shop: Client, host: str) -> None:
    assert shop.post(CALL, {"customer_id": "anna"}, client=(host, 40_000)).status == 403


@pytest.mark.parametrize("peer", [("::1", 40_000), None])
def test_this_machine_is_known_by_all_its_names(shop: Client, peer: tuple[str, int] | None) -> None:
    assert shop.post(CALL, {"customer_id": "anna"}, client=peer).status == 200


def test_answers_are_counted_by_known_path_and_status(shop: Client) -> None:
    shop.post(CALL, {"customer_id": "anna"})
    shop.post(CALL, {})
    shop.get("/customers/anna")

    counted = shop.get("/metrics").body.decode()

    assert 'tercet_requests_total{path="/v1/recommendations",status="200"} 1.0' in counted
    assert 'tercet_requests_total{path="/v1/recommendations",status="422"} 1.0' in counted
    assert 'tercet_requests_total{path="other",status="404"} 1.0' in counted
    assert "anna" not in counted


def test_a_request_is_logged_without_the_customer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shop = client(tmp_path, Echo(), NOW)
    shop.shop.log_requests = True

    with caplog.at_level(logging.INFO):
        reply = shop.post(CALL, {"customer_id": "anna"})

    fields = caplog.records[-1].fields  # type: ignore[attr-defined]  # set through logging's `extra`
    assert fields.pop("ms") >= 0
    ids = {"request_id": reply.headers["x-request-id"], "decision_id": reply.json()["decision_id"]}
    assert fields == {**ids, "path": CALL, "status": 200}


def test_every_page_has_the_headers_that_keep_others_out_of_it(shop: Client) -> None:
    for path in pages():
        headers = shop.get(path).headers

        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
