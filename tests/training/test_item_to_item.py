"""What implicit does without a word, each with the wrapper's answer to it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from implicit.nearest_neighbours import ItemItemRecommender

from training.errors import TrainingError
from training.item_to_item import FactorConfig, factorise, nearest_items


def matrix() -> sp.csr_array:
    """Three rows over four items; item 3 is in none."""
    return sp.csr_array(np.array([[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0]]))


def test_similarities_are_sums_of_products_over_rows() -> None:
    found = nearest_items(matrix(), 4, k=3).toarray()
    assert found.tolist() == [[0, 2, 1, 0], [2, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]


def test_an_item_is_its_own_neighbour_in_implicit_but_not_here() -> None:
    model = ItemItemRecommender(K=2, num_threads=1)
    model.fit(sp.csr_matrix(matrix()), show_progress=False)
    assert model.similarity.toarray()[0, 0] == 2  # it takes one of the two places
    found = nearest_items(matrix(), 4, k=2)
    assert found.diagonal().tolist() == [0, 0, 0, 0]
    assert np.diff(found.indptr).tolist() == [2, 2, 2, 0]


def test_an_item_that_is_not_its_own_nearest_still_gets_k_neighbours() -> None:
    weak = sp.csr_array(np.array([[0.1, 9.0, 8.0, 7.0]]))
    assert np.diff(nearest_items(weak, 4, k=2).indptr)[0] == 2
    assert nearest_items(weak, 4, k=2).toarray()[0].tolist() == pytest.approx([0, 0.9, 0.8, 0])


def test_implicit_needs_float64_and_32_bit_indices_and_gets_them() -> None:
    single = sp.csr_array(matrix().astype(np.float32))
    with pytest.raises(ValueError, match="Buffer dtype mismatch"):
        ItemItemRecommender(K=2, num_threads=1).fit(sp.csr_matrix(single), show_progress=False)
    wide = sp.csr_array(matrix())
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    for given in (single, wide):
        assert nearest_items(given, 4, k=3).toarray().tolist() == nearest_items(matrix(), 4, k=3).toarray().tolist()


def test_a_transposed_matrix_goes_unnoticed_in_implicit_but_not_here() -> None:
    ItemItemRecommender(K=2, num_threads=1).fit(sp.csr_matrix(matrix().T), show_progress=False)
    for call in (lambda m: nearest_items(m, 4, k=2), lambda m: factorise(m, 4, FactorConfig())):
        with pytest.raises(TrainingError, match="4 × 3, but there are 4 items"):
            call(sp.csr_array(matrix().T))


def test_coo_input_gives_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert nearest_items(sp.coo_array(matrix()), 4, k=2).nnz == 6
        assert factorise(sp.coo_array(matrix()), 4, FactorConfig(n_factors=2)).scores().shape == (3, 4)


def test_nothing_in_the_matrix_gives_no_neighbours_and_no_scores() -> None:
    empty = sp.csr_array((2, 3))
    assert nearest_items(empty, 3, k=2).nnz == 0
    assert factorise(empty, 3, FactorConfig()).scores().tolist() == [[0, 0, 0], [0, 0, 0]]
    assert nearest_items(sp.csr_array((0, 0)), 0, k=2).shape == (0, 0)


def two_tastes() -> sp.csr_array:
    rng = np.random.default_rng(3)
    likes = np.zeros((60, 10))
    likes[:30, :5], likes[30:, 5:] = rng.random((30, 5)) < 0.7, rng.random((30, 5)) < 0.7
    return sp.csr_array(likes)


def test_factors_find_the_taste_of_each_row() -> None:
    owned = two_tastes()
    scores = np.where(owned.toarray() > 0, np.nan, factorise(owned, 10, FactorConfig(n_factors=2)).scores())
    assert np.nanmean(scores[:30, :5]) > np.nanmean(scores[:30, 5:])
    assert np.nanmean(scores[30:, 5:]) > np.nanmean(scores[30:, :5])


def test_the_same_seed_gives_the_same_factors() -> None:
    first, again = (factorise(two_tastes(), 10, FactorConfig(n_factors=3, n_threads=1)) for _ in range(2))
    assert np.array_equal(first.items, again.items)


def test_there_are_never_more_factors_than_items() -> None:
    assert factorise(matrix(), 4, FactorConfig(n_factors=50)).items.shape == (4, 3)
