from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from training import metrics

RANKED = pd.DataFrame({"who": [1, 1, 1, 2, 2], "what": [10, 11, 12, 10, 13], "rank": [1, 2, 3, 1, 2]})
TRUTH = pd.DataFrame({"who": [1, 1, 1, 3], "what": [11, 12, 12, 10]})


def test_ece_weights_bins_by_their_rows() -> None:
    p, y = [0.1, 0.1, 0.1, 0.9, 0.9], [0, 0, 1, 1, 1]
    # two bins: rows 0-1 (expected .2, observed 0) and rows 2-4 (expected 1.9, observed 3)
    assert metrics.ece(p, y, bins=2) == pytest.approx((0.2 + 1.1) / 5)


def test_ece_of_certain_truth_is_zero() -> None:
    assert metrics.ece([0, 1, 1], [0, 1, 1]) == 0


def test_ece_does_not_depend_on_the_order_of_different_probabilities() -> None:
    p, y = np.array([0.3, 0.1, 0.9]), np.array([1, 0, 1])
    assert metrics.ece(p, y, bins=2) == metrics.ece(p[::-1], y[::-1], bins=2)


def test_floor_holds_the_ece_of_a_perfect_model_and_not_of_a_wrong_one() -> None:
    rng = np.random.default_rng(1)
    p = rng.uniform(0.05, 0.4, 4000)
    floor = metrics.ece_floor(p, rng)
    perfect = metrics.ece(p, rng.random(4000) < p)
    wrong = metrics.ece(p, rng.random(4000) < p + 0.1)
    assert floor.mean < floor.p95 < wrong
    assert perfect < 1.5 * floor.p95


def test_floor_of_certainty_is_zero() -> None:
    assert metrics.ece_floor([0.0, 1.0], np.random.default_rng(0)) == metrics.EceFloor(0.0, 0.0)


def test_brier_skill_of_the_base_rate_is_zero_and_of_a_lie_negative() -> None:
    y = [1, 0, 0, 0]
    assert metrics.brier_skill([0.25] * 4, y) == pytest.approx(0)
    assert metrics.brier_skill([0, 1, 1, 1], y) < 0


def test_log_loss_is_the_mean_of_minus_log_of_what_happened() -> None:
    assert metrics.log_loss([0.5, 0.8], [1, 0]) == pytest.approx((math.log(2) - math.log(0.2)) / 2)


def test_log_loss_of_a_certain_mistake_is_finite() -> None:
    assert np.isfinite(metrics.log_loss([0.0], [1]))


def test_auc_counts_pairs_and_half_of_ties() -> None:
    assert metrics.auc([1, 2, 2, 3], [0, 1, 0, 1]) == pytest.approx((1 + 0.5 + 1 + 1) / 4)


def test_weighted_auc_equals_repeated_rows() -> None:
    p, y = np.array([0.1, 0.5, 0.5, 0.7, 0.2]), np.array([0, 1, 0, 1, 1])
    weights = np.array([1, 2, 3, 1, 2])
    repeated = np.repeat(np.arange(5), weights)
    assert metrics.weighted_auc(p, y)(weights.astype(float)) == pytest.approx(metrics.auc(p[repeated], y[repeated]))


def test_pr_auc_takes_equal_scores_as_one_step() -> None:
    assert metrics.pr_auc([0.5, 0.5, 0.1], [1, 0, 0]) == pytest.approx(1 / 2)


@pytest.mark.parametrize(
    "metric",
    [
        metrics.ece,
        metrics.brier,
        metrics.brier_skill,
        metrics.log_loss,
        metrics.auc,
        metrics.pr_auc,
        metrics.expected_over_observed,
    ],
)
def test_a_metric_of_nothing_is_nan(metric: object) -> None:
    assert math.isnan(metric([], []))  # type: ignore[operator]


@pytest.mark.parametrize("metric", [metrics.auc, metrics.brier_skill])
def test_a_metric_that_needs_both_classes_is_nan_with_one(metric: object) -> None:
    assert math.isnan(metric([0.2, 0.3], [1, 1]))  # type: ignore[operator]


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="parallel"):
        metrics.auc([0.1], [0, 1])


def test_recall_divides_by_what_is_true_and_counts_repeats_once() -> None:
    assert metrics.recall_at_k(RANKED, TRUTH, 2, query=["who"], item="what").to_dict() == {1: 1 / 2, 3: 0.0}


def test_ndcg_is_one_for_the_best_order_and_less_below() -> None:
    found = metrics.ndcg_at_k(RANKED, TRUTH, 3, query=["who"], item="what")
    best = 1 + 1 / math.log2(3)
    assert found[1] == pytest.approx((1 / math.log2(3) + 1 / math.log2(4)) / best)
    assert found[3] == 0


def test_precision_counts_unserved_queries_as_misses() -> None:
    queries = pd.DataFrame({"who": [3, 2, 1]})
    found = metrics.precision_at_k(RANKED, TRUTH, 2, queries=queries, item="what")
    assert found.to_dict() == {1: 1 / 2, 2: 0.0, 3: 0.0}


def test_ranks_start_again_for_each_query_and_ties_go_to_the_smaller_item() -> None:
    frame = pd.DataFrame({"who": [2, 1, 1, 1], "what": [5, 9, 8, 7], "score": [0.1, 0.4, 0.4, 0.6]})
    ranked = metrics.rank_within(frame, ["who"], "score", tie="what")
    assert ranked[["who", "what", "rank"]].to_numpy().tolist() == [[1, 7, 1], [1, 8, 2], [1, 9, 3], [2, 5, 1]]
