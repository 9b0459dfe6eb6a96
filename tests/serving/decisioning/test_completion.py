from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.decisioning.completion import (
    completion_probability,
    completion_terms,
    logit,
    shifted,
    sigmoid,
    within_days,
)
from serving.numbers import Numbers

CHANCE = st.floats(0, 1)
INDEPENDENT = {"intercept": 0.0, "log_joint": 1.0, "logit_shop": 0.0}


@given(st.lists(CHANCE, min_size=3, max_size=3), CHANCE, st.floats(-5, 5), st.floats(-2, 2), st.floats(-2, 2))
def test_joint_chance_is_between_nothing_and_the_least_item(
    chances: list[float], p_shop: float, intercept: float, log_joint: float, logit_shop: float
) -> None:
    coefficients = {"intercept": intercept, "log_joint": log_joint, "logit_shop": logit_shop}
    joint = completion_probability(chances, p_shop, coefficients)
    assert 0.0 <= joint <= min(chances)
    if min(chances) > 0:
        assert joint > 0.0


def test_terms_are_what_training_fits_on() -> None:
    terms = completion_terms([0.5, 0.25, 0.1], 0.8)
    assert terms["log_joint"] == pytest.approx(math.log(0.5 * 0.25 * 0.1))
    assert terms["logit_shop"] == pytest.approx(math.log(0.8 / 0.2))


def test_a_shared_trip_raises_the_joint_chance_above_the_product() -> None:
    shared = {"intercept": 0.7, "log_joint": 1.0, "logit_shop": 0.0}
    assert completion_probability([0.3, 0.3, 0.05], 0.8, shared) > 0.3 * 0.3 * 0.05


def test_one_item_completes_with_its_own_chance_and_none_never() -> None:
    assert completion_probability([0.3], 0.5, INDEPENDENT) == 0.3
    assert completion_probability([], 0.5, INDEPENDENT) == 0.0


@given(st.floats(-700, 700))
def test_sigmoid_stays_in_range(x: float) -> None:
    assert 0.0 <= sigmoid(x) <= 1.0


@pytest.mark.parametrize("p", [0.001, 0.3, 0.5, 0.999])
def test_logit_and_sigmoid_undo_each_other(p: float) -> None:
    assert sigmoid(logit(p)) == pytest.approx(p)


@given(CHANCE, CHANCE, st.integers(1, 7))
def test_windows_keep_the_order_of_chances(low: float, high: float, days: int) -> None:
    low, high = sorted((low, high))
    window = Numbers.plain().habit_window
    assert within_days(low, days, window) <= within_days(high, days, window)


def test_parts_of_days_lie_between_whole_ones() -> None:
    window = Numbers.plain().habit_window
    six, seven = (within_days(0.4, days, window) for days in (6, 7))
    assert within_days(0.4, 6.5, window) == pytest.approx((six + seven) / 2)
    assert within_days(0.4, 0.25, window) == pytest.approx(within_days(0.4, 1, window) / 4)
    assert within_days(0.4, 7.0, window) == seven


@given(CHANCE, st.integers(1, 7), st.floats(-9, 9), st.floats(-3, 3))
def test_a_window_is_a_logistic_curve_of_the_log_odds(p7: float, days: int, a: float, b: float) -> None:
    assert within_days(p7, days, [(a, b)] * 7) == sigmoid(a + b * logit(p7))


@pytest.mark.parametrize("pair", [(1e9, 1.0), (-1e9, 1.0), (0.0, 1e9), (0.0, -1e9), (-1e9, 1e9), (1e9, -1e9)])
@pytest.mark.parametrize("p7", [0.0, 1e-300, 0.4, 1.0])
def test_a_window_that_is_far_off_still_gives_a_chance(p7: float, pair: tuple[float, float]) -> None:
    assert 0.0 <= within_days(p7, 2.5, [pair] * 7) <= 1.0


def test_odds_are_multiplied() -> None:
    # Odds of 1 to 4 times 2: 1 to 2.
    assert shifted(0.2, math.log(2)) == pytest.approx(1 / 3)
    assert shifted(0.2, 0.0) == 0.2
    assert 0 < shifted(1e-9, -5.0) < shifted(1.0, 5.0) < 1
