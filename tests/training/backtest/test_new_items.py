from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features import columns as c
from training.backtest.new_items import Board, Lists, calibration, chances_of
from training.backtest.observation import OURS

CUSTOMERS, ITEMS = np.array([3, 5, 8]), np.array([10, 20, 30, 40])


def frame(rows: list[tuple[int, int]], item: str = c.CATEGORY_ROW) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[c.CUSTOMER_ROW, item], dtype=np.int64)


def board(owned: list[tuple[int, int]], bought: list[tuple[int, int, int]]) -> Board:
    after = pd.DataFrame(bought, columns=[c.CUSTOMER_ROW, c.CATEGORY_ROW, c.DAY_OFFSET], dtype=np.int64)
    return Board.of(CUSTOMERS, ITEMS, frame(owned), after)


def served(rows: list[tuple[int, int, int, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[c.CUSTOMER_ROW, c.CATEGORY_ROW, "rank", "probability"])


def test_a_purchase_counts_on_its_first_day_and_only_of_what_is_new() -> None:
    some = board([(3, 10)], [(3, 10, 0), (3, 20, 9), (3, 20, 2), (5, 10, 27), (9, 10, 1), (5, 99, 1)])
    assert some.n_true(7).tolist() == [1, 0, 0]
    assert some.n_true(28).tolist() == [1, 1, 0]
    days = some.days_of(np.array([[0, 1], [0, -1], [2, 3]]))
    assert days.tolist() == [[np.inf, 2.0], [27.0, np.inf], [np.inf, np.inf]]


def test_the_first_day_of_the_window_is_a_hit_and_the_day_after_it_is_none() -> None:
    some = board([], [(3, 10, 0), (5, 10, 7)])
    hits = some.ranked(np.array([[0], [0], [0]]), 7).is_hit[:, 0]
    assert hits.tolist() == [True, False, False]


def test_best_passes_over_what_is_owned_and_settles_ties_by_place() -> None:
    some = board([(3, 20), (8, 10), (8, 20), (8, 30), (8, 40)], [])
    scores = np.tile([1.0, 9.0, 1.0, 0.0], (3, 1))
    assert some.best(scores, k=3).tolist() == [[0, 2, 3], [1, 0, 2], [-1, -1, -1]]


def test_a_served_list_is_read_by_rank_without_what_it_may_not_hold() -> None:
    lists = served(
        [(3, 30, 2, 0.1), (3, 10, 1, 0.3), (3, 20, 3, 0.1), (5, 99, 1, 0.9), (5, 40, 2, 0.2), (7, 10, 1, 0.5)]
    )
    some = board([(3, 10)], [])
    assert some.served(lists, c.CATEGORY_ROW, k=2).tolist() == [[2, 1], [3, -1], [-1, -1]]


def test_the_chance_is_that_of_the_one_shown() -> None:
    lists = served([(3, 10, 1, 0.3), (3, 30, 2, 0.1), (5, 40, 1, 0.2)])
    chances = chances_of(board([(3, 10)], []), np.array([2, 3, -1]), lists, "probability")
    assert chances[:2].tolist() == [0.1, 0.2]
    assert np.isnan(chances[2])


def test_rankings_are_those_of_the_definition() -> None:
    some = board([], [(3, 10, 0), (3, 20, 1), (5, 40, 3)])
    lists = Lists(some, {OURS: np.array([[2, 0], [3, 0], [0, 1]]), "peer": np.array([[0, 1], [0, 1], [0, 1]])})
    precision = lists.observation("t", "precision@1", 28)
    recall = lists.observation("t", "recall@10", 28)
    ndcg = lists.observation("t", "nDCG@10", 28)
    assert precision.values[OURS].tolist() == [0.0, 1.0, 0.0]
    assert recall.values[OURS][:2].tolist() == [1 / 2, 1.0]
    assert ndcg.values["peer"][0] == 1.0
    assert ndcg.values[OURS][0] == pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)))
    assert np.isnan(recall.values[OURS][2])


def test_calibration_leaves_out_who_is_shown_nothing() -> None:
    some = board([], [(3, 10, 0)])
    rows = calibration("t", some, np.array([0, 1, -1]), np.array([0.6, 0.2, 0.9]), 7)
    assert [row.statistic for row in rows] == ["ece", "expected_over_observed", "brier_skill"]
    assert rows[0].values[OURS].tolist() == [0.6, 0.2]
    assert rows[0].outcomes is not None
    assert rows[0].outcomes.tolist() == [1.0, 0.0]


def test_nobody_and_nothing_are_no_reason_to_fail() -> None:
    none = Board.of(
        np.zeros(0, dtype=np.int64), ITEMS, frame([]), served([])[[c.CUSTOMER_ROW, c.CATEGORY_ROW]].assign(day_offset=0)
    )
    assert none.best(np.zeros((0, 4))).shape == (0, 10)
    bare = Board.of(CUSTOMERS, np.zeros(0, dtype=np.int64), frame([]), frame([]).assign(day_offset=0))
    assert bare.best(np.zeros((3, 0)), k=2).tolist() == [[-1, -1]] * 3
    assert bare.served(served([]), c.CATEGORY_ROW, k=1).tolist() == [[-1]] * 3
