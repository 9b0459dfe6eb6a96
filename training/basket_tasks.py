"""Also bought, judged on later baskets: from one product to the rest, and from the rest to one product.

Definitions, over baskets with at least two products that were sold before the cutoff:

- *one to rest*: one random product of the basket is the query; recall@10 is the share of its other products among
  the first ten answers. *Beyond the best sellers* is the same without the shop's 100 most popular products in the
  truth (over baskets that still have any).
- *rest to one*: all products but a random one are the query, whose neighbours' scores are added up; hit@10 is whether
  the one left out is among the first ten, MRR the mean of 1 ÷ its place (0 when it is not found).
- *top-10 share*: how many of the answers to *one to rest* are the shop's ten most popular products; *coverage*: the
  share of products sold that are in any first ten.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from training.baskets import Baskets, entries_at
from training.topk import place_in_run, top_of_each

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

K = 10
BEST_SELLERS = 100
_BLOCK_BASKETS = 2000


@dataclass(frozen=True)
class Tasks:
    """Test baskets and what was popular before them; `query` and `held_out` are a product of each, drawn by `seed`."""

    baskets: Baskets
    popularity: FloatArray
    query: IntArray
    held_out: IntArray

    @classmethod
    def draw(cls, later: Baskets, popularity: FloatArray, *, n: int, seed: int) -> Tasks:
        """Return tasks over at most `n` later baskets, of which only products with `popularity` above 0 count."""
        rng = np.random.default_rng(seed)
        known = sp.csr_array(later.matrix @ sp.diags_array((popularity > 0).astype(np.float64)))
        known.eliminate_zeros()
        known.sort_indices()
        usable = np.flatnonzero(np.diff(known.indptr) >= 2)
        chosen = np.sort(rng.choice(usable, min(n, len(usable)), replace=False))
        baskets = Baskets(sp.csr_array(known[chosen]), later.customers[chosen])
        query, held_out = (_one_of_each(baskets.matrix, rng) for _ in range(2))
        return cls(baskets, popularity, query, held_out)

    def __len__(self) -> int:
        """Return the number of baskets."""
        return len(self.query)

    def popular(self, k: int) -> IntArray:
        """Return the `k` most popular products, best first."""
        return np.argsort(-self.popularity, kind="stable")[:k].astype(np.int64)

    def from_one(self, answers: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return recall@10 of each basket, and the same beyond the best sellers (NaN where nothing is left).

        `answers` are product rows by basket, ``(n_baskets, 10)``, −1 where there is none.
        """
        matrix = self.baskets.matrix
        is_best = np.zeros(matrix.shape[1], dtype=np.bool_)
        is_best[self.popular(BEST_SELLERS)] = True
        row = np.repeat(np.arange(len(self)), answers.shape[1])
        flat = np.maximum(answers.ravel(), 0)
        is_query = flat == np.repeat(self.query, answers.shape[1])
        is_hit = (answers.ravel() >= 0) & (entries_at(matrix, row, flat) > 0) & ~is_query
        hits = np.bincount(row, weights=is_hit, minlength=len(self))
        rarer = np.bincount(row, weights=is_hit & ~is_best[flat], minlength=len(self))
        n_rarer = np.asarray(matrix @ (~is_best).astype(np.float64)) - ~is_best[self.query]
        beyond = np.divide(rarer, n_rarer, out=np.full(len(self), np.nan), where=n_rarer > 0)
        return hits / (self.baskets.sizes - 1), beyond

    def popular_from_one(self) -> IntArray:
        """Return each basket's ten best sellers without its query, ``(n_baskets, 10)``, −1 where too few sold."""
        best = self.popular(K + 1)
        best = np.where(self.popularity[best] > 0, best, -1)
        table = np.tile(np.pad(best, (0, K + 1 - len(best)), constant_values=-1), (len(self), 1))
        return _left(table, table != self.query[:, None])

    def neighbours_of_one(self, scores: sp.csr_array) -> IntArray:
        """Return the ten best neighbours of each query, ``(n_baskets, 10)``, −1 where there are fewer."""
        return best_rows(sp.csr_array(scores[self.query]), K)

    def places(self, scores: sp.csr_array) -> FloatArray:
        """Return the place (from 1) of the product left out when the others' scores are added; inf if not found."""
        found = np.full(len(self), np.inf)
        for start in range(0, len(self), _BLOCK_BASKETS):
            rows = slice(start, start + _BLOCK_BASKETS)
            held = self.held_out[rows]
            n = len(held)
            mark = sp.csr_array((np.ones(n), (np.arange(n), held)), shape=(n, scores.shape[0]))
            rest = sp.csr_array(self.baskets.matrix[rows] - mark)
            total = sp.csr_array(rest @ scores)
            total = sp.csr_array(total - total.multiply(rest))
            wanted = entries_at(total, np.arange(n), held)
            row = np.repeat(np.arange(n), np.diff(total.indptr))
            better = np.bincount(row, weights=total.data > wanted[row], minlength=n)
            found[rows] = np.where(wanted > 0, better + 1, np.inf)
        return found

    def popular_places(self) -> FloatArray:
        """Return the place of the product left out among the best sellers that are not in the rest of the basket."""
        rank = np.empty(len(self.popularity))
        rank[np.argsort(-self.popularity, kind="stable")] = np.arange(len(rank))
        matrix = self.baskets.matrix
        row = np.repeat(np.arange(len(self)), np.diff(matrix.indptr))
        ahead = rank[matrix.indices] < rank[self.held_out][row]
        return rank[self.held_out] + 1 - np.bincount(row, weights=ahead, minlength=len(self))


def best_rows(scores: sp.csr_array, k: int) -> IntArray:
    """Return the columns of the `k` best entries of each row, best first, ``(n_rows, k)``, −1 where there are fewer."""
    table = np.full((scores.shape[0], k), -1, dtype=np.int64)
    rows = np.repeat(np.arange(scores.shape[0]), np.diff(scores.indptr))
    chosen = top_of_each(rows, scores.data, k)
    table[rows[chosen], place_in_run(rows[chosen])] = scores.indices[chosen]
    return table


def _left(table: npt.NDArray[np.integer], keep: npt.NDArray[np.bool_]) -> IntArray:
    """Return the first ten entries of each row that are kept; each row loses one at most."""
    order = np.argsort(~keep, axis=1, kind="stable")[:, :K]
    return np.take_along_axis(table, order, axis=1).astype(np.int64)


def _one_of_each(matrix: sp.csr_array, rng: np.random.Generator) -> IntArray:
    sizes = np.diff(matrix.indptr)
    place = matrix.indptr[:-1] + (rng.random(len(sizes)) * sizes).astype(np.int64)
    return np.asarray(matrix.indices[place], dtype=np.int64)
