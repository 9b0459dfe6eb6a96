"""The terms of the value equation, worked out for one offer and one call (docs/offers.md)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from serving.api_offer_codes import OfferReasonCode
from serving.decisioning.offer_reasons import Why
from serving.decisioning.offer_rules import OfferCase
from serving.decisioning.offer_wants import Wants, within
from serving.decisioning.policy_offers import OffersPolicy
from serving.decisioning.value import Terms, cost, incremental_margin, money, share
from serving.offer_shelf import Offer
from serving.shelf import Shelf

_HOURS_A_DAY = 24
FAVOURITE = OfferReasonCode.FAVOURITE_CATEGORY


@dataclass(frozen=True, slots=True)
class Setting:
    """What the terms of all offers of a call share.

    `trust` 0 to 1; `trip7` is the chance of a trip within seven days; `hour_fit` says how near their best hour it is, 0
    to 1 (None: unknown, or they are there already). `responses` are chances of redemption by the offer's row. `on_page`
    are rows of offers for what the page shows, `beside_basket` of those for what goes with the basket. `fatigue_cost`
    is that of one more message, money. `km` is how far away the nearest store is (None: not known, or not to be used).
    """

    is_personal: bool
    is_message: bool
    trust: float
    trip7: float
    hour_fit: float | None
    responses: Mapping[int, float]
    on_page: Collection[int] = ()
    beside_basket: Collection[int] = ()
    fatigue_cost: float = 0.0
    km: float | None = None


class Sold(NamedTuple):
    """What a redemption sells: the margin, money, and the share of it that would not have come in another way."""

    margin: float
    extra: float


class TermMaker:
    """Works out terms by one policy."""

    def __init__(self, shelf: Shelf, policy: OffersPolicy) -> None:
        self._shelf = shelf
        self._policy = policy
        self._effort = {
            "discount": policy.effort_discount,
            "free_shipping": policy.effort_free_shipping,
            "points": policy.effort_points,
            "gift": policy.effort_gift,
        }

    def terms(self, case: OfferCase, why: Why, privacy_cost: float, setting: Setting) -> Terms:
        """Return the terms, bounded and rounded."""
        offer, policy = case.offer, self._policy
        p7 = self._p7(offer, case.wants, setting)
        redemption = share(setting.responses.get(offer.row, offer.chance))
        anyway = share(within(p7, case.days))
        sold = self._sold(offer, case.wants)
        if setting.km is not None and offer.needs_visit:
            privacy_cost = max(privacy_cost, policy.privacy_location)
        return Terms(
            relevance=share(within(p7, policy.relevance_days)),
            timeliness=share(self._timeliness(offer, why, setting)),
            trust=share(setting.trust),
            privacy_cost=cost(privacy_cost),
            effort=cost(self._of_effort(offer, why, setting)),
            redemption=redemption,
            anyway=anyway,
            incremental_margin=money(incremental_margin(redemption, anyway, sold.extra, sold.margin)),
            reward_cost=money(redemption * offer.stake),
            fatigue_cost=money(setting.fatigue_cost),
        )

    def _p7(self, offer: Offer, wants: Wants, setting: Setting) -> float:
        """Return the chance that they buy any of what it is for within seven days.

        Where nothing of theirs speaks for it, everybody's chance counts, of a known customer the policy's share of it.
        """
        if offer.is_general:
            return setting.trip7
        stranger = offer.popular_p7 * (self._policy.unspoken_share if setting.is_personal else 1.0)
        return max(wants.p7, stranger)

    def _timeliness(self, offer: Offer, why: Why, setting: Setting) -> float:
        policy = self._policy
        moment = policy.neutral_timeliness if why.want is None else why.want.moment
        if offer.row in setting.beside_basket:
            moment = max(moment, policy.basket_timeliness)
        if offer.row in setting.on_page:
            moment = 1.0
        if setting.hour_fit is None:
            return moment
        return (1.0 - policy.hour_weight) * moment + policy.hour_weight * setting.hour_fit

    def _of_effort(self, offer: Offer, why: Why, setting: Setting) -> float:
        policy = self._policy
        effort = self._effort.get(offer.kind, policy.effort_discount)
        is_new = not offer.is_general and why.code is not FAVOURITE and (why.want is None or why.want.habit is None)
        effort += policy.effort_new if is_new else 0.0
        effort += policy.effort_single if len(offer.products) == 1 else 0.0
        effort += policy.effort_message if setting.is_message else 0.0
        return effort + (policy.effort_per_km * setting.km if setting.km is not None and offer.needs_visit else 0.0)

    def _sold(self, offer: Offer, wants: Wants) -> Sold:
        """Return what a redemption sells: what they want of it, by its chance, in their usual quantity."""
        policy = self._policy
        if offer.is_general:
            return Sold(policy.basket_margin, policy.habit_extra)
        otherwise = offer.margin or 0.0
        weight = margin = extra = 0.0
        for want in wants.found:
            own = self._shelf.margin(want.product)
            quantity = 1 if want.habit is None else want.habit.quantity
            weight += want.p7
            margin += want.p7 * quantity * (otherwise if own is None else own)
            extra += want.p7 * (policy.new_extra if want.habit is None else policy.habit_extra)
        if weight <= 0.0:
            return Sold(otherwise, policy.new_extra)
        return Sold(margin / weight, extra / weight)


def hour_fit(hour: float, best_hour: int) -> float:
    """Return how near an hour of the day is to the best one: 1 at it, 0 twelve hours away.

    Examples
    --------
    >>> hour_fit(17, 17), hour_fit(5, 17), hour_fit(23, 2)
    (1.0, 0.0, 0.75)
    """
    apart = abs(hour - best_hour) % _HOURS_A_DAY
    return 1.0 - min(apart, _HOURS_A_DAY - apart) / (_HOURS_A_DAY / 2)
