"""What one call says of its customer and its moment, before any offer is looked at: for rules, wants and terms."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence, Set
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from serving.api_offers import OffersRequest
from serving.bundle_columns import F64, I64
from serving.candidates import UNKNOWN
from serving.channels import Channel
from serving.contact_desk import NextContact
from serving.decisioning.local_clock import clock_zone, hour_there
from serving.decisioning.merchandising import Display
from serving.decisioning.offer_pairs import Wanting
from serving.decisioning.offer_rules import Buyer, OfferCall, buyer_of
from serving.decisioning.offer_tastes import TasteColumns
from serving.decisioning.offer_wants import all_within
from serving.decisioning.rules import BANNED
from serving.decisioning.shops_near import ShopsNear
from serving.decisioning.windows import day_of
from serving.desk import Desk
from serving.offer_shelf import ByProduct, OfferShelf, Parts
from serving.offer_terms import Setting, hour_fit
from serving.shelf import floats, ints
from serving.state.events import EventType
from serving.state.known import Known, Live
from serving.taste import Shopper

_N_BESIDE = 20
_DAY_US = 86_400_000_000
_FARTHEST_KM = 100.0
_USUAL_TRUST = 0.5
_NEVER_SEEN = ""
"""In the place of the id of an offer that was neither sent nor shown: capped only where the policy allows none."""


@dataclass(frozen=True, slots=True)
class OfferMoment:
    """One call: who asks, as of which local day, and all that its offers are judged by."""

    shopper: Shopper
    today: int
    display: Display
    call: OfferCall
    wanting: Wanting | None
    setting: Setting


class OfferFacts:
    """Gathers what the calls about offers are decided by, from one open bundle and what is known besides."""

    def __init__(self, desk: Desk, offers: OfferShelf) -> None:
        bundle = desk.bundle
        self._desk = desk
        self._offers = offers
        self._policy = bundle.policy.offers
        self._shops = ShopsNear(bundle.stores, desk.shoppers.zone)
        self._contact = desk.contacts
        self._redeemed = (ints(bundle.redeemed.offsets), ints(bundle.redeemed.offer))
        customers = bundle.customers
        self._churn, self._score = floats(customers.churn), floats(customers.score)
        self._hour, self._n_baskets = ints(customers.hour), ints(customers.n_baskets)
        self._discounted_lines = floats(bundle.contacts.discounted_lines)

    def moment(self, request: OffersRequest, at: datetime, known: Known, *, is_held_out: bool) -> OfferMoment:
        """Return what a call is decided by; InvalidRequest when `at` lies before the bundle's as-of."""
        shopper = self._desk.shopper(request.customer_id, request.store_id, at, known)
        today = day_of(at, shopper.zone)
        display = self._desk.display(request, shopper)
        zone = clock_zone(request.context.local_time, at, shopper.zone)
        contacts = self._contact.contacts(request.customer_id, known.live)
        row = shopper.row if shopper.is_personal else UNKNOWN
        contact = self._contact.next_contact(contacts, request.channel, at, zone, row=row)
        call = self._call(request, shopper, known, display=display, contact=contact, is_held_out=is_held_out)
        setting = self._setting(request, shopper, known, call=call, hour=hour_there(at, zone))
        return OfferMoment(shopper, today, display, call, self._wanting(call, shopper, today), setting)

    def _call(
        self,
        request: OffersRequest,
        shopper: Shopper,
        known: Known,
        *,
        display: Display,
        contact: NextContact,
        is_held_out: bool,
    ) -> OfferCall:
        desk, live, at_us = self._desk, known.live, contact.at_us
        rows_of = desk.shelf.rows_of
        dismissed_after_us = at_us - desk.bundle.policy.events.dismiss_days * _DAY_US
        return OfferCall(
            self._policy,
            request.channel,
            at_us,
            is_linked=shopper.is_personal,
            may_reach=self._may_reach(request.customer_id, request.channel, known),
            may_promise=known.may_promise,
            excluded=rows_of(request.exclude) | shopper.dismissed | self._banned(display),
            basket=rows_of(request.context.basket) | shopper.basket,
            is_out=desk.is_out(shopper.store_id, known),
            redeemed=self._redeemed_of(shopper, request.customer_id, live),
            dismissed={each for each, us in _latest(live, EventType.DISMISS).items() if us > dismissed_after_us},
            holds={each.offer_id: each for each in live.held_at(at_us)} if shopper.is_personal else {},
            spending=known.spending,
            banned=self._banned_offers(display),
            buyer=self._buyer(shopper),
            is_quiet=contact.is_quiet,
            is_capped=contact.is_capped or contact.is_offer_capped(_NEVER_SEEN),
            capped=_capped(contact),
            is_held_out=is_held_out,
            fatigue_cost=contact.fatigue_cost,
            trust=self._contact.trust(contact.contacts, live, at_us) if shopper.is_personal else _USUAL_TRUST,
        )

    def _redeemed_of(self, shopper: Shopper, customer_id: str, live: Live) -> set[str]:
        """Return the ids of the offers that they redeemed, by any of their ids: before the bundle, and since."""
        offsets, offer = self._redeemed
        rows: Sequence[int] = ()
        if shopper.is_personal and shopper.row >= 0:
            rows = self._desk.shoppers.rows(customer_id, live) if live.also else (shopper.row,)
        found = {self._offers.offers[offer[e]].id for row in rows for e in range(offsets[row], offsets[row + 1])}
        return found | _latest(live, EventType.REDEEM).keys()

    def _may_reach(self, customer_id: str, channel: Channel, known: Known) -> bool:
        """Return whether they agreed to the channel: places need no consent of their own, messages do.

        Nor is anything sent to one of whom nothing may be kept: it could not be counted, and no cap would hold.
        """
        if not channel.is_message:
            return True
        consent = self._desk.shoppers.consent(customer_id, known.live)
        return not known.live.is_gone and consent[channel] and consent["personalize"]

    def _buyer(self, shopper: Shopper) -> Buyer:
        row = shopper.row
        if not shopper.is_personal or row < 0:
            return Buyer.MIXED
        return buyer_of(
            self._policy,
            discounted_lines=self._discounted_lines[row],
            score=self._score[row],
            n_baskets=self._n_baskets[row],
        )

    def _wanting(self, call: OfferCall, shopper: Shopper, today: int) -> Wanting | None:
        """Return who wants; None for one of whom nothing may be used."""
        if not shopper.is_personal:
            return None
        row = shopper.row
        return Wanting(
            TasteColumns(shopper.taste, self._desk.bundle),
            today,
            today + math.ceil(self._policy.ttl_hours / 24),
            closed=call.excluded | call.basket,
            favourites=self._favourites(shopper) if row >= 0 else None,
            may_leave=row >= 0 and self._churn[row] >= self._policy.leaving_chance,
        )

    def _favourites(self, shopper: Shopper) -> tuple[I64, F64]:
        """Return the categories that a customer bought in the last 26 weeks, each with its chance of seven days."""
        group = self._desk.bundle.propensity
        at = slice(int(group.offsets[shopper.row]), int(group.offsets[shopper.row + 1]))
        category = group.category[at].astype(np.int64)
        recent = shopper.taste.recent_categories()
        is_recent = np.array([each in recent for each in category.tolist()], dtype=np.bool_)
        return category[is_recent], all_within(group.p28.read(shopper.row, at).astype(np.float64)[is_recent], 7.0 / 4.0)

    def _setting(
        self, request: OffersRequest, shopper: Shopper, known: Known, *, call: OfferCall, hour: float
    ) -> Setting:
        fit = responses = None
        is_known = shopper.is_personal and shopper.row >= 0
        if is_known:
            group = self._desk.bundle.response
            at = slice(int(group.offsets[shopper.row]), int(group.offsets[shopper.row + 1]))
            responses = group.offer[at].astype(np.int64), group.p[at].astype(np.float64)
        if is_known and request.channel.is_message and self._hour[shopper.row] >= 0:
            fit = hour_fit(hour, self._hour[shopper.row])
        return Setting(
            is_personal=shopper.is_personal and not shopper.taste.is_cold,
            is_message=request.channel.is_message,
            trust=call.trust,
            trip7=shopper.taste.p_shop(7),
            hour_fit=fit,
            responses=responses,
            on_page=self._on_page(request.context.page),
            beside_basket=self._beside(call.basket),
            fatigue_cost=call.fatigue_cost,
            km=self._km(request, known),
        )

    def _km(self, request: OffersRequest, known: Known) -> float | None:
        """Return how far the nearest shop is; None where that is not known, or may not be used."""
        here = request.context
        if here.latitude is None or here.longitude is None or request.channel is Channel.STORE:
            return None
        if not self._desk.shoppers.consent(request.customer_id, known.live)["location"]:
            return None
        near = self._shops.within(here.latitude, here.longitude, _FARTHEST_KM)
        return near[0][1] if near else None

    def _banned(self, display: Display) -> Set[int]:
        """Return the products that merchants banned from this call."""
        if display.flags is self._desk.shelf.flags:
            return frozenset()
        return set(np.flatnonzero(np.asarray(display.flags) & BANNED).tolist())

    def _banned_offers(self, display: Display) -> Collection[str]:
        """Return the ids of the offers that merchants banned from this call."""
        if display.flags is self._desk.shelf.flags:
            return ()
        return [each for each in self._offers.rows if display.bans_offer(each, ())]

    def _on_page(self, page: str | None) -> Collection[int]:
        """Return the rows of the offers for the product or the category that a page shows."""
        if page is None:
            return ()
        product = self._desk.shelf.row_of(page)
        if product >= 0:
            return _of(self._offers.by_product, product)
        category = self._desk.shelf.category_row_of(page)
        return _of(self._offers.by_category, category) if category >= 0 else ()

    def _beside(self, basket: Iterable[int]) -> Collection[int]:
        """Return the rows of the offers for what is bought together with the basket."""
        weights = dict.fromkeys(sorted(basket), 1.0)
        near = self._desk.candidates.near(weights, _N_BESIDE) if weights else []
        return {offer for each in near for offer in _of(self._offers.by_product, each.product)}


def _of(index: ByProduct | Parts, row: int) -> list[int]:
    return [int(each) for each in index.offer[index.offsets[row] : index.offsets[row + 1]]]


def _capped(contact: NextContact) -> set[str]:
    """Return the ids of the offers that were sent, or shown, as often as is allowed."""
    contacts = contact.contacts
    seen = {*contacts.shown, *(each for sent in contacts.sends for each in sent.offer_ids)}
    return {each for each in seen if contact.is_offer_capped(each)}


def _latest(live: Live, kind: EventType) -> dict[str, int]:
    """Return the offers that somebody's events of a type name, each with the latest moment, epoch µs."""
    return {
        event.offer_id: event.at_us
        for event in live.events
        if event.type is kind and event.offer_id is not None and event.at_us >= live.erased_us
    }
