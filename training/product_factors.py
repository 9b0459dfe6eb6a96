"""Factors of products by who bought them: what a bundle needs to fold in a customer whom it does not know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp

from features import columns as c
from features.asof import Moment
from serving.bundle_format import N_FACTORS, Factors
from training.config import load_config
from training.history import History
from training.item_to_item import FactorConfig, factorise

_CONFIG = "fold_in"


@dataclass(frozen=True)
class FoldInConfig:
    """Settings of the factors; a product needs `min_buyers` customers for any, and at most `max_products` have some.

    A product bought in n baskets counts n to the power of `count_power`. `strength` is what a score of 1 adds to the
    log odds of one whom no bundle knows.
    """

    min_buyers: int = 5
    max_products: int = 50_000
    count_power: float = 0.5
    strength: float = 20.0
    factors: FactorConfig = field(
        default_factory=lambda: FactorConfig(n_factors=N_FACTORS, regularization=10.0, confidence=5.0, n_iterations=5)
    )

    @property
    def numbers(self) -> Mapping[str, float]:
        """Return what serving must know to fold a customer in."""
        return {
            "regularization": self.factors.regularization,
            "confidence": self.factors.confidence,
            "strength": self.strength,
        }


def fold_in_config() -> FoldInConfig:
    """Return the shipped settings, ``configs/fold_in.toml``."""
    return load_config(FoldInConfig, _CONFIG)


def no_factors(n_products: int) -> Factors:
    """Return zeros: of no product is anything known."""
    return Factors(np.zeros((n_products, N_FACTORS), dtype=np.float32), np.zeros((N_FACTORS, N_FACTORS)))


def product_factors(history: History, moment: Moment, n_products: int, config: FoldInConfig) -> Factors:
    """Return the factors of all products, zeros for those that too few customers had bought before `moment`."""
    bought = history.features("customer_products", moment, [c.CUSTOMER_ROW, c.PRODUCT_ROW, c.N_BASKETS])
    customer, product = bought[c.CUSTOMER_ROW].to_numpy(), bought[c.PRODUCT_ROW].to_numpy()
    n_buyers = np.bincount(product, minlength=n_products)
    kept = np.flatnonzero(n_buyers >= config.min_buyers)
    kept = np.sort(kept[np.argsort(-n_buyers[kept], kind="stable")[: config.max_products]])
    place = np.full(n_products, -1)
    place[kept] = np.arange(len(kept))
    is_kept = place[product] >= 0
    rows = np.unique(customer[is_kept], return_inverse=True)[1]
    shape = (int(rows.max(initial=-1)) + 1, len(kept))
    count = bought[c.N_BASKETS].to_numpy(dtype=np.float64)[is_kept] ** config.count_power
    owned = sp.csr_array((count, (rows, place[product][is_kept])), shape=shape)
    item = np.zeros((n_products, N_FACTORS), dtype=np.float32)
    if len(kept) > 1:
        found = factorise(owned, len(kept), config.factors).items
        item[kept, : found.shape[1]] = found
    learned = item[kept].astype(np.float64)
    return Factors(item=item, gram=learned.T @ learned)
