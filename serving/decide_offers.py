"""Offers and actions with all that they promise: kept before they are answered, and the same when asked again.

An answer stands while nothing that it was decided by has changed (its fingerprint), for as long as the policy says. One
that is decided anew gives the offers that the customer holds as they are, reserves the money of new ones, and counts an
action on a message channel as sent, in one commit: where something has changed before that, or a budget has not enough
left, it is decided once more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from math import inf
from typing import Any

import orjson

from serving.api_actions import ActionsRequest
from serving.api_offers import OffersRequest
from serving.channels import MESSAGE_CHANNELS
from serving.decision_ids import DecisionIds
from serving.engine import Engine
from serving.errors import StateUnavailable
from serving.keeping import Answered, Door, Made, MustCommit, Recorder, unknowing
from serving.live import epoch_us
from serving.records import offers_of
from serving.refusals import Refusals
from serving.state.challenges import us_of
from serving.state.events import Event, EventType
from serving.state.holds import Hold, KeptAnswer, Promise, Promised, Spending
from serving.state.known import Known, Live, Trace
from serving.state.sends import sent_id

_ATTEMPTS = 10

AT_ONCE_US = 5_000_000
"""Two calls for moments that lie no farther apart are at once, in whatever order they are decided."""

_QUARTER_US = 15 * 60_000_000
_HOUR_US = 3_600_000_000

# Who asks and for when stands elsewhere; where it is shown changes nothing.
_NOT_ASKED = {"customer_id", "at", "placement", "dry_run"}

_LONG_AGO = "1970-01-01T00:00:00Z"

_ALL_GONE = Spending(spent=inf)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One call: what is asked, for which moment, and when by the server's clock.

    Nothing is left for this customer of the budgets of the `refused` offers.
    """

    request: OffersRequest | ActionsRequest
    at: datetime
    now: datetime
    may_commit: bool
    refused: frozenset[str] = frozenset()

    @property
    def at_us(self) -> int:
        return epoch_us(self.at)

    @property
    def now_us(self) -> int:
        return epoch_us(self.now)

    @property
    def key(self) -> str:
        """By what an answer is kept: one for each channel of offers, and for each trigger of actions."""
        if isinstance(self.request, OffersRequest):
            return f"offers/{self.request.channel.value}"
        return f"actions/{self.request.trigger.value}"

    def check_may_commit(self) -> None:
        if not self.may_commit:
            raise MustCommit


@dataclass(frozen=True, slots=True)
class Weighed:
    """An answer that nothing was promised by: `is_kept` where it stands already, and `known` is what it was made by.

    `is_linked`: what is promised may be kept under the customer's id.
    """

    answer: Answered
    known: Known
    is_linked: bool
    is_kept: bool


