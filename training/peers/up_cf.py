"""UP-CF: what a customer and those like them had in their latest baskets.

The method of Faggioli, Polato and Aiolli, "Recency aware collaborative filtering for next basket recommendation"
(UMAP 2020). With the items I_u that a customer u ever bought,

    share(u, i) = baskets with i among u's latest `recency` ones ÷ how many of these there are
    alike(u, v) = |I_u ∩ I_v| ÷ (|I_u|^asymmetry · |I_v|^(1 − asymmetry))
    score(u, i) = Σ over all customers v, u among them, of alike(u, v)^locality · share(v, i)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from training.errors import ConfigError
from training.peers.past_baskets import PastBaskets

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class UpCfConfig:
    """Settings of UP-CF; those who lend are the `max_customers` with the latest baskets, and the customer."""

    recency: int = 25
    asymmetry: float = 0.25
    locality: float = 10.0
    max_customers: int = 5_000

    def __post_init__(self) -> None:
        """Refuse settings that have no meaning."""
        if min(self.recency, self.max_customers) < 1 or not 0 <= self.asymmetry <= 1 or self.locality < 0:
            raise ConfigError("up_cf: sizes start at 1, asymmetry lies in 0 to 1, locality is at least 0")


@dataclass(frozen=True)
class UpCf:
    """`ScoresOfRows` of UP-CF; cost: customers × `max_customers` products of sparse vectors."""

    past: PastBaskets
    config: UpCfConfig

    @cached_property
    def shares(self) -> sp.csr_array:
        """Return in which share of their latest baskets each customer had an item, ``(n_customers, n_items)``."""
        n = np.minimum(self.past.n_baskets, self.config.recency)[self.past.owner]
        return self.past.vectors(np.where(self.past.after < self.config.recency, 1.0 / n, 0.0))

    @cached_property
    def lenders(self) -> IntArray:
        """Return the places of those who lend, rising."""
        latest = self.past.ordered_us[self.past.after == 0]
        order = np.argsort(-latest, kind="stable")[: self.config.max_customers]
        return np.sort(order).astype(np.int64)

    def scores(self, rows: IntArray) -> sp.csr_array:
        """Return the scores of customers by their places."""
        lent = (self.shares[self.lenders].T @ self._likeness(rows).T).T
        missing = ~np.isin(rows, self.lenders)
        own = sp.diags_array(missing.astype(np.float64)) @ self.shares[rows]  # the likeness to oneself is 1
        return sp.csr_array(sp.csr_array(lent) + own)

    def _likeness(self, rows: IntArray) -> FloatArray:
        """Return alike^locality of each row to each lender, ``(n_rows, n_lenders)``."""
        held = self.past.owned
        sizes = np.diff(held.indptr).astype(np.float64)
        both = (held[rows] @ held[self.lenders].T).toarray()
        power = self.config.asymmetry
        lengths = np.outer(sizes[rows] ** power, sizes[self.lenders] ** (1.0 - power))
        return np.asarray((both / lengths) ** self.config.locality, dtype=np.float64)


def fit(past: PastBaskets, config: UpCfConfig) -> UpCf:
    """Return UP-CF of what was bought; its work is done when it is asked."""
    return UpCf(past, config)
