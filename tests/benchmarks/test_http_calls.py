"""What an answer costs inside a worker, beside one that needs no work: read the ratios, not the microseconds."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from serving.bundle import Bundle
from serving.engine import Engine
from tests.serving.asgi import Client, client
from tests.serving.conftest import tiny_bundle as tiny_bundle
from tests.serving.conftest import tiny_folder as tiny_folder
from tests.serving.running import NOW

pytestmark = [pytest.mark.bench, pytest.mark.benchmark(group="one call through the HTTP application")]

CALLS: dict[str, dict[str, Any] | None] = {
    "/livez": None,
    "/v1/challenge": {"customer_id": "anna"},
    "/v1/also-bought": {"product_ids": ["milk-1"], "k": 5},
    "/v1/recommendations": {"customer_id": "anna", "k": 10},
    "/v1/offers": {"customer_id": "anna", "channel": "web", "dry_run": True},
    "/v1/scores": {"customer_ids": ["anna"]},
}


@pytest.fixture
def api(tmp_path: Path, tiny_bundle: Bundle) -> Client:
    return client(tmp_path, Engine(tiny_bundle), NOW)


@pytest.mark.parametrize("path", CALLS)
def test_a_call(benchmark: Any, api: Client, path: str) -> None:
    body = b"" if CALLS[path] is None else json.dumps(CALLS[path]).encode()
    scope = {
        "type": "http",
        "method": "GET" if CALLS[path] is None else "POST",
        "path": path,
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "client": ("127.0.0.1", 5000),
    }
    statuses: set[int] = set()

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        statuses.add(message.get("status", 200))

    async def call() -> None:
        await api.app(scope, receive, send)

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        benchmark(lambda: loop.run_until_complete(call()))

    assert statuses == {200}
