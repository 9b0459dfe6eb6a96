"""The table of rules: its order, which one is named, and what a promise is spared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serving.api_offer_codes import WithheldCode
from serving.bundle import Bundle
from serving.channels import Channel
from serving.decisioning.offer_rules import (
    FACTS,
    MAY_BE_GIVEN,
    RULES,
    Buyer,
    OfferCall,
    OfferCases,
    buyer_of,
    first_broken,
)
from serving.decisioning.policy import default_policy
from serving.decisioning.value import TermColumns
from serving.offer_shelf import OfferShelf
from serving.shelf import Shelf
from serving.state.holds import Hold, Spending
from tests.serving.tiny_offers import AS_OF_US

POLICY = default_policy().offers
CALL = OfferCall(
    POLICY,
    Channel.WEB,
    AS_OF_US,
    is_linked=True,
    may_reach=True,
    may_promise=True,
    excluded=frozenset(),
    basket=frozenset(),
    is_out=lambda _product: False,
    redeemed=(),
    dismissed=(),
    holds={},
    spending={},
)


@pytest.fixture(scope="module")
def shelf(tiny_bundle: Bundle) -> OfferShelf:
    return OfferShelf(tiny_bundle, Shelf(tiny_bundle, margin_rate=0.25))


def named(shelf: OfferShelf, call: OfferCall, **terms: float) -> dict[str, WithheldCode | None]:
    """Return the code that keeps back each offer, None where it may be given; all are worth much unless said."""
    worth = {"relevance": 1.0, "timeliness": 1.0, "trust": 1.0, "privacy_cost": 0.1, "effort": 0.1, "redemption": 0.1}
    money = {"anyway": 0.0, "incremental_margin": 9.0, "reward_cost": 1.0, "fatigue_cost": 0.0}
    n = len(shelf.offers)
    cases = OfferCases(shelf, call)
    cases.make_terms = lambda _: TermColumns(**{k: np.full(n, x) for k, x in (worth | money | terms).items()})
    found = first_broken(cases, RULES)
    return {
        offer.id: None if place == MAY_BE_GIVEN else RULES[place].code
        for offer, place in zip(shelf.offers, found.tolist(), strict=True)
    }


def test_the_rules_stand_in_the_order_of_their_codes() -> None:
    assert [rule.code for rule in RULES] == [code for code in WithheldCode if code is not WithheldCode.RANKED_BELOW]
    assert [rule.is_first for rule in RULES] == sorted((rule.is_first for rule in RULES), reverse=True)
    assert {rule.code for rule in FACTS} == {
        WithheldCode.OTHER_CHANNEL,
        WithheldCode.NOT_YET_VALID,
        WithheldCode.EXPIRED,
        WithheldCode.EXCLUDED,
        WithheldCode.IN_BASKET,
    }


def test_the_first_broken_rule_is_the_reason(shelf: OfferShelf) -> None:
    call = replace(CALL, redeemed=("brie-off", "salad-mail"), is_quiet=True, may_promise=False)
    found = named(shelf, call)
    assert found["brie-off"] is WithheldCode.UNAVAILABLE  # it has a budget
    assert found["salad-mail"] is WithheldCode.OTHER_CHANNEL
    assert found["dairy-off"] is WithheldCode.QUIET_HOURS
    assert named(shelf, replace(call, may_promise=True))["brie-off"] is WithheldCode.ALREADY_REDEEMED


def test_a_product_that_is_excluded_leaves_the_others(shelf: OfferShelf) -> None:
    coffee = shelf.named("coffee-off")
    assert coffee is not None
    one, other = sorted(coffee.products)
    assert named(shelf, replace(CALL, excluded={one}))["coffee-off"] is None
    assert named(shelf, replace(CALL, excluded={one, other}))["coffee-off"] is WithheldCode.EXCLUDED
    assert named(shelf, replace(CALL, basket={one}))["coffee-off"] is WithheldCode.IN_BASKET
    out = replace(CALL, excluded={one}, is_out=lambda product: product == other)
    assert named(shelf, out)["coffee-off"] is WithheldCode.OUT_OF_STOCK
    assert named(shelf, out)["free-delivery"] is None


def test_a_budget_takes_one_more_until_it_would_be_above(shelf: OfferShelf) -> None:
    def left(gone: float) -> WithheldCode | None:
        return named(shelf, replace(CALL, spending={"brie-off": Spending(gone / 2, gone / 2)}))["brie-off"]

    assert left(3.0) is None  # 3 + 2 = 5, all of it
    assert left(3.01) is WithheldCode.BUDGET_SPENT


def test_a_promise_is_not_taken_back_for_money(shelf: OfferShelf) -> None:
    held = replace(
        CALL,
        buyer=Buyer.FULL_PRICE,
        spending={"brie-off": Spending(5.0)},
        holds={"brie-off": Hold("brie-off", 2.0, AS_OF_US - 1, AS_OF_US + 10)},
    )
    assert named(shelf, held, incremental_margin=0.0)["brie-off"] is None
    assert named(shelf, replace(held, holds={}))["brie-off"] is WithheldCode.NEEDS_NO_DISCOUNT
    assert named(shelf, held, relevance=0.0)["brie-off"] is WithheldCode.WORTH_NOTHING
    assert named(shelf, replace(held, is_capped=True))["brie-off"] is WithheldCode.CAP_REACHED


def test_both_values_must_reach_what_the_policy_asks(shelf: OfferShelf) -> None:
    assert named(shelf, CALL, incremental_margin=1.0)["dairy-off"] is None  # brings 0: not less than asked
    assert named(shelf, CALL, incremental_margin=0.99)["dairy-off"] is WithheldCode.COSTS_MORE
    assert named(shelf, CALL, trust=0.0)["dairy-off"] is WithheldCode.WORTH_NOTHING
    discount_only = replace(CALL, buyer=Buyer.DISCOUNT_ONLY)
    asked = 1.0 + POLICY.discount_only_return
    assert named(shelf, discount_only, incremental_margin=asked)["dairy-off"] is None
    assert named(shelf, discount_only, incremental_margin=asked - 0.1)["dairy-off"] is WithheldCode.COSTS_MORE
    assert named(shelf, discount_only, incremental_margin=asked - 0.1)["points"] is None


@pytest.mark.parametrize(
    ("lines", "score", "n_baskets", "buyer"),
    [
        (0.8, 90.0, 5, Buyer.DISCOUNT_ONLY),
        (0.79, 90.0, 5, Buyer.MIXED),
        (0.1, 60.0, 5, Buyer.FULL_PRICE),
        (0.1, 59.9, 5, Buyer.MIXED),
        (0.11, 60.0, 5, Buyer.MIXED),
        (0.0, 99.0, 0, Buyer.MIXED),
    ],
)
def test_buyers_are_told_apart(lines: float, score: float, n_baskets: int, buyer: Buyer) -> None:
    assert buyer_of(POLICY, discounted_lines=lines, score=score, n_baskets=n_baskets) is buyer


def test_offers_without_terms_have_none(shelf: OfferShelf) -> None:
    with pytest.raises(TypeError, match="no terms"):
        _ = OfferCases(shelf, CALL).terms
