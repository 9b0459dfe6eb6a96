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


def test_a_penalty_is_needed() -> None:
    with pytest.raises(ConfigError, match="inverse_penalty"):
        RecencyFrequencyConfig(inverse_penalty=0.0)
