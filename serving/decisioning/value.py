"""The value equation: what an offer is worth to the customer and to the shop, from terms that are each bounded.

customer_value = (relevance + timeliness) × trust ÷ (privacy_cost + effort)
expected_value = incremental_margin − reward_cost − fatigue_cost

docs/offers.md tells how each term is made. All functions are pure, and work on the terms as answers show them: rounded,
so that both equations can be redone by hand from an answer.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from serving.bundle_columns import F64
from serving.decisioning.policy_offers import OffersPolicy

_PLACES = 6
_MONEY_PLACES = 6
LEAST_COST = 0.01
"""Neither the privacy cost nor the effort is ever less: nothing is for free, and nobody divides by 0."""


@dataclass(frozen=True, slots=True)
class Terms:
    """All terms of one offer for one customer, channel and moment; made by `offer_terms`, bounded and rounded.

    `relevance`, `timeliness`, `trust`, `redemption` and `anyway` lie in 0 to 1, `privacy_cost` and `effort` in
    `LEAST_COST` to 1. `redemption` is the chance that they redeem it, `anyway` that they buy what it is for while it is
    valid without any offer. Money: `incremental_margin` (below 0 where what it sells loses money), `reward_cost` and
    `fatigue_cost` (0 or more).
    """

    relevance: float
    timeliness: float
    trust: float
    privacy_cost: float
    effort: float
    redemption: float
    anyway: float
    incremental_margin: float
    reward_cost: float
    fatigue_cost: float


def share(x: float) -> float:
    """Return a number held to 0 to 1, to six places.

    Examples
    --------
    >>> share(1.2), share(-3.0), share(0.12345678)
    (1.0, 0.0, 0.123457)
    """
    return round(min(max(x, 0.0), 1.0), _PLACES)


def cost(x: float) -> float:
    """Return a cost held to `LEAST_COST` to 1, to six places."""
    return round(min(max(x, LEAST_COST), 1.0), _PLACES)


def money(x: float) -> float:
    """Return an amount of money as answers have it, to six places."""
    return round(x, _MONEY_PLACES) + 0.0  # no minus before a zero


def incremental_margins(redemption: F64, anyway: F64, extra: F64, margin: F64) -> F64:
    """Return the margin that offers are expected to add, money.

    Of those who redeem one, the share `anyway` would have bought at that time without it; of the others, `extra` would
    not have bought later, or something else instead. So ``p(buys with) − p(buys anyway)`` is
    ``redemption × (1 − anyway) × extra``. That is an assumption until an experiment has measured it.

    Examples
    --------
    >>> incremental_margins(*np.array([[0.5], [0.2], [0.5], [10.0]])).tolist()
    [2.0]
    """
    return redemption * (1.0 - anyway) * extra * margin


def customer_value(terms: Terms) -> float:
    """Return what the offer is worth to the customer: 0 to 2 ÷ (2 × `LEAST_COST`) = 100, to six places.

    Examples
    --------
    >>> customer_value(Terms(0.5, 0.5, 0.8, 0.25, 0.25, 0.1, 0.0, 1.0, 0.5, 0.0))
    1.6
    """
    worth = (terms.relevance + terms.timeliness) * terms.trust
    return round(worth / (terms.privacy_cost + terms.effort), _PLACES)


def shop_value(terms: Terms) -> float:
    """Return what the offer is expected to bring the shop, money; below 0 where it costs more.

    Examples
    --------
    >>> shop_value(Terms(0.5, 0.5, 0.8, 0.25, 0.25, 0.1, 0.0, 1.0, 0.5, 0.25))
    0.25
    """
    return money(terms.incremental_margin - terms.reward_cost - terms.fatigue_cost)


def rank_values(for_customer: F64, for_shop: F64, policy: OffersPolicy) -> F64:
    """Return what offers are ranked by: both values, each brought to −1 to 1, by the policy's weights.

    A value x counts ``x ÷ (|x| + scale)``: half where it is as large as its scale, and never more than 1, so that
    neither side can outbid the other without end. More of either value never ranks lower.

    Examples
    --------
    >>> from serving.decisioning.policy import default_policy
    >>> from dataclasses import replace
    >>> policy = replace(default_policy().offers, customer_weight=2.0, customer_scale=1.0, shop_weight=1.0)
    >>> rank_values(np.array([1.0, 3.0]), np.array([0.0, 0.0]), policy).tolist()
    [1.0, 1.5]
    """
    customer, shop = policy.customer_scale, policy.shop_scale
    counts = for_customer / (np.abs(for_customer) + customer), for_shop / (np.abs(for_shop) + shop)
    return policy.customer_weight * counts[0] + policy.shop_weight * counts[1]


_NAMES = tuple(each.name for each in fields(Terms))


@dataclass(frozen=True, slots=True)
class TermColumns:
    """The terms of many offers, shape ``(n_offers,)`` each, bounded and rounded; see `Terms`."""

    relevance: F64
    timeliness: F64
    trust: F64
    privacy_cost: F64
    effort: F64
    redemption: F64
    anyway: F64
    incremental_margin: F64
    reward_cost: F64
    fatigue_cost: F64

    def of(self, row: int) -> Terms:
        """Return the terms of one offer."""
        return Terms(*(float(getattr(self, name)[row]) for name in _NAMES))

    def customer_values(self) -> F64:
        """Return `customer_value` of each."""
        worth = (self.relevance + self.timeliness) * self.trust
        return np.round(worth / (self.privacy_cost + self.effort), _PLACES)

    def shop_values(self) -> F64:
        """Return `shop_value` of each."""
        return monies(self.incremental_margin - self.reward_cost - self.fatigue_cost)


def shares(x: F64) -> F64:
    """Return numbers held to 0 to 1, to six places."""
    held: F64 = np.minimum(np.maximum(x, 0.0), 1.0)
    return np.round(held, _PLACES)


def costs(x: F64) -> F64:
    """Return costs held to `LEAST_COST` to 1, to six places."""
    held: F64 = np.minimum(np.maximum(x, LEAST_COST), 1.0)
    return np.round(held, _PLACES)


def monies(x: F64) -> F64:
    """Return amounts of money as answers have them, to six places."""
    return np.round(x, _MONEY_PLACES) + 0.0  # no minus before a zero
