"""The floor: a ready answer by raw ASGI. Served by uvicorn on uvloop and httptools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tests.benchmarks.peers.ready import ready_answer

App = Callable[[Any, Any, Any], Awaitable[None]]


def make_app() -> App:
    """Return an application that answers every request with the ready answer, its body unread."""
    body = ready_answer()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    start = {"type": "http.response.start", "status": 200, "headers": headers}
    end = {"type": "http.response.body", "body": body}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send(start)
            await send(end)

    return app
