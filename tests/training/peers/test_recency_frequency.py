"""The recency-frequency logistic: who came lately and often comes again; without both outcomes the base rate."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from training.errors import ConfigError
from training.peers.recency_frequency import CUSTOMERS, RecencyFrequencyConfig, fit


def customers(n: int, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({name: rng.integers(0, 80, n).astype(float) for name in CUSTOMERS})


def test_who_came_lately_is_likelier_to_come_again() -> None:
    frame = customers(400)
    came = (frame["recency_days"] + np.random.default_rng(4).normal(0, 20, 400) < 40).astype(float)
    model = fit(frame, came, CUSTOMERS, RecencyFrequencyConfig())
    late = model.predict(frame.assign(recency_days=70.0))
    assert (model.predict(frame.assign(recency_days=2.0)) > late).all()


def test_without_one_of_the_outcomes_it_is_the_base_rate() -> None:
    model = fit(customers(20), np.zeros(20), CUSTOMERS, RecencyFrequencyConfig())
    assert model.predict(customers(2)).tolist() == pytest.approx([0.5 / 21, 0.5 / 21])


@pytest.mark.parametrize("penalty", [0.02, 5.0])
def test_its_weights_are_those_of_slow_steps_downhill(penalty: float) -> None:
    frame = customers(120, seed=6)
    came = (frame["recency_days"] + np.random.default_rng(7).normal(0, 30, 120) < 40).astype(float).to_numpy()
    logs = np.log1p(frame.to_numpy())
    design = (logs - logs.mean(axis=0)) / logs.std(axis=0)
    intercept, weights = 0.0, np.zeros(len(CUSTOMERS))
    for _ in range(4_000):  # the penalised likelihood of the definition, one small step after the other
        missed = came - 1.0 / (1.0 + np.exp(-intercept - design @ weights))
        intercept += 0.02 * missed.sum() / 2
        weights += 0.02 * (design.T @ missed - weights / penalty) / 2
    model = fit(frame, came, CUSTOMERS, RecencyFrequencyConfig(inverse_penalty=penalty))
    assert [term.weight for term in model.terms] == pytest.approx(weights.tolist(), abs=2e-3)


def test_a_line_may_bend() -> None:
    frame = customers(2_000)
    came = ((frame["recency_days"] > 20) & (frame["recency_days"] < 50)).astype(float)
    straight, bent = (
        fit(frame, came, ["recency_days"], RecencyFrequencyConfig(100.0, n_knots)).predict(frame) for n_knots in (0, 3)
    )
    assert np.corrcoef(bent, came)[0, 1] > np.corrcoef(straight, came)[0, 1] + 0.2


@pytest.mark.parametrize("broken", [{"inverse_penalty": 0.0}, {"n_knots": -1}])
def test_settings_without_meaning_are_refused(broken: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="recency_frequency"):
        RecencyFrequencyConfig(**broken)
