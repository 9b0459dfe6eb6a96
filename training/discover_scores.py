"""What those buy who buy alike, of the best sellers: EASE and factors over products, for the discoveries.

Of products only the best sellers are looked at: EASE's cost is their number cubed, and of what sells little nobody
knows who likes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from training.item_to_item import FactorConfig, Factors, factorise
from training.peers.ease import ease_weights

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

EASE, RANK_EASE, FACTORS = "score_ease", "rank_of_score_ease", "score_factors"


@dataclass(frozen=True)
class SellerConfig:
    """How many best sellers are scored, EASE's ridge in customers, and the factors."""

    n_products: int = 2_000
    ridge: float = 1_000.0
    factors: FactorConfig = field(default_factory=lambda: FactorConfig(n_factors=16))


@dataclass(frozen=True)
class Sellers:
    """Scores of the best sellers for customers who are rows of `recent` ``(n_customers, n_products)``.

    `columns` are the best sellers among the products, `place` is where each product stands among them (−1: it is none).
    """

    recent: sp.csr_array
    columns: IntArray
    place: IntArray
    weights: FloatArray
    factors: Factors

    @classmethod
    def of(cls, recent: sp.csr_array, config: SellerConfig) -> Sellers:
        """Return what is learned from who bought what lately, 0 or 1."""
        buyers = np.bincount(recent.indices, minlength=recent.shape[1])
        columns = np.sort(np.argsort(-buyers, kind="stable")[: config.n_products])
        held = sp.csr_array(recent[:, columns])
        place = np.full(recent.shape[1], -1, dtype=np.int64)
        place[columns] = np.arange(len(columns))
        return cls(
            recent=held,
            columns=columns,
            place=place,
            weights=ease_weights(held, config.ridge),
            factors=factorise(held, len(columns), config.factors),
        )

    def ease(self, who: IntArray) -> FloatArray:
        """Return EASE's scores of the customers at the places `who`, ``(n, n_sellers)``; −inf for what they bought."""
        held = sp.csr_array(self.recent[who])
        scores = np.asarray(held @ self.weights, dtype=np.float64)
        return np.where(np.asarray(held.todense()) > 0, -np.inf, scores)

    def at(self, who: IntArray, local: IntArray, products: IntArray) -> dict[str, FloatArray]:
        """Return each score of pairs, by name: customers at `who[local]` and products; NaN for no best seller."""
        place = self.place[products]
        seller, is_seller = np.maximum(place, 0), place >= 0
        if len(self.columns) == 0 or len(place) == 0:
            return {name: np.full(len(place), np.nan) for name in (EASE, RANK_EASE, FACTORS)}
        scores = self.ease(who)
        factors = np.einsum("ij,ij->i", self.factors.rows[who[local]], self.factors.items[seller])
        found = {EASE: scores[local, seller], RANK_EASE: _ranks(scores)[local, seller], FACTORS: factors}
        return {name: np.where(is_seller & np.isfinite(values), values, np.nan) for name, values in found.items()}


def _ranks(scores: FloatArray) -> FloatArray:
    """Return the rank of each entry in its row, 1 is best; ties by column."""
    ranks = np.empty(scores.shape)
    order = np.argsort(-scores, axis=1, kind="stable")
    np.put_along_axis(ranks, order, np.arange(1.0, scores.shape[1] + 1)[None, :], axis=1)
    return ranks
