"""TIFU-KNN: what a customer buys again by the decayed frequency of items, theirs and that of their nearest neighbours.

The method of Hu, He, Gao and Zhang (SIGIR 2020), with groups as their code has them: a customer's baskets, in order of
time, form `n_groups` groups of about the same size (each its own where there are fewer baskets). An item counts more
the later its basket, and the later its group. Customers with a like vector lend theirs.

    vector = mean over groups of group_decay^(groups after it) · mean of its baskets, each basket_decay^(those after it)
    score  = own_weight · vector + (1 − own_weight) · mean vector of the k nearest customers (Euclidean)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from training.errors import ConfigError
from training.peers.past_baskets import PastBaskets

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_BLOCK_CELLS = 20_000_000  # distances held at once: 160 MB


@dataclass(frozen=True)
class TifuConfig:
    """Settings of TIFU-KNN; neighbours are sought among the `max_customers` with the latest baskets."""

    n_groups: int = 7
    basket_decay: float = 0.98
    group_decay: float = 0.85
    own_weight: float = 0.5
    n_neighbours: int = 300
    max_customers: int = 20_000

    def __post_init__(self) -> None:
        """Refuse settings that have no meaning."""
        shares = (self.basket_decay, self.group_decay, self.own_weight)
        if min(self.n_groups, self.n_neighbours, self.max_customers) < 1 or not all(0 <= each <= 1 for each in shares):
            raise ConfigError("tifu_knn: sizes start at 1, decays and weights lie in 0 to 1")


@dataclass(frozen=True)
class TifuKnn:
    """`ScoresOfRows` of customers' vectors ``(n_customers, n_items)``.

    `lenders` ``(n_customers, n_customers)`` holds 1 ÷ k for each of a customer's k neighbours.
    """

    vectors: sp.csr_array
    lenders: sp.csr_array
    own_weight: float

    def scores(self, rows: IntArray) -> sp.csr_array:
        """Return the scores of customers by their places."""
        lent = self.lenders[rows] @ self.vectors
        return sp.csr_array(self.own_weight * self.vectors[rows] + (1.0 - self.own_weight) * lent)


def fit(past: PastBaskets, config: TifuConfig) -> TifuKnn:
    """Return TIFU-KNN of what was bought; cost: customers × `max_customers` products of sparse vectors."""
    vectors = past.vectors(basket_weights(past, config))
    latest = past.ordered_us[past.after == 0]
    pool = np.sort(np.argsort(-latest, kind="stable")[: config.max_customers]).astype(np.int64)
    return TifuKnn(vectors, nearest(vectors, pool, config.n_neighbours), config.own_weight)


def basket_weights(past: PastBaskets, config: TifuConfig) -> FloatArray:
    """Return what an item of each basket counts in its customer's vector, ``(n_baskets,)``."""
    after, n_baskets = past.after, past.n_baskets[past.owner]
    n_groups = np.minimum(n_baskets, config.n_groups)
    group = after * n_groups // np.maximum(n_baskets, 1)
    size = -(-(group + 1) * n_baskets // n_groups) - -(-group * n_baskets // n_groups)
    weights: FloatArray = config.basket_decay**after / size * config.group_decay**group / n_groups
    return weights


def nearest(vectors: sp.csr_array, pool: IntArray, k: int) -> sp.csr_array:
    """Return 1 ÷ k at each row's k nearest rows of the pool, itself left out; fewer where the pool has fewer."""
    n = vectors.shape[0]
    lengths = np.asarray(vectors.multiply(vectors).sum(axis=1), dtype=np.float64).ravel()
    others, k = vectors[pool], min(k, len(pool) - 1)
    if k < 1:
        return sp.csr_array((n, n))
    rows, columns = [], []
    step = max(1, _BLOCK_CELLS // len(pool))
    for start in range(0, n, step):
        stop = min(start + step, n)
        apart = lengths[pool][None, :] - 2.0 * (vectors[start:stop] @ others.T).toarray()  # + the row's own, the same
        apart[pool[None, :] == np.arange(start, stop)[:, None]] = np.inf
        near = np.argpartition(apart, k - 1, axis=1)[:, :k]
        rows.append(np.repeat(np.arange(start, stop), k))
        columns.append(pool[near].ravel())
    row, column = np.concatenate(rows), np.concatenate(columns)
    return sp.csr_array((np.full(len(row), 1.0 / k), (row, column)), shape=(n, n))
