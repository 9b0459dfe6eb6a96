"""The frequencies that every repeat ranking is shown beside: popularity, P-TopFreq, GP-TopFreq, decayed frequency.

P-TopFreq and GP-TopFreq are those of Li, Jullien, Ariannezhad and de Rijke, "A next basket recommendation reality
check" (ACM TOIS 2023): what a customer bought most often, and the same with short lists filled by what is popular.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from features import columns as c
from features.asof import Moment
from training.errors import ConfigError
from training.history import History
from training.levels import Level
from training.peers.past_baskets import PastBaskets

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

POPULARITY = "popularity"
TOP_FREQUENCY = "personal top frequency"
DECAYED = "decayed frequency"

_N_POPULAR = 100  # the most that a list is filled with
_LEAST_STEP = (
    1e-9  # popularity only breaks ties: counts differ by 1, a share of customers by less than this times a billion
)


@dataclass(frozen=True)
class DecayedConfig:
    """Settings of the decayed frequency: a basket counts half as much for every `half_life_days` of its age."""

    half_life_days: float = 56.0

    def __post_init__(self) -> None:
        """Refuse settings that have no meaning."""
        if self.half_life_days <= 0:
            raise ConfigError(f"decayed_frequency: half_life_days must be above 0, found {self.half_life_days}")


@dataclass(frozen=True)
class OwnScores:
    """`ScoresOfRows` of what customers have bought themselves, ``(n_customers, n_items)``, and nothing else."""

    matrix: sp.csr_array

    def scores(self, rows: IntArray) -> sp.csr_array:
        """Return the scores of customers by their places."""
        return sp.csr_array(self.matrix[rows])


@dataclass(frozen=True)
class PopularScores:
    """`ScoresOfRows` that are the customer's own and, for everyone, those of the most popular items, ``(n_items,)``."""

    own: sp.csr_array
    popularity: FloatArray

    def scores(self, rows: IntArray) -> sp.csr_array:
        """Return own scores, each plus its item's popularity, and that alone where a popular item is not their own."""
        own = sp.csr_array(self.own[rows])
        own.data = own.data + self.popularity[own.indices]
        n, first = len(rows), np.argsort(-self.popularity, kind="stable")[:_N_POPULAR]
        ends = np.arange(n + 1, dtype=np.int64) * len(first)
        popular = sp.csr_array((np.tile(self.popularity[first], n), np.tile(first, n), ends), shape=own.shape)
        return sp.csr_array(own.maximum(popular))


def p_top_freq(past: PastBaskets) -> OwnScores:
    """Return P-TopFreq: in how many baskets a customer had an item; of equal ones, what was bought first."""
    entries = past.matrix.tocoo()
    held = past.counts
    n_items = max(held.shape[1], 1)
    key = past.owner[entries.row] * n_items + entries.col
    back = (past.after + 1.0) / (past.n_baskets[past.owner] + 1.0)  # 0 to 1, the more the longer ago
    order = np.lexsort((back[entries.row], key))
    is_earliest = np.append(key[order][1:] != key[order][:-1], True) if len(key) else np.zeros(0, dtype=bool)
    earliest = back[entries.row][order][is_earliest]  # by customer and item, as the entries of `held` are
    return OwnScores(sp.csr_array((held.data + earliest, held.indices, held.indptr), shape=held.shape))


def gp_top_freq(past: PastBaskets) -> PopularScores:
    """Return GP-TopFreq: P-TopFreq with ties, and what lists are short of, by how many customers bought it."""
    return PopularScores(past.counts, _popularity(past))


def popularity(past: PastBaskets) -> PopularScores:
    """Return how many customers ever bought an item, the same for everyone."""
    nothing = sp.csr_array((np.zeros(past.counts.nnz), past.counts.indices, past.counts.indptr), past.counts.shape)
    return PopularScores(nothing, _popularity(past))


def decayed(past: PastBaskets, config: DecayedConfig) -> OwnScores:
    """Return in how many baskets a customer had an item, each halved for every half-life of its age."""
    return OwnScores(past.vectors(2.0 ** (-past.age_days / config.half_life_days)))


def _popularity(past: PastBaskets) -> FloatArray:
    """Return the share of customers who bought each item, below 1, so that it only breaks ties of counts."""
    n_buyers = np.bincount(past.counts.indices, minlength=past.counts.shape[1])
    return np.asarray(n_buyers / (len(past.customers) + 1.0), dtype=np.float64)


def own_items(history: History, moment: Moment, level: Level) -> pd.DataFrame:
    """Return every item that each customer has bought before `moment`, with a column of scores for each peer.

    `popularity` is how many customers ever bought it, `personal top frequency` the customer's baskets with it
    (ties: the more popular), `decayed frequency` those baskets halved for every 56 days of their age.
    """
    own = history.features(level.customer_group, moment, [c.CUSTOMER_ROW, level.item, c.N_BASKETS, c.N_BASKETS_H56])
    popular = history.features(level.item_group, moment, [level.item, c.N_CUSTOMERS]).set_index(level.item)
    n_customers = own[level.item].map(popular[c.N_CUSTOMERS]).to_numpy(dtype=np.float64, na_value=0.0)
    return pd.DataFrame(
        {
            c.CUSTOMER_ROW: own[c.CUSTOMER_ROW],
            level.item: own[level.item],
            POPULARITY: n_customers,
            TOP_FREQUENCY: own[c.N_BASKETS].to_numpy(dtype=np.float64) + _LEAST_STEP * n_customers,
            DECAYED: own[c.N_BASKETS_H56].to_numpy(dtype=np.float64),
        }
    )
