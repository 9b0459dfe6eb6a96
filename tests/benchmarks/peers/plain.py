"""Starlette with one route that returns a ready answer."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.benchmarks.peers.ready import ready_answer


def make_app() -> Starlette:
    """Return the application."""
    body = ready_answer()

    async def challenge(request: Request) -> Response:
        return Response(body, media_type="application/json")

    return Starlette(routes=[Route("/v1/challenge", challenge, methods=["POST"])])
