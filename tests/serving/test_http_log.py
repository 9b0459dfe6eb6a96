from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.bundle import Bundle
from serving.engine import Engine
from serving.http_calls import CALLS, TELLINGS
from serving.http_log import JsonLines, configure_logging
from tests.serving.asgi import Client, client
from tests.serving.running import NOW
from tests.serving.test_hostile_values import WHOLE

PERSONAL = ("anna", "milk-1", "wine-1", "Milk", "-05:00", "203.0.113.9")


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What this package logs, as it would be written."""
    written: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(JsonLines().format(record))

    handler, ours = Kept(), logging.getLogger("serving")
    before = ours.level
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    yield written
    ours.removeHandler(handler)
    ours.setLevel(before)


@pytest.fixture
def api(tmp_path: Path, tiny_bundle: Bundle) -> Client:
    made = client(tmp_path, Engine(tiny_bundle), NOW)
    made.shop.log_requests = True
    return made


def line(record: logging.LogRecord) -> dict[str, object]:
    parsed: dict[str, object] = json.loads(JsonLines().format(record))
    return parsed


def test_a_record_is_one_json_line_with_its_fields() -> None:
    record = logging.makeLogRecord(
        {"name": "serving.x", "levelname": "INFO", "msg": "took up %s", "args": ("it",), "fields": {"ms": 3}}
    )

    made = line(record)

    assert made["message"] == "took up it"
    assert made["level"] == "info"
    assert made["ms"] == 3
    assert str(made["at"]).endswith("+00:00")


def test_an_exception_is_told_by_type_and_place_but_not_by_its_message() -> None:
    try:
        raise KeyError("customer 17")
    except KeyError as error:
        record = logging.makeLogRecord({"msg": "failed", "exc_info": (KeyError, error, error.__traceback__)})

    made = line(record)

    assert made["error"] == "KeyError"
    assert "test_http_log.py" in str(made["trace"])
    assert "customer 17" not in json.dumps(made)


def test_only_our_own_logger_is_configured(capsys: pytest.CaptureFixture[str]) -> None:
    ours, root = logging.getLogger("serving"), logging.getLogger()
    before = (ours.handlers, ours.level, ours.propagate, list(root.handlers))
    try:
        configure_logging()
        logging.getLogger("serving.champion").info("serves")
        assert list(root.handlers) == before[3]
    finally:
        ours.handlers, ours.propagate = before[0], before[2]
        ours.setLevel(before[1])

    written = capsys.readouterr()
    assert json.loads(written.err)["message"] == "serves"
    assert written.out == ""


def test_each_answer_is_a_line_with_the_ids_that_lead_to_it(api: Client, lines: list[str]) -> None:
    lines.clear()
    for call in CALLS:
        reply = api.post(call.path, WHOLE[call.path] | {"at": "2018-01-01T13:00:00Z"})
        told = json.loads(lines[-1])

        assert reply.status == 200, reply.body
        assert told["message"] == "answered"
        assert told["request_id"] == reply.headers["x-request-id"]
        assert (told["path"], told["status"]) == (call.path, 200)
        assert told["decision_id"] == reply.json()["decision_id"]
        assert told["ms"] >= 0
    assert len(lines) == len(CALLS)


def test_no_line_says_who_asked_or_for_what(api: Client, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> Any:
        raise RuntimeError("anna bought milk-1")

    for attempt in range(2):
        for call in (*CALLS, *TELLINGS):
            path = call.path.replace("{id}", "anna")
            for body in (WHOLE[call.path], WHOLE[call.path] | {"anna@example.org": "word"}):
                api.send(call.method, path, [json.dumps(body).encode()], client=("127.0.0.1", 1))
        api.get("/anna/milk-1?wine-1=o-1")
        for name in ("challenge", "recommendations", "offers", "scores"):
            monkeypatch.setattr(api.shop.champion.current.engine, name, failing)  # type: ignore[union-attr]  # it serves
        assert attempt == 0 or any('"RuntimeError"' in line and '"request_id"' in line for line in lines)

    written = "\n".join(lines)
    assert len(lines) > 60
    assert not [each for each in PERSONAL if each in written]
