"""A customer's factors from a few weighted products, by the bundle's item factors: one step of least squares.

Hu, Koren, Volinsky 2008: with Y the item factors, c_i the confidence in product i and λ the regularisation, the
customer's factors x solve (YᵀY + Σ (c_i − 1)·y_i·y_iᵀ + λI)·x = Σ c_i·y_i. That is what implicit's `recalculate_user`
computes (tests/training/test_product_factors.py holds the two together).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from serving.bundle_format import BundleArrays
from serving.numbers import Numbers

FloatArray = npt.NDArray[np.float64]

_LEAST = 1e-6


class Likely(NamedTuple):
    """A product, its chance within 7 days, and what the weights have added to its log odds."""

    product: int
    chance: float
    added: float


class FoldIn:
    """The item factors of an open bundle; ranks the products that are popular, so that its cost has a bound."""

    def __init__(self, bundle: BundleArrays, numbers: Numbers) -> None:
        """Take the candidates from the popular products: those that may be recommended."""
        self._items = bundle.factors.item
        ridge = numbers.fold_in["regularization"] * np.eye(self._items.shape[1])
        self._gram: FloatArray = np.asarray(bundle.factors.gram, dtype=np.float64) + ridge
        self._confidence = numbers.fold_in["confidence"]
        self._strength = numbers.fold_in["strength"]
        self._candidates = np.asarray(bundle.popular.product)
        self._candidate_items = np.ascontiguousarray(self._items[self._candidates])
        chances = np.clip(bundle.products.p7[self._candidates].astype(np.float64), _LEAST, 1.0 - _LEAST)
        self._candidate_log_odds = np.log(chances / (1.0 - chances))

    def vector(self, weights: Mapping[int, float]) -> FloatArray:
        """Return the factors of one who has shown the weights (above 0) for products, by row."""
        rows = np.fromiter(weights, dtype=np.int64, count=len(weights))
        confidence = self._confidence * np.fromiter(weights.values(), dtype=np.float64, count=len(weights))
        chosen = self._items[rows].astype(np.float64)
        system = self._gram + (chosen.T * (confidence - 1.0)) @ chosen
        found: FloatArray = np.asarray(np.linalg.solve(system, confidence @ chosen), dtype=np.float64)
        return found

    def log_odds(self, weights: Mapping[int, float], products: Sequence[int]) -> list[float]:
        """Return what the weights add to everybody's log odds of products: 0 where nothing is known.

        It is the product's score (about 1 would be certain) times the strength that was found to rank best.
        """
        if not weights:
            return [0.0] * len(products)
        found: list[float] = (self._items[list(products)] @ self._scaled(weights)).tolist()
        return found

    def likely(self, weights: Mapping[int, float], k: int) -> list[Likely]:
        """Return the `k` candidates of the highest chances with these weights, best first; nothing without weights.

        Ties go to the more popular. Where the weights say nothing of a candidate, it has everybody's chance.
        """
        if not weights:
            return []
        added = self._candidate_items @ self._scaled(weights)
        log_odds = self._candidate_log_odds + added
        best = np.argsort(-log_odds, kind="stable")[:k]
        chances = 1.0 / (1.0 + np.exp(-log_odds[best]))
        rows = zip(self._candidates[best].tolist(), chances.tolist(), added[best].tolist(), strict=True)
        return [Likely(*each) for each in rows]

    def _scaled(self, weights: Mapping[int, float]) -> npt.NDArray[np.float32]:
        return (self._strength * self.vector(weights)).astype(np.float32)
