"""Scores of what is new to a customer by what others have who are like them: EASE, factors, nearest customers.

Everything works on matrices of customers × categories. What is new is scored from what a customer bought before, so a
score never knows what it is to predict. Each method sees the past its own way (`Past`): what was bought in 26 weeks, in
how many baskets, ever, or ever with the older fading. What was had once and lapsed counts for a customer, too: it comes
back more often than what was never had.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from training.item_to_item import FactorConfig, Factors, factorise
from training.peers import ease, user_knn
from training.peers.user_knn import UserKnnConfig, UserKnnScorer

FloatArray = npt.NDArray[np.float64]

EASE, EASE_COUNTS, EASE_EVER, EASE_LATEST = "score_ease", "score_ease_counts", "score_ease_ever", "score_ease_latest"
FACTORS, FACTORS_COUNTS, FACTORS_EVER = "score_factors", "score_factors_counts", "score_factors_ever"
NEIGHBOURS = "score_neighbours"

_KNN_SEED = 20171009


@dataclass(frozen=True)
class CollaborativeConfig:
    """Settings of the scores.

    The ridges of EASE are in customers. Neighbours are looked for among `n_known` customers at most: each is compared
    with all of them.
    """

    ridge: float = 600.0
    ridge_counts: float = 1000.0
    ridge_ever: float = 600.0
    n_known: int = 4_000
    neighbours: UserKnnConfig = field(default_factory=lambda: UserKnnConfig(150, 0.0, 0.4, 4.0))
    factors: FactorConfig = field(default_factory=FactorConfig)
    factors_counts: FactorConfig = field(default_factory=lambda: FactorConfig(n_factors=16, confidence=3.0))
    factors_ever: FactorConfig = field(default_factory=lambda: FactorConfig(n_factors=12, regularization=30.0))


@dataclass(frozen=True)
class Past:
    """What customers bought before a moment, each ``(n_customers, n_items)`` over the same customers and items.

    Attributes
    ----------
    recent, latest, ever
        1 for what was bought in 26 weeks, in 4 weeks, at any time.
    counts
        In how many baskets of 26 weeks.
    fading
        Of what was ever bought 1, halved for every 26 weeks since.
    """

    recent: sp.csr_array
    latest: sp.csr_array
    ever: sp.csr_array
    counts: sp.csr_array
    fading: sp.csr_array


@dataclass(frozen=True)
class Collaborative:
    """What was learned from a `Past`: scores of its own customers, in blocks."""

    past: Past
    weights: FloatArray
    weights_counts: FloatArray
    weights_ever: FloatArray
    factors: Factors
    factors_counts: Factors
    factors_ever: Factors
    neighbours: UserKnnScorer

    def scores(self, start: int, stop: int) -> dict[str, FloatArray]:
        """Return each score of the customers from `start` to `stop`, by name, ``(stop − start, n_items)``."""
        past, block = self.past, slice(start, stop)
        return {
            EASE: np.asarray(past.recent[block] @ self.weights),
            EASE_COUNTS: np.asarray(_logarithms(sp.csr_array(past.counts[block])) @ self.weights_counts),
            EASE_EVER: np.asarray(past.fading[block] @ self.weights_ever),
            EASE_LATEST: np.asarray(past.latest[block] @ self.weights),
            FACTORS: self.factors.rows[block] @ self.factors.items.T,
            FACTORS_COUNTS: self.factors_counts.rows[block] @ self.factors_counts.items.T,
            FACTORS_EVER: self.factors_ever.rows[block] @ self.factors_ever.items.T,
            NEIGHBOURS: self.neighbours.scores(sp.csr_array(past.ever[block])),
        }


def learn(past: Past, config: CollaborativeConfig) -> Collaborative:
    """Return what the past teaches; cost: n_items³, and Σ over customers of what they own squared."""
    n_items = past.recent.shape[1]
    counts = _logarithms(past.counts)
    return Collaborative(
        past=past,
        weights=ease.ease_weights(past.recent, config.ridge),
        weights_counts=ease.ease_weights(counts, config.ridge_counts),
        weights_ever=ease.ease_weights(past.ever, config.ridge_ever),
        factors=factorise(past.recent, n_items, config.factors),
        factors_counts=factorise(counts, n_items, config.factors_counts),
        factors_ever=factorise(past.ever, n_items, config.factors_ever),
        neighbours=user_knn.fit(_some(past.ever, config.n_known), config.neighbours),
    )


def _logarithms(counts: sp.csr_array) -> sp.csr_array:
    """Return ln(1 + count)."""
    return sp.csr_array((np.log1p(counts.data), counts.indices, counts.indptr), shape=counts.shape)


def _some(matrix: sp.csr_array, n: int) -> sp.csr_array:
    """Return at most `n` rows, drawn evenly and always the same."""
    if matrix.shape[0] <= n:
        return matrix
    chosen = np.sort(np.random.default_rng(_KNN_SEED).choice(matrix.shape[0], n, replace=False))
    return sp.csr_array(matrix[chosen])
