"""What is told to the server: events, stock, identities and consent are checked, written, and only then confirmed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from serving.api_writes import (
    ConsentBody,
    Entry,
    EventEntry,
    EventsBody,
    IdentitiesBody,
    IdentityEntry,
    Rejected,
    StockBody,
    StockEntry,
)
from serving.errors import StateUnavailable
from serving.http_body import MAX_ENTRIES_BYTES, decode, read_body
from serving.http_intake import MOST_AT_ONCE, Intake
from serving.http_problems import JSON_TYPE, Answer, Problem, TooBusy, breaches, invalid, not_ready
from serving.http_routes import Exchange
from serving.http_shop import Shop, check_head, check_query
from serving.live import epoch_us
from serving.state.accepting import Asks
from serving.state.events import Event
from serving.state.known import Live
from serving.state.merging import Identity, Linked
from serving.state.stock_words import StockWord

RETRY_SECONDS = 1

_LINKED_AT_ONCE = 16

_SMALL_BYTES = 16_384  # what is decoded and checked while the event loop waits

_AWAY = "nothing of this call is confirmed: send it again, what was taken already counts once"

B = TypeVar("B", bound=BaseModel)
E = TypeVar("E", bound=Entry)


@dataclass(frozen=True, slots=True)
class Checked(Generic[E]):
    """The entries of a call that are in order with their places in it, and what is wrong with the others."""

    taken: list[E]
    places: list[int]
    rejected: list[Rejected]

    def reject(self, place: int, error: str) -> None:
        """Reject an entry that was taken, by its place among those."""
        self.rejected.append({"index": self.places[place], "error": error})


def check_entries(
    model: type[E], written: Sequence[Mapping[str, Any]], judge: Callable[[E], str | None] = lambda _entry: None
) -> Checked[E]:
    """Return which of the entries are what `model` says, and `judge` has nothing against."""
    checked: Checked[E] = Checked([], [], [])
    for index, each in enumerate(written):
        try:
            entry = model.model_validate(each)
            wrong = judge(entry)
        except ValidationError as error:
            wrong = "; ".join(f"{breach.field}: {breach.message}" for breach in breaches(error))
        if wrong is None:
            checked.taken.append(entry)
            checked.places.append(index)
        else:
            checked.rejected.append({"index": index, "error": wrong.removeprefix("body: ")})
    return checked


class Writes:
    """Answers what is told: events on the event loop where that need not wait, all else in a thread.

    What is told ends on the disk or the network.
    """

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        asks = Asks(shop.may_keep, shop.kind_of, shop.cost_of)
        self._intake = Intake(shop.door, lambda state, events: state.begin_accept(events, asks))

    async def events(self, exchange: Exchange) -> Answer:
        """Answer what became of the events of a call: a few go in together with those of others that wait."""
        body = await self._body_of(exchange)
        if len(body) > _SMALL_BYTES or not self._intake.is_open:
            return await self._confirm(lambda: self._accept(body), exchange.until, 202)
        now = self._shop.clock.now()
        try:
            checked = self._checked(body, now)
        except ValidationError as error:
            raise invalid(error) from None
        if len(checked.taken) > MOST_AT_ONCE:
            return await self._confirm(lambda: self._accept_checked(checked, now), exchange.until, 202)
        try:
            n_accepted = await self._take_in(checked, now, exchange.until)
        except StateUnavailable as error:
            raise _away(error) from None
        return Answer(202, JSON_TYPE, orjson.dumps(self._told(checked, now, n_accepted)))

    async def stock(self, exchange: Exchange) -> Answer:
        """Answer what became of the words on stock of a call."""
        return await self._tell(exchange, self._put_stock)

    async def identities(self, exchange: Exchange) -> Answer:
        """Answer what became of the identities of a call."""
        return await self._tell(exchange, self._link)

    async def consent(self, exchange: Exchange) -> Answer:
        """Answer the consent as it stands now."""
        return await self._tell(exchange, lambda body: self._put_consent(exchange.id, body), status=200)

    async def forget(self, exchange: Exchange) -> Answer:
        """Answer that the customer is out of every answer."""
        check_query(exchange.scope)
        now_us = epoch_us(self._shop.clock.now())

        def work() -> Answered:
            self._shop.door.write(lambda state: state.forget(exchange.id, now_us))
            self._shop.refusals.see(exchange.id, Live(exchange.id, is_erased=True, erased_us=now_us))
            return {"accepted": True}

        return await self._confirm(work, exchange.until, 202)

    async def _tell(self, exchange: Exchange, take: Callable[[bytes], Answered], *, status: int = 202) -> Answer:
        body = await self._body_of(exchange)
        return await self._confirm(lambda: take(body), exchange.until, status)

    async def _body_of(self, exchange: Exchange) -> bytes:
        gate = self._shop.gate
        if not gate.is_open():
            raise TooBusy
        body = await gate.in_time(read_body(exchange.receive, MAX_ENTRIES_BYTES))
        check_head(exchange.scope)
        return body

    async def _confirm(self, work: Callable[[], Answered], until: float, status: int) -> Answer:
        try:
            told = await self._shop.door.beside(work, until)
        except ValidationError as error:
            raise invalid(error) from None
        except StateUnavailable as error:
            raise _away(error) from None
        return Answer(status, JSON_TYPE, orjson.dumps(told))

    def _accept(self, body: bytes) -> Answered:
        now = self._shop.clock.now()
        return self._accept_checked(self._checked(body, now), now)

    def _accept_checked(self, checked: Checked[EventEntry], now: datetime) -> Answered:
        return self._told(checked, now, self._accepted(_events(checked, now)) if checked.taken else 0)

    def _checked(self, body: bytes, now: datetime) -> Checked[EventEntry]:
        written = EventsBody.model_validate(decode(body)).events
        limits = self._shop.policy.state
        ahead_hours, kept_days = limits.max_clock_ahead_hours, limits.events_days
        return check_entries(
            EventEntry, written, lambda event: _wrong_time(event.at, now, ahead_hours=ahead_hours, kept_days=kept_days)
        )

    async def _take_in(self, checked: Checked[EventEntry], now: datetime, until: float) -> int:
        """Return how many events were accepted with those of other calls; or by themselves, where that could not be."""
        if not checked.taken:
            return 0
        call = await self._intake.take(_events(checked, now), until)
        left = list(call.pending.values())
        if not left:
            return call.n_accepted
        return call.n_accepted + await self._shop.door.beside(lambda: self._accepted(left), until)

    def _accepted(self, events: Sequence[Event]) -> int:
        shop = self._shop
        done = shop.door.write(
            lambda state: state.accept(events, may_keep=shop.may_keep, kind_of=shop.kind_of, cost_of=shop.cost_of)
        )
        return done.accepted

    def _told(self, checked: Checked[EventEntry], now: datetime, n_accepted: int) -> Answered:
        """Return, and count, what became of the events of a call."""
        metrics, n_duplicates = self._shop.metrics, len(checked.taken) - n_accepted
        for entry in checked.taken:
            metrics.observe_lag((now - entry.at).total_seconds())
        metrics.count_events(accepted=n_accepted, duplicates=n_duplicates, rejected=len(checked.rejected))
        return {"accepted": n_accepted, "duplicates": n_duplicates, "rejected": checked.rejected}

    def _put_stock(self, body: bytes) -> Answered:
        checked = check_entries(StockEntry, StockBody.model_validate(decode(body)).stock)
        words = [StockWord(each.product_id, each.store_id, each.available) for each in checked.taken]
        if words:
            self._shop.door.write(lambda state: state.put_stock(words))
        return {"accepted": len(words), "rejected": checked.rejected}

    def _link(self, body: bytes) -> Answered:
        shop = self._shop
        checked = check_entries(IdentityEntry, IdentitiesBody.model_validate(decode(body)).identities)
        places: dict[str, list[int]] = {}
        for place, each in enumerate(checked.taken):
            places.setdefault(each.customer_id, []).append(place)
        now_us = epoch_us(shop.clock.now())

        def link(of_one: list[int]) -> Linked:
            entries = [checked.taken[place] for place in of_one]
            identities = [Identity(each.customer_id, each.kind, each.value) for each in entries]
            return shop.door.write(lambda state: state.link(identities, is_loyal=shop.is_loyal, now_us=now_us))

        # One commit after the other would take a second for a thousand; those that wait together share one flush.
        with ThreadPoolExecutor(min(_LINKED_AT_ONCE, len(places) or 1)) as pool:
            linked = list(pool.map(link, places.values()))
        for of_one, outcome in zip(places.values(), linked, strict=True):
            for place in outcome.rejected:
                checked.reject(of_one[place], "value: says nothing once blanks and punctuation are taken off")
        merged = [{"customer_id": one.customer_id, "into": one.into} for outcome in linked for one in outcome.merged]
        n_accepted = sum(outcome.accepted for outcome in linked)
        return {"accepted": n_accepted, "merged": merged, "rejected": checked.rejected}

    def _put_consent(self, customer_id: str, body: bytes) -> Answered:
        consent = ConsentBody.model_validate(decode(body)).model_dump()
        now_us = epoch_us(self._shop.clock.now())
        self._shop.door.write(lambda state: state.put_consent(customer_id, consent, now_us))
        self._shop.refusals.see(customer_id, Live(customer_id, consent=consent))
        return consent


Answered = Mapping[str, Any]  # Any: one of the answers of serving/api_writes.py


def _wrong_time(at: datetime, now: datetime, *, ahead_hours: int, kept_days: int) -> str | None:
    """Return what speaks against the moment of an event, if anything does."""
    if at > now + timedelta(hours=ahead_hours):
        return f"at: is more than {ahead_hours} hours ahead of the server's clock"
    if at < now - timedelta(days=kept_days):
        return f"at: is older than events are kept, {kept_days} days"
    return None


def _away(error: StateUnavailable) -> Problem:
    return not_ready(f"{error}; {_AWAY}", RETRY_SECONDS)


def _events(checked: Checked[EventEntry], now: datetime) -> list[Event]:
    accepted_us = epoch_us(now)
    return [_event(entry, accepted_us) for entry in checked.taken]


def _event(entry: EventEntry, accepted_us: int) -> Event:
    return Event(
        entry.event_id,
        entry.customer_id,
        entry.type,
        epoch_us(entry.at),
        accepted_us,
        entry.product_id,
        entry.order_id,
        entry.quantity,
        entry.amount,
        entry.discount,
        entry.store_id,
        entry.offer_id,
        entry.decision_id,
        entry.channel,
        entry.value,
    )
