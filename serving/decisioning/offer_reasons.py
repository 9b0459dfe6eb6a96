"""Why an offer is made: a code, what a person would say, and what saying so tells the customer that we use."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from serving.api_offer_codes import OfferReasonCode
from serving.api_offers import OfferReason
from serving.bundle_columns import F64, I64
from serving.bundle_format import INTIMATE
from serving.candidates import Discovery, Habit
from serving.decisioning.offer_pairs import TYPE
from serving.decisioning.offer_wants import FAVOURITE, NOBODY, Want, Wants
from serving.decisioning.policy_offers import OffersPolicy
from serving.decisioning.reasons import Reasons, days, days_ago, spoken, times
from serving.decisioning.rules import Pace
from serving.offer_shelf import OfferShelf
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

    def __init__(self, shelf: Shelf, offers: OfferShelf, reasons: Reasons, policy: OffersPolicy, pace: Pace) -> None:
        self._shelf = shelf
        self._is_sensitive = offers.columns.is_sensitive
        self._is_intimate = (np.asarray(shelf.flags) & INTIMATE) > 0
        names = [reasons.can_name_category(row) for row in range(len(shelf.category_names))]
        self._can_name = np.array(names, dtype=np.bool_)
        self._reasons = reasons
        self._policy = policy
        self._pace = pace

    def speakers(self, wants: Wants) -> I64:
        """Return by offer the place of the want that it is made for, `NOBODY`, or `FAVOURITE` for a favourite category.

        A category speaks louder than a want where its chance, at a neutral moment, is above that of the want at its
        own. One that may not be named, or of an offer for what is intimate, never speaks.
        """
        pairs, speaker = wants.pairs, wants.speaker
        voice = np.append(pairs.p7 * pairs.moment, 0.0)[speaker]  # the last one is nobody's
        is_louder = wants.favourite7 * self._policy.neutral_timeliness > voice
        may_speak = np.append(self._can_name, False)[wants.favourite] & ~self._is_sensitive
        return np.where(is_louder & may_speak, FAVOURITE, speaker)

    def privacy_costs(self, wants: Wants | None, speakers: I64) -> F64:
        """Return how much of what is known of them each reason shows that we use, 0 to 1: most for what is intimate.

        The more it is their own doing that we watched, the more it costs: what everybody does < what customers like
        them do < their categories < what they looked at < their own habits.
        """
        policy = self._policy
        if wants is None:
            return np.where(self._is_sensitive, policy.privacy_sensitive, policy.privacy_popular)
        pairs = wants.pairs
        shown = np.where(pairs.kind <= TYPE, policy.privacy_habit, policy.privacy_similar)
        shown = np.where(pairs.interest, policy.privacy_interest, shown)
        shown = np.where(self._is_intimate[pairs.product], policy.privacy_sensitive, shown)
        found = np.append(shown, [policy.privacy_category, policy.privacy_popular])[speakers]
        return np.where(self._is_sensitive, policy.privacy_sensitive, found)

    def why(self, wants: Wants | None, offer: int, speaker: int, *, end_day: int) -> Why:
        """Return what an offer (its row) is made for; what is due before `end_day` is due."""
        if wants is None or speaker == NOBODY:
            return POPULAR
        if speaker == FAVOURITE:
            return Why(OfferReasonCode.FAVOURITE_CATEGORY, None, int(wants.favourite[offer]))
        want = wants.want(speaker)
        return Why(self._code(want, end_day=end_day), want)

    def _code(self, want: Want, *, end_day: int) -> OfferReasonCode:
        if want.habit is not None:
            if want.is_defended:
                return OfferReasonCode.HABIT_DEFENDED
            if want.is_lapsing:
                return OfferReasonCode.HABIT_LAPSING
            is_due = self._pace.is_regular(want.habit) and self._pace.is_due(want.habit, end_day)
            return OfferReasonCode.HABIT_DUE if is_due else OfferReasonCode.BOUGHT_BEFORE
        if want.discovery is not None:
            sign = want.discovery.sign
            if sign is None or want.discovery.neighbour is not None:
                return OfferReasonCode.LIKELY
            return OfferReasonCode.WISHED if sign.type is EventType.WISHLIST else OfferReasonCode.VIEWED
        return OfferReasonCode.STRETCH

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
            return self._of_habit(want, want.habit, today)
        if want.stretch is not None:
            stretch = want.stretch
            is_linked = stretch.source >= 0 and self._reasons.can_name_category(stretch.source)
            return self._reasons.stretch(stretch, want.product, is_linked=is_linked, leaning=0)["text"]
        return self._of_discovery(want, want.discovery, today)

    def _of_habit(self, want: Want, habit: Habit, today: int) -> str:
        what, last = self._name(want), days_ago(today - habit.last_day)
        if want.is_lapsing or habit.gap_days is None or not self._pace.is_regular(habit):
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
