from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from features.build import FeatureStore
from tests.features.tiny import at, line, write_tables
from training.baskets import baskets_of, binary_matrix, entries_at, known_lines
from training.history import History


def lines(rows: list[tuple[int, int, int]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["order_row", "customer_row", "product_row"])


def test_a_product_counts_once_a_basket() -> None:
    baskets = baskets_of(lines([(5, 1, 0), (5, 1, 0), (5, 1, 2), (9, 4, 2)]), 3)
    assert baskets.matrix.toarray().tolist() == [[1, 0, 1], [0, 0, 1]]
    assert baskets.sizes.tolist() == [2, 1]
    assert baskets.popularity.tolist() == [1, 0, 2]
    assert baskets.customers.tolist() == [1, 4]


def test_a_customer_has_what_was_in_any_of_their_baskets() -> None:
    baskets = baskets_of(lines([(1, 7, 0), (2, 7, 1), (3, 8, 1)]), 2)
    assert baskets.by_customer().toarray().tolist() == [[1, 1], [0, 1]]


def test_some_baskets_can_be_left_out() -> None:
    baskets = baskets_of(lines([(1, 7, 0), (2, 7, 1), (3, 8, 1)]), 2).only(np.array([True, False, True]))
    assert baskets.matrix.toarray().tolist() == [[1, 0], [0, 1]]
    assert baskets.customers.tolist() == [7, 8]


def test_no_lines_give_no_baskets() -> None:
    baskets = baskets_of(lines([]), 2)
    assert baskets.matrix.shape == (0, 2)
    assert baskets.by_customer().shape == (0, 2)


def test_entries_are_zero_where_there_is_none() -> None:
    matrix = sp.csr_array(np.array([[0.0, 2.0], [3.0, 0.0]]))
    assert entries_at(matrix, np.array([0, 0, 1]), np.array([0, 1, 0])).tolist() == [0, 2, 3]
    assert entries_at(sp.csr_array((2, 2)), np.array([1]), np.array([1])).tolist() == [0]


def test_a_pair_given_twice_is_still_one() -> None:
    assert binary_matrix([0, 0], [1, 1], (1, 2)).toarray().tolist() == [[0, 1]]


def test_known_lines_end_where_the_history_does(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "t", [line(0, 0), line(1, 3), line(2, 9)])
    history = History(FeatureStore(tables, tmp_path / "f"), at(5))
    assert sorted(known_lines(history)["line_key"]) == [0, 1]
