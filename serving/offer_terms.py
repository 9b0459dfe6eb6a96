"""The terms of the value equation, worked out for all offers of one call at once (docs/offers.md)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from serving.bundle_columns import F64, I64
from serving.decisioning.offer_pairs import TYPE
from serving.decisioning.offer_wants import Wants, all_within
from serving.decisioning.policy_offers import OffersPolicy
from serving.decisioning.value import TermColumns, costs, incremental_margins, monies, shares
from serving.offer_shelf import Bools, OfferShelf

_HOURS_A_DAY = 24


@dataclass(frozen=True, slots=True)
class Setting:
    """What the terms of all offers of a call share.

    `is_personal`: they bought here before, so that what nothing of theirs speaks for counts less. `trust` 0 to 1;
    `trip7` is the chance of a trip within seven days; `hour_fit` says how near their best hour it is, 0 to 1 (None:
    unknown, or they are there already). `responses` are rows of offers and their chances of redemption where there are
    any of the customer's own. `on_page` are rows of offers for what the page shows, `beside_basket` of those for what
    goes with the basket. `fatigue_cost` is that of one more message, money. `km` is how far away the nearest store is
    (None: not known, or not to be used).
    """

    is_personal: bool
    is_message: bool
    trust: float
    trip7: float
    hour_fit: float | None
    responses: tuple[I64, F64] | None
    on_page: Collection[int] = ()
    beside_basket: Collection[int] = ()
    fatigue_cost: float = 0.0
    km: float | None = None


class TermMaker:
    """Works out terms by one policy."""

    def __init__(self, offers: OfferShelf, policy: OffersPolicy) -> None:
        self._columns = offers.columns
        self._n = len(offers.offers)
        self._policy = policy
        efforts = {
            "discount": policy.effort_discount,
            "free_shipping": policy.effort_free_shipping,
            "points": policy.effort_points,
            "gift": policy.effort_gift,
        }
        by_kind = np.array([efforts.get(each, policy.effort_discount) for each in offers.columns.kind])
        self._effort = by_kind + np.where(offers.columns.is_single, policy.effort_single, 0.0)

    def terms(self, wants: Wants | None, speakers: I64, privacy_costs: F64, days: F64, setting: Setting) -> TermColumns:
        """Return the terms, bounded and rounded; `days` is how long each offer would be valid."""
        policy, columns = self._policy, self._columns
        p7 = self._p7(wants, setting)
        redemption = columns.chance
        if setting.responses is not None:
            redemption = redemption.copy()
            redemption[setting.responses[0]] = setting.responses[1]
        redemption, anyway = shares(redemption), shares(all_within(p7, days))
        margin, extra = self._sold(wants)
        is_visited = columns.needs_visit if setting.km is not None else np.zeros(self._n, dtype=np.bool_)
        by_place = np.where(is_visited, policy.privacy_location, 0.0)
        return TermColumns(
            relevance=shares(all_within(p7, policy.relevance_days)),
            timeliness=shares(self._timeliness(wants, speakers, setting)),
            trust=shares(np.full(self._n, setting.trust)),
            privacy_cost=costs(np.maximum(privacy_costs, by_place)),
            effort=costs(self._efforts(wants, speakers, is_visited, setting)),
            redemption=redemption,
            anyway=anyway,
            incremental_margin=monies(incremental_margins(redemption, anyway, extra, margin)),
            reward_cost=monies(redemption * columns.stake),
            fatigue_cost=monies(np.full(self._n, setting.fatigue_cost)),
        )

    def _p7(self, wants: Wants | None, setting: Setting) -> F64:
        """Return the chance that they buy any of what each is for within seven days.

        Where nothing of theirs speaks for it, everybody's chance counts, of a known customer the policy's share of it.
        """
        columns = self._columns
        stranger = columns.popular_p7 * (self._policy.unspoken_share if setting.is_personal else 1.0)
        found = stranger if wants is None else np.maximum(wants.p7, stranger)
        return np.where(columns.is_general, setting.trip7, found)

    def _timeliness(self, wants: Wants | None, speakers: I64, setting: Setting) -> F64:
        policy = self._policy
        moment = np.full(self._n, policy.neutral_timeliness)
        if wants is not None:
            moment = np.append(wants.pairs.moment, [policy.neutral_timeliness] * 2)[speakers]
        beside = list(setting.beside_basket)
        moment[beside] = np.maximum(moment[beside], policy.basket_timeliness)
        moment[list(setting.on_page)] = 1.0
        if setting.hour_fit is None:
            return moment
        return (1.0 - policy.hour_weight) * moment + policy.hour_weight * setting.hour_fit

    def _efforts(self, wants: Wants | None, speakers: I64, is_visited: Bools, setting: Setting) -> F64:
        policy = self._policy
        is_own = np.zeros(self._n, dtype=np.bool_)
        if wants is not None:  # a favourite category is theirs as well
            is_own = np.append(wants.pairs.kind <= TYPE, [True, False])[speakers]
        effort = self._effort + np.where(is_own | self._columns.is_general, 0.0, policy.effort_new)
        if setting.is_message:
            effort = effort + policy.effort_message
        return effort if setting.km is None else effort + np.where(is_visited, policy.effort_per_km * setting.km, 0.0)

    def _sold(self, wants: Wants | None) -> tuple[F64, F64]:
        """Return what a redemption sells, money, and the share of it that would not have come in another way.

        What they want of it counts by its chance, in their usual quantity, and as often as one purchase leads to.
        """
        policy, columns = self._policy, self._columns
        new = np.full(self._n, policy.new_extra)
        margin, extra = columns.margin * policy.new_purchases, new
        if wants is not None:
            is_wanted = wants.weight > 0.0
            weight = np.where(is_wanted, wants.weight, 1.0)
            margin = np.where(is_wanted, wants.margin / weight, margin)
            extra = np.where(is_wanted, wants.extra / weight, extra)
        margin = np.where(columns.is_general, policy.basket_margin, margin)
        return margin, np.where(columns.is_general, policy.habit_extra, extra)


def hour_fit(hour: float, best_hour: int) -> float:
    """Return how near an hour of the day is to the best one: 1 at it, 0 twelve hours away.

    Examples
    --------
    >>> hour_fit(17, 17), hour_fit(5, 17), hour_fit(23, 2)
    (1.0, 0.0, 0.75)
    """
    apart = abs(hour - best_hour) % _HOURS_A_DAY
    return 1.0 - min(apart, _HOURS_A_DAY - apart) / (_HOURS_A_DAY / 2)
