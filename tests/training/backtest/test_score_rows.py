"""What tasks about scores share: chances become metrics, and who is told nothing counts for no ranker."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from training.backtest.observation import OURS
from training.backtest.score_rows import BINS, chance_observations
from training.examples import Examples


def rows_of(labels: list[float]) -> Examples:
    n = len(labels)
    return Examples(pd.DataFrame({"recency_days": range(n)}), np.array(labels), np.arange(n, dtype=np.int64))


def test_chances_become_what_tells_what_misses_and_what_can_be_believed() -> None:
    chances = {OURS: np.array([0.9, 0.2, 0.1]), "peer": np.array([0.5, 0.5, 0.5])}
    found = {each.metric: each for each in chance_observations("t", chances, rows_of([1.0, 0.0, 0.0]))}
    assert set(found) == {"ROC AUC", "ECE", "expected ÷ observed", "Brier"}
    assert found["Brier"].values[OURS].tolist() == pytest.approx([0.01, 0.04, 0.01])
    assert found["Brier"].values["peer"].tolist() == [0.25] * 3
    assert [found[name].higher_is_better for name in ("ROC AUC", "ECE", "Brier")] == [True, False, False]
    assert found["ECE"].bins == BINS


def test_who_is_told_nothing_counts_for_no_ranker() -> None:
    chances = {OURS: np.array([np.nan, 0.2, 0.1]), "peer": np.array([0.5, 0.4, 0.3])}
    for each in chance_observations("t", chances, rows_of([1.0, 0.0, 1.0]), losses=["log-loss"]):
        assert each.customers.tolist() == [1, 2]
        assert all(len(values) == 2 for values in each.values.values())


def test_other_statistics_are_asked_for_by_name() -> None:
    chances = {OURS: np.array([0.2, 0.1])}
    found = chance_observations("t", chances, rows_of([1.0, 0.0]), statistics=[("PR AUC", "pr_auc")], losses=())
    assert (found[0].metric, found[0].statistic) == ("PR AUC", "pr_auc")
