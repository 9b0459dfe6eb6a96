"""The rules of offers: small named claims about offers for one customer, and the code when one keeps an offer back.

They stand in one table, in the order of `WithheldCode`: the first that is broken is the reason. Each claim is made of
all offers of a call at once: it returns which offers it keeps back, or False where it keeps back none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np

from serving.api_offer_codes import WithheldCode
from serving.bundle_columns import F64, I64
from serving.channels import Channel
from serving.decisioning.offer_wants import NOBODY, Wants, all_within
from serving.decisioning.policy_offers import OffersPolicy
from serving.decisioning.value import TermColumns
from serving.offer_shelf import Bools, Offer, OfferShelf
from serving.state.holds import Hold, Spending

_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US


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


@dataclass(frozen=True, slots=True)
class OfferCall:
    """What is the same for all offers of a call.

    `is_linked`: they are known, and what they are given may be kept under their id; `may_reach`: they agreed to this
    channel; `may_promise`: what has a budget may be given, and messages be sent. `excluded` are products that the call,
    the policy or the customer keep out, `basket` what is in it now; `is_out` says of a product whether it is out of
    stock. `redeemed` are ids of offers that they redeemed, `dismissed` of those that they turned away, `banned` of
    those that merchants took out, `capped` of those that were sent or shown as often as is allowed; `holds` those that
    they hold, by id. `is_capped`: nothing at all may be sent or shown.
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
    capped: Collection[str] = ()
    buyer: Buyer = Buyer.MIXED
    is_held_out: bool = False
    is_quiet: bool = False
    is_capped: bool = False
    fatigue_cost: float = 0.0
    trust: float = 0.5


class OfferCases:
    """All offers for one customer, on one channel, at one moment: what the rules judge.

    `wants` is None where nothing that is known of them may be used. The terms are worked out when they are first asked
    for.
    """

    def __init__(self, shelf: OfferShelf, call: OfferCall) -> None:
        self.shelf = shelf
        self.call = call
        self.wants: Wants | None = None
        self.speakers = np.full(len(shelf.offers), NOBODY, dtype=np.int64)
        self.make_terms: Callable[[OfferCases], TermColumns] | None = None

    @cached_property
    def terms(self) -> TermColumns:
        """Return the terms of the value equation, bounded and rounded."""
        if self.make_terms is None:
            raise TypeError("these offers have no terms")
        return self.make_terms(self)

    @cached_property
    def customer_values(self) -> F64:
        """Return what each is worth to the customer."""
        return self.terms.customer_values()

    @cached_property
    def shop_values(self) -> F64:
        """Return what each is expected to bring the shop, money."""
        return self.terms.shop_values()

    @cached_property
    def are_held(self) -> Bools:
        """Return which the customer was given before, and still stand."""
        return self.named(self.call.holds)

    @cached_property
    def until_us(self) -> I64:
        """Return until when each is valid, epoch µs: as promised where it is held, else to its end or the policy's."""
        call = self.call
        ends = np.minimum(self.shelf.columns.ends_us, call.at_us + round(call.policy.ttl_hours * _HOUR_US))
        for offer_id, hold in call.holds.items():
            if offer_id in self.shelf.rows:
                ends[self.shelf.rows[offer_id]] = hold.until_us
        return ends

    @cached_property
    def days(self) -> F64:
        """Return how long each is valid, in days from now, 0 or more."""
        return np.maximum(self.until_us - self.call.at_us, 0) / _DAY_US

    @cached_property
    def are_discounts(self) -> Bools:
        """Return which take something off a price."""
        kinds = self.call.policy.discount_kinds
        return np.array([each in kinds for each in self.shelf.columns.kind], dtype=np.bool_)

    def named(self, offer_ids: Iterable[str]) -> Bools:
        """Return which have one of these ids."""
        found = np.zeros(len(self.shelf.offers), dtype=np.bool_)
        found[[row for each in offer_ids if (row := self.shelf.rows.get(each)) is not None]] = True
        return found

    def where(self, claim: Callable[[Offer], bool]) -> Bools:
        """Return for which offers a claim is true."""
        return np.array([claim(each) for each in self.shelf.offers], dtype=np.bool_)


Broken = bool | Bools


def is_held_out(cases: OfferCases) -> Broken:
    """Return whether the customer is held out."""
    return cases.call.is_held_out


def lacks_consent(cases: OfferCases) -> Broken:
    """Return which may not be given as the channel may not be used, or nothing with a budget be kept for them."""
    if not cases.call.may_reach:
        return True
    return False if cases.call.is_linked else ~np.isnan(cases.shelf.columns.budget)


def is_unavailable(cases: OfferCases) -> Broken:
    """Return which would be promised while nothing can be."""
    if cases.call.may_promise:
        return False
    return cases.call.channel.is_message or ~np.isnan(cases.shelf.columns.budget)


def is_for_other_channels(cases: OfferCases) -> Broken:
    """Return which are not for this channel."""
    return ~cases.shelf.columns.are_for(cases.call.channel)


def has_not_begun(cases: OfferCases) -> Broken:
    """Return which begin later."""
    begins: Bools = cases.call.at_us < cases.shelf.columns.starts_us
    return begins


def has_ended(cases: OfferCases) -> Broken:
    """Return which have ended."""
    ended: Bools = cases.call.at_us >= cases.shelf.columns.ends_us
    return ended


