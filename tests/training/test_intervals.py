from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t as student

from training import intervals, metrics


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_the_value_is_the_mean_over_rows_and_lies_inside() -> None:
    found = intervals.bootstrap_interval([1, 0, 0, 1, 1, 0], [1, 1, 2, 2, 3, 4], rng())
    assert found.value == pytest.approx(3 / 6)
    assert found.low <= found.value <= found.high


def test_rows_of_one_customer_are_drawn_together() -> None:
    values = np.tile([0.0, 1.0], 200)
    apart = intervals.bootstrap_interval(values, np.arange(400), rng())
    together = intervals.bootstrap_interval(values, np.arange(400) % 2, rng())
    assert together.low <= 0.0 < 1.0 <= together.high
    assert apart.high - apart.low < 0.15


def test_interval_width_is_that_of_the_standard_error() -> None:
    values = np.random.default_rng(3).normal(size=2500)
    found = intervals.bootstrap_interval(values, np.arange(2500), rng(), draws=2000)
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 50, rel=0.1)


def test_paired_interval_sees_a_difference_that_single_intervals_hide() -> None:
    theirs = np.random.default_rng(3).normal(size=300)
    found = intervals.paired_interval(theirs + 0.01, theirs, np.arange(300), rng())
    assert found.low == pytest.approx(0.01)
    assert found.high == pytest.approx(0.01)


def test_ratio_interval_is_a_ratio_of_sums() -> None:
    found = intervals.ratio_interval([1, 2], [2, 4], [0, 1], rng())
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_statistic_interval_resamples_customers() -> None:
    p, y = np.array([0.1, 0.9, 0.2, 0.8, 0.7, 0.3]), np.array([0, 1, 0, 1, 0, 1])
    found = intervals.statistic_interval(metrics.weighted_auc(p, y), [0, 0, 1, 1, 2, 2], rng())
    assert found.value == pytest.approx(metrics.auc(p, y))
    assert found.low <= found.value <= found.high


def test_the_same_seed_gives_the_same_interval() -> None:
    values, customers = np.arange(10.0), np.arange(10)
    first = intervals.bootstrap_interval(values, customers, rng())
    assert first == intervals.bootstrap_interval(values, customers, rng())


def test_few_customers_get_an_interval_that_holds_its_level() -> None:
    drawing, held = np.random.default_rng(5), 0
    for _ in range(400):
        found = intervals.bootstrap_interval(drawing.normal(size=6), np.arange(6), drawing, draws=200)
        held += found.low <= 0.0 <= found.high
    assert 0.92 <= held / 400 <= 0.99  # percentiles alone hold 0.86


def test_one_customer_gives_no_interval() -> None:
    found = intervals.bootstrap_interval([1.0, 3.0], [4, 4], rng())
    assert found.value == 2.0
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_no_rows_give_nan() -> None:
    assert math.isnan(intervals.bootstrap_interval([], [], rng()).value)
    assert math.isnan(intervals.statistic_interval(np.sum, [], rng()).low)


def test_the_linear_interval_of_a_mean_is_students_and_goes_by_customer() -> None:
    values = np.random.default_rng(1).normal(2.0, 1.0, 50)
    found = intervals.linear_interval(values, np.ones(50), np.arange(50))
    half = student.ppf(0.975, 49) * values.std(ddof=1) / np.sqrt(50)
    assert (found.value, found.high - found.value) == (pytest.approx(values.mean()), pytest.approx(half))
    # The same rows twice, of the same customers, say no more.
    twice = intervals.linear_interval(np.tile(values, 2), np.ones(100), np.tile(np.arange(50), 2))
    assert (twice.low, twice.high) == (pytest.approx(found.low), pytest.approx(found.high))


def test_the_linear_interval_agrees_with_resamples_of_a_ratio() -> None:
    drawing = np.random.default_rng(2)
    tops, bottoms = drawing.gamma(2.0, 1.0, 800), drawing.gamma(3.0, 1.0, 800)
    found, drawn = (
        intervals.linear_interval(tops, bottoms, np.arange(800)),
        intervals.ratio_interval(tops, bottoms, np.arange(800), drawing, draws=2000),
    )
    assert found.value == pytest.approx(drawn.value)
    assert (found.low, found.high) == pytest.approx((drawn.low, drawn.high), rel=0.01)
    assert np.isnan(intervals.linear_interval([1.0], [1.0], [3]).low)
