"""The additive logistic model: it finds what is planted, survives thin data, and comes back from JSON."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from training.logistic import LogisticConfig, LogisticModel, base_rate, fit_logistic


def planted(n: int = 2000) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"recency_days": rng.integers(0, 60, n), "noise": rng.normal(size=n), "fixed": 1.0})
    p = np.where(frame["recency_days"] > 30, 0.8, 0.1)
    return frame, (rng.random(n) < p).astype(float)


def test_planted_step_is_found_and_probabilities_follow_it() -> None:
    frame, y = planted()
    model = fit_logistic(frame, y, ["recency_days", "noise", "fixed"])
    low, high = model.predict(pd.DataFrame({"recency_days": [10, 55], "noise": 0.0, "fixed": 1.0}))
    assert low < 0.2 < 0.7 < high
    assert next(iter(model.importance)) == "recency_days"


def test_a_column_that_never_varies_is_left_out() -> None:
    frame, y = planted()
    assert "fixed" not in fit_logistic(frame, y, ["recency_days", "fixed"]).columns


@pytest.mark.parametrize("y", [[0] * 20, [1] * 20, []])
def test_one_class_or_nothing_gives_a_base_rate_inside_zero_and_one(y: list[int]) -> None:
    frame = pd.DataFrame({"recency_days": np.arange(len(y), dtype=float)})
    p = fit_logistic(frame, y, ["recency_days"]).predict(pd.DataFrame({"recency_days": [1.0]}))
    assert 0 < p[0] < 1


def test_missing_values_get_their_own_effect() -> None:
    rng = np.random.default_rng(2)
    known = rng.random(2000) < 0.5
    frame = pd.DataFrame({"gap_days": np.where(known, rng.random(2000), np.nan)})
    model = fit_logistic(frame, (~known & (rng.random(2000) < 0.9)).astype(float), ["gap_days"])
    assert model.predict(pd.DataFrame({"gap_days": [np.nan, 0.5]})) == pytest.approx([0.9, 0.0], abs=0.05)


def test_it_comes_back_from_json_to_the_last_bit() -> None:
    frame, y = planted(300)
    model = fit_logistic(frame, y, ["recency_days", "noise"], LogisticConfig(n_knots=2))
    again = LogisticModel.from_json(model.to_json())
    assert again == model
    assert (again.predict(frame) == model.predict(frame)).all()


def test_base_rate_adds_half_an_event_to_each_side() -> None:
    assert base_rate([1, 1, 1]).predict(pd.DataFrame(index=[0]))[0] == pytest.approx(3.5 / 4)
