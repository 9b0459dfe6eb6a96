"""Factors of rows and items: ALS and BPR, both by implicit (through its one door, training/item_to_item.py).

- ALS (Hu, Koren and Volinsky, ICDM 2008): what is there counts `confidence` times what is not. A row is scored by the
  factors that solve its own equation, so that rows that were not learned from are scored like those that were.
- BPR (Rendle et al., UAI 2009): an item that a row has should stand before one that it does not. It knows a row only
  by what it learned for it; a row with other items than any that it learned from is scored by the items' biases.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from training.item_to_item import FactorConfig, PairwiseConfig, factorise, factorise_pairwise

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AlsConfig:
    """Settings of ALS."""

    factors: FactorConfig = field(default_factory=FactorConfig)


@dataclass(frozen=True)
class BprConfig:
    """Settings of BPR."""

    factors: PairwiseConfig = field(default_factory=PairwiseConfig)


@dataclass(frozen=True)
class AlsScorer:
    """An `ItemScorer` by item factors ``(n_items, n_factors)``."""

    items: FloatArray
    config: FactorConfig

    def scores(self, rows: sp.csr_array) -> FloatArray:
        """Return the products of each row's factors and each item's, ``(n, n_items)``."""
        return np.asarray(self.folded_in(rows) @ self.items.T, dtype=np.float64)

    def folded_in(self, rows: sp.csr_array) -> FloatArray:
        """Return the factors of rows, ``(n, n_factors)``: the minimum of Hu et al.'s equation 3 in x.

        (YᵀY + Yᵀ(C − I)Y + regularization · I) x = YᵀCp, where C is `confidence` × the entry where there is one and 1
        elsewhere, and p is 1 where there is one. A row without entries has zeros.
        """
        items = self.items
        plain = items.T @ items + self.config.regularization * np.eye(items.shape[1])
        found = np.zeros((rows.shape[0], items.shape[1]))
        for i in range(rows.shape[0]):
            held = slice(rows.indptr[i], rows.indptr[i + 1])
            own, confidence = items[rows.indices[held]], self.config.confidence * rows.data[held]
            if len(own):
                found[i] = np.linalg.solve(plain + (own * (confidence - 1.0)[:, None]).T @ own, own.T @ confidence)
        return found


@dataclass(frozen=True)
class BprScorer:
    """An `ItemScorer` of the rows that it learned from: their factors, and those of items with a bias beside them."""

    rows: FloatArray
    items: FloatArray
    biases: FloatArray
    places: dict[bytes, int]

    def scores(self, rows: sp.csr_array) -> FloatArray:
        """Return the products of each row's factors and each item's, plus the item's bias, ``(n, n_items)``."""
        place = np.array([self.places.get(key, -1) for key in _keys(rows)], dtype=np.int64)
        factors = np.vstack([self.rows, np.zeros((1, self.items.shape[1]))])
        return np.asarray(factors[place] @ self.items.T + self.biases, dtype=np.float64)


def fit_als(matrix: sp.csr_array, config: AlsConfig) -> AlsScorer:
    """Return the scorer of a matrix ``(n_rows, n_items)`` with entries of at least 0."""
    return AlsScorer(factorise(matrix, matrix.shape[1], config.factors).items, config.factors)


def fit_bpr(matrix: sp.csr_array, config: BprConfig) -> BprScorer:
    """Return the scorer of a matrix ``(n_rows, n_items)``; of its entries only whether they are there counts."""
    found = factorise_pairwise(matrix, matrix.shape[1], config.factors)
    places = {key: row for row, key in enumerate(_keys(matrix))}
    return BprScorer(found.rows[:, :-1], found.items[:, :-1], found.items[:, -1], places)


def _keys(rows: sp.csr_array) -> list[bytes]:
    """Return what each row holds, as bytes."""
    ordered = sp.csr_array(rows, copy=True)
    ordered.sort_indices()
    indices = ordered.indices.astype(np.int64)
    return [indices[low:high].tobytes() for low, high in zip(ordered.indptr[:-1], ordered.indptr[1:], strict=True)]
