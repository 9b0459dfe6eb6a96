"""A customer's factors from a few weighted products, by the bundle's item factors: one step of least squares.

Hu, Koren, Volinsky 2008: with Y the item factors, c_i the confidence in product i and λ the regularisation, the
customer's factors x solve (YᵀY + Σ (c_i − 1)·y_i·y_iᵀ + λI)·x = Σ c_i·y_i. That is what implicit's `recalculate_user`
computes (tests/training/test_product_factors.py holds the two together).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from serving.bundle_format import BundleArrays
from serving.numbers import Numbers

FloatArray = npt.NDArray[np.float64]


class FoldIn:
    """The item factors of an open bundle; ranks the products that are popular, so that its cost has a bound."""

    def __init__(self, bundle: BundleArrays, numbers: Numbers) -> None:
        """Take the candidates from the popular products: those that may be recommended."""
        self._items = bundle.factors.item
        ridge = numbers.fold_in["regularization"] * np.eye(self._items.shape[1])
        self._gram: FloatArray = np.asarray(bundle.factors.gram, dtype=np.float64) + ridge
        self._confidence = numbers.fold_in["confidence"]
        self._strength = numbers.fold_in["strength"]
        candidates = np.asarray(bundle.popular.product)
        self._candidates = candidates[np.any(self._items[candidates] != 0.0, axis=1)]
        self._candidate_items = np.ascontiguousarray(self._items[self._candidates])

    def vector(self, weights: Mapping[int, float]) -> FloatArray:
        """Return the factors of one who has shown the weights (above 0) for products, by row."""
        rows = np.fromiter(weights, dtype=np.int64, count=len(weights))
        confidence = self._confidence * np.fromiter(weights.values(), dtype=np.float64, count=len(weights))
        chosen = self._items[rows].astype(np.float64)
        system = self._gram + (chosen.T * (confidence - 1.0)) @ chosen
        return np.linalg.solve(system, confidence @ chosen)

    def log_odds(self, weights: Mapping[int, float]) -> dict[int, float]:
        """Return what the weights say for each candidate, to be added to everybody's log odds; nothing without them.

        It is the candidate's score (about 1 would be certain) times the strength that was found to rank best.
        """
        if not weights or not len(self._candidates):
            return {}
        vector = self.vector(weights)
        if not vector.any():
            return {}
        found = self._candidate_items @ (self._strength * vector).astype(np.float32)
        return dict(zip(self._candidates.tolist(), found.tolist(), strict=True))
