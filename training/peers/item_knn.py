"""Item-KNN: items are alike when the same rows (baskets, customers) have them.

Two classic weightings of the matrix's products:

- cosine with shrinkage (Sarwar et al., WWW 2001; shrinkage as Bell and Koren, KDD 2007, have it):
  similarity = x_i · x_j ÷ (‖x_i‖ ‖x_j‖ + shrink), so that what few rows have is trusted less;
- BM25 (Robertson and Walker, SIGIR 1994) over items as documents and rows as words, which is implicit's: `b` says how
  far an item's popularity is divided out, and a row that has much weighs less.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from training.errors import ConfigError
from training.item_to_item import bm25_weights, nearest_items
from training.peers.item_scorer import FloatArray, SimilarItems, similar_pairs


@dataclass(frozen=True)
class CosineConfig:
    """Settings of the cosine.

    A row weighs (its entries)^−`size_power`: what lies in a large basket says less of each pair. `shrink` counts in
    weighted rows with both, where the matrix is 0 or 1.
    """

    shrink: float = 20.0
    size_power: float = 0.0
    n_neighbours: int = 200

    def __post_init__(self) -> None:
        """Refuse settings that have no meaning."""
        if min(self.shrink, self.size_power) < 0 or self.n_neighbours < 1:
            raise ConfigError("item_knn: shrink and size_power are at least 0, and there is at least one neighbour")


@dataclass(frozen=True)
class Bm25Config:
    """Settings of BM25: `k1` above 0 dampens repeats, `b` from 0 to 1 popularity."""

    k1: float = 1.2
    b: float = 0.1
    n_neighbours: int = 200

    def __post_init__(self) -> None:
        """Refuse settings that have no meaning."""
        if self.k1 <= 0 or not 0 <= self.b <= 1 or self.n_neighbours < 1:
            raise ConfigError("item_knn: k1 is above 0, b from 0 to 1, and there is at least one neighbour")


def fit_cosine(matrix: sp.csr_array, config: CosineConfig) -> SimilarItems:
    """Return the scorer of a matrix ``(n_rows, n_items)``; cost: about the sum of squared row sizes."""
    if config.size_power:
        row_weights = np.maximum(np.diff(matrix.indptr), 1.0) ** (-config.size_power / 2)
        matrix = sp.csr_array(sp.diags_array(row_weights) @ matrix)
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=0), dtype=np.float64).ravel())

    def score(pairs: sp.coo_array) -> FloatArray:
        return np.asarray(pairs.data / (lengths[pairs.row] * lengths[pairs.col] + config.shrink), dtype=np.float64)

    return SimilarItems(similar_pairs(matrix, score, config.n_neighbours))


def fit_bm25(matrix: sp.csr_array, config: Bm25Config) -> SimilarItems:
    """Return the scorer of a matrix ``(n_rows, n_items)`` with entries of at least 0, by implicit."""
    if matrix.nnz == 0:
        return SimilarItems(sp.csr_array((matrix.shape[1], matrix.shape[1]), dtype=np.float64))
    weighted = bm25_weights(matrix, k1=config.k1, b=config.b)
    return SimilarItems(nearest_items(weighted, matrix.shape[1], k=config.n_neighbours))
