"""Scores of what a customer does not have by what others have who are like them: EASE, nearest items, factors.

Everything works on a 0/1 matrix of customers × categories. An entry that is 0 for a customer is scored from their
ones alone, so a score never knows what it is to predict.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from training.item_to_item import FactorConfig, factorise, nearest_items
from training.peers.ease import ease_weights

FloatArray = npt.NDArray[np.float64]

EASE, NEAREST, FACTORS = "score_ease", "score_nearest", "score_factors"


@dataclass(frozen=True)
class CollaborativeConfig:
    """Settings of the scores: EASE's ridge in customers, and how many neighbours and factors there are."""

    ridge: float = 600.0
    n_neighbours: int = 60
    popularity_power: float = 0.5
    factors: FactorConfig = field(default_factory=FactorConfig)


@dataclass(frozen=True)
class Collaborative:
    """What was learned from a matrix ``(n_customers, n_items)``: scores of its own customers, in blocks."""

    owned: sp.csr_array
    weights: FloatArray
    near: sp.csr_array
    customer_factors: FloatArray
    item_factors: FloatArray

    def scores(self, start: int, stop: int) -> dict[str, FloatArray]:
        """Return each score of the customers from `start` to `stop`, by name, ``(stop − start, n_items)``."""
        owned = self.owned[start:stop]
        n_owned = np.maximum(np.diff(owned.indptr), 1)[:, None]
        return {
            EASE: np.asarray(owned @ self.weights),
            NEAREST: np.asarray((owned @ self.near).todense()) / np.sqrt(n_owned),
            FACTORS: self.customer_factors[start:stop] @ self.item_factors.T,
        }


def learn(owned: sp.csr_array, config: CollaborativeConfig) -> Collaborative:
    """Return what `owned`, 0 or 1, teaches; cost: n_items³, and Σ over customers of what they own squared."""
    n_items = owned.shape[1]
    popularity = np.maximum(np.bincount(owned.indices, minlength=n_items), 1.0)
    scaled = sp.csr_array(owned @ sp.diags_array(popularity**-config.popularity_power))
    near = nearest_items(scaled, n_items, k=config.n_neighbours, n_threads=config.factors.n_threads)
    factors = factorise(owned, n_items, config.factors)
    return Collaborative(owned, ease_weights(owned, config.ridge), near, factors.rows, factors.items)
