from __future__ import annotations

import json
import logging

import pytest

from serving.http_log import JsonLines, configure_logging


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
