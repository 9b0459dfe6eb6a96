"""Requests of any bytes: an answer of the API's own document in every case, and none of them a 500."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import jsonschema_rs

from serving.api_openapi import document
from serving.bundle import open_bundle, write_bundle
from serving.engine import Engine
from serving.http_calls import CALLS, TELLINGS, Call
from serving.http_pages import DOCUMENTED
from tests.fuzz.target import Broken, Run, Target, scratch
from tests.serving.asgi import Client, client
from tests.serving.test_hostile_values import HOSTILE, WHOLE
from tests.serving.tiny import CUSTOMERS, PRODUCTS, tiny_contents

NOW = datetime(2018, 1, 2, 12, tzinfo=UTC)
ALL = (*CALLS, *TELLINGS)
PER_SHOP = 500
"""Requests that one shop answers: then a new one begins, so that memory is no matter of how long this runs."""

_METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH")


class Shops:
    """Answers requests from a tiny shop, a new one every now and then, and judges the answers by the document."""

    def __init__(self) -> None:
        self._folder = root = scratch()
        self._engine = Engine(open_bundle(root / write_bundle(tiny_contents(), root)))
        self._spec = document(ALL, DOCUMENTED, "0")
        self._loop = asyncio.new_event_loop()
        self._validators: dict[tuple[str, str, str], Any] = {}  # Any: jsonschema_rs has a type for each draft
        self._answered = PER_SHOP
        self._client: Client | None = None

    def ask(self, method: str, raw_path: bytes, body: bytes, headers: list[tuple[bytes, bytes]], query: bytes) -> None:
        """Send one request and raise `Broken` unless the answer is one that the document has."""
        api = self._shop()
        sent: list[Any] = []
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> Any:
            message = next(messages, None)
            return {"type": "http.disconnect"} if message is None else message

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": unquote_to_bytes(raw_path).decode("utf-8", "replace"),
            "raw_path": raw_path,
            "query_string": query,
            "headers": headers,
            "client": ("127.0.0.1", 1),
        }
        path = api.app.path_of(scope)
        self._loop.run_until_complete(api.app(scope, receive, send))
        self._judge(method, path, sent)

    def _shop(self) -> Client:
        if self._answered >= PER_SHOP or self._client is None:
            if self._client is not None:
                self._client.shop.door.close()
            home = Path(tempfile.mkdtemp(dir=self._folder))
            self._client, self._answered = client(home, self._engine, NOW), 0
        self._answered += 1
        return self._client

    def _judge(self, method: str, path: str, sent: list[Any]) -> None:
        if len(sent) != 2:
            raise Broken(f"{method} {path}: {len(sent)} messages instead of an answer")
        status, headers, body = sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Broken(f"{method} {path}: {status} {body[:300]!r}")
        if any(b"\r" in value or b"\n" in value for value in headers.values()):
            raise Broken(f"{method} {path}: a header with a line of its own")
        operation = self._spec["paths"].get(path, {}).get(method.lower())
        if operation is None or path in DOCUMENTED:
            if status < HTTPStatus.BAD_REQUEST and path not in DOCUMENTED and method != "HEAD" and path[:4] == "/v1/":
                raise Broken(f"{method} {path}: {status}, and the document has no such call")
            return
        documented: Mapping[str, Any] = operation["responses"].get(str(status), {})
        kind = headers[b"content-type"].decode()
        if kind not in documented.get("content", {}):
            raise Broken(f"{method} {path}: {status} of {kind}, which the document does not have")
        self._validator(path, method.lower(), str(status), kind).validate(json.loads(body))

    def _validator(self, path: str, method: str, status: str, kind: str) -> Any:  # Any: as above
        key = (path, method, status)
        if key not in self._validators:
            schema = self._spec["paths"][path][method]["responses"][status]["content"][kind]["schema"]
            self._validators[key] = jsonschema_rs.validator_for({**schema, "components": self._spec["components"]})
        return self._validators[key]


def _bodies() -> Run:
    shops = Shops()

    def run(data: bytes) -> None:
        if data:
            call = ALL[data[0] % len(ALL)]
            path = call.path.replace("{id}", "anna").encode()
            shops.ask(call.method, path, data[1:], [(b"content-type", b"application/json")], b"")

    return run


def _heads() -> Run:
    shops = Shops()

    def run(data: bytes) -> None:
        method, path, query, *lines = [*data.split(b"\n"), b"", b""][:8]
        headers = [(name.lower(), value) for name, _, value in (line.partition(b":") for line in lines) if name]
        named = _METHODS[method[0] % len(_METHODS)] if method else "GET"
        shops.ask(named, b"/" + path, b"{}", headers, query)

    return run


def _body_seeds() -> list[bytes]:
    seeds = []
    for place, call in enumerate(ALL):
        seeds += [bytes([place]) + json.dumps(body).encode() for body in (WHOLE[call.path], _example(call))]
    return seeds


def _example(call: Call) -> dict[str, object]:
    return dict(call.example)


def _head_seeds() -> list[bytes]:
    paths = [call.path[1:].replace("{id}", "anna").encode() for call in ALL] + [b"metrics", b"docs.json", b"docs", b""]
    header = b"content-type:application/json; charset=utf-8"
    return [bytes([place]) + b"\n" + path + b"\nat=2018\n" + header for place in range(4) for path in paths]


@cache
def _words() -> list[bytes]:
    fields = {name for call in ALL if call.request is not None for name in call.request.model_fields}
    fields |= {
        key for body in WHOLE.values() for each in body.values() if isinstance(each, list) for key in _keys(each)
    }
    values = [*CUSTOMERS, *PRODUCTS, *(text for text in HOSTILE.values() if len(text) < 60)]
    json_words = ["NaN", "1e999", "-0", "null", "true", '"\\ud800"', "[[[[", "{}", '"2018-01-02T11:00:00Z"', "1E400"]
    return [
        word.encode("utf-8", "replace") for word in [*(f'"{each}"' for each in sorted(fields)), *values, *json_words]
    ]


def _keys(rows: list[Any]) -> list[str]:
    return [key for row in rows if isinstance(row, dict) for key in row]


TARGETS = (
    Target("bodies", _bodies, _body_seeds, _words, short_runs=100),
    Target("heads", _heads, _head_seeds, _words, max_bytes=2_048, short_runs=100),
)
