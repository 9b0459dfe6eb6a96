"""What ranking peers over a matrix share: rows of what was bought in, a score of every item out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from training.topk import top_of_each

FloatArray = npt.NDArray[np.float64]

_BLOCK_ENTRIES = 10_000_000  # entries of a block of products of items, at most (or one item's): 120 MB


class ItemScorer(Protocol):
    """A fitted peer. What a row has already is the caller's to take out."""

    def scores(self, rows: sp.csr_array) -> FloatArray:
        """Return a score of every item for each row ``(n, n_items)`` of what was bought; higher is likelier."""


@dataclass(frozen=True)
class SimilarItems:
    """An `ItemScorer` that adds up the similarities of what a row has.

    `similar` is ``(n_items, n_items)``: row i has the best neighbours of item i, never i itself.
    """

    similar: sp.csr_array

    def scores(self, rows: sp.csr_array) -> FloatArray:
        """Return Σ over the items of a row of its entry × the item's similarity to each other, ``(n, n_items)``."""
        return np.asarray((rows @ self.similar).toarray(), dtype=np.float64)


def similar_pairs(
    matrix: sp.csr_array, score: Callable[[sp.coo_array], FloatArray], k: int, weighted: sp.csr_array | None = None
) -> sp.csr_array:
    """Return for each item (column) its `k` best others, ``(n_items, n_items)``; ties go to the lower column.

    `score` makes the scores of pairs from their products Σ over rows of entry × entry (row: the item, column: the
    other); those at 0 or below are left out. `weighted`, when given, stands for `matrix` on the side of the others.
    """
    others = matrix if weighted is None else weighted
    n = matrix.shape[1]
    rows, columns, found = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
    for start, products in _products(matrix, others):
        pairs = products.tocoo()
        one = pairs.row + start
        pairs = sp.coo_array((pairs.data, (one, pairs.col)), shape=(n, n))
        values = np.where(one == pairs.col, -np.inf, score(pairs))
        kept = top_of_each(one, values, k)
        kept = kept[values[kept] > 0]
        rows.append(one[kept])
        columns.append(pairs.col[kept])
        found.append(values[kept])
    entries = (np.concatenate(found), (np.concatenate(rows), np.concatenate(columns)))
    return sp.csr_array(entries, shape=(n, n))


def _products(matrix: sp.csr_array, others: sp.csr_array) -> Iterator[tuple[int, sp.csr_array]]:
    """Yield blocks of matrixᵀ · others with their first item; columns are sorted."""
    by_item = sp.csr_array(matrix.T)
    per_row = np.diff(others.indptr).astype(np.float64)
    is_held = sp.csr_array((np.ones(by_item.nnz), by_item.indices, by_item.indptr), shape=by_item.shape)
    work = np.concatenate([[0.0], np.cumsum(np.asarray(is_held @ per_row, dtype=np.float64))])
    start = 0
    while start < matrix.shape[1]:
        stop = max(start + 1, int(np.searchsorted(work, work[start] + _BLOCK_ENTRIES, side="right")) - 1)
        block = sp.csr_array(by_item[start:stop] @ others)
        block.sort_indices()
        yield start, block
        start = stop