def is_excluded(cases: OfferCases) -> Broken:
    """Return which are kept out, or have nothing left that is not.

    What is restricted or intimate is kept out for all who don't buy it already.
    """
    columns, call = cases.shelf.columns, cases.call
    unasked = columns.is_unasked if cases.wants is None else columns.is_unasked & ~cases.wants.has_own
    found = columns.is_lost | unasked
    if call.dismissed or call.banned:
        found = found | cases.named((*call.dismissed, *call.banned))
    if call.excluded:
        found = found | cases.where(lambda offer: not offer.is_general and offer.products <= call.excluded)
    return found


def is_in_basket(cases: OfferCases) -> Broken:
    """Return which are for something in the basket: they would be given for what is taken anyway."""
    basket = cases.call.basket
    return cases.where(lambda offer: not offer.products.isdisjoint(basket)) if basket else False


def is_out_of_stock(cases: OfferCases) -> Broken:
    """Return which are for nothing in stock, of what is not kept out."""
    call = cases.call

    def is_out(offer: Offer) -> bool:
        return not offer.is_general and not any(
            not call.is_out(each) for each in offer.products if each not in call.excluded
        )

    return cases.where(is_out)


def is_redeemed(cases: OfferCases) -> Broken:
    """Return which the customer has redeemed."""
    return cases.named(cases.call.redeemed) if cases.call.redeemed else False


def is_just_bought(cases: OfferCases) -> Broken:
    """Return of which all that they want was just bought."""
    return False if cases.wants is None else (cases.wants.n_just_bought > 0) & ~cases.wants.has_open


def is_due_anyway(cases: OfferCases) -> Broken:
    """Return of which they would buy something in time at the full price, unless a defended habit speaks for it."""
    wants, policy = cases.wants, cases.call.policy
    if wants is None:
        return False
    is_defended: Bools = np.append(wants.pairs.is_defended, False)[wants.speaker]
    is_sure: Bools = (all_within(wants.due7, cases.days) >= policy.due_anyway_chance) & (wants.due7 > 0.0)
    kept: Bools = is_sure & ~is_defended
    return kept


def needs_no_discount(cases: OfferCases) -> Broken:
    """Return which take something off for a loyal customer who pays full prices, where the policy leaves it so."""
    is_spared = cases.call.buyer is Buyer.FULL_PRICE and not cases.call.policy.full_price_gets_discounts
    return cases.are_discounts if is_spared else False


def is_quiet(cases: OfferCases) -> Broken:
    """Return whether nothing may be sent at this hour of theirs."""
    return cases.call.is_quiet


def has_reached_cap(cases: OfferCases) -> Broken:
    """Return which may not be sent or shown once more: they had as many messages, or showings of it, as is allowed."""
    return True if cases.call.is_capped else bool(cases.call.capped) and cases.named(cases.call.capped)


def has_spent_budget(cases: OfferCases) -> Broken:
    """Return which budgets have not enough left for one more."""
    columns, shelf = cases.shelf.columns, cases.shelf
    gone = np.zeros(len(shelf.offers))
    for offer_id, spending in cases.call.spending.items():
        if offer_id in shelf.rows:
            gone[shelf.rows[offer_id]] = spending.gone
    found: Bools = np.round(gone + columns.stake - columns.budget, 4) > 0.0  # never of one without a budget, NaN
    return found


def is_worth_nothing(cases: OfferCases) -> Broken:
    """Return which are worth less to the customer than the policy asks for."""
    policy = cases.call.policy
    found: Bools = (cases.terms.relevance < policy.min_relevance) | (cases.customer_values < policy.min_customer_value)
    return found


def costs_more(cases: OfferCases) -> Broken:
    """Return which bring the shop less than the policy asks for; of discount-only buyers more is asked."""
    policy = cases.call.policy
    least = np.full(len(cases.shelf.offers), policy.min_expected_value)
    if cases.call.buyer is Buyer.DISCOUNT_ONLY:
        asked = policy.discount_only_return * cases.terms.reward_cost
        least = np.where(cases.are_discounts, np.maximum(least, asked), least)
    found: Bools = cases.shop_values < least
    return found


@dataclass(frozen=True, slots=True)
class Rule:
    """A claim that keeps offers back.

    `is_fact`: it is about the call and the offer, and holds also where no rules are applied. `is_first`: it says so
    before anybody has looked at what the customer wants. `spares_held`: what the customer was promised before is not
    taken back by it.
    """

    code: WithheldCode
    breaks: Callable[[OfferCases], Broken]
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
"""All of `WithheldCode` but the last: the ranking comes after."""

FACTS = tuple(rule for rule in RULES if rule.is_fact)

MAY_BE_GIVEN = -1


def first_broken(cases: OfferCases, rules: Sequence[Rule]) -> I64:
    """Return by offer the place in `rules` of the first one that keeps it back, `MAY_BE_GIVEN` where none does."""
    found = np.full(len(cases.shelf.offers), MAY_BE_GIVEN, dtype=np.int64)
    for place, rule in enumerate(rules):
        broken = rule.breaks(cases)
        if broken is False:
            continue
        if rule.spares_held and cases.call.holds:
            broken = broken & ~cases.are_held
        found[(found == MAY_BE_GIVEN) & broken] = place
    return found
