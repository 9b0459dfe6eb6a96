"""Linear spend: least squares and least absolute errors, rates over the time that a customer was known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from training.errors import ConfigError
from training.peers.linear_spend import LinearModel, LinearSpendConfig, fit, with_rates

CONFIG = LinearSpendConfig()


def test_a_line_by_mean_is_least_squares_with_nothing_for_what_is_missing() -> None:
    frame = pd.DataFrame({"spend_4w": [0.0, 1.0, 2.0, np.nan]})
    line = fit(frame, [1.0, 3.0, 5.0, 1.0], ["spend_4w"], "mean", CONFIG)
    assert (line.intercept, *line.weights) == pytest.approx((1.0, 2.0))
    assert LinearModel(1.0, ("spend_4w",), (2.0,)).predict(frame).tolist() == [1, 3, 5, 1]


def test_a_line_by_median_goes_by_most_of_them_whatever_one_spends() -> None:
    spent = np.arange(40.0)
    labels = 2.0 * spent + 3.0
    labels[-1] = 100_000.0
    line = fit(pd.DataFrame({"spend_4w": spent}), labels, ["spend_4w"], "median", CONFIG)
    assert line.predict(pd.DataFrame({"spend_4w": [10.0]}))[0] == pytest.approx(23.0, rel=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_no_other_line_of_a_grid_has_smaller_absolute_errors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 100, 60), rng.uniform(0, 300, 60)
    line = fit(pd.DataFrame({"spend_4w": x}), y, ["spend_4w"], "median", CONFIG)
    ours = np.abs(line.predict(pd.DataFrame({"spend_4w": x})) - y).sum()
    grid = [np.abs(a + b * x - y).sum() for a in np.linspace(0, 300, 61) for b in np.linspace(-3, 3, 61)]
    assert ours <= min(grid) * 1.01


def test_a_rate_is_spend_over_the_days_that_a_customer_was_known_two_weeks_at_least() -> None:
    frame = pd.DataFrame(
        {"tenure_days": [3, 100, 300], "spend": [28.0, 100.0, 600.0], "spend_12w": [28.0, 84.0, 168.0]}
    ).assign(spend_26w=[28.0, 100.0, 364.0])
    rates = with_rates(frame)
    assert rates["spend_rate"].tolist() == [2.0, 1.0, 2.0]
    assert rates["spend_rate_12w"].tolist() == [2.0, 1.0, 2.0]
    assert rates["spend_rate_26w"].tolist() == [2.0, 1.0, 2.0]


def test_a_ridge_draws_the_line_by_mean_to_level_as_its_equation_says() -> None:
    rng = np.random.default_rng(1)
    spent, labels = rng.uniform(0, 100, 50), rng.uniform(0, 300, 50)
    line = fit(pd.DataFrame({"spend_4w": spent}), labels, ["spend_4w"], "mean", LinearSpendConfig(mean_ridge=7.0))
    standardised = (spent - spent.mean()) / spent.std()
    weight = standardised @ (labels - labels.mean()) / (standardised @ standardised + 7.0)
    assert line.weights[0] == pytest.approx(weight / spent.std())


def test_a_strong_penalty_leaves_the_line_by_median_level() -> None:
    spent = np.arange(41.0)
    config = LinearSpendConfig(median_penalty=1_000.0)
    line = fit(pd.DataFrame({"spend_4w": spent}), 2.0 * spent, ["spend_4w"], "median", config)
    assert (line.intercept, *line.weights) == pytest.approx((40.0, 0.0))


@pytest.mark.parametrize("broken", [{"max_rows": 0}, {"median_penalty": -1.0}, {"mean_ridge": -1.0}])
def test_settings_without_meaning_are_refused(broken: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="linear_spend"):
        LinearSpendConfig(**broken)
