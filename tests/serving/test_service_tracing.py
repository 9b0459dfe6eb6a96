"""Traces of a server as it runs: every worker sends them, and a collector that is away harms nobody."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from serving.launch import free_port, start
from serving.settings import Settings
from tests.serving.collecting import collecting
from tests.serving.running import CHALLENGE, NOW, eventually, publish, send

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def test_a_collector_gets_the_trace_of_a_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path)
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        with start(Settings(tmp_path, port=free_port(), now=NOW, traces=True, log_requests=True)) as server:
            server.wait_until_ready()
            reply = send("POST", server.url + CHALLENGE, json={"customer_id": "anna"}, headers={"traceparent": PARENT})
            assert eventually(lambda: bool(collector.spans("POST")))
            log = server.log.read_text("utf-8")

    (request,) = collector.spans("POST")
    assert request.trace_id.hex() == TRACE
    told = {each.key: each.value.string_value for each in request.attributes}
    assert told["tercet.request_id"] == reply.headers["x-request-id"]
    assert told["tercet.decision_id"] == reply.json()["decision_id"]
    assert {span.trace_id.hex() for span in collector.spans("engine.challenge")} >= {TRACE}
    assert {span.trace_id.hex() for span in collector.spans("state.write")} == {TRACE}
    assert collector.services() == {"tercet"}
    assert b"anna" not in b"".join(collector.bodies)
    (line,) = [json.loads(each) for each in log.splitlines() if '"answered"' in each and CHALLENGE in each]
    assert (line["trace_id"], line["decision_id"]) == (TRACE, told["tercet.decision_id"])


def test_without_a_collector_it_answers_and_ends_as_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    with start(Settings(tmp_path, port=free_port(), now=NOW, traces=True, workers=1)) as server:
        server.wait_until_ready()
        for _ in range(20):
            assert send("POST", server.url + CHALLENGE, json={"customer_id": "anna"}).status_code == 200
        began = time.monotonic()
        server.stop(seconds=20)
        assert time.monotonic() - began < 10
        lines = [json.loads(line) for line in server.log.read_text("utf-8").splitlines() if line.startswith("{")]

    assert not [line for line in lines if "anna" in str(line)]
    assert {line["level"] for line in lines if line["logger"].startswith("opentelemetry")} <= {"warning", "error"}
