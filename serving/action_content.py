"""What an action says on one way: an offer, plain products or a reminder of a reward, whichever is worth most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from serving.action_case import Case
from serving.action_ways import Ways
from serving.api_action_codes import ActionCode
from serving.api_codes import Level
from serving.api_offer_codes import ActionKind
from serving.api_offers import OfferItem, OffersRequest
from serving.bundle_format import INTIMATE, RESTRICTED
from serving.decisioning.completion import shifted
from serving.decisioning.offer_wants import within
from serving.decisioning.policy_offers import OffersPolicy
from serving.decisioning.texts import KINDS
from serving.decisioning.triggers import Found
from serving.decisioning.value import LEAST_COST, Terms, cost, customer_value, money, share, shop_value
from serving.decisioning.way import Way
from serving.desk import Desk
from serving.offer_desk import OfferDesk
from serving.offer_shelf import Offer
from serving.state.events import EventType
from serving.taste import Shopper

_DAY_US = 86_400_000_000
_PRIVACY: Mapping[ActionCode, str] = {
    ActionCode.DUE: "privacy_habit",
    ActionCode.KEPT_WAITING: "privacy_habit",
    ActionCode.NEAR_STORE: "privacy_location",
    ActionCode.LAUNCHED: "privacy_category",
    ActionCode.REWARD_WAITING: "privacy_popular",
    ActionCode.CHALLENGE_ENDING: "privacy_popular",
}
"""What of the customer a message shows that we use; anything else is an interest that they showed."""


_OF_PRODUCTS = frozenset({ActionCode.BACK_IN_STOCK, ActionCode.LAUNCHED})
"""Reasons that are news about each product of its own."""


@dataclass(frozen=True, slots=True)
class Plan:
    """An action that is worth it: its way, the products that it is about (rows), and its offer or its own terms."""

    way: Way
    kind: ActionKind
    products: tuple[int, ...]
    terms: Terms | None = None
    offer: OfferItem | None = None


class Contents:
    """Chooses what to say, by the value equation of one open bundle's policy."""

    def __init__(self, desk: Desk, offers: OfferDesk, ways: Ways) -> None:
        self._desk = desk
        self._offers = offers
        self._ways = ways
        self._shelf = desk.shelf
        self._actions = desk.bundle.policy.actions
        self._policy: OffersPolicy = desk.bundle.policy.offers
        self._surprises = frozenset(self._actions.surprise_kinds)

    def plan(self, case: Case, found: Found, way: Way) -> Plan | ActionCode:
        """Return the action on a way, or why there is none."""
        if way.channel.is_message and self._was_said(case, found):
            return ActionCode.SAID_ALREADY
        kinds = KINDS[found.code]
        offered = self._offered(case, found, way) if ActionKind.OFFER in kinds else None
        if found.code is ActionCode.NEW_CATEGORY:
            return ActionCode.NO_SURPRISE if offered is None else offered
        plain = self._plain(case, found, way)
        if offered is not None and (isinstance(plain, ActionCode) or _brings(offered) > _brings(plain)):
            return offered
        return plain

    def _was_said(self, case: Case, found: Found) -> bool:
        """Return whether a message was sent for this very reason lately, and nothing has made it true anew since."""
        within_us = int(self._actions.repeat_days * _DAY_US)
        sends = [each for each in case.situation.events(within_us, EventType.SEND) if each.value == found.code]
        if found.code in _OF_PRODUCTS:
            told = {self._shelf.ids[each] for each in found.products}
            sends = [each for each in sends if each.product_id in told]
        return any(each.at_us >= found.since_us for each in sends)

    def _plain(self, case: Case, found: Found, way: Way) -> Plan | ActionCode:
        """Return the action without an offer; a reward that was promised is always worth a word."""
        kind = KINDS[found.code][0]
        terms = self._terms(case, found, way)
        if found.code is not ActionCode.REWARD_WAITING:
            is_of_worth = customer_value(terms) >= self._policy.min_customer_value
            if not is_of_worth or (way.channel.is_message and shop_value(terms) <= 0.0):
                return ActionCode.NOT_WORTH_IT
        return Plan(way, kind, found.products, terms)

    def _terms(self, case: Case, found: Found, way: Way) -> Terms:
        """Return the terms of a message without an offer; the trigger is true, so the moment fits."""
        policy, chances = self._policy, self._chances(found.products, case.shopper)
        any_of_it = 1.0 - prod(1.0 - each for each in chances)
        margins = [self._shelf.margin(each) or 0.0 for each in found.products]
        added = sum(chance * margin for chance, margin in zip(chances, margins, strict=True))
        added += any_of_it * policy.basket_margin  # who comes for it buys other things as well
        contact = self._ways.contact(case, way)
        privacy: float = getattr(policy, _PRIVACY.get(found.code, "privacy_interest"))
        return Terms(
            relevance=share(within(any_of_it, policy.relevance_days)),
            timeliness=1.0,
            trust=share(self._desk.contacts.trust(case.contacts, case.situation.known.live, case.situation.at_us)),
            privacy_cost=cost(privacy),
            effort=cost(policy.effort_message if way.channel.is_message else LEAST_COST),
            redemption=share(any_of_it),
            anyway=share(any_of_it),
            incremental_margin=money(self._actions.reminder_uplift * added),
            reward_cost=0.0,
            fatigue_cost=money(contact.fatigue_cost),
        )

    def _chances(self, products: Sequence[int], shopper: Shopper) -> list[float]:
        """Return the chance that they buy each within seven days."""
        taste, p7 = shopper.taste, self._shelf.p7
        return [
            shifted(p7[product], taste.shift(Level.PRODUCT, product)) if habit is None else habit.p7
            for product, habit in zip(products, taste.again_of(products), strict=True)
        ]

    def _offered(self, case: Case, found: Found, way: Way) -> Plan | None:
        """Return the best offer for what was found, as it will stand when the message goes out."""
        request = case.request
        there = case.request.context.model_copy(update={"local_time": way.send_at.astimezone(case.clock)})
        asked = OffersRequest(
            customer_id=request.customer_id,
            channel=way.channel,
            store_id=request.store_id if found.shop is None else self._desk.bundle.stores.id[found.shop.store],
            exclude=request.exclude,
            context=there,
            dry_run=request.dry_run,
        )
        judged = self._offers.judge(asked, way.send_at, replace(case.situation.known, trace=None))
        best = next((each for each in judged.best if self._fits(each.offer, found)), None)
        if best is None:
            return None
        item = self._offers.item(best, judged)
        item["product_ids"] = [each for each in item["product_ids"] if self._may_be_named(each)]
        products = tuple(each for each in found.products if each in best.offer.products) or found.products
        return Plan(way, ActionKind.OFFER, products, offer=item)

    def _may_be_named(self, product_id: str) -> bool:
        row = self._shelf.row_of(product_id)
        return row >= 0 and not self._shelf.flags[row] & (INTIMATE | RESTRICTED)

    def _fits(self, offer: Offer, found: Found) -> bool:
        """Return whether an offer is for what the trigger is about.

        A surprise asks for nothing, so it is for nothing in particular. A basket that was left may get what comes with
        any order, such as free delivery; what is in it gets no discount.
        """
        if found.code is ActionCode.NEW_CATEGORY:
            return offer.is_general and offer.kind in self._surprises
        if offer.is_general:
            return found.code is ActionCode.LEFT_IN_BASKET
        return not offer.products.isdisjoint(found.products)


def _brings(plan: Plan) -> float:
    """Return what an action is expected to bring the shop, money."""
    if plan.offer is not None:
        return plan.offer["expected_value"]
    return 0.0 if plan.terms is None else shop_value(plan.terms)
