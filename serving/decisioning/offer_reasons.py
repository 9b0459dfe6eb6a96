"""Why an offer is made: a code, what a person would say, and what saying so tells the customer that we use."""

from __future__ import annotations

from typing import NamedTuple

from serving.api_offer_codes import OfferReasonCode
from serving.api_offers import OfferReason
from serving.bundle_format import INTIMATE
from serving.candidates import Discovery, Habit
from serving.decisioning.offer_wants import Want, Wants
from serving.decisioning.policy_offers import OffersPolicy
from serving.decisioning.reasons import Reasons, days, days_ago, spoken, times
from serving.decisioning.rules import Pace
from serving.offer_shelf import Offer
from serving.shelf import Shelf
from serving.state.events import EventType


class Why(NamedTuple):
    """What an offer is made for: the want that speaks most for it, or a category that they favour, or neither."""

    code: OfferReasonCode
    want: Want | None = None
    category: int = -1


POPULAR = Why(OfferReasonCode.POPULAR)


class OfferReasons:
    """Finds the reason of an offer, from what the bundle and the customer's events say."""

    def __init__(self, shelf: Shelf, reasons: Reasons, policy: OffersPolicy, pace: Pace) -> None:
        self._shelf = shelf
        self._reasons = reasons
        self._policy = policy
        self._pace = pace

    def why(self, offer: Offer, wants: Wants, *, end_day: int, is_lapsing: bool) -> Why:
        """Return what speaks most for an offer; what is due before `end_day` is due."""
        want = wants.strongest
        favourite, category = wants.favourite
        can_name = category >= 0 and not offer.is_sensitive and self._reasons.can_name_category(category)
        if can_name and (want is None or favourite * self._policy.neutral_timeliness > want.p7 * want.moment):
            return Why(OfferReasonCode.FAVOURITE_CATEGORY, None, category)
        if want is None:
            return POPULAR
        return Why(self._code(want, end_day=end_day, is_lapsing=is_lapsing), want)

    def _code(self, want: Want, *, end_day: int, is_lapsing: bool) -> OfferReasonCode:
        if want.habit is not None:
            if want.is_defended:
                return OfferReasonCode.HABIT_DEFENDED
            if is_lapsing:
                return OfferReasonCode.HABIT_LAPSING
            is_due = self._pace.is_regular(want.habit) and self._pace.is_due(want.habit, end_day)
            return OfferReasonCode.HABIT_DUE if is_due else OfferReasonCode.BOUGHT_BEFORE
        if want.discovery is not None:
            sign = want.discovery.sign
            if sign is None or want.discovery.neighbour is not None:
                return OfferReasonCode.LIKELY
            return OfferReasonCode.WISHED if sign.type is EventType.WISHLIST else OfferReasonCode.VIEWED
        return OfferReasonCode.STRETCH

    def privacy_cost(self, why: Why, offer: Offer) -> float:
        """Return how much of what is known of them the reason shows that we use, 0 to 1; the most for what is intimate.

        The more it is their own doing that we watched, the more it costs: what everybody does < what they are likely to
        do < their categories < their own habits and interests.
        """
        policy = self._policy
        product = -1 if why.want is None else why.want.product
        is_intimate = offer.is_sensitive or (product >= 0 and bool(self._shelf.flags[product] & INTIMATE))
        if is_intimate:
            return policy.privacy_sensitive
        return {
            OfferReasonCode.POPULAR: policy.privacy_popular,
            OfferReasonCode.LIKELY: policy.privacy_similar,
            OfferReasonCode.STRETCH: policy.privacy_similar,
            OfferReasonCode.FAVOURITE_CATEGORY: policy.privacy_category,
            OfferReasonCode.VIEWED: policy.privacy_interest,
            OfferReasonCode.WISHED: policy.privacy_interest,
        }.get(why.code, policy.privacy_habit)

    def text(self, why: Why, *, today: int) -> OfferReason:
        """Return the reason in words, as of the local day `today`; nothing that is intimate is named."""
        return {"code": why.code, "text": self._text(why, today)}

    def _text(self, why: Why, today: int) -> str:
        want = why.want
        if why.code is OfferReasonCode.FAVOURITE_CATEGORY:
            return f"You have bought {spoken(self._shelf.category_label(why.category))} in the last 26 weeks"
        if want is None:
            return "One of the offers of these days"
        if want.habit is not None:
            return self._of_habit(why.code, want, want.habit, today)
        if want.stretch is not None:
            stretch = want.stretch
            is_linked = stretch.source >= 0 and self._reasons.can_name_category(stretch.source)
            return self._reasons.stretch(stretch, want.product, is_linked=is_linked, leaning=0)["text"]
        return self._of_discovery(want, want.discovery, today)

    def _of_habit(self, code: OfferReasonCode, want: Want, habit: Habit, today: int) -> str:
        what, last = self._name(want), days_ago(today - habit.last_day)
        if code is OfferReasonCode.HABIT_LAPSING or habit.gap_days is None or not self._pace.is_regular(habit):
            return f"You have bought {what} {times(habit.n)}; the last time was {last}"
        return f"You buy {what} about every {days(habit.gap_days)}; the last time was {last}"

    def _of_discovery(self, want: Want, found: Discovery | None, today: int) -> str:
        sign = None if found is None else found.sign
        if found is not None and found.neighbour is not None:
            return self._reasons.discovery(found, today)["text"]
        if sign is None:
            return f"Customers with habits like yours buy {self._name(want)}"
        what = {EventType.WISHLIST: "put {} on your wish list", EventType.SCAN: "scanned {}"}.get(sign.type)
        return f"You {(what or 'looked at {}').format(self._name(want))} {days_ago(today - sign.day)}"

    def _name(self, want: Want) -> str:
        """Return what a reason calls the product: its name, that of its type, or nothing in particular."""
        if self._shelf.flags[want.product] & INTIMATE:
            return "something that it is for"
        if want.is_type and not self._shelf.stands_for_type(want.product):
            return spoken(self._shelf.type_names[want.type])
        return self._shelf.name(want.product)
