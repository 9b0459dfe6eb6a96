"""The `[offers]` section of the policy: what an offer is worth, to whom, and when it is withheld (docs/offers.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from serving.decisioning.policy_types import Range, Share

Cost = Annotated[float, Range(0.01, 1.0)]

LAPSING, LEAVING = "lapsing", "leaving"
"""Words of `defend_habits` that are no category: habits that lapse, and all habits of customers who may leave."""


@dataclass(frozen=True)
class OffersPolicy:
    """Every number by which offers are valued, ranked and withheld; money is in the shop's currency."""

    ttl_hours: Annotated[float, Range(0.25, 8760)]
    repeat_hours: Annotated[float, Range(0, 720)]
    customer_weight: Annotated[float, Range(0, 10)]
    shop_weight: Annotated[float, Range(0, 10)]
    customer_scale: Annotated[float, Range(0.01, 100)]
    shop_scale: Annotated[float, Range(0.01, 100_000)]
    min_relevance: Share
    min_customer_value: Annotated[float, Range(0, 200)]
    min_expected_value: Annotated[float, Range(-100_000, 100_000)]
    relevance_days: Annotated[float, Range(1, 84)]
    unspoken_share: Share
    neutral_timeliness: Share
    basket_timeliness: Share
    hour_weight: Share
    lapsing_ratio: Annotated[float, Range(1, 10)]
    due_anyway_chance: Share
    defend_habits: tuple[str, ...]
    leaving_chance: Share
    habit_extra: Share
    new_extra: Share
    new_purchases: Annotated[float, Range(1, 50)]
    lapsing_purchases: Annotated[float, Range(1, 50)]
    basket_margin: Annotated[float, Range(0, 100_000)]
    discount_kinds: tuple[str, ...]
    full_price_lines: Share
    full_price_score: Annotated[float, Range(0, 100)]
    full_price_gets_discounts: bool
    discount_only_lines: Share
    discount_only_return: Annotated[float, Range(0, 10)]
    privacy_popular: Cost
    privacy_category: Cost
    privacy_similar: Cost
    privacy_interest: Cost
    privacy_habit: Cost
    privacy_location: Cost
    privacy_sensitive: Cost
    effort_discount: Cost
    effort_free_shipping: Cost
    effort_points: Cost
    effort_gift: Cost
    effort_new: Share
    effort_single: Share
    effort_message: Share
    effort_per_km: Share
