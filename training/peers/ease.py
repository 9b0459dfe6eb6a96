"""EASE: every item's column as a ridge regression on all others, in closed form (Steck, WWW 2019).

Equation 8 there: with P = (XᵀX + ridge · I)⁻¹ the weight from item i to item j is −P_ij ÷ P_jj, and 0 from an item to
itself. It has one setting and no randomness.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.linalg import lapack

from training.errors import ConfigError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class EaseConfig:
    """The ridge, in rows of the matrix: the larger, the more a score follows what is bought together at large."""

    ridge: float = 600.0

    def __post_init__(self) -> None:
        """Refuse a ridge under which the regression has no unique answer."""
        if self.ridge <= 0:
            raise ConfigError(f"ease: the ridge must be above 0, found {self.ridge}")


@dataclass(frozen=True)
class EaseScorer:
    """An `ItemScorer` with the weights ``(n_items, n_items)`` from what is held to what is scored."""

    weights: FloatArray

    def scores(self, rows: sp.csr_array) -> FloatArray:
        """Return Σ over the items of a row of its entry × the weight to each item, ``(n, n_items)``."""
        return np.asarray(rows @ self.weights, dtype=np.float64)


def fit(matrix: sp.csr_array, config: EaseConfig) -> EaseScorer:
    """Return the scorer of a matrix ``(n_rows, n_items)``; cost: n_items³."""
    return EaseScorer(ease_weights(matrix, config.ridge))


def ease_weights(owned: sp.csr_array, ridge: float) -> FloatArray:
    """Return the item × item weights, ``(n_items, n_items)``, with a diagonal of 0."""
    gram = np.asarray((owned.T @ owned).todense(), dtype=np.float64)
    gram[np.diag_indices_from(gram)] += ridge
    inverse = _inverse(gram) if len(gram) else gram
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return np.asarray(weights, dtype=np.float64)


def _inverse(gram: FloatArray) -> FloatArray:
    """Return the inverse of a positive definite matrix, by Cholesky: half the work of the general way."""
    factor, _ = lapack.dpotrf(gram, lower=1)
    inverse, _ = lapack.dpotri(factor, lower=1)
    lower = np.tril(inverse)
    return np.asarray(lower + np.tril(lower, -1).T, dtype=np.float64)
