"""The closed vocabularies of the HTTP API: levels, roles, intents, and every code with the sentence that explains it.

An answer never holds a code that is not listed here; the OpenAPI document and the API page are made from these lists.
"""

from __future__ import annotations

from enum import StrEnum


class Level(StrEnum):
    """What an item is counted or ranked by, from fine to coarse."""

    PRODUCT = "product"
    PRODUCT_TYPE = "product_type"
    CATEGORY = "category"


class Role(StrEnum):
    """What an item of a challenge is there for."""

    HABIT = "habit"
    STRETCH = "stretch"


class Intent(StrEnum):
    """What a recommendation should do: bring back, widen, or both."""

    BUY_AGAIN = "buy_again"
    DISCOVER = "discover"
    MIXED = "mixed"


class Code(StrEnum):
    """A code that carries its explanation: what it says of the data, in one sentence."""

    explanation: str

    def __new__(cls, value: str, explanation: str) -> Code:
        """Return the member for `value`, with its explanation attached."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.explanation = explanation
        return member


class ReasonCode(Code):
    """Why an item is in the answer. The `text` beside it is the same claim in words, with this customer's numbers."""

    HABIT_DUE = "habit_due", "Bought at a steady pace, and the next time is due now or in the time asked about."
    HABIT_REGULAR = "habit_regular", "Bought again and again; the next time is likely, though not due by its own pace."
    BOUGHT_BEFORE = "bought_before", "Bought before, too seldom to know a pace."
    STRETCH_FROM_HABIT = (
        "stretch_from_habit",
        "New to the customer; those who buy one of their habits often buy this too.",
    )
    STRETCH_FROM_BASKET = "stretch_from_basket", "New to the customer; often bought with what is in the basket."
    STRETCH_LEANING = "stretch_leaning", "New to the customer and in keeping with what they lean to."
    STRETCH_LIKELY = "stretch_likely", "New to the customer; customers with similar habits have taken it up."
    DISCOVER_SIMILAR = "discover_similar", "Not bought before; customers with similar habits buy it."
    BOUGHT_WITH = "bought_with", "Often in the same basket as a product that was asked about."
    BOUGHT_WITH_BASKET = "bought_with_basket", "Often in the same basket as what is in this one."
    VIEWED = "viewed", "Not bought before; looked at, clicked on or scanned lately."
    WISHED = "wished", "Not bought before; on the wish list."
    IN_BASKET = "in_basket", "In the basket since a while, and not bought."
    LAUNCHED = "launched", "Not bought before; new in a category that is bought again and again."
    BACK_IN_STOCK = "back_in_stock", "Not bought before; was out of stock and is there again."
    BOUGHT_WITH_VIEWED = "bought_with_viewed", "Often in the same basket as a product that was looked at lately."
    BOUGHT_WITH_BOUGHT = "bought_with_bought", "Often in the same basket as a product that was bought lately."
    LIKE_LATELY = "like_lately", "Not bought before; customers who took to the same things lately buy it."
    SUBSTITUTE = "substitute", "Meets the same need: customers buy both over time, but seldom in the same basket."
    SUBSTITUTE_OWN = "substitute_own", "Meets the same need, and the customer has bought it before."
    SUBSTITUTE_LEANING = "substitute_leaning", "Meets the same need, and is in keeping with what the customer leans to."
    POPULAR_IN_STORE = "popular_in_store", "Among the most bought in this store lately."
    POPULAR_IN_CATEGORY = "popular_in_category", "Among the most bought in its category lately."
    POPULAR_NOW = "popular_now", "Among the most bought in this season."
    PINNED = "pinned", "Put forward by the shop, whoever asks."


class ShortfallCode(Code):
    """Why there are fewer items than were asked for."""

    NO_MORE_CANDIDATES = "no_more_candidates", "Nothing else is known well enough to be shown."
    FILTERS = "filters", "The filters of the call leave no more."
    EXCLUDED = "excluded", "What else there was is excluded, banned, dismissed, in the basket or out of stock."
    TOO_FEW_CATEGORIES = "too_few_categories", "There are too few categories to choose items that differ."
    NOTHING_NEW = "nothing_new", "There is no category left that is new to the customer."
    UNKNOWN_CATEGORY = "unknown_category", "The category that was asked for is not known."
    UNKNOWN_PRODUCTS = "unknown_products", "None of the products that were asked about is known."
    NO_PRODUCTS = "no_products", "No product was asked about."
    NO_SUBSTITUTES = "no_substitutes", "Nothing else is known to meet the same need."
    NO_SEEDS = "no_seeds", "None of the seed customers is known and may be used."
    NOBODY_ELSE = "nobody_else", "Nobody else fits and may be used."
    NO_OFFERS = "no_offers", "The shop has no offers now."
    OFFERS_WITHHELD = "offers_withheld", "The other offers are withheld; `withheld` says why."
    NEVER_TOGETHER = "never_together", "Nothing else was bought together with it often enough."


class NoteCode(Code):
    """What a reader of the whole answer should know about the data that it rests on."""

    OWN_CATEGORY = "own_category", "The source names no categories: each product stands for its own."
    OWN_TYPE = "own_type", "The source names no product types: each product stands for its own."
    PRICES_FOR_COSTS = "prices_for_costs", "Costs are not known: a share of the price stands in for the margin."
    NO_PRICES = "no_prices", "Prices are not known: the reward is left out."
    STATE_UNAVAILABLE = (
        "state_unavailable",
        "What happened since the model was made can't be read now, and nothing of this answer is kept: "
        "a challenge that is asked for again may be another one.",
    )
