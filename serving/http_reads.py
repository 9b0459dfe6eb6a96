"""What is kept, looked up: a decision with what came of it, and all that is known of a customer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson

from serving.errors import StateUnavailable
from serving.http_problems import JSON_TYPE, Answer, Headers, Problem, TooBusy, not_ready
from serving.http_routes import Exchange
from serving.http_shop import RETRY_SECONDS, Shop, check_query
from serving.kept import customer_answer, decision_answer
from serving.state.decisions import StoredDecision

WAIT_SECONDS = 0.2
"""How long a decision that isn't there is waited for: another worker may be about to write its record."""

_PAUSE_SECONDS = 0.02
_STATE_RETRY_SECONDS = 1
_PERSONAL: Headers = (*JSON_TYPE, (b"cache-control", b"no-store"))


class Reads:
    """Answers what is asked of what is kept, each in a thread: it may be a lot."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    async def decision(self, exchange: Exchange) -> Answer:
        """Answer a decision as it was made; a 404 where there is none."""
        return await self._look_up(exchange, lambda: self._decision(exchange.id))

    async def customer(self, exchange: Exchange) -> Answer:
        """Answer what is known of a customer; a 404 where nobody knows them."""
        return await self._look_up(exchange, lambda: self._customer(exchange.id))

    async def _look_up(self, exchange: Exchange, find: Callable[[], Any]) -> Answer:  # Any: an answer of api_kept
        check_query(exchange.scope)
        if not self._shop.gate.is_open():
            raise TooBusy
        try:
            found = await self._shop.door.beside(find, exchange.until)
        except StateUnavailable as error:
            raise not_ready(str(error), _STATE_RETRY_SECONDS) from None
        return Answer(200, _PERSONAL, orjson.dumps(found, option=orjson.OPT_SERIALIZE_NUMPY))

    def _decision(self, decision_id: str) -> Any:  # Any: as above
        until = time.monotonic() + WAIT_SECONDS
        while True:
            found: StoredDecision | None = self._shop.door.read(lambda state: state.decision(decision_id))
            if found is not None:
                return decision_answer(found)
            if time.monotonic() >= until:
                raise Problem(404, "no such decision was made, or it is not kept any more")
            time.sleep(_PAUSE_SECONDS)

    def _customer(self, customer_id: str) -> Any:  # Any: as above
        serving = self._shop.champion.current
        if serving is None:
            raise not_ready("no bundle serves yet", RETRY_SECONDS)
        now = self._shop.clock.now()
        known = self._shop.door.read(lambda state: state.known(customer_id))
        kept = self._shop.door.read(lambda state: state.customer(customer_id))
        view = serving.engine.customer_view(known.live.customer_id or customer_id, now, known)
        if kept is None and not serving.engine.knows(customer_id, known.live):
            raise Problem(404, "nobody knows this customer")
        return customer_answer(customer_id, kept, view)
