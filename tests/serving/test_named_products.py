"""Lists name products by their place among those of a kind: what is named is found again."""

from __future__ import annotations

import numpy as np

from serving.bundle import Bundle
from serving.named_products import NamedProducts, best_products, places_among, usual_products
from tests.serving.tiny import HABITS, STRETCHES, Rows

KIND = np.array([1, 0, 1, 0, 2])  # of five products


def test_products_are_named_once_by_kind_and_row() -> None:
    named = NamedProducts.of(KIND, 4, [np.array([2, 3, 2]), np.array([[0, -1]])])
    assert named.offsets.tolist() == [0, 1, 3, 3, 3]
    assert named.product.tolist() == [3, 0, 2]
    assert named.rows(np.array([2, 3])).tolist() == [2, 0]
    assert named.places(np.array([[2, -1], [3, 0]])).tolist() == [[1, -1], [0, 0]]


def test_where_nothing_is_named_nothing_is_found() -> None:
    named = NamedProducts.of(np.zeros(0, dtype=np.int64), 0, [])
    assert named.offsets.tolist() == [0]
    assert named.places(np.zeros((0, 3), dtype=np.int64)).shape == (0, 3)


def test_who_has_no_list_has_no_place_in_it() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert places_among(np.array([0, 0]), none, np.array([0]), np.array([3])).tolist() == [0]
    assert places_among(np.array([0, 1]), np.array([3]), np.array([0, 0]), np.array([-1, 3])).tolist() == [0, 1]


def test_what_lists_named_is_read_back(tiny_bundle: Bundle) -> None:
    rows = Rows()
    anna = rows.customers.row_of("anna")
    at = [slice(*map(int, group.offsets[anna : anna + 2])) for group in (tiny_bundle.stretch, tiny_bundle.habit)]
    named = [[rows.product(each) for each in (*entry[2], "", "")[:3]] for entry in STRETCHES["anna"]]
    assert best_products(tiny_bundle, at[0]).tolist() == named
    usual = sorted(HABITS["anna"], key=lambda each: -each[2])
    assert usual_products(tiny_bundle, at[1]).tolist() == [rows.product(each[1]) for each in usual]
