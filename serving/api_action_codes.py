"""The closed vocabulary of actions: why there is one, or none, each code with its explanation (docs/actions.md)."""

from __future__ import annotations

from serving.api_codes import Code


class ActionCode(Code):
    """Why this action, or why none."""

    # Why there is an action: what has just happened, or become true.
    WISHED = "wished", "It is on the customer's wish list and was not bought since."
    LEFT_IN_BASKET = "left_in_basket", "It was put into the basket and neither bought nor taken out since."
    SCANNED = "scanned", "The customer has just scanned it in a shop."
    NEAR_STORE = "near_store", "The customer is near an open shop that has what they are due to buy."
    NEW_CATEGORY = "new_category", "They have just bought from a category that is new to them: a surprise, for nothing."
    DUE = "due", "It is time to buy it again, by the customer's own pace."
    LAUNCHED = "launched", "It is new in a category that the customer buys again and again."
    KEPT_WAITING = "kept_waiting", "The customer is likely to stay away, and these are what they used to buy."
    REWARD_WAITING = "reward_waiting", "A reward that they have earned runs out soon and is not redeemed yet."
    CHALLENGE_ENDING = "challenge_ending", "The challenge of the week ends soon, and this is what is left to do of it."
    BACK_IN_STOCK = "back_in_stock", "It was out of stock, the customer wants it, and it is in stock again."
    LOOKED_AT = "looked_at", "The customer is looking at it."

    # Why there is none: the trigger is not true of what is known.
    NOTHING_WISHED = "nothing_wished", "Nothing is on the wish list that was not bought or turned away since."
    NOTHING_IN_BASKET = "nothing_in_basket", "Nothing is left in the basket."
    NOTHING_SCANNED = "nothing_scanned", "Nothing was scanned just now."
    NOTHING_LOOKED_AT = "nothing_looked_at", "Nothing was looked at just now."
    NO_LOCATION = "no_location", "Nothing says where the customer is."
    NO_LOCATION_CONSENT = "no_location_consent", "The customer has not agreed that it be used where they are."
    TOO_FAR = "too_far", "No shop is near enough."
    CLOSED = "closed", "The shops that are near are closed, or close too soon."
    NOTHING_NEW = "nothing_new", "Nothing was bought lately from a category that is new to the customer."
    NO_SURPRISE = "no_surprise", "There is nothing to give for which nothing is asked in return."
    NOTHING_DUE = "nothing_due", "Nothing is due by the customer's own pace."
    NOTHING_LAUNCHED = "nothing_launched", "Nothing is new in the categories that they buy again and again."
    NO_RISK = "no_risk", "The customer is not at risk of leaving, or has shopped since that was found."
    NO_REWARD = "no_reward", "No reward or challenge of theirs is about to expire."
    NOTHING_BACK = "nothing_back", "Nothing that they want has come back into stock."

    # Why there is none: the trigger is true, and it is better to leave them alone.
    HOLDOUT = "holdout", "The customer is held out, to measure what messages bring."
    NOT_PERSONAL = "not_personal", "What is known of the customer may not be used, or nothing is known of them."
    LEFT_CHANNEL = "left_channel", "They have just asked to hear less: that is no moment for a message."
    TURNED_AWAY = "turned_away", "They have just turned it away."
    JUST_BOUGHT = "just_bought", "They have just bought, and nothing is to be added to that."
    JUST_CONTACTED = "just_contacted", "They have just been shown or sent something: that is enough."
    SAID_ALREADY = "said_already", "They were sent a message about it lately."
    NOTHING_TO_SHOW = "nothing_to_show", "All that it is about is out of stock, excluded, or not fit to be named."
    PLACES_ONLY = "places_only", "Nobody is sent a message about what they are only looking at."
    NO_CHANNEL = "no_channel", "The customer has not agreed to this channel, or to any that could be used."
    CAP_REACHED = "cap_reached", "They have had as many messages or showings as the policy allows."
    QUIET_HOURS = "quiet_hours", "It is quiet time where the customer is, and it would be too late afterwards."
    NOT_WORTH_IT = "not_worth_it", "It is expected to bring less than what the contact costs in goodwill."


REASONS_TO_ACT = frozenset(
    {
        ActionCode.WISHED,
        ActionCode.LEFT_IN_BASKET,
        ActionCode.SCANNED,
        ActionCode.NEAR_STORE,
        ActionCode.NEW_CATEGORY,
        ActionCode.DUE,
        ActionCode.LAUNCHED,
        ActionCode.KEPT_WAITING,
        ActionCode.REWARD_WAITING,
        ActionCode.CHALLENGE_ENDING,
        ActionCode.BACK_IN_STOCK,
        ActionCode.LOOKED_AT,
    }
)
"""The codes of answers that hold an action; all others say why there is none."""
