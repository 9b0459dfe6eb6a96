"""The server's log: one JSON object a line on standard error, with the moment, the level and what happened."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from datetime import UTC, datetime

import orjson

from serving.http_calls import CALLS

_DECISIONS = frozenset(call.path for call in CALLS)
_DECISION_ID = re.compile(rb'"decision_id":"([0-9a-f]{32})"')


class JsonLines(logging.Formatter):
    """Makes one JSON object of a record; `extra={"fields": {…}}` adds fields of its own.

    Of an exception it keeps the type and the places in the code, not the message: that may hold a customer's id.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["trace"] = [
                f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(record.exc_info[2])
            ]
        return orjson.dumps(line, default=str).decode()


def decision_id_of(path: str, body: bytes) -> str | None:
    """Return the id of the decision that a call was answered with, None where the answer is none.

    >>> decision_id_of("/v1/challenge", b'{"decision_id":"00112233445566778899aabbccddeeff"}')
    '00112233445566778899aabbccddeeff'
    """
    # Answers begin with their own id: what stands further in is somebody else's.
    found = _DECISION_ID.match(body, 1) if path in _DECISIONS else None
    return None if found is None else found[1].decode()


def configure_logging() -> None:
    """Send what this package logs to standard error, as JSON lines; everything else is left as it is."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    ours = logging.getLogger("serving")
    ours.handlers = [handler]
    ours.setLevel(logging.INFO)
    ours.propagate = False