class PromiseDecider:
    """Answers the calls that promise something; with `sends` every answer on a message channel is one that is sent."""

    def __init__(
        self, engine: Engine, door: Door, ids: DecisionIds, refusals: Refusals, *, sends: bool = False
    ) -> None:
        self._engine = engine
        self._door = door
        self._ids = ids
        self._refusals = refusals
        self._recorder = Recorder(engine, door)
        self._sends = sends

    def decide(
        self, request: OffersRequest | ActionsRequest, at: datetime, now: datetime, *, may_commit: bool
    ) -> Answered:
        """Return the answer to a request.

        Where the state is away, offers without a budget are still given on pages; no action is chosen.

        Raises
        ------
        MustCommit
            When something has to be written first and `may_commit` is not given.
        StateUnavailable
            When the state that an action needs is away, or others change the same customer all the time.
        InvalidRequest
            As the engine does.
        """
        asked = _Asked(request, at, now, may_commit)
        try:
            return self._decided(asked)
        except StateUnavailable:
            if isinstance(request, ActionsRequest):
                raise
        known = replace(self._refusals.known(request.customer_id, Trace()), may_promise=False)
        return unknowing(self._engine.offers(request, at, self._ids.fresh(), known))

    def issue(
        self, request: OffersRequest | ActionsRequest, at: datetime, refused: frozenset[str] = frozenset()
    ) -> Answered:
        """Return the answer to a request of a list, kept as `decide` keeps it; nothing is left of `refused` budgets.

        StateUnavailable when the state is away, or others change the same customer all the time.
        """
        return self._decided(_Asked(request, at, at, may_commit=True, refused=refused))

    def weigh(
        self,
        request: OffersRequest | ActionsRequest,
        at: datetime,
        refused: frozenset[str] = frozenset(),
        *,
        wider: OffersRequest | None = None,
    ) -> Weighed:
        """Return the answer that `issue` would keep, and keep nothing: the one that stands already, else a new one.

        A new one answers the `wider` request where there is one, such as the same with more offers.
        """
        asked = _Asked(request, at, at, may_commit=True, refused=refused)
        known = self._with_free(asked, self._known(asked), refused)
        is_linked = self._recorder.is_linked(request.customer_id, known.live)
        kept = known.kept.get(asked.key) if is_linked else None
        if kept is not None and self._stands(kept, self._fingerprint(asked, known), asked, known):
            return Weighed(kept.answer, known, is_linked, is_kept=True)
        answer = self._answer(replace(asked, request=wider or request), known)
        return Weighed(answer, known, is_linked, is_kept=False)

    def _decided(self, asked: _Asked) -> Answered:
        refused = asked.refused
        for _ in range(_ATTEMPTS):
            known = self._known(asked)
            if not self._recorder.is_linked(asked.request.customer_id, known.live):
                return self._unlinked(asked, known)
            kept = known.kept.get(asked.key)
            if kept is not None and self._stands(kept, self._fingerprint(asked, known), asked, known):
                return kept.answer
            if not asked.request.dry_run:
                asked.check_may_commit()
            known = self._with_free(asked, known, refused)
            answer = self._answer(asked, known)
            if asked.request.dry_run:
                return answer
            promised = self._promise(asked, known, answer, self._fingerprint(asked, known))
            if promised.kept is not None:
                self._recorder.record(Made(asked.request, asked.at, asked.now, known), answer)
                return answer
            refused |= promised.refused
        raise StateUnavailable("busy: what this is decided by keeps changing; try again")

    def _known(self, asked: _Asked) -> Known:
        """Return what the state knows, and which offers are held at that moment."""
        request = asked.request
        known = self._read(asked)
        if request.at is None:
            self._refusals.see(request.customer_id, known.live)
        return known

    def _read(self, asked: _Asked) -> Known:
        request, budgets = asked.request, self._engine.budgets
        before_us = None if request.at is None else epoch_us(request.at)
        known = self._door.read(
            lambda state: state.known(request.customer_id, before_us=before_us, offers=budgets, asked=asked.key)
        )
        live = replace(known.live, holds=known.live.held_at(asked.at_us))
        return replace(known, live=live, trace=Trace())

    def _with_free(self, asked: _Asked, known: Known, refused: frozenset[str]) -> Known:
        """Return what is known once the money of what has ended came back; nothing is left of `refused` budgets."""
        budgets = self._engine.budgets
        until_us = min(asked.at_us, asked.now_us)
        if known.is_late(until_us) and not asked.request.dry_run:
            asked.check_may_commit()
            self._door.write(lambda state: state.sweep(until_us))
            known = self._read(asked)
        spending = known.spending
        if known.is_late(asked.at_us):  # nothing may be written, or by a moment to come more will have come back
            spending = self._door.read(lambda state: state.spending(budgets, at_us=asked.at_us))
        return replace(known, spending={**spending, **dict.fromkeys(refused, _ALL_GONE)})

    def _unlinked(self, asked: _Asked, known: Known) -> Answered:
        """Return the answer to one whom nothing may be linked to: nothing is promised, so nothing is kept of them."""
        answer = self._answer(asked, known)
        if not asked.request.dry_run:
            self._recorder.record(Made(asked.request, asked.at, asked.now, known), answer)
        return answer

    def _answer(self, asked: _Asked, known: Known) -> Answered:
        """Return an answer in plain JSON, as it is when it is read again."""
        decision_id, request = self._ids.fresh(), asked.request
        if isinstance(request, OffersRequest):
            answer: Any = self._engine.offers(request, asked.at, decision_id, known)
        else:
            answer = self._engine.action(request, asked.at, decision_id, known)
        plain: Answered = orjson.loads(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY))
        return plain

    def _promise(self, asked: _Asked, known: Known, answer: Answered, fingerprint: str) -> Promised:
        """Return what became of what an answer promises."""
        customer_id = known.live.customer_id or asked.request.customer_id
        budgets = self._engine.budgets
        holds = tuple(self._new_holds(asked, known.live, answer))
        promise = Promise(
            KeptAnswer(
                asked.key,
                fingerprint,
                asked.at_us,
                self._stands_until_us(asked, answer),
                answer,
                self._stock_of(asked, known, answer),
            ),
            holds,
            {hold.offer_id: budgets[hold.offer_id] for hold in holds if hold.offer_id in budgets},
            tuple(self._sent(asked, customer_id, answer)),
            known.basis,
        )
        return self._door.write(lambda state: state.promise(asked.request.customer_id, promise, now_us=asked.now_us))

    def _new_holds(self, asked: _Asked, live: Live, answer: Answered) -> Iterator[Hold]:
        """Yield what the customer is given with an answer and does not hold for as long already."""
        held = {hold.offer_id: hold.until_us for hold in live.holds}
        for offer in offers_of(answer):
            offer_id, until_us = offer["offer_id"], us_of(offer["valid_to"])
            if held.get(offer_id, 0) < until_us:
                cost = self._engine.offer_cost(offer_id) if offer_id in self._engine.budgets else None
                yield Hold(offer_id, cost or 0.0, asked.at_us, until_us)

    def _sent(self, asked: _Asked, customer_id: str, answer: Answered) -> Iterator[Event]:
        """Yield the message that an answer is: as of when it goes out.

        For a moment that the call names, as of that: a later decision for another such moment must see it.
        """
        is_action = isinstance(asked.request, ActionsRequest)
        channel = answer.get("channel") if is_action else asked.request.channel
        offer_ids = [offer["offer_id"] for offer in offers_of(answer)]
        if channel not in MESSAGE_CHANNELS or not (is_action or (self._sends and offer_ids)):
            return
        yield Event(
            sent_id(answer["decision_id"]),
            customer_id,
            EventType.SEND,
            asked.at_us if asked.request.at is not None else max(asked.at_us, us_of(answer.get("send_at", _LONG_AGO))),
            asked.now_us,
            offer_id=offer_ids[0] if len(offer_ids) == 1 else None,
            decision_id=answer["decision_id"],
            product_id=next((item["product_id"] for item in answer.get("items", ())), None),
            channel=str(channel),
            value=answer["reason"]["code"] if is_action else None,
        )

    def _stands_until_us(self, asked: _Asked, answer: Answered) -> int:
        """Return until when an answer stands while nothing changes: at most as long as everything in it is valid.

        One that gives nothing stands until the quarter of the hour is over: quiet hours and caps end by the clock.
        """
        until_us = asked.at_us + round(self._engine.bundle.policy.offers.repeat_hours * _HOUR_US)
        if answer.get("kind") == "none" or not (answer.get("offers") or "kind" in answer):
            return min(until_us, (asked.at_us // _QUARTER_US + 1) * _QUARTER_US)
        return min(until_us, *(us_of(offer["valid_to"]) for offer in offers_of(answer)), until_us)

    def _stands(self, kept: KeptAnswer, fingerprint: str, asked: _Asked, known: Known) -> bool:
        is_too_early = asked.request.at is not None and asked.at_us < kept.at_us - AT_ONCE_US
        if is_too_early or asked.at_us >= kept.until_us or kept.fingerprint != fingerprint:
            return False
        return kept.stock == self._stock_of(asked, known, kept.answer)

    def _fingerprint(self, asked: _Asked, known: Known) -> str:
        """Return what tells whether anything that an answer is decided by has changed, but for the stock and holds.

        A message that an action was says nothing new to the next action: it was counted when that was decided.
        """
        request, live = asked.request, known.live
        is_action = isinstance(request, ActionsRequest)
        told = request.model_dump(mode="json", exclude=_NOT_ASKED)
        here = request.context.local_time
        told["context"]["local_time"] = None if here is None else str(here.utcoffset())
        events = [each.event_id for each in live.events if not (is_action and _is_own_send(each))]
        basis = self._engine.basis(request.customer_id, asked.at, known)
        is_quiet = isinstance(request, OffersRequest) and self._engine.is_quiet(request, asked.at, known)
        facts = [told, live.customer_id, live.also, events, _sorted(live.consent), live.erased_us, basis, is_quiet]
        return blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()

    def _stock_of(self, asked: _Asked, known: Known, answer: Answered) -> str:
        """Return which products of an answer are out of stock, as text; empty where none is."""
        products = [each["product_id"] for each in answer.get("items", ())]
        products += [product_id for offer in offers_of(answer) for product_id in offer["product_ids"]]
        out = self._engine.out_of_stock(asked.request.customer_id, asked.request.store_id, known, products)
        return json.dumps(sorted(out)) if out else ""


def _is_own_send(event: Event) -> bool:
    return event.type is EventType.SEND and event.event_id == sent_id(event.decision_id or "")


def _sorted(consent: Mapping[str, bool] | None) -> list[tuple[str, bool]]:
    return sorted((consent or {}).items())
