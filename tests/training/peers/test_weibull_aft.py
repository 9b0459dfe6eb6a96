"""Weibull AFT: its likelihood and gradient against slow ones, its parameters found again, censored times and none."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import approx_fprime

from training.errors import ConfigError
from training.peers.weibull_aft import WeibullConfig, fit, loss


def slow_loss(
    at: list[float], design: list[list[float]], times: list[float], is_seen: list[bool], penalty: float
) -> float:
    """Minus the log-likelihood, customer by customer: the density of what was seen, the survival of what was not."""
    shape, total = math.exp(at[-1]), 0.0
    for row, time, seen in zip(design, times, is_seen, strict=True):
        scale = math.exp(sum(w * x for w, x in zip(at[:-1], row, strict=True)))
        survival = math.exp(-((time / scale) ** shape))
        density = shape / scale * (time / scale) ** (shape - 1) * survival
        total += math.log(density if seen else survival)
    return -(total - 0.5 * penalty * sum(w * w for w in at[1:-1])) / len(times)


@pytest.mark.parametrize("seed", range(3))
def test_loss_and_gradient_are_those_of_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    design = np.column_stack([np.ones(30), rng.normal(size=(30, 2))])
    times, seen = rng.uniform(0.1, 30, 30), rng.random(30) < 0.7
    at = rng.normal(0, 0.5, 4)
    value, gradient = loss(at, design, times, seen, 2.0)
    assert value == pytest.approx(slow_loss(list(at), design.tolist(), times.tolist(), seen.tolist(), 2.0))
    slow = approx_fprime(at, lambda x: loss(x, design, times, seen, 2.0)[0], 1e-7)
    assert gradient == pytest.approx(slow, rel=1e-4, abs=1e-5)


def test_it_finds_the_shape_and_the_scales_again_from_capped_times() -> None:
    rng = np.random.default_rng(8)
    often = pd.DataFrame({"recency_days": rng.integers(0, 2, 6000) * 9.0})  # on the logarithm: 0 or ln 10
    scale = np.where(often["recency_days"] > 0, 20.0, 5.0)
    days = scale * rng.weibull(1.4, 6000)
    model = fit(often, days, 28.0, ["recency_days"], WeibullConfig(penalty=0.0))
    assert model.shape == pytest.approx(1.4, rel=0.05)
    two = pd.DataFrame({"recency_days": [0.0, 9.0]})
    assert model.median(two) == pytest.approx(np.array([5.0, 20.0]) * math.log(2) ** (1 / 1.4), rel=0.05)
    assert model.survival(two, 10.0) == pytest.approx(np.exp(-((10.0 / np.array([5.0, 20.0])) ** 1.4)), abs=0.02)


def test_half_have_come_by_the_median() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"recency_days": rng.integers(0, 50, 200).astype(float)})
    model = fit(frame, rng.uniform(0, 40, 200), 28.0, ["recency_days"], WeibullConfig())
    median = model.median(frame)
    each = [model.survival(frame.iloc[[i]], float(median[i]))[0] for i in range(5)]
    assert each == pytest.approx([0.5] * 5)


@pytest.mark.parametrize("days", [[], [28.0, 28.0]])
def test_when_nobody_was_seen_to_come_the_median_is_the_cap(days: list[float]) -> None:
    frame = pd.DataFrame({"recency_days": [3.0] * len(days)})
    model = fit(frame, days, 28.0, ["recency_days"], WeibullConfig())
    assert model.median(pd.DataFrame({"recency_days": [1.0]})) == pytest.approx([28.0])


def test_settings_without_meaning_are_refused() -> None:
    with pytest.raises(ConfigError, match="penalty"):
        WeibullConfig(penalty=-1.0)
