"""Statistics of weighted rows against slow and obvious ones: a customer drawn twice is there twice, row by row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from training import metrics
from training.backtest.observation import OURS, Observation, Statistic
from training.backtest.resampling import Customers, pooled, resampled, statistic_of

FloatArray = npt.NDArray[np.float64]
N_ROWS, N_CUSTOMERS = 200, 40


def rows_of(statistic: Statistic, seed: int = 3) -> Observation:
    """Probabilities with ties, outcomes that follow them, several rows a customer."""
    rng = np.random.default_rng(seed)
    values = np.round(rng.random(N_ROWS), 1)
    happened = (rng.random(N_ROWS) < values).astype(np.float64)
    outcomes = np.round(10 * rng.gamma(1.0, 1.0, N_ROWS) * (0.2 + values), 1) if statistic in _OF_AMOUNTS else happened
    customers = rng.integers(N_CUSTOMERS, size=N_ROWS)
    groups = rng.integers(4, size=N_ROWS)
    return Observation(
        "t", "m", {OURS: values}, customers, statistic=statistic, outcomes=outcomes, groups=groups, bins=5
    )


_OF_AMOUNTS = ("rmse", "spearman", "gini")


def slow_gini(scores: FloatArray, outcomes: FloatArray) -> float:
    """Area between the curve of gains and the diagonal, equal scores shared out evenly, over that of the best order."""

    def area(by: FloatArray) -> float:
        seen, gained, total = [0.0], [0.0], 0.0
        for value in sorted(set(by.tolist()), reverse=True):
            total += outcomes[by == value].sum()
            seen.append(seen[-1] + (by == value).mean())
            gained.append(total / outcomes.sum())
        return float(np.trapezoid(gained, seen)) - 0.5

    return area(scores) / area(outcomes)


def slow_macro(values: FloatArray, outcomes: FloatArray, groups: FloatArray) -> float:
    found = [roc_auc_score(outcomes[groups == g], values[groups == g]) for g in np.unique(groups)]
    return float(np.mean(found))


SLOW: dict[Statistic, Callable[[FloatArray, FloatArray, FloatArray], float]] = {
    "mean": lambda v, y, g: float(v.mean()),
    "rmse": lambda v, y, g: float(np.sqrt(((v - y) ** 2).mean())),
    "auc": lambda v, y, g: float(roc_auc_score(y, v)),
    "macro_auc": slow_macro,
    "pr_auc": lambda v, y, g: float(average_precision_score(y, v)),
    "spearman": lambda v, y, g: float(spearmanr(v, y).statistic),
    "gini": lambda v, y, g: slow_gini(v, y),
    "ece": lambda v, y, g: metrics.ece(v, y, bins=5),
    "brier_skill": lambda v, y, g: metrics.brier_skill(v, y),
    "expected_over_observed": lambda v, y, g: metrics.expected_over_observed(v, y),
}
FIRST_ORDER = ("auc", "macro_auc")
"""Moved by influence: right to first order."""


@pytest.mark.parametrize("statistic", SLOW)
def test_a_statistic_of_all_rows_is_the_obvious_one(statistic: Statistic) -> None:
    rows = rows_of(statistic)
    value = resampled(rows, draws=1)[0][OURS]
    assert rows.outcomes is not None
    assert rows.groups is not None
    assert value == pytest.approx(SLOW[statistic](rows.values[OURS], rows.outcomes, rows.groups.astype(float)))


@pytest.mark.parametrize("statistic", [each for each in SLOW if each != "ece"])
def test_a_customer_drawn_twice_counts_twice_with_all_rows(statistic: Statistic) -> None:
    rows = rows_of(statistic)
    customers = Customers.of(rows.customers)
    weights = next(customers.draws(1, np.random.default_rng(5)))
    fast = float(statistic_of(rows, OURS, customers)(weights)[0])
    drawn = np.repeat(np.arange(N_ROWS), weights[0][customers.of_row].astype(int))
    assert rows.outcomes is not None
    assert rows.groups is not None
    slow = SLOW[statistic](rows.values[OURS][drawn], rows.outcomes[drawn], rows.groups[drawn].astype(float))
    assert fast == pytest.approx(slow, abs=0.02 if statistic in FIRST_ORDER else 1e-9)


def test_the_bins_of_an_ece_stay_when_customers_are_drawn() -> None:
    """Two bins, one customer each: drawing one of them twice shows that one's own gap alone."""
    rows = Observation(
        "t",
        "ECE",
        {OURS: np.array([0.1, 0.9])},
        np.array([4, 9]),
        statistic="ece",
        outcomes=np.array([0.0, 0.0]),
        bins=2,
    )
    of_weights = statistic_of(rows, OURS, Customers.of(rows.customers))
    found = of_weights(np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]]))
    np.testing.assert_allclose(found, [(0.1 + 0.9) / 2, 0.1, 0.9])


def test_all_rankers_are_seen_under_the_same_draws() -> None:
    rows = rows_of("mean")
    twice = Observation("t", "m", {OURS: rows.values[OURS], "peer": rows.values[OURS] + 1.0}, rows.customers)
    _, drawn = resampled(twice, draws=20)
    np.testing.assert_allclose(drawn["peer"] - drawn[OURS], 1.0)


def test_rows_that_are_not_known_are_left_out_of_a_mean() -> None:
    rows = Observation("t", "m", {OURS: np.array([1.0, np.nan, 0.0])}, np.arange(3))
    assert resampled(rows, draws=1)[0][OURS] == 1 / 2


@pytest.mark.parametrize("statistic", SLOW)
def test_no_rows_or_one_class_give_no_number_and_no_error(statistic: Statistic) -> None:
    none = Observation(
        "t", "m", {OURS: np.zeros(0)}, np.zeros(0, dtype=np.int64), statistic=statistic, outcomes=np.zeros(0)
    )
    values, drawn = resampled(none, draws=3)
    assert np.isnan(values[OURS])
    assert len(drawn[OURS]) == 0
    single = Observation(
        "t",
        "m",
        {OURS: np.full(3, 0.5)},
        np.arange(3),
        statistic=statistic,
        outcomes=np.zeros(3),
        groups=np.zeros(3, int),
    )
    resampled(single, draws=3)


def test_a_peer_that_one_cutoff_lacks_has_no_rows_there() -> None:
    first = Observation("t", "m", {OURS: np.ones(2), "peer": np.zeros(2)}, np.arange(2))
    second = Observation("t", "m", {OURS: np.ones(1)}, np.arange(1))
    both = pooled([first, second])
    np.testing.assert_array_equal(both.values["peer"], [0.0, 0.0, np.nan])
    np.testing.assert_array_equal(both.customers, [0, 1, 0])


def test_only_shared_peers_stay_where_scores_are_pooled() -> None:
    first = rows_of("auc")
    second = Observation(
        "t",
        "m",
        {OURS: first.values[OURS], "peer": first.values[OURS]},
        first.customers,
        statistic="auc",
        outcomes=first.outcomes,
    )
    assert set(pooled([first, second]).values) == {OURS}
