"""The value equation: its two identities, its bounds, and that more of a good thing never ranks lower."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.decisioning.policy import default_policy
from serving.decisioning.policy_offers import OffersPolicy
from serving.decisioning.value import (
    LEAST_COST,
    TermColumns,
    Terms,
    cost,
    costs,
    customer_value,
    incremental_margins,
    money,
    monies,
    rank_values,
    share,
    shares,
    shop_value,
)

POLICY = default_policy().offers
any_number = st.floats(-1e6, 1e6)
some_shares = any_number.map(share)
some_costs = any_number.map(cost)
amounts = st.floats(-1e4, 1e4).map(money)
outlays = st.floats(0, 1e4).map(money)
terms = st.builds(
    Terms,
    *[some_shares] * 3,
    *[some_costs] * 2,
    *[some_shares] * 2,
    amounts,
    outlays,
    outlays,
)

A = Terms(0.5, 0.3, 0.5, 0.1, 0.3, 0.2, 0.1, 2.0, 0.5, 0.25)


def columns(*of: Terms) -> TermColumns:
    """Return terms as columns."""
    return TermColumns(*(np.array([getattr(each, name.name) for each in of]) for name in fields(Terms)))


def rank(of: Terms, policy: OffersPolicy = POLICY) -> float:
    """Return what one offer is ranked by."""
    found = columns(of)
    return float(rank_values(found.customer_values(), found.shop_values(), policy)[0])


def margin(redemption: float, anyway: float, extra: float, of_one: float) -> float:
    """Return the incremental margin of one offer."""
    return float(incremental_margins(*(np.array([each]) for each in (redemption, anyway, extra, of_one)))[0])


def test_both_values_are_what_the_equation_says() -> None:
    assert customer_value(A) == pytest.approx((0.5 + 0.3) * 0.5 / (0.1 + 0.3))
    assert shop_value(A) == 2.0 - 0.5 - 0.25


@given(terms)
def test_the_value_to_the_customer_lies_between_nothing_and_a_hundred(of: Terms) -> None:
    assert 0.0 <= customer_value(of) <= 2.0 / (2 * LEAST_COST)


@given(terms)
def test_the_ranking_lies_between_the_weights(of: Terms) -> None:
    most = POLICY.customer_weight + POLICY.shop_weight
    assert -POLICY.shop_weight < rank(of) < most


@given(terms, st.sampled_from(["relevance", "timeliness", "trust", "incremental_margin"]), st.floats(0, 1))
def test_more_of_what_is_good_never_ranks_lower(of: Terms, name: str, more: float) -> None:
    better = replace(of, **{name: getattr(of, name) + more})
    assert rank(better) >= rank(of) - 1e-9


@given(terms, st.sampled_from(["privacy_cost", "effort", "reward_cost", "fatigue_cost"]), st.floats(0, 1))
def test_more_of_what_it_costs_never_ranks_higher(of: Terms, name: str, more: float) -> None:
    worse = replace(of, **{name: getattr(of, name) + more})
    assert rank(worse) <= rank(of) + 1e-9


def test_a_side_without_weight_counts_for_nothing() -> None:
    for_customers = replace(POLICY, shop_weight=0.0)
    dear = replace(A, reward_cost=100.0)
    assert rank(A, for_customers) == rank(dear, for_customers)
    assert rank(A) > rank(dear)


def test_what_a_value_counts_is_half_at_its_scale() -> None:
    of = replace(POLICY, customer_weight=0.0, shop_weight=1.0, shop_scale=shop_value(A))
    assert rank(A, of) == pytest.approx(1 / 2)


def test_only_what_would_not_have_come_anyway_is_extra() -> None:
    assert margin(0.4, 0.0, 1.0, 5.0) == 2.0
    assert margin(0.4, 1.0, 1.0, 5.0) == 0.0
    assert margin(0.4, 0.5, 0.5, 5.0) == pytest.approx(0.4 * 0.5 * 0.5 * 5.0)
    assert margin(0.4, 0.5, 0.5, -5.0) < 0.0


@given(any_number)
def test_columns_are_held_to_the_same_ranges(x: float) -> None:
    for many, one in ((shares, share), (costs, cost), (monies, money)):
        assert many(np.array([x]))[0] == pytest.approx(one(x), abs=1e-6)


@given(terms)
def test_columns_have_the_values_of_their_terms(of: Terms) -> None:
    found = columns(of)
    assert found.of(0) == of
    assert found.customer_values()[0] == pytest.approx(customer_value(of), abs=2e-6)
    assert found.shop_values()[0] == pytest.approx(shop_value(of), abs=2e-6)


@given(any_number)
def test_terms_are_held_to_their_ranges(x: float) -> None:
    assert 0.0 <= share(x) <= 1.0
    assert LEAST_COST <= cost(x) <= 1.0


def test_nothing_is_not_written_with_a_minus() -> None:
    assert str(money(-1e-12)) == "0.0"
