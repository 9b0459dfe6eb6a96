"""The HTTP application: plain ASGI, one look-up to the handler, and every answer in the contract's form."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Mapping
from itertools import count
from typing import cast

import orjson

from serving.api import Request
from serving.http_body import ClientGone, Receive, Scope, Send
from serving.http_calls import CALLS
from serving.http_connection import TOO_BUSY
from serving.http_decisions import Decisions
from serving.http_load import Turns
from serving.http_log import decision_id_of
from serving.http_pages import Document, pages
from serving.http_problems import JSON_TYPE, Answer, Problem, TooBusy, not_allowed, not_ready
from serving.http_reads import Reads
from serving.http_routes import Exchange, Handler, Route, Routes
from serving.http_shop import ANSWER_SECONDS, RETRY_SECONDS, Shop
from serving.http_writes import Writes

logger = logging.getLogger(__name__)

PROMPT = ("/v1/challenge", "/livez", "/readyz", "/metrics")
"""What is never behind a crowd of others: a challenge is mostly kept, and a quarter of their work; probes are rare."""

TOLD = ("/v1/events", "/v1/stock", "/v1/identities", "/v1/customers/{id}", "/v1/customers/{id}/consent")
"""What has turns of its own, so that what is told, erasure too, is not refused for the sake of what is asked."""


class HttpApp:
    """Answers every request; nothing that goes wrong inside leaves it as anything but a problem document.

    `version` is tercet's own, for the OpenAPI document.
    """

    def __init__(self, shop: Shop, version: str) -> None:
        self._shop = shop
        self._document = Document(version)
        self._request_prefix = secrets.token_hex(6)
        self._numbers = count(1)
        self._routes = Routes(self._handlers())
        told = Turns()
        self._turns = {**dict.fromkeys(PROMPT), **dict.fromkeys(TOLD, told)}
        self._others = Turns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = time.perf_counter()
        route = self._routes.find(scope)
        request_id = f"{self._request_prefix}-{next(self._numbers)}"
        try:
            answer = await self._answer(route, Exchange(scope, receive, route.id, started + ANSWER_SECONDS), request_id)
        except ClientGone:
            return
        await send({"type": "http.response.start", "status": answer.status, "headers": _headers(answer, request_id)})
        body = b"" if scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})
        seconds = time.perf_counter() - started
        self._shop.metrics.count(route.path, answer.status, seconds)
        if self._shop.log_requests:
            _log(request_id, route.path, answer, seconds)

    def path_of(self, scope: Scope) -> str:
        """Return the path of a request as the OpenAPI document writes it; nothing in it is the client's."""
        return self._routes.find(scope).path

    async def _answer(self, route: Route, exchange: Exchange, request_id: str) -> Answer:
        try:
            self._shop.keys.check(exchange.scope, route.path)
            turns = self._turns.get(route.path, self._others)
            if turns is not None and (waiting := turns.begin()) is not None:
                await waiting
            return await _handler(route, exchange.scope)(exchange)
        except Problem as problem:
            if isinstance(problem, TooBusy):
                exchange.scope[TOO_BUSY] = True
            return problem.answer()
        except ClientGone:
            raise
        # The edge of the service: whatever it is that nobody foresaw, the client gets the contract's form and the log
        # gets the trace, without the request in it.
        except Exception:
            logger.exception("a request to %s failed", route.path, extra={"fields": {"request_id": request_id}})
            return not_ready("the server could not answer this; the cause is in its log", 1).answer()

    def _handlers(self) -> Mapping[str, Mapping[str, Handler]]:
        decisions, writes, reads = Decisions(self._shop), Writes(self._shop), Reads(self._shop)
        return {
            **{path: _reading(_ready_made(page)) for path, page in pages().items()},
            **{
                call.path: {"POST": decisions.handler(call.path, cast("type[Request]", call.request))} for call in CALLS
            },
            "/v1/events": {"POST": writes.events},
            "/v1/stock": {"POST": writes.stock},
            "/v1/identities": {"POST": writes.identities},
            "/v1/decisions/{id}": _reading(reads.decision),
            "/v1/customers/{id}": {**_reading(reads.customer), "DELETE": writes.forget},
            "/v1/customers/{id}/consent": {"PUT": writes.consent},
            "/livez": _reading(_ready_made(Answer(200, JSON_TYPE, b'{"alive":true}'))),
            "/docs.json": _reading(self._docs),
            "/readyz": _reading(self._readyz),
            "/metrics": _reading(self._metrics),
        }

    async def _readyz(self, _exchange: Exchange) -> Answer:
        shop = self._shop
        serving = shop.champion.current
        if serving is None or not shop.ready.are_all():
            raise not_ready(_why_not(shop.champion.refused), RETRY_SECONDS)
        state = "available" if shop.door.is_available else "unavailable"
        body = {"ready": True, "model_version": serving.version, "state": state}
        if shop.champion.refused is not None:
            body["refused"] = shop.champion.refused
        return Answer(200, JSON_TYPE, orjson.dumps(body))

    async def _docs(self, _exchange: Exchange) -> Answer:
        serving = self._shop.champion.current
        return self._document.answer(None if serving is None else serving.engine.bundle.manifest.as_of)

    async def _metrics(self, _exchange: Exchange) -> Answer:
        self._shop.tell_metrics()
        metrics = self._shop.metrics
        return Answer(200, ((b"content-type", metrics.content_type),), metrics.text())


def _handler(route: Route, scope: Scope) -> Handler:
    if route.problem is not None:
        raise route.problem
    handler = route.methods.get(scope["method"])
    if handler is None:
        raise not_allowed(list(route.methods))
    return handler


def _why_not(refused: str | None) -> str:
    return "no bundle serves yet" + (f": {refused} was refused, the log says why" if refused else "")


def _reading(handler: Handler) -> dict[str, Handler]:
    return {"GET": handler, "HEAD": handler}


def _ready_made(answer: Answer) -> Handler:
    async def handler(_exchange: Exchange) -> Answer:
        return answer

    return handler


def _headers(answer: Answer, request_id: str) -> list[tuple[bytes, bytes]]:
    return [
        *answer.headers,
        (b"content-length", b"%d" % len(answer.body)),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", request_id.encode()),
    ]


def _log(request_id: str, path: str, answer: Answer, seconds: float) -> None:
    """Write one structured line. A path that the client invented is not in it, nor who asked for what."""
    fields = {"request_id": request_id, "path": path, "status": answer.status, "ms": round(1000 * seconds, 3)}
    decision_id = decision_id_of(path, answer.body)
    logger.info("answered", extra={"fields": fields if decision_id is None else {**fields, "decision_id": decision_id}})
