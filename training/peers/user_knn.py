"""User-KNN: what those have who are most like a customer (Resnick et al., CSCW 1994, on what was bought).

Alike is the cosine of two rows, drawn to 0 by `shrink` where they have little in common; before it every item is
weighted by its rarity, (share of rows with it) to the power −`popularity_power`. A score is the sum over the nearest
rows of their likeness, to the power `sharpness`, × what they have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from training.errors import ConfigError
from training.topk import top_of_each

FloatArray = npt.NDArray[np.float64]

_DENSE_ITEMS = 2_000  # up to so many items a dense product is the faster one, by ten times where rows hold a quarter
_AT_ONCE = 1_000  # rows whose likeness to all others is held at a time


@dataclass(frozen=True)
class UserKnnConfig:
    """Settings: how many neighbours, and what makes rows alike (see the module)."""

    n_neighbours: int = 200
    shrink: float = 10.0
    popularity_power: float = 0.25
    sharpness: float = 1.0

    def __post_init__(self) -> None:
        """Refuse settings that have no meaning."""
        if self.n_neighbours < 1 or self.shrink < 0 or self.sharpness < 0:
            raise ConfigError("user_knn: there is at least one neighbour; shrink and sharpness are at least 0")


@dataclass(frozen=True)
class UserKnnScorer:
    """An `ItemScorer` that knows the rows that it looks for neighbours among."""

    matrix: sp.csr_array
    rarity: FloatArray
    config: UserKnnConfig

    def scores(self, rows: sp.csr_array) -> FloatArray:
        """Return the likeness-weighted sum of the nearest rows, ``(n, n_items)``.

        A row that is itself among the known ones is its own nearest: that says nothing of what it does not have.
        """
        known = _weighted(self.matrix, self.rarity)
        tables = [
            self._of_block(sp.csr_array(rows[start : start + _AT_ONCE]), known)
            for start in range(0, rows.shape[0], _AT_ONCE)
        ]
        return np.concatenate(tables) if tables else np.zeros((0, rows.shape[1]))

    def _of_block(self, rows: sp.csr_array, known: sp.csr_array) -> FloatArray:
        asked = _weighted(rows, self.rarity)
        products = _products(asked, known)
        alike = products / (np.outer(_lengths(asked), _lengths(known)) + self.config.shrink + np.finfo(float).tiny)
        who = np.repeat(np.arange(rows.shape[0]), known.shape[0])
        best = top_of_each(who, alike.ravel(), self.config.n_neighbours)
        best = best[alike.ravel()[best] > 0]
        weight = alike.ravel()[best] ** self.config.sharpness
        nearest = sp.csr_array((weight, np.divmod(best, max(known.shape[0], 1))), shape=alike.shape)
        return np.asarray((nearest @ self.matrix).todense(), dtype=np.float64)


def fit(matrix: sp.csr_array, config: UserKnnConfig) -> UserKnnScorer:
    """Return the scorer of a matrix ``(n_rows, n_items)``; all the work is in scoring: n_rows² · items a row."""
    n_holders = np.bincount(matrix.indices, minlength=matrix.shape[1])
    share = np.maximum(n_holders, 1.0) / max(matrix.shape[0], 1)
    return UserKnnScorer(matrix, np.asarray(share**-config.popularity_power, dtype=np.float64), config)


def _products(one: sp.csr_array, other: sp.csr_array) -> FloatArray:
    """Return the products of all rows of the one with all of the other, ``(n_one, n_other)``."""
    if one.shape[1] <= _DENSE_ITEMS:
        return np.asarray(one.toarray() @ other.toarray().T, dtype=np.float64)
    return np.asarray((one @ other.T).toarray(), dtype=np.float64)


def _weighted(matrix: sp.csr_array, rarity: FloatArray) -> sp.csr_array:
    return sp.csr_array(matrix @ sp.diags_array(rarity))


def _lengths(matrix: sp.csr_array) -> FloatArray:
    return np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1), dtype=np.float64)).ravel()
