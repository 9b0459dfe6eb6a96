"""Differences with intervals: by hand, and by simulation where the truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.lift_estimates import Estimate, Sample, always_valid, cuped, difference, effect, sample_ratio_chance


def sample(outcome: list[float], covariate: list[float]) -> Sample:
    return Sample(np.array(outcome), np.array(covariate)[:, None])


def shoppers(rng: np.random.Generator, n: int, effect: float) -> Sample:
    """Spending of a shop's customers: half buy nothing, some a great deal, and who spent before spends again."""
    habit = rng.lognormal(2.0, 0.8, n)
    before = habit * rng.poisson(4, n) / 4
    after = habit * rng.poisson(0.7, n) + effect
    return Sample(after, before[:, None])


def test_a_difference_has_the_error_of_welch() -> None:
    found = difference(np.array([3.0, 5.0, 7.0]), np.array([1.0, 2.0]))
    assert found.value == 5.0 - 1.5
    assert found.error == pytest.approx(math.sqrt(4 / 3 + 0.5 / 2))
    assert found.interval().low == pytest.approx(found.value - 1.959964 * found.error, abs=1e-6)


def test_cuped_takes_off_what_was_so_before() -> None:
    treated, control = sample([4.0, 6.0, 8.0], [1.0, 2.0, 3.0]), sample([1.0, 3.0, 5.0], [1.0, 2.0, 3.0])
    found = cuped(treated, control)
    assert found.value == pytest.approx(3.0)
    assert found.error == pytest.approx(0.0, abs=1e-9)


def test_cuped_corrects_arms_that_were_uneven_before() -> None:
    treated, control = sample([6.0, 8.0], [2.0, 3.0]), sample([1.0, 3.0], [1.0, 2.0])
    assert difference(treated.outcome, control.outcome).value == 5.0
    assert cuped(treated, control).value == pytest.approx(3.0)


def test_covariates_that_say_nothing_change_nothing() -> None:
    rng = np.random.default_rng(3)
    outcomes = rng.normal(size=(2, 50))
    plain = difference(*outcomes)
    for covariates in (np.zeros((50, 2)), np.ones((50, 1)), np.empty((50, 0))):
        found = cuped(*(Sample(each, covariates) for each in outcomes))
        assert (found.value, found.error) == pytest.approx((plain.value, plain.error))


def test_a_covariate_given_twice_counts_once() -> None:
    rng = np.random.default_rng(4)
    treated, control = shoppers(rng, 200, 0.0), shoppers(rng, 200, 0.0)
    twice = [Sample(each.outcome, np.hstack([each.covariates] * 2)) for each in (treated, control)]
    assert cuped(*twice).value == pytest.approx(cuped(treated, control).value)


def test_cuped_is_narrower_where_the_past_tells_the_future() -> None:
    rng = np.random.default_rng(5)
    assert effect(shoppers(rng, 4000, 0.5), shoppers(rng, 4000, 0.0), planned=8000).variance_kept < 0.9


def test_the_always_valid_interval_is_the_one_of_the_paper() -> None:
    # Theorem 2.2 by hand: n = t* = 100, alpha = 0.05, one standard deviation of 1.
    rho2 = (-2 * math.log(0.05) + math.log(-2 * math.log(0.05)) + 1) / 100
    half = math.sqrt(2 * (100 * rho2 + 1) / (100**2 * rho2) * math.log(math.sqrt(100 * rho2 + 1) / 0.05))
    found = always_valid(Estimate(0.0, 1 / math.sqrt(100), 100), planned=100)
    assert (found.low, found.high) == pytest.approx((-half, half))
    assert half / 0.1 == pytest.approx(3.0, abs=0.1)


def test_the_always_valid_interval_is_narrowest_where_it_was_planned() -> None:
    def width_in_errors(planned: int) -> float:
        return always_valid(Estimate(0.0, 1.0, 5000), planned=planned).high

    assert width_in_errors(5000) < min(width_in_errors(4000), width_in_errors(6500))
    assert width_in_errors(5000) > Estimate(0.0, 1.0, 5000).interval().high


def test_more_arms_make_the_always_valid_interval_wider_and_no_other() -> None:
    rng = np.random.default_rng(6)
    treated, control = shoppers(rng, 300, 0.0), shoppers(rng, 300, 0.0)
    one, three = (effect(treated, control, planned=600, n_comparisons=n) for n in (1, 3))
    assert three.always.high > one.always.high
    assert three.adjusted == one.adjusted


def test_uneven_arms_have_the_chance_of_the_chi_square() -> None:
    # (40² + 40²) ÷ 500 = 6.4 with one degree of freedom: the tail is erfc(√3.2).
    assert sample_ratio_chance([460, 540], [0.5, 0.5]) == pytest.approx(math.erfc(math.sqrt(3.2)))
    assert sample_ratio_chance([100, 900], [0.1, 0.9]) == pytest.approx(1.0)
    assert sample_ratio_chance([500, 500, 500], [0.3, 0.3, 0.3]) == pytest.approx(1.0)


def test_the_intervals_of_200_experiments_cover_the_truth_in_92_to_98_of_a_hundred() -> None:
    truth, rng = 0.4, np.random.default_rng(20180101)
    effects = [effect(shoppers(rng, 1500, truth), shoppers(rng, 1500, 0.0), planned=3000) for _ in range(200)]
    for name in ("plain", "adjusted"):
        covered = np.mean([getattr(each, name).low <= truth <= getattr(each, name).high for each in effects])
        assert 0.92 <= covered <= 0.98, name
    assert np.mean([each.always.low <= truth <= each.always.high for each in effects]) >= 0.98


def daily_looks(rng: np.random.Generator, *, n_days: int = 28, n_a_day: int = 90) -> tuple[bool, bool, bool]:
    """Return whether a fixed interval, the always-valid one, and its lower end alone ever left 0 out, day after day."""
    whole = shoppers(rng, n_days * n_a_day, 0.0)
    is_treated = rng.random(len(whole.outcome)) < 0.5
    found = np.zeros(3, dtype=bool)
    for day in range(3, n_days + 1):
        seen = np.arange(len(is_treated)) < day * n_a_day
        arms = [Sample(whole.outcome[mask], whole.covariates[mask]) for mask in (seen & is_treated, seen & ~is_treated)]
        look = effect(arms[0], arms[1], planned=n_days * n_a_day)
        is_fixed_shown = look.adjusted.low > 0 or look.adjusted.high < 0
        found |= [is_fixed_shown, look.is_shown, look.always.low > 0]
    return bool(found[0]), bool(found[1]), bool(found[2])


def test_of_200_experiments_without_effect_that_are_looked_at_daily_at_most_5_in_100_are_called_a_win() -> None:
    rng = np.random.default_rng(20180102)
    fixed, shown, wins = np.mean([daily_looks(rng) for _ in range(200)], axis=0)
    assert wins <= 0.05
    assert shown <= 0.05
    assert fixed > 0.1  # what looking early does to an interval that is made for one look
