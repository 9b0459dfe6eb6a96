"""RP3beta: three steps of a random walk over rows and items, with the popular divided out.

The method of Paudel, Christoffel, Newell and Bernstein (ACM TiiS 7(1), 2017): from an item to a row that has it, and on
to an item of that row, each step's chance to the power alpha; the sum over rows ÷ the other item's popularity^beta.

    similarity = Σ over rows (x_ri ÷ Σ_r x_ri)^alpha · (x_rj ÷ Σ_j x_rj)^alpha ÷ (Σ_r x_rj)^beta
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from training.errors import ConfigError
from training.peers.item_scorer import FloatArray, SimilarItems, similar_pairs


@dataclass(frozen=True)
class Rp3BetaConfig:
    """Settings of RP3beta; `beta` 0 leaves popularity as it is."""

    alpha: float = 0.7
    beta: float = 0.2
    n_neighbours: int = 200

    def __post_init__(self) -> None:
        """Refuse settings that have no meaning."""
        if self.alpha < 0 or self.beta < 0 or self.n_neighbours < 1:
            raise ConfigError("rp3beta: alpha and beta are at least 0, and there is at least one neighbour")


def fit(matrix: sp.csr_array, config: Rp3BetaConfig) -> SimilarItems:
    """Return the scorer of a matrix ``(n_rows, n_items)`` with entries of at least 0."""
    popularity = np.asarray(matrix.sum(axis=0), dtype=np.float64).ravel()
    of_row = np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()
    to_row, to_item = matrix.copy(), matrix.copy()
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    to_row.data = _share(matrix.data, popularity[matrix.indices]) ** config.alpha
    to_item.data = _share(matrix.data, of_row[rows]) ** config.alpha
    damping = np.maximum(popularity, np.finfo(np.float64).tiny) ** -config.beta

    def score(pairs: sp.coo_array) -> FloatArray:
        return np.asarray(pairs.data * damping[pairs.col], dtype=np.float64)

    return SimilarItems(similar_pairs(to_row, score, config.n_neighbours, to_item))


def _share(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)
