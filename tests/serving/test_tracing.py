"""Traces: a span for each request, what the engine decides and what the state is asked, and nothing of customers."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from serving.bundle import Bundle
from serving.engine import Engine
from serving.errors import StateUnavailable
from serving.http_calls import CALLS
from serving.http_log import JsonLines
from serving.tracing import Tracing, with_trace
from tests.serving.asgi import Client, client
from tests.serving.running import NOW

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PERSONAL = ("anna", "milk-1", "nobody@example.org", "203.0.113.9")


@dataclass
class Traced:
    """A shop whose spans stay in memory."""

    client: Client
    provider: TracerProvider
    exporter: InMemorySpanExporter

    def spans(self, name: str = "") -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name.startswith(name)]


@pytest.fixture
def traced(tmp_path: Path, tiny_bundle: Bundle) -> Iterator[Traced]:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = Tracing(provider)
    engine = tracing.watching(lambda _folder: Engine(tiny_bundle))(tmp_path)
    api = client(tmp_path, engine, NOW)
    tracing.watch_door(api.shop.door)
    api.app = tracing.app(api.app, api.app.path_of)  # type: ignore[assignment]  # an application like any other
    yield Traced(api, provider, exporter)
    tracing.end()


def test_a_request_is_a_span_over_those_of_engine_and_state(traced: Traced) -> None:
    traced.client.post("/v1/challenge", {"customer_id": "anna"})

    (request,) = traced.spans("POST")
    assert (request.name, request.kind) == ("POST /v1/challenge", SpanKind.SERVER)
    names = {span.name for span in traced.spans()}
    assert {"engine.challenge", "state.read", "state.write"} <= names
    for span in traced.spans():
        assert span.context.trace_id == request.context.trace_id
        assert span is request or span.parent is not None


def test_a_span_has_the_ids_that_the_answer_and_its_log_line_have(traced: Traced) -> None:
    reply = traced.client.post("/v1/recommendations", {"customer_id": "anna"})

    (request,) = traced.spans("POST")
    assert dict(request.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/v1/recommendations",
        "http.response.status_code": 200,
        "tercet.request_id": reply.headers["x-request-id"],
        "tercet.decision_id": reply.json()["decision_id"],
    }


def test_a_trace_goes_on_that_the_client_began(traced: Traced) -> None:
    headers = {"content-type": "application/json", "traceparent": PARENT}
    traced.client.post("/v1/challenge", {"customer_id": "anna"}, headers=headers)

    (request,) = traced.spans("POST")
    assert f"{request.context.trace_id:032x}" == PARENT.split("-")[1]
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == PARENT.split("-")[2]


@pytest.mark.parametrize("parent", ["", "nonsense", "00-0-0-0", "\xff", PARENT * 100])
def test_a_trace_that_is_none_begins_a_new_one(traced: Traced, parent: str) -> None:
    headers = {"content-type": "application/json", "traceparent": parent}

    assert traced.client.post("/v1/challenge", {"customer_id": "anna"}, headers=headers).status == 200
    assert traced.spans("POST")[0].parent is None


def test_what_the_client_invents_is_in_no_span(traced: Traced) -> None:
    traced.client.send("BREW", "/v1/customers/anna", [b""])
    traced.client.get("/v1/customers/anna", client=("127.0.0.1", 5))
    traced.client.get("/anna/milk-1?q=nobody@example.org")
    traced.client.post("/v1/challenge", {"customer_id": "anna", "basket": ["milk-1"]})
    traced.client.post("/v1/challenge", {"customer_id": "nobody@example.org", "wrong": "milk-1"})
    traced.client.delete("/v1/customers/anna")

    written = "".join(span.to_json() for span in traced.spans())
    assert {span.name for span in traced.spans("_OTHER")} == {"_OTHER /v1/customers/{id}"}
    assert {span.name for span in traced.spans("GET")} == {"GET /v1/customers/{id}", "GET other"}
    assert not [each for each in PERSONAL if each in written]


def test_what_fails_is_marked_without_its_text(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> Any:
        raise StateUnavailable("the state of anna is away")

    monkeypatch.setattr(traced.client.shop.door._opened.state, "accept", gone)  # type: ignore[union-attr]  # it is open
    event = {"event_id": "e", "customer_id": "anna", "type": "view", "at": NOW.isoformat(), "product_id": "milk-1"}
    reply = traced.client.post("/v1/events", {"events": [event]})

    assert reply.status == 503
    (write,), (request,) = traced.spans("state.write"), traced.spans("POST")
    assert (write.status.status_code, request.status.status_code) == (StatusCode.ERROR, StatusCode.ERROR)
    assert dict(write.attributes or {}) == {"error.type": "StateUnavailable"}
    assert "anna" not in write.to_json()


def test_every_decision_has_its_id_in_the_span(traced: Traced) -> None:
    bodies = {"/v1/also-bought": {"product_ids": ["milk-1"]}, "/v1/substitutes": {"product_id": "milk-1"}}
    for call in CALLS:
        reply = traced.client.post(call.path, bodies.get(call.path, dict(call.example)))
        (span,) = traced.spans(f"POST {call.path}")

        assert (span.attributes or {})["tercet.decision_id"] == reply.json()["decision_id"]


def test_a_line_of_the_log_names_the_trace_that_it_is_written_in(traced: Traced) -> None:
    record = logging.makeLogRecord({"msg": "answered", "fields": {"ms": 3}})

    with traced.provider.get_tracer("test").start_as_current_span("x") as span:
        with_trace(record)

    line = json.loads(JsonLines().format(record))
    assert (line["ms"], line["trace_id"]) == (3, f"{span.get_span_context().trace_id:032x}")


@pytest.mark.slow
def test_a_server_without_traces_does_not_load_what_makes_them() -> None:
    loaded = "import serving.service, sys; print('serving.tracing' in sys.modules)"
    script = f"{loaded}; print(any(name.startswith('opentelemetry.exporter') for name in sys.modules))"

    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "False"]
