"""What the bundle knows of one customer, each thing with its unit, for the single customer view."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from serving.api_answers import Positive, Probability, Score, Time
from serving.bundle_format import HEALTHY
from serving.candidates import Habit
from serving.decisioning.windows import due_text, iso, midnight_text
from serving.desk import Desk
from serving.state.known import Live
from serving.taste import Shopper

_K_CATEGORIES = 20


@with_config(extra="forbid")
class Feature(TypedDict):
    """One thing that is known of a customer."""

    name: str
    value: float | int | str | None
    unit: Annotated[str, Field(description="`count`, `money`, `share` (0 to 1), `probability` (0 to 1) or `name`.")]
    meaning: NotRequired[str]


@with_config(extra="forbid")
class KnownHabit(TypedDict):
    """Something that the customer buys again, by product type."""

    product_type: str
    category: str
    product_id: Annotated[str, Field(description="The product of that type which they usually buy.")]
    probability: Annotated[Probability, Field(description="Chance of a purchase within 7 days.")]
    last_bought_at: Time
    due_at: Annotated[Time | None, Field(description="Null where no pace is known.")]
    gap_days: Annotated[Positive | None, Field(description="Days between purchases; null where no pace is known.")]
    usual_quantity: Annotated[int, Field(ge=1, description="Pieces.")]
    n_baskets: Annotated[int, Field(ge=0, description="Baskets with it.")]


class CustomerView(TypedDict):
    """What the engine tells of a customer: part of the single customer view."""

    model_version: str
    currency: str
    features_at: Time
    consent: dict[str, bool]
    features: list[Feature]
    habits: list[KnownHabit]
    scores: Score | None


class CustomerViews:
    """Makes customer views from one open bundle."""

    def __init__(self, desk: Desk) -> None:
        self._bundle = desk.bundle
        self._shelf = desk.shelf
        self._shoppers = desk.shoppers
        self._answers = desk.answers
        self._contacts = desk.contacts

    def view(self, customer_id: str, shopper: Shopper, at: datetime, live: Live) -> CustomerView:
        """Return what is known; of one who doesn't agree to personalising, their consent only."""
        is_told = self._shoppers.may_personalize(customer_id, live)
        tier = self._contacts.tier(customer_id, live)
        habits = [self._habit(each, shopper) for each in shopper.taste.habits()] if shopper.is_personal else []
        return {
            "model_version": self._bundle.manifest.version,
            "currency": self._bundle.manifest.currency,
            "features_at": iso(self._bundle.manifest.as_of),
            "consent": self._shoppers.consent(customer_id, live),
            "features": list(self._features(shopper)) if shopper.is_personal else [],
            "habits": habits,
            "scores": self._answers.score(customer_id, at, shopper=shopper, tier=tier, k=_K_CATEGORIES)
            if is_told
            else None,
        }

    def _features(self, shopper: Shopper) -> Iterator[Feature]:
        taste = shopper.taste
        if shopper.row >= 0:
            n_baskets = int(self._bundle.customers.n_baskets[shopper.row])
            yield {"name": "n_baskets", "value": n_baskets, "unit": "count", "meaning": "baskets so far"}
        price = taste.usual_price()
        yield _feature("usual_price", price, "money", "mean price that they pay for one piece")
        if shopper.store_id is not None:
            yield {
                "name": "usual_store",
                "value": shopper.store_id,
                "unit": "name",
                "meaning": "where they mostly shop",
            }
        yield _feature("p_shop_7", taste.p_shop(7), "probability", "chance of a trip within 7 days of features_at")
        for flag, share in taste.leanings():
            name = "healthy_share" if flag == HEALTHY else "private_label_share"
            yield _feature(name, share, "share", "of what they buy")
        n_categories = len(taste.recent_categories())
        yield {
            "name": "n_categories_26w",
            "value": n_categories,
            "unit": "count",
            "meaning": "categories bought in the last 26 weeks",
        }

    def _habit(self, habit: Habit, shopper: Shopper) -> KnownHabit:
        shelf = self._shelf
        return {
            "product_type": shelf.type_names[habit.type],
            "category": shelf.category_names[shelf.category[habit.product]],
            "product_id": shelf.ids[habit.product],
            "probability": round(habit.p7, 6),
            "last_bought_at": midnight_text(habit.last_day, shopper.zone),
            "due_at": None if habit.gap_days is None else due_text(habit.due_day, shopper.zone),
            "gap_days": None if habit.gap_days is None else round(habit.gap_days, 2),
            "usual_quantity": habit.quantity,
            "n_baskets": habit.n,
        }


def _feature(name: str, value: float | None, unit: str, meaning: str) -> Feature:
    return {"name": name, "value": None if value is None else round(value, 6), "unit": unit, "meaning": meaning}
