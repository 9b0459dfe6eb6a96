"""The rules of offers: small named claims about one offer for one customer, and the code when one keeps it back.

They stand in one table, in the order of `WithheldCode`: the first that is broken is the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Set
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from serving.api_offer_codes import WithheldCode
from serving.channels import Channel
from serving.decisioning.offer_reasons import Why
from serving.decisioning.offer_wants import NO_WANTS, Wants, within
from serving.decisioning.policy_offers import OffersPolicy
from serving.decisioning.value import Terms, customer_value, shop_value
from serving.offer_shelf import Offer
from serving.state.holds import Hold, Spending

_HOUR_US = 3_600_000_000


class Buyer(StrEnum):
    """How a customer buys: only at a discount, loyal at full price, or neither (also where nothing is known)."""

    DISCOUNT_ONLY = "discount_only"
    FULL_PRICE = "full_price"
    MIXED = "mixed"


def buyer_of(policy: OffersPolicy, *, discounted_lines: float, score: float, n_baskets: int) -> Buyer:
    """Return which kind of buyer a customer is, by the share of their lines at a discount and their score (0 to 100).

    Of one who never bought anything, nothing is known.
    """
    if n_baskets <= 0:
        return Buyer.MIXED
    if discounted_lines >= policy.discount_only_lines:
        return Buyer.DISCOUNT_ONLY
    if discounted_lines <= policy.full_price_lines and score >= policy.full_price_score:
        return Buyer.FULL_PRICE
    return Buyer.MIXED


def _never(_offer_id: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class OfferCall:
    """What is the same for all offers of a call.

    `is_linked`: they are known, and what they are given may be kept under their id; `may_reach`: they agreed to this
    channel;
    `may_promise`: what has a budget may be given, and messages be sent. `excluded` are products that the call, the
    policy or the customer keep out, `basket` what is in it now; `is_out` says of a product whether it is out of stock.
    `redeemed` are ids of offers that they redeemed, `dismissed` of those that they turned away, `banned` of those that
    merchants took out; `holds` those that they hold, by id.
    """

    policy: OffersPolicy
    channel: Channel
    at_us: int
    is_linked: bool
    may_reach: bool
    may_promise: bool
    excluded: Set[int]
    basket: Set[int]
    is_out: Callable[[int], bool]
    redeemed: Collection[str]
    dismissed: Collection[str]
    holds: Mapping[str, Hold]
    spending: Mapping[str, Spending]
    banned: Collection[str] = ()
    buyer: Buyer = Buyer.MIXED
    is_held_out: bool = False
    is_quiet: bool = False
    is_capped: bool = False
    is_offer_capped: Callable[[str], bool] = _never
    fatigue_cost: float = 0.0
    trust: float = 0.5


class Appraisal(NamedTuple):
    """What speaks most for an offer, and the terms of its value."""

    why: Why
    terms: Terms


class OfferCase:
    """One offer for one customer, on one channel, at one moment: what the rules judge.

    `days` is how long it would be valid. The appraisal is made when it is first asked for.
    """

    def __init__(
        self,
        offer: Offer,
        call: OfferCall,
        wants: Wants = NO_WANTS,
        *,
        days: float,
        appraise: Callable[[OfferCase], Appraisal],
    ) -> None:
        self.offer = offer
        self.call = call
        self.wants = wants
        self.days = days
        self._appraise = appraise

    @cached_property
    def appraisal(self) -> Appraisal:
        """Return what speaks for it, and its terms."""
        return self._appraise(self)

    @property
    def terms(self) -> Terms:
        """The terms of the value equation, bounded and rounded."""
        return self.appraisal.terms

    @property
    def is_held(self) -> bool:
        """Whether the customer was given it before, and it still stands."""
        return self.offer.id in self.call.holds

    @property
    def is_discount(self) -> bool:
        """Whether it takes something off a price."""
        return self.offer.kind in self.call.policy.discount_kinds


def is_held_out(case: OfferCase) -> bool:
    """Return whether the customer is held out."""
    return case.call.is_held_out


def lacks_consent(case: OfferCase) -> bool:
    """Return whether the channel may not be used, or the offer has a budget, of which nothing is kept for them."""
    return not case.call.may_reach or (case.offer.has_budget and not case.call.is_linked)


def is_unavailable(case: OfferCase) -> bool:
    """Return whether it would be promised while nothing can be."""
    return not case.call.may_promise and (case.offer.has_budget or case.call.channel.is_message)


def is_for_other_channels(case: OfferCase) -> bool:
    """Return whether the offer is not for this channel."""
    return not case.offer.is_for(case.call.channel)


def has_not_begun(case: OfferCase) -> bool:
    """Return whether the offer begins later."""
    return case.call.at_us < case.offer.starts_us


def has_ended(case: OfferCase) -> bool:
    """Return whether the offer has ended."""
    return case.call.at_us >= case.offer.ends_us


def is_excluded(case: OfferCase) -> bool:
    """Return whether the offer, or everything that it is for, is kept out.

    What is restricted or intimate is kept out for all who don't buy it already.
    """
    offer, call = case.offer, case.call
    if offer.id in call.dismissed or offer.id in call.banned or offer.is_lost:
        return True
    if offer.is_unasked and not case.wants.has_own:
        return True
    return not offer.is_general and offer.products <= call.excluded


def is_in_basket(case: OfferCase) -> bool:
    """Return whether something that it is for is in the basket: it would be given for what they take anyway."""
    return not case.offer.products.isdisjoint(case.call.basket)


def is_out_of_stock(case: OfferCase) -> bool:
    """Return whether nothing of what it is for and is not kept out is in stock."""
    if case.offer.is_general:
        return False
    call = case.call
    return not any(not call.is_out(each) for each in case.offer.products if each not in call.excluded)


def is_redeemed(case: OfferCase) -> bool:
    """Return whether the customer has redeemed it."""
    return case.offer.id in case.call.redeemed


def is_just_bought(case: OfferCase) -> bool:
    """Return whether all that they want of it was just bought."""
    return case.wants.n_just_bought > 0 and not case.wants.found


def is_due_anyway(case: OfferCase) -> bool:
    """Return whether they would buy something of it in time at the full price, by a habit that is not defended."""
    strongest = case.wants.strongest
    if strongest is not None and strongest.is_defended:
        return False
    return within(1.0 - case.wants.none_due, case.days) >= case.call.policy.due_anyway_chance


def needs_no_discount(case: OfferCase) -> bool:
    """Return whether it takes something off for a loyal customer who pays full prices, and the policy leaves it so."""
    policy = case.call.policy
    return case.is_discount and case.call.buyer is Buyer.FULL_PRICE and not policy.full_price_gets_discounts


def is_quiet(case: OfferCase) -> bool:
    """Return whether nothing may be sent at this hour of theirs."""
    return case.call.is_quiet


def has_reached_cap(case: OfferCase) -> bool:
    """Return whether they have had as many messages, or as many showings of this offer, as the policy allows."""
    return case.call.is_capped or case.call.is_offer_capped(case.offer.id)


def has_spent_budget(case: OfferCase) -> bool:
    """Return whether the budget has not enough left for one more."""
    offer = case.offer
    if not offer.has_budget or case.is_held:
        return False
    return case.call.spending.get(offer.id, Spending()).gone + offer.stake > offer.budget


def is_worth_nothing(case: OfferCase) -> bool:
    """Return whether it is worth less to the customer than the policy asks for."""
    policy = case.call.policy
    return case.terms.relevance < policy.min_relevance or customer_value(case.terms) < policy.min_customer_value


def costs_more(case: OfferCase) -> bool:
    """Return whether it brings the shop less than the policy asks for; of discount-only buyers more is asked."""
    policy = case.call.policy
    least = policy.min_expected_value
    if case.is_discount and case.call.buyer is Buyer.DISCOUNT_ONLY:
        least = max(least, policy.discount_only_return * case.terms.reward_cost)
    return shop_value(case.terms) < least


@dataclass(frozen=True, slots=True)
class Rule:
    """A claim that keeps an offer back.

    `is_fact`: it is about the call and the offer, and holds also where no rules are applied. `is_first`: it says so
    before anybody has looked at what the customer wants. `spares_held`: what the customer was promised before is not
    taken back by it.
    """

    code: WithheldCode
    breaks: Callable[[OfferCase], bool]
    is_fact: bool = False
    is_first: bool = False
    spares_held: bool = False


RULES = (
    Rule(WithheldCode.HOLDOUT, is_held_out, is_first=True),
    Rule(WithheldCode.NO_CONSENT, lacks_consent, is_first=True),
    Rule(WithheldCode.UNAVAILABLE, is_unavailable, is_first=True),
    Rule(WithheldCode.OTHER_CHANNEL, is_for_other_channels, is_fact=True, is_first=True),
    Rule(WithheldCode.NOT_YET_VALID, has_not_begun, is_fact=True, is_first=True),
    Rule(WithheldCode.EXPIRED, has_ended, is_fact=True, is_first=True),
    Rule(WithheldCode.EXCLUDED, is_excluded, is_fact=True),
    Rule(WithheldCode.IN_BASKET, is_in_basket, is_fact=True),
    Rule(WithheldCode.OUT_OF_STOCK, is_out_of_stock),
    Rule(WithheldCode.ALREADY_REDEEMED, is_redeemed),
    Rule(WithheldCode.JUST_BOUGHT, is_just_bought),
    Rule(WithheldCode.DUE_ANYWAY, is_due_anyway, spares_held=True),
    Rule(WithheldCode.NEEDS_NO_DISCOUNT, needs_no_discount, spares_held=True),
    Rule(WithheldCode.QUIET_HOURS, is_quiet),
    Rule(WithheldCode.CAP_REACHED, has_reached_cap),
    Rule(WithheldCode.BUDGET_SPENT, has_spent_budget, spares_held=True),
    Rule(WithheldCode.WORTH_NOTHING, is_worth_nothing),
    Rule(WithheldCode.COSTS_MORE, costs_more, spares_held=True),
)

FACTS = tuple(rule for rule in RULES if rule.is_fact)


def first_broken(case: OfferCase, rules: tuple[Rule, ...] = RULES) -> WithheldCode | None:
    """Return the code of the first rule that keeps the offer back, None when it may be given."""
    is_held = case.is_held
    for rule in rules:
        if rule.breaks(case) and not (is_held and rule.spares_held):
            return rule.code
    return None


def valid_until_us(offer: Offer, call: OfferCall) -> int:
    """Return until when an offer of a call is valid, epoch µs: as promised where it is held, else to its end or ttl."""
    hold = call.holds.get(offer.id)
    return (
        hold.until_us if hold is not None else min(offer.ends_us, call.at_us + round(call.policy.ttl_hours * _HOUR_US))
    )
