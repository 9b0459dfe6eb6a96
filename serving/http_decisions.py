"""The four decisions over HTTP: body to request, request to answer, in place where nothing has to be waited for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import orjson
from pydantic import ValidationError

from serving.api import Request, ScoresRequest
from serving.api_audiences import AudiencesRequest
from serving.api_codes import NoteCode
from serving.champion import Serving
from serving.decide import Decider
from serving.errors import InvalidRequest, StateUnavailable, UnknownProduct
from serving.http_body import decode, read_body
from serving.http_problems import (
    JSON_TYPE,
    Answer,
    FieldError,
    Headers,
    Problem,
    TooBusy,
    field_name,
    invalid,
    not_ready,
    wrong_fields,
)
from serving.http_routes import Exchange, Handler
from serving.http_shop import RETRY_SECONDS, Shop, check_head
from serving.keeping import AWAY, MustCommit
from serving.state.codec import MISSHAPEN

logger = logging.getLogger(__name__)

MAX_IN_PLACE = 8
"""Customers of a call that are read while the event loop waits; a thread reads more of them."""

_DECISION: Headers = (*JSON_TYPE, (b"cache-control", b"no-store"))
_LARGE_BYTES = 4096
_MAY_BE_LARGE = (ScoresRequest, AudiencesRequest)
_FALLBACK_SECONDS = 0.2  # for an answer without the state, where the state took too long


class Decisions:
    """Answers the decisions of `http_calls.CALLS`."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def handler(self, path: str, model: type[Request]) -> Handler:
        """Return what answers the requests of a model at a path."""

        async def answer(exchange: Exchange) -> Answer:
            if not self._shop.gate.is_open():
                raise TooBusy
            body = await self._shop.gate.in_time(read_body(exchange.receive))
            check_head(exchange.scope)
            if len(body) > _LARGE_BYTES and model in _MAY_BE_LARGE:
                self._shop.large.check()  # before the body is decoded, which takes a while too
            serving = self._shop.champion.current
            if serving is None:
                raise not_ready("no bundle serves yet", RETRY_SECONDS)
            try:
                request = model.model_validate(decode(body))
                decision = await self._decide(serving, request, exchange.until)
            except ValidationError as error:
                raise invalid(error) from None
            except InvalidRequest as error:
                raise wrong_fields([FieldError(field_name(error.field), error.message)]) from None
            except StateUnavailable:
                raise not_ready("it takes too long now, or the state that it needs is away", RETRY_SECONDS) from None
            except UnknownProduct:
                raise Problem(404, "the product is not known") from None
            self._count(path, request, decision)
            return Answer(200, _DECISION, orjson.dumps(decision, option=orjson.OPT_SERIALIZE_NUMPY))

        return answer

    async def _decide(self, serving: Serving[Any], request: Request, until: float) -> Mapping[str, Any]:
        shop = self._shop
        decider, without_state = self._deciders_of(serving)
        # A clock that was set back must not make what is asked for now a moment before the bundle.
        now = max(shop.clock.now(), serving.engine.bundle.manifest.as_of)
        if not _is_small(request):
            return await self._decide_large(partial(self._decide_anyhow, decider, without_state, request, now), until)
        try:
            if shop.door.reads_in_place:
                try:
                    return decider.decide(request, now, may_commit=False, as_text=True)
                except MustCommit:
                    pass
            return await shop.door.beside(lambda: decider.decide(request, now, as_text=True), until - _FALLBACK_SECONDS)
        except StateUnavailable:
            return without_state.decide(request, now, as_text=True)
        except MISSHAPEN:
            return self._without_damaged(without_state, request, now)

    async def _decide_large(self, work: Callable[[], Mapping[str, Any]], until: float) -> Mapping[str, Any]:
        """Return what `work` does in a thread when it is its turn; nothing of it is done while others wait for it."""
        async with self._shop.large.turn(until - _FALLBACK_SECONDS):
            return await self._shop.door.beside(work, until)

    def _decide_anyhow(
        self, decider: Decider, without_state: Decider, request: Request, now: datetime
    ) -> Mapping[str, Any]:
        try:
            return decider.decide(request, now, as_text=True)
        except StateUnavailable:
            return without_state.decide(request, now, as_text=True)
        except MISSHAPEN:
            return self._without_damaged(without_state, request, now)

    def _without_damaged(self, without_state: Decider, request: Request, now: datetime) -> Mapping[str, Any]:
        """Return the answer without the state, after a document of the right shape whose values can't be used.

        Whatever else it was that failed fails here once more.
        """
        decision = without_state.decide(request, now, as_text=True)
        logger.error("deciding by what the state says failed, and without it did not", exc_info=True)
        self._shop.door.tell_damage()
        return decision

    def _deciders_of(self, serving: Serving[Any]) -> tuple[Decider, Decider]:
        """Return what decides with the state, and what decides without."""
        shop = self._shop
        ids, door, made = shop.current_ids, shop.door, shop.deciders
        if made is None or made[0] is not serving or made[1].ids is not ids:
            with_state, without = (Decider(serving.engine, each, ids, shop.refusals) for each in (door, AWAY))
            shop.deciders = made = (serving, with_state, without)
        return made[1], made[2]

    def _count(self, path: str, request: Request, decision: Mapping[str, Any]) -> None:
        self._shop.tally.note(path, decision)
        customer_id = getattr(request, "customer_id", None)
        if customer_id is not None and decision.get("personalized"):
            self._shop.drift.note(customer_id)
        if any(note["code"] is NoteCode.STATE_UNAVAILABLE for note in decision.get("notes", ())):
            self._shop.metrics.count_without_state()


def _is_small(request: Request) -> bool:
    if isinstance(request, ScoresRequest):
        return len(request.customer_ids) <= MAX_IN_PLACE
    return not isinstance(request, AudiencesRequest)
