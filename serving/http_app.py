"""The HTTP application: plain ASGI, one dictionary look-up to the handler, and every answer in the contract's form."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import orjson
from pydantic import ValidationError

from serving.champion import Champion
from serving.decision_ids import DecisionIds
from serving.errors import InvalidRequest, UnknownProduct
from serving.http_body import ClientGone, Receive, Scope, Send, check_content_type, decode, read_body
from serving.http_calls import CALLS, Call
from serving.http_clock import Clock
from serving.http_load import LoadGate
from serving.http_metrics import Metrics
from serving.http_pages import Document, pages
from serving.http_problems import (
    JSON_TYPE,
    Answer,
    FieldError,
    Headers,
    Problem,
    field_name,
    invalid,
    not_allowed,
    not_ready,
    wrong_fields,
)

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5
"""When to try again while no bundle serves: taking one up takes a second or two."""

_OTHER_PATHS = "other"
_DECISION: Headers = (*JSON_TYPE, (b"cache-control", b"no-store"))

Handler = Callable[[Scope, Receive], Awaitable[Answer]]


@dataclass
class Shop:
    """What all requests of a worker share."""

    # Any: the engine's type is named where it is opened, in service.py; here only its four calls matter.
    champion: Champion[Any]
    clock: Clock
    ids: DecisionIds
    metrics: Metrics
    gate: LoadGate = field(default_factory=lambda: LoadGate(time.perf_counter))
    log_requests: bool = False


class HttpApp:
    """Answers every request; nothing that goes wrong inside leaves it as anything but a problem document.

    `version` is tercet's own, for the OpenAPI document.
    """

    def __init__(self, shop: Shop, version: str) -> None:
        self._shop = shop
        self._document = Document(version)
        self._request_prefix = secrets.token_hex(6)
        self._numbers = count(1)
        self._routes: dict[str, dict[str, Handler]] = {
            path: _reading(_ready_made(page)) for path, page in pages().items()
        }
        self._routes |= {call.path: {"POST": self._decision(call)} for call in CALLS}
        self._routes |= {
            "/livez": _reading(_ready_made(Answer(200, JSON_TYPE, b'{"alive":true}'))),
            "/docs.json": _reading(self._docs),
            "/readyz": _reading(self._readyz),
            "/metrics": _reading(self._metrics),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = time.perf_counter()
        path: str = scope["path"]
        try:
            answer = await self._answer(scope, receive)
        except ClientGone:
            return
        request_id = f"{self._request_prefix}-{next(self._numbers)}"
        await send({"type": "http.response.start", "status": answer.status, "headers": _headers(answer, request_id)})
        body = b"" if scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})
        seconds = time.perf_counter() - started
        known = path if path in self._routes else _OTHER_PATHS
        self._shop.metrics.count(known, answer.status, seconds)
        if self._shop.log_requests:
            _log(request_id, known, answer.status, seconds)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        try:
            return await self._route(scope, receive)
        except Problem as problem:
            return problem.answer()
        except ClientGone:
            raise
        # The edge of the service: whatever it is that nobody foresaw, the client gets the contract's form and the log
        # gets the trace, without the request in it.
        except Exception:
            logger.exception("a request to %s failed", scope["path"] if scope["path"] in self._routes else _OTHER_PATHS)
            return not_ready("the server could not answer this; the cause is in its log", 1).answer()

    async def _route(self, scope: Scope, receive: Receive) -> Answer:
        if not _is_local(scope):
            raise Problem(403, "calls carry no keys yet, so only this machine may make them")
        methods = self._routes.get(scope["path"])
        if methods is None:
            raise Problem(404, "there is no such path; /docs.json lists them all")
        handler = methods.get(scope["method"])
        if handler is None:
            raise not_allowed(list(methods))
        return await handler(scope, receive)

    def _decision(self, call: Call) -> Handler:
        shop = self._shop
        validate = call.request.model_validate

        async def answer(scope: Scope, receive: Receive) -> Answer:
            if not shop.gate.is_open():
                raise not_ready("too many requests at once", 1)
            body = await shop.gate.in_time(read_body(receive))
            _check_head(scope)
            serving = shop.champion.current
            if serving is None:
                raise not_ready("no bundle serves yet", RETRY_SECONDS)
            try:
                request = validate(decode(body))
                at = request.at or shop.clock.now()
                decision = call.decide(serving.engine, request, at, shop.ids)
            except ValidationError as error:
                raise invalid(error) from None
            except InvalidRequest as error:
                raise wrong_fields([FieldError(field_name(error.field), error.message)]) from None
            except UnknownProduct:
                raise Problem(404, "the product is not known") from None
            return Answer(200, _DECISION, orjson.dumps(decision, option=orjson.OPT_SERIALIZE_NUMPY))

        return answer

    async def _readyz(self, _scope: Scope, _receive: Receive) -> Answer:
        serving = self._shop.champion.current
        if serving is None:
            raise not_ready("no bundle serves yet", RETRY_SECONDS)
        return Answer(200, JSON_TYPE, orjson.dumps({"ready": True, "model_version": serving.version}))

    async def _docs(self, _scope: Scope, _receive: Receive) -> Answer:
        serving = self._shop.champion.current
        return self._document.answer(None if serving is None else serving.engine.bundle.manifest.as_of)

    async def _metrics(self, _scope: Scope, _receive: Receive) -> Answer:
        metrics = self._shop.metrics
        return Answer(200, ((b"content-type", metrics.content_type),), metrics.text())


def _is_local(scope: Scope) -> bool:
    """Say whether the call comes from this machine; the last hold when the socket is open wider than it should be."""
    client = scope.get("client")
    return client is None or client[0].startswith("127.") or client[0] in ("::1", "::ffff:127.0.0.1")


def _reading(handler: Handler) -> dict[str, Handler]:
    return {"GET": handler, "HEAD": handler}


def _ready_made(answer: Answer) -> Handler:
    async def handler(_scope: Scope, _receive: Receive) -> Answer:
        return answer

    return handler


def _check_head(scope: Scope) -> None:
    """Raise where headers or query don't fit a call: a 415, or a 422 for a field that was put into the address."""
    names = dict(scope["headers"])
    if b"content-encoding" in names:
        raise Problem(415, "send the body as it is, without Content-Encoding")
    check_content_type(names.get(b"content-type", b"").decode("latin-1"))
    if scope["query_string"]:
        name = scope["query_string"].decode("latin-1").partition("=")[0]
        raise wrong_fields([FieldError(field_name(name), "belongs into the JSON body, not into the address")])


def _headers(answer: Answer, request_id: str) -> list[tuple[bytes, bytes]]:
    return [
        *answer.headers,
        (b"content-length", b"%d" % len(answer.body)),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", request_id.encode()),
    ]


def _log(request_id: str, path: str, status: int, seconds: float) -> None:
    """Write one structured line. A path that the client invented is not in it, nor anything of the body."""
    fields = {"request_id": request_id, "path": path, "status": status, "ms": round(1000 * seconds, 3)}
    logger.info("answered", extra={"fields": fields})
