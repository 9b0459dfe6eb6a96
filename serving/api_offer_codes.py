"""The closed vocabularies of offers and actions: every code with the sentence that explains it (docs/offers.md)."""

from __future__ import annotations

from enum import StrEnum

from serving.api_codes import Code


class OfferReasonCode(Code):
    """Why an offer is in the answer."""

    HABIT_DUE = "habit_due", "It is for what the customer buys again and is due to buy."
    HABIT_DEFENDED = "habit_defended", "It is for a habit that the shop would rather keep than risk."
    HABIT_LAPSING = "habit_lapsing", "It is for what the customer used to buy and has not bought for longer than usual."
    WISHED = "wished", "It is for what is on the customer's wish list."
    VIEWED = "viewed", "It is for what the customer looked at, clicked on or scanned lately."
    FAVOURITE_CATEGORY = (
        "favourite_category",
        "It is for a category that the customer bought lately and is likely to buy again.",
    )
    STRETCH = "stretch", "It is for a category that is new to the customer and that they are likely to take to."
    BOUGHT_BEFORE = "bought_before", "It is for what the customer has bought before."
    LIKELY = "likely", "It is for what customers with similar habits or interests buy, and the customer never has."
    POPULAR = "popular", "Nothing that may be said of the customer speaks for it: it is there for how it is taken up."


class WithheldCode(Code):
    """Why an offer is not in an answer: the first rule that it breaks, in this order."""

    HOLDOUT = "holdout", "The customer is held out, to measure what offers bring."
    NO_CONSENT = "no_consent", "The customer has not agreed to this channel, or to this use of what is known of them."
    UNAVAILABLE = "unavailable", "The state is away: nothing that has a budget can be promised, and no message sent."
    OTHER_CHANNEL = "other_channel", "The offer is not for this channel."
    NOT_YET_VALID = "not_yet_valid", "The offer has not begun."
    EXPIRED = "expired", "The offer has ended."
    EXCLUDED = "excluded", "The call, the policy or the customer excludes what it is for."
    IN_BASKET = "in_basket", "What it is for is in the basket already."
    OUT_OF_STOCK = "out_of_stock", "Nothing that it is for is in stock."
    ALREADY_REDEEMED = "already_redeemed", "The customer has redeemed it."
    JUST_BOUGHT = "just_bought", "They bought it and are not due: no discount the day after."
    DUE_ANYWAY = "due_anyway", "They are due to buy it and would pay the full price."
    NEEDS_NO_DISCOUNT = "needs_no_discount", "They buy without discounts, and the policy leaves it so."
    QUIET_HOURS = "quiet_hours", "It is quiet time where the customer is."
    CAP_REACHED = "cap_reached", "They have had as many messages or showings as the policy allows."
    BUDGET_SPENT = "budget_spent", "Nothing is left of the offer's budget."
    WORTH_NOTHING = "worth_nothing", "It is worth nothing to the customer."
    COSTS_MORE = "costs_more", "It costs the shop more than it is expected to bring."
    RANKED_BELOW = "ranked_below", "Others are worth more, and no more were asked for."


class Trigger(StrEnum):
    """What makes a shop ask for the next best action: an event type, or something that became true."""

    VIEW = "view"
    SEARCH = "search"
    WISHLIST = "wishlist"
    CART = "cart"
    UNCART = "uncart"
    PURCHASE = "purchase"
    SEND = "send"
    IMPRESSION = "impression"
    OPEN = "open"
    CLICK = "click"
    REDEEM = "redeem"
    DISMISS = "dismiss"
    UNSUBSCRIBE = "unsubscribe"
    NOTIFICATION_BLOCK = "notification_block"
    SCAN = "scan"
    VISIT = "visit"
    REPLENISH = "replenish"
    CHURN_RISK = "churn_risk"
    LAUNCH = "launch"
    REWARD_EXPIRING = "reward_expiring"
    BACK_IN_STOCK = "back_in_stock"
    FIRST_PURCHASE = "first_purchase"


class ActionKind(StrEnum):
    """What an action does."""

    OFFER = "offer"
    ITEMS = "items"
    REWARD = "reward"
    NONE = "none"
