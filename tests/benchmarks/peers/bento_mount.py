"""A ready answer where tercet's own application sits: past BentoML's layers, with the same settings."""

from __future__ import annotations

from typing import Any

import bentoml
import uvicorn.config

from serving.http_connection import BoundedConnection
from tests.benchmarks.peers.floor import make_app


# The settings of serving/service.py: a test holds them to be the same.
@bentoml.service(
    name="BenchMount",
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},
)
class Ready:
    """Serves nothing itself."""

    @bentoml.on_startup  # type: ignore[untyped-decorator]  # bentoml's annotations are partial
    async def start(self) -> None:
        """Have connections hand requests on as the service's do."""
        BoundedConnection.answers = make_app()


class Edge:
    """Answers every request at once, and hands the server's start and end to BentoML."""

    def __init__(self, app: Any) -> None:
        self._bentoml = app
        self._ready = make_app()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer with the ready answer."""
        if scope["type"] == "lifespan":
            await self._bentoml(scope, receive, send)
        else:
            await self._ready(scope, receive, send)


Ready.add_asgi_middleware(Edge)  # type: ignore[attr-defined]  # the decorator makes a bentoml.Service of the class
uvicorn.config.HTTP_PROTOCOLS["auto"] = "serving.http_connection:BoundedConnection"
