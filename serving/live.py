"""Who asks: a customer as the bundle, the ids that were merged into theirs, and their events since make them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from serving.bundle import Bundle
from serving.candidates import UNKNOWN, Candidates
from serving.decisioning.policy import ConsentPolicy
from serving.decisioning.windows import day_of, zone_named
from serving.errors import BundleError
from serving.fold_in import FoldIn
from serving.live_events import Doings, EventFold, events_since
from serving.live_merge import MergedTaste
from serving.live_taste import Lately, LiveTaste
from serving.numbers import WINDOW_DAYS
from serving.shelf import Shelf
from serving.state.known import Live
from serving.taste import BundleTaste, Place, Shopper, Taste

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PRODUCTS_REMEMBERED = 65_536
_STORES_REMEMBERED = 4_096


class Shoppers:
    """Makes shoppers of customer ids, from one open bundle and what is known besides."""

    def __init__(self, bundle: Bundle, shelf: Shelf, candidates: Candidates, *, applies_rules: bool) -> None:
        """Without `applies_rules` consent is not asked."""
        zone = zone_named(bundle.policy.shop.time_zone) or zone_named(bundle.manifest.time_zone)
        if zone is None:
            raise BundleError(f"manifest.json: time_zone {bundle.manifest.time_zone!r} is not known here")
        self._bundle = bundle
        self._candidates = candidates
        self._zone = zone
        self._applies_rules = applies_rules
        self._as_of_us = epoch_us(bundle.manifest.as_of)
        self._policy = bundle.policy.events
        self._fold = EventFold(shelf, self._policy, lru_cache(_PRODUCTS_REMEMBERED)(shelf.row_of))
        self._lately = Lately(shelf, candidates, self._policy, FoldIn(bundle, bundle.numbers))
        p_shop = bundle.customers.p_shop
        self._nobody = Taste(p_shop.means().tolist() if len(p_shop) else [0.0] * WINDOW_DAYS)
        self._n_baskets = bundle.customers.n_baskets
        self._store_place = lru_cache(_STORES_REMEMBERED)(self._place_of)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of shops that have none of their own."""
        return self._zone

    def shopper(self, customer_id: str | None, store_id: str | None, at: datetime, live: Live) -> Shopper:
        """Return who asks; an id that was merged into another may be asked about as well."""
        rows = [] if customer_id is None else self.rows(customer_id, live)
        row = rows[0] if rows else UNKNOWN
        place = self._place(row, store_id, live)
        is_personal = customer_id is not None and self.consents(row, live)
        doings = self._doings(live, at, place.zone) if is_personal and live.events else None
        if not is_personal or (row < 0 and not self._is_enough(doings)):
            return Shopper(row, place, at, is_personal=False, taste=self._nobody)
        taste = BundleTaste(self._candidates, row) if len(rows) == 1 else self._taste(rows)
        if doings is None:
            return Shopper(row, place, at, is_personal=True, taste=taste)
        return Shopper(
            row,
            place,
            at,
            is_personal=True,
            taste=LiveTaste(taste, doings, self._lately, today=day_of(at, place.zone)),
            basket=frozenset(doings.basket),
            dismissed=frozenset(doings.dismissed),
        )

    def place(self, customer_id: str, store_id: str | None, live: Live) -> Place:
        """Return where an answer to the customer is for: the call's store, else their usual one, else the latest."""
        rows = self.rows(customer_id, live)
        return self._place(rows[0] if rows else UNKNOWN, store_id, live)

    def consent(self, customer_id: str, live: Live) -> dict[str, bool]:
        """Return the customer's whole consent as it is honoured: said, else on record, else assumed."""
        rows = self.rows(customer_id, live)
        row = rows[0] if rows else UNKNOWN
        assumed = {each.name: getattr(self._bundle.policy.consent, each.name) for each in fields(ConsentPolicy)}
        held = {
            key: is_assumed if row < 0 else self._candidates.consents(row, key, assumed=is_assumed)
            for key, is_assumed in assumed.items()
        }
        return held | {key: said for key, said in (live.consent or {}).items() if key in held}

    def row(self, customer_id: str, live: Live) -> int:
        """Return the row that speaks for a customer: of those of their ids the one with the most baskets; -1: none."""
        rows = self.rows(customer_id, live)
        return rows[0] if rows else UNKNOWN

    def knows(self, customer_id: str, live: Live) -> bool:
        """Return whether the bundle knows the customer by any of their ids, and not from before they were forgotten."""
        return bool(self.rows(customer_id, live))

    def may_personalize(self, customer_id: str, live: Live) -> bool:
        """Return whether the customer's history may be used, and what they do be kept under their id."""
        rows = self.rows(customer_id, live)
        return self.consents(rows[0] if rows else UNKNOWN, live)

    def rows(self, customer_id: str, live: Live) -> list[int]:
        """Return the rows of all the customer's ids that the bundle knows, the one with the most baskets first."""
        if live.is_erased and self._as_of_us < live.erased_us:
            return []
        if not live.also:
            row = self._candidates.customer_row(live.customer_id or customer_id)
            return [row] if row >= 0 else []
        ids = dict.fromkeys((live.customer_id or customer_id, *live.also))
        rows = {row for each in ids if (row := self._candidates.customer_row(each)) >= 0}
        return sorted(rows, key=lambda row: (-int(self._n_baskets[row]), row))

    def _taste(self, rows: Sequence[int]) -> Taste:
        if not rows:
            return self._nobody
        return MergedTaste([BundleTaste(self._candidates, row) for row in rows])

    def consents(self, row: int, live: Live) -> bool:
        """Return whether their history may be used: what they said last, else what the bundle and the policy say."""
        if not self._applies_rules:
            return True
        if live.consent is not None and "personalize" in live.consent:
            return live.consent["personalize"]
        assumed = self._bundle.policy.consent.personalize
        return assumed if row < 0 else self._candidates.consents(row, "personalize", assumed=assumed)

    def _doings(self, live: Live, at: datetime, zone: ZoneInfo) -> Doings | None:
        events = events_since(live, self._as_of_us, self._bundle.manifest.log_until_us)
        return self._fold.doings(events, epoch_us(at), zone) if events else None

    def _is_enough(self, doings: Doings | None) -> bool:
        """Return whether one whom the bundle doesn't know has done enough for personal answers."""
        return doings is not None and doings.n_product_events >= self._policy.min_product_events

    def _place(self, row: int, store_id: str | None, live: Live) -> Place:
        usual = self._candidates.usual_store(row)
        if store_id is None and usual >= 0:
            return self._store_place(usual)
        zone = self._store_place(usual).zone if usual >= 0 else self._zone
        store = self._candidates.store_row(store_id)
        if store_id is not None and store >= 0:
            return Place(store, store_id, zone)
        if usual < 0:
            visited = (each.store_id for each in reversed(live.events) if each.store_id is not None)
            usual = self._candidates.store_row(next(visited, None))
        return Place(usual, store_id or (self._bundle.stores.id[usual] if usual >= 0 else None), zone)

    def _place_of(self, store: int) -> Place:
        """Return the place of a known store (its row), with its own zone or else the shop's."""
        stores = self._bundle.stores
        return Place(store, stores.id[store], zone_named(stores.time_zone[store]) or self._zone)


def epoch_us(moment: datetime) -> int:
    """Return an aware moment in epoch microseconds."""
    return (moment - _EPOCH) // _MICROSECOND
