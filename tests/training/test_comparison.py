"""Comparisons: AUC by influence is the AUC, intervals are by customer, pooling keeps what all have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training import metrics
from training.comparison import (
    Contest,
    absolute_error,
    auc_parts,
    auc_rows,
    loss_rows,
    macro_auc_rows,
    probability_figures,
    squared_error,
)
from training.intervals import statistic_interval


def contest(n: int = 600, n_customers: int = 60) -> Contest:
    rng = np.random.default_rng(3)
    p = rng.random(n)
    y = (rng.random(n) < p).astype(float)
    return Contest("m", "t", p, {"coin": rng.random(n)}, y, rng.integers(0, n_customers, n))


def test_auc_parts_add_up_to_nothing_and_give_the_auc() -> None:
    at = contest()
    found = auc_parts(np.round(at.ours, 1), at.outcomes)
    assert found.value == pytest.approx(metrics.auc(np.round(at.ours, 1), at.outcomes))
    assert found.parts.sum() == pytest.approx(0.0, abs=1e-12)


def test_interval_of_auc_agrees_with_a_bootstrap_that_sorts_anew() -> None:
    at = contest()
    row = auc_rows(at, is_primary=True)[0]
    slow = statistic_interval(
        metrics.weighted_auc(at.ours, at.outcomes), at.customers, np.random.default_rng(1), draws=500
    )
    assert (row.low, row.high) == pytest.approx((slow.low, slow.high), abs=0.01)
    assert row.gain == pytest.approx(row.ours - row.baseline_value)


def test_an_auc_of_one_class_is_not_claimed() -> None:
    at = contest()
    assert auc_rows(replace(at, outcomes=np.ones(len(at))), is_primary=True) == []
    assert np.isnan(auc_parts(at.ours, np.zeros(len(at))).value)


def test_macro_auc_is_the_mean_of_the_groups_that_have_both_classes() -> None:
    at = Contest(
        "m",
        "t",
        np.array([0.1, 0.9, 0.9, 0.1, 0.5]),
        {"same": np.zeros(5)},
        np.array([0.0, 1.0, 0.0, 1.0, 1.0]),
        np.arange(5),
    )
    row = macro_auc_rows(at, np.array([0, 0, 1, 1, 2]))[0]  # 1 in the first group, 0 in the second, none in the third
    assert row.ours == pytest.approx((1 + 0) / 2)
    assert row.baseline_value == pytest.approx(1 / 2)


def test_a_smaller_loss_is_a_gain() -> None:
    at = Contest("m", "t", np.array([1.0, 3.0]), {"zero": np.zeros(2)}, np.array([1.0, 1.0]), np.array([0, 1]))
    row = loss_rows(at, "mae", absolute_error, is_primary=True)[0]
    assert (row.ours, row.baseline_value, row.gain) == ((0 + 2) / 2, (1 + 1) / 2, 0.0)
    assert not row.higher_is_better
    assert squared_error(at.ours, at.outcomes).tolist() == [0, 4]


def test_no_rows_give_no_losses_and_only_the_importance() -> None:
    empty = Contest("m", "t", np.zeros(0), {"zero": np.zeros(0)}, np.zeros(0), np.zeros(0, dtype=np.int64))
    assert loss_rows(empty, "mae", absolute_error, is_primary=True) == []
    assert set(probability_figures(empty, {"a": 1.0})) == {"importance.png"}


def test_pooling_keeps_the_baselines_that_all_have() -> None:
    at = contest(10)
    both = Contest.pooled([at, replace(at, baselines={**at.baselines, "other": at.ours})])
    assert len(both) == 20
    assert set(both.baselines) == {"coin"}
