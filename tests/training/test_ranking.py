from __future__ import annotations

import numpy as np

from training.ranking import Label, Queries, Ranked


def test_a_row_has_both_means_and_their_difference() -> None:
    queries = Queries(np.array([1.0, 0.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0, 0.0]), np.array([1, 1, 2, 3]))
    row = queries.row(Label("m", "t", "hit", "b", is_primary=True))
    assert (row.ours, row.baseline_value, row.gain) == (3 / 4, 1 / 4, 1 / 2)
    assert row.gain_low <= row.gain <= row.gain_high
    assert row.is_primary


def test_queries_without_a_number_are_left_out() -> None:
    queries = Queries(np.array([1.0, np.nan]), np.array([0.0, 0.0]), np.array([1, 2]))
    assert queries.row(Label("m", "t", "hit", "b")).ours == 1.0


def test_ranking_metrics_are_as_defined() -> None:
    ranked = Ranked(np.array([[True, False, True], [False, True, False]]), np.array([4, 1]))
    assert ranked.precision_at_1().tolist() == [1, 0]
    assert ranked.recall().tolist() == [2 / 4, 1]
    best = 1 + 1 / np.log2(3) + 1 / 2
    assert np.allclose(ranked.ndcg(), [(1 + 1 / 2) / best, 1 / np.log2(3)])


def test_recall_of_nothing_is_not_a_number() -> None:
    assert np.isnan(Ranked(np.array([[False]]), np.array([0])).recall()).all()
