"""Who asks: a customer as the bundle and their events since then make them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from serving.bundle import Bundle
from serving.candidates import UNKNOWN, Candidates
from serving.decisioning.windows import zone_named
from serving.errors import BundleError
from serving.live_events import EventFold, events_since
from serving.live_taste import LiveTaste
from serving.shelf import Shelf
from serving.state.events import Event
from serving.state.known import Live
from serving.taste import BundleTaste, Shopper

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PRODUCTS_REMEMBERED = 65_536


class Shoppers:
    """Makes shoppers of customer ids, from one open bundle and what is known besides."""

    def __init__(self, bundle: Bundle, shelf: Shelf, candidates: Candidates, *, applies_rules: bool) -> None:
        """Without `applies_rules` consent is not asked."""
        zone = zone_named(bundle.policy.shop.time_zone) or zone_named(bundle.manifest.time_zone)
        if zone is None:
            raise BundleError(f"manifest.json: time_zone {bundle.manifest.time_zone!r} is not known here")
        self._bundle = bundle
        self._shelf = shelf
        self._candidates = candidates
        self._zone = zone
        self._applies_rules = applies_rules
        self._as_of_us = epoch_us(bundle.manifest.as_of)
        self._fold = EventFold(shelf, bundle.policy.events, lru_cache(_PRODUCTS_REMEMBERED)(shelf.row_of))
        self._nobody = BundleTaste(candidates, UNKNOWN)

    def shopper(self, customer_id: str | None, store_id: str | None, at: datetime, live: Live) -> Shopper:
        """Return who asks; the store is that of the call, else their usual one."""
        row = UNKNOWN if customer_id is None else self._candidates.customer_row(live.customer_id or customer_id)
        usual_store = self._candidates.usual_store(row)
        zone = self._zone_of(usual_store)
        store = self._candidates.store_row(store_id)
        store = store if store >= 0 else usual_store
        events = events_since(live.events, self._as_of_us, 0) if live.events else []
        if not self._is_personal(row):
            return Shopper(row, store, zone, False, self._nobody)
        taste = BundleTaste(self._candidates, row)
        if not events:
            return Shopper(row, store, zone, True, taste)
        return self._live(Shopper(row, store, zone, True, taste), events, epoch_us(at))

    def _live(self, shopper: Shopper, events: list[Event], now_us: int) -> Shopper:
        doings = self._fold.doings(events, now_us, shopper.zone)
        taste = LiveTaste(shopper.taste, doings, self._shelf)
        return Shopper(
            shopper.row,
            shopper.store,
            shopper.zone,
            True,
            taste,
            basket=frozenset(doings.basket),
            dismissed=frozenset(doings.dismissed),
        )

    def _zone_of(self, store: int) -> ZoneInfo:
        named = zone_named(self._bundle.stores.time_zone[store]) if store >= 0 else None
        return named or self._zone

    def _is_personal(self, row: int) -> bool:
        if row < 0 or not self._applies_rules:
            return row >= 0
        return self._candidates.consents(row, "personalize", assumed=self._bundle.policy.consent.personalize)


def epoch_us(moment: datetime) -> int:
    """Return an aware moment in epoch microseconds."""
    return (moment - _EPOCH) // _MICROSECOND
