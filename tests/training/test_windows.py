from __future__ import annotations

import math

import numpy as np
import pytest

from serving.decisioning.completion import within_days
from training.windows import WindowPairs, fit_windows, population_shares


def week(n: int = 30_000) -> tuple[np.ndarray, np.ndarray]:
    """Chances, and days drawn so that two thirds of what happens does so on the first two days."""
    rng = np.random.default_rng(2)
    p7 = rng.beta(1, 6, n)
    day = np.where(rng.random(n) < 2 / 3, rng.integers(0, 2, n), rng.integers(2, 7, n)).astype(float)
    return p7, np.where(rng.random(n) < p7, day, np.nan)


def within(pairs: WindowPairs, chances: np.ndarray, days: int) -> np.ndarray:
    """What serving makes of them."""
    return np.array([within_days(p7, days, pairs) for p7 in chances.tolist()])


def test_expected_is_observed_within_every_window() -> None:
    p7, day = week()
    pairs = fit_windows(p7, day)
    for h in range(1, 8):
        assert within(pairs, p7, h).sum() == pytest.approx((np.nan_to_num(day, nan=9) < h).sum(), rel=0.08)


def test_seven_days_are_the_seven_day_chance() -> None:
    assert within_days(0.25, 7, fit_windows(*week())) == pytest.approx(0.25)


def test_a_longer_window_never_has_a_lower_chance() -> None:
    pairs = fit_windows(*week())
    for p7 in (1e-4, 0.02, 0.3, 0.95):
        chances = [within_days(p7, h, pairs) for h in range(1, 8)]
        assert chances == sorted(chances)


def test_without_rows_every_day_is_as_good_as_another() -> None:
    pairs = fit_windows([], [])
    assert pairs[0] == pytest.approx((math.log(1 / 7), 1.0))
    assert pairs[6] == (0.0, 1.0)


def test_population_shares_follow_the_days() -> None:
    shares = population_shares([0.0] * 6993 + [math.nan] * 5)
    assert shares[0] == pytest.approx((6993 + 1) / 7000)
    assert shares[6] == 1.0
