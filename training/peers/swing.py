"""Swing: two items are alike when pairs of rows share them and little else.

The method of Yang, Zhu, Wei, Xu and Zhang (arXiv 2010.05525, 2020):

    similarity = Σ over pairs of rows u, v that have both i and j: w_u · w_v ÷ (alpha + items that u and v share),
    w_u = (items of u)^−size_power, with a size_power of a half

An item of many rows has very many pairs of them: at most `max_rows` of its rows are looked at, spread evenly over them
in their order, and its sums are scaled by (pairs that there are) ÷ (pairs that were looked at). The paper looks at all;
few rows cost quality (recall@10 on Complete Journey's baskets of summer: .0825 with 200, .0849 with 600, .0856 with
2,000).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from training.errors import ConfigError
from training.peers.item_scorer import FloatArray, SimilarItems
from training.topk import place_in_run, run_starts, top_of_each

IntArray = npt.NDArray[np.int64]

_BLOCK_PAIRS = 1_000_000  # pairs of rows looked at, at once (or one item's)


@dataclass(frozen=True)
class SwingConfig:
    """Settings of Swing: `alpha` is in items, added to what two rows share."""

    alpha: float = 1.0
    size_power: float = 0.5
    max_rows: int = 400
    n_neighbours: int = 200

    def __post_init__(self) -> None:
        """Refuse settings that have no meaning."""
        if self.alpha < 0 or self.size_power < 0 or min(self.max_rows - 1, self.n_neighbours) < 1:
            raise ConfigError("swing: alpha and size_power are at least 0, max_rows at least 2, n_neighbours 1")


def fit(matrix: sp.csr_array, config: SwingConfig) -> SimilarItems:
    """Return the scorer of a matrix ``(n_rows, n_items)``, whose entries count as 1.

    Cost: for each item about (rows looked at)² × items a row.
    """
    held = sp.csr_array((np.ones(matrix.nnz), matrix.indices, matrix.indptr), shape=matrix.shape)
    by_item = sp.csr_array(held.T)
    weights = np.maximum(np.diff(held.indptr), 1.0) ** -config.size_power
    rows, columns, found = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
    for looked in _blocks(by_item, config.max_rows):
        one, other, scores = _swings(looked, held, weights, config.alpha)
        kept = top_of_each(one, scores, config.n_neighbours)
        kept = kept[scores[kept] > 0]
        rows.append(one[kept])
        columns.append(other[kept])
        found.append(scores[kept])
    entries = (np.concatenate(found), (np.concatenate(rows), np.concatenate(columns)))
    return SimilarItems(sp.csr_array(entries, shape=(matrix.shape[1], matrix.shape[1])))


@dataclass(frozen=True)
class _Looked:
    """Rows that are looked at for some items: parallel `items` and `rows`, and the `scale` of each item's sums."""

    items: IntArray
    rows: IntArray
    scale: FloatArray


def _blocks(by_item: sp.csr_array, max_rows: int) -> Iterator[_Looked]:
    """Yield the items with two rows or more, some at a time."""
    n_rows = np.diff(by_item.indptr)
    items = np.flatnonzero(n_rows > 1)
    n_looked = np.minimum(n_rows[items], max_rows)
    block = np.cumsum(n_looked.astype(np.float64) ** 2) // _BLOCK_PAIRS
    for low, high in pairwise([*run_starts(block.astype(np.int64)).tolist(), len(items)]):
        chosen, n = items[low:high], n_looked[low:high]
        held = np.repeat(n_rows[chosen], n)
        place = place_in_run(np.repeat(chosen, n)) * held // np.repeat(n, n)
        rows = by_item.indices[np.repeat(by_item.indptr[chosen], n) + place].astype(np.int64)
        there = n_rows[chosen].astype(np.float64)
        yield _Looked(np.repeat(chosen, n), rows, np.repeat(there * (there - 1) / (n * (n - 1.0)), n))


def _swings(
    looked: _Looked, held: sp.csr_array, weights: FloatArray, alpha: float
) -> tuple[IntArray, IntArray, FloatArray]:
    """Return item, other item and similarity of all pairs of a block, by item and other."""
    n_items = held.shape[1]
    lying = sp.csr_array(held[looked.rows])
    row = np.repeat(np.arange(len(looked.rows)), np.diff(lying.indptr))
    is_other = lying.indices != looked.items[row]  # all share the item itself: of pairs that share no more none counts
    # an item of one item's row is another thing than the same item of another's: only rows of one item share any
    key = looked.items[row[is_other]] * n_items + lying.indices[is_other]
    cells, column = np.unique(key, return_inverse=True)
    table = sp.csr_array((lying.data[is_other], (row[is_other], column)), shape=(len(looked.rows), len(cells)))
    shared = sp.csr_array(table @ table.T).tocoo()
    pair = np.where(shared.row == shared.col, 0.0, weights[looked.rows[shared.row]] * weights[looked.rows[shared.col]])
    swing = sp.csr_array((pair / (alpha + 1.0 + shared.data), (shared.row, shared.col)), shape=shared.shape)
    met = sp.csr_array((swing @ table).multiply(table))
    scores = 0.5 * np.asarray((sp.diags_array(looked.scale) @ met).sum(axis=0), dtype=np.float64).ravel()
    one, other = np.divmod(cells, n_items)
    return one, other, scores
