"""A ready answer where tercet's own application sits: in front of BentoML's routes, with the same settings."""

from __future__ import annotations

from typing import Any

import bentoml

from tests.benchmarks.peers.floor import make_app


# The settings of serving/service.py: a test holds them to be the same.
@bentoml.service(
    name="BenchMount",
    traffic={"timeout": 2},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},
)
class Ready:
    """Serves nothing itself."""


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


Ready.add_asgi_middleware(Edge)
