"""The one door to implicit: nearest items by what lies in the same row, and alternating least squares.

What implicit 0.7 does without a word, and what is made of it here (each has a test):

- similarities are computed in float64 only, and an item is its own nearest neighbour, taking one of the K places: one
  more is asked for and the item itself is dropped;
- a transposed matrix goes unnoticed: the number of items is given beside the matrix and checked;
- `recommend` and `similar_items` return more than asked for, or pad with id −1 or empty float ids: neither is called,
  the similarity matrix and the factors are read instead;
- indices of 64 bits are refused, as is a `csr_array` by some calls: both are converted;
- COO input is converted with a warning: everything is made CSR first; nothing is ever pickled or saved by implicit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import ItemItemRecommender, bm25_weight
from threadpoolctl import threadpool_limits

from training.errors import TrainingError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FactorConfig:
    """Settings of the factorisation; `confidence` is what a 1 in the matrix weighs against a 0."""

    n_factors: int = 8
    regularization: float = 10.0
    confidence: float = 2.0
    n_iterations: int = 8
    n_threads: int = 2
    seed: int = 20171009


@dataclass(frozen=True)
class PairwiseConfig:
    """Settings of Bayesian personalised ranking; one thread, as more of them race and no run is like another."""

    n_factors: int = 32
    learning_rate: float = 0.05
    regularization: float = 0.01
    n_iterations: int = 100
    seed: int = 20171009


@dataclass(frozen=True)
class Factors:
    """Row factors ``(n_rows, n_factors)`` and item factors ``(n_items, n_factors)``: their products are the scores."""

    rows: FloatArray
    items: FloatArray

    def scores(self) -> FloatArray:
        """Return every row's score of every item, shape ``(n_rows, n_items)``; about 1 where the matrix has a 1."""
        return np.asarray(self.rows @ self.items.T, dtype=np.float64)


def nearest_items(matrix: sp.csr_array, n_items: int, *, k: int, n_threads: int = 2) -> sp.csr_array:
    """Return for each item its `k` best others by Σ over rows of the product of their entries, ``(n_items, n_items)``.

    Parameters
    ----------
    matrix
        ``(n_rows, n_items)``, weights of any sign; items are the columns.

    Raises
    ------
    TrainingError
        When the columns are not `n_items` many: a transposed matrix would give neighbours of the wrong things.
    """
    _check_columns(matrix, n_items)
    if matrix.nnz == 0 or n_items == 0:
        return sp.csr_array((n_items, n_items), dtype=np.float64)
    model = ItemItemRecommender(K=k + 1, num_threads=n_threads)
    model.fit(_for_implicit(matrix, np.float64), show_progress=False)
    found = sp.csr_array(model.similarity)
    rows = np.repeat(np.arange(n_items), np.diff(found.indptr))
    is_other = rows != found.indices
    others = sp.csr_array((found.data[is_other], (rows[is_other], found.indices[is_other])), shape=found.shape)
    return _without_last(others, k)


def bm25_weights(matrix: sp.csr_array, *, k1: float, b: float) -> sp.csr_array:
    """Return the matrix ``(n_rows, n_items)`` weighted by BM25: items are the documents, rows the words.

    entry · (k1 + 1) ÷ (k1 · length + entry) · ln(n_items ÷ (1 + items of the row)), where
    length = 1 − b + b · (the item's sum ÷ the items' mean sum)
    """
    weighted = bm25_weight(sp.csr_matrix(matrix.T), K1=k1, B=b)
    return sp.csr_array(sp.csr_array(weighted).T)


def factorise(matrix: sp.csr_array, n_items: int, config: FactorConfig) -> Factors:
    """Return factors of a matrix ``(n_rows, n_items)``, at least 0; the same input and seed give the same factors.

    An entry says how surely the row has the item, as a multiple of the config's `confidence`.

    Raises
    ------
    TrainingError
        When the columns are not `n_items` many.
    """
    _check_columns(matrix, n_items)
    n_factors = max(1, min(config.n_factors, n_items - 1))
    if matrix.nnz == 0:
        return Factors(np.zeros((matrix.shape[0], n_factors)), np.zeros((n_items, n_factors)))
    with threadpool_limits(limits=1, user_api="blas"):  # implicit has its own threads, and warns of more
        model = AlternatingLeastSquares(
            factors=n_factors,
            regularization=config.regularization,
            alpha=config.confidence,
            iterations=config.n_iterations,
            num_threads=config.n_threads,
            random_state=config.seed,
        )
        model.fit(_for_implicit(matrix, np.float32), show_progress=False)
    return Factors(model.user_factors.astype(np.float64), model.item_factors.astype(np.float64))


def factorise_pairwise(matrix: sp.csr_array, n_items: int, config: PairwiseConfig) -> Factors:
    """Return factors that put what a row has before what it does not (BPR), one more than asked for.

    The last factor of items is their bias, that of rows is 1. The same input and seed give the same factors.

    Raises
    ------
    TrainingError
        When the columns are not `n_items` many.
    """
    _check_columns(matrix, n_items)
    if matrix.nnz == 0:
        return Factors(np.zeros((matrix.shape[0], 2)), np.zeros((n_items, 2)))
    model = BayesianPersonalizedRanking(
        factors=config.n_factors,
        learning_rate=config.learning_rate,
        regularization=config.regularization,
        iterations=config.n_iterations,
        num_threads=1,
        random_state=config.seed,
    )
    model.fit(_for_implicit(matrix, np.float32), show_progress=False)
    return Factors(model.user_factors.astype(np.float64), model.item_factors.astype(np.float64))


def _for_implicit(matrix: sp.csr_array, dtype: type[np.floating]) -> sp.csr_matrix:
    found = sp.csr_matrix(matrix, dtype=dtype)
    found.indices, found.indptr = found.indices.astype(np.int32), found.indptr.astype(np.int32)
    return found


def _without_last(similarity: sp.csr_array, k: int) -> sp.csr_array:
    """Return the matrix without the lowest entry of each row that has more than `k`: an item that wasn't its own."""
    for row in np.flatnonzero(np.diff(similarity.indptr) > k):
        held = slice(similarity.indptr[row], similarity.indptr[row + 1])
        similarity.data[held.start + int(np.argmin(similarity.data[held]))] = 0.0
    similarity.eliminate_zeros()
    return similarity


def _check_columns(matrix: sp.csr_array, n_items: int) -> None:
    if matrix.shape[1] != n_items:
        raise TrainingError(
            f"the matrix is {matrix.shape[0]} × {matrix.shape[1]}, but there are {n_items} items: "
            "items must be its columns"
        )
