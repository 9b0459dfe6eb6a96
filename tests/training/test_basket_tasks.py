from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from training.basket_tasks import K, Tasks, best_rows
from training.baskets import Baskets


def tasks(contents: list[list[int]], popularity: list[float], query: list[int], held_out: list[int]) -> Tasks:
    matrix = np.zeros((len(contents), len(popularity)))
    for row, products in enumerate(contents):
        matrix[row, products] = 1
    baskets = Baskets(sp.csr_array(matrix), np.arange(len(contents)))
    return Tasks(baskets, np.array(popularity), np.array(query), np.array(held_out))


def padded(*answers: int) -> list[int]:
    return [*answers, *[-1] * (K - len(answers))]


def test_recall_is_the_share_of_the_rest_that_was_answered() -> None:
    drawn = tasks([[0, 1, 2]], [5, 4, 3, 2], [0], [1])
    recall, _ = drawn.from_one(np.array([padded(1, 3)]))
    assert recall.tolist() == [1 / 2]


def test_an_answer_that_repeats_the_query_is_no_hit() -> None:
    drawn = tasks([[0, 1]], [5, 4], [0], [1])
    assert drawn.from_one(np.array([padded(0)]))[0].tolist() == [0]


def test_beyond_the_best_sellers_only_the_rest_counts() -> None:
    popularity = [1000.0 - i for i in range(102)]
    drawn = tasks([[0, 5, 101], [0, 5]], popularity, [0, 0], [5, 5])
    _, beyond = drawn.from_one(np.array([padded(5, 101), padded(5)]))
    assert beyond[0] == 1
    assert np.isnan(beyond[1])


def test_popularity_answers_with_the_best_sellers_but_the_query() -> None:
    drawn = tasks([[1, 2]], [float(20 - i) for i in range(15)], [1], [2])
    assert drawn.popular_from_one().tolist() == [[0, 2, 3, 4, 5, 6, 7, 8, 9, 10]]


def test_the_place_counts_what_scores_higher_and_is_not_in_the_basket() -> None:
    scores = sp.csr_array(np.array([[0, 9, 3, 2], [0, 0, 1, 4], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=float))
    drawn = tasks([[0, 1, 2]], [1, 1, 1, 1], [0], [2])
    assert drawn.places(scores).tolist() == [2]  # product 3 has 2 + 4, product 2 has 3 + 1
    assert np.isinf(tasks([[2, 3]], [1, 1, 1, 1], [2], [3]).places(scores)).all()


def test_popular_places_leave_out_what_is_in_the_basket() -> None:
    drawn = tasks([[0, 2]], [9, 8, 7], [0], [2])
    assert drawn.popular_places().tolist() == [2]


def test_baskets_need_two_products_that_were_sold_before() -> None:
    later = Baskets(sp.csr_array(np.array([[1.0, 1, 0], [1, 0, 1], [0, 0, 1]])), np.array([4, 5, 6]))
    drawn = Tasks.draw(later, np.array([3.0, 2.0, 0.0]), n=10, seed=1)
    assert drawn.baskets.customers.tolist() == [4]
    assert {int(drawn.query[0]), int(drawn.held_out[0])} <= {0, 1}


def test_the_same_seed_draws_the_same_tasks() -> None:
    later = Baskets(sp.csr_array(np.ones((40, 5))), np.arange(40))
    first, again = (Tasks.draw(later, np.ones(5), n=10, seed=7) for _ in range(2))
    assert first.query.tolist() == again.query.tolist()
    assert len(first) == 10


def test_rows_with_few_entries_are_filled_with_minus_one() -> None:
    table = best_rows(sp.csr_array(np.array([[0, 2.0, 3.0], [0, 0, 0]])), 3)
    assert table.tolist() == [[2, 1, -1], [-1, -1, -1]]
    assert table.dtype == np.int64 or pytest.fail("rows must be integers")
