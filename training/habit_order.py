"""In which order a customer's habits stand: drawn towards what lies in the next basket, every basket counting alike.

The chance within a week is learned from lines: whoever buys much, and comes this week, weighs most. A list is read by
one customer before one basket. So trees over the same pairs learn what is in the next basket, whenever it comes, a
basket's weight being its size to the power −`size_power`; the order of a customer's items is drawn towards theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from features import columns as c
from training.boosting import BoostedTrees, BoostingConfig, FitOptions, fit_trees
from training.errors import ConfigError
from training.habit_features import IN_NEXT_BASKET, NEXT_BASKET_SIZE, learnable_columns

FloatArray = npt.NDArray[np.float64]

_STEPS = 3  # of Newton's method, from where the mean is right already


@dataclass(frozen=True)
class OrderConfig:
    """Settings: how far the order is drawn (`share`, 0 to 1), and what large baskets lose (see the module)."""

    share: float = 0.5
    size_power: float = 0.5

    def __post_init__(self) -> None:
        """Refuse shares that have no meaning."""
        if not 0 <= self.share <= 1 or not 0 <= self.size_power <= 1:
            raise ConfigError("habit: order.share and order.size_power lie in 0 to 1")


@dataclass(frozen=True)
class BasketOrder:
    """Trees for what is in the next basket, and how far the order is drawn towards theirs."""

    trees: BoostedTrees
    share: float

    def drawn(self, pairs: pd.DataFrame, margin: FloatArray) -> FloatArray:
        """Return log-odds of pairs (all of a customer's are among them) with each customer's order drawn, ``(n,)``.

        How many of their items a customer is expected to buy, the sum of the chances, stays what it was.
        """
        _, who = np.unique(pairs[c.CUSTOMER_ROW].to_numpy(), return_inverse=True)
        chance = expit(margin)
        expected = np.bincount(who, weights=chance)
        towards = self.trees.margin(pairs) - margin
        moved = margin + self.share * (towards - (np.bincount(who, weights=chance * towards) / expected)[who])
        for _ in range(_STEPS):
            now = expit(moved)
            slope = np.bincount(who, weights=now * (1.0 - now))
            moved = moved + ((expected - np.bincount(who, weights=now)) / slope)[who]
        return np.asarray(moved, dtype=np.float64)


def fit_order(pairs: pd.DataFrame, trees: BoostingConfig, config: OrderConfig) -> BasketOrder:
    """Return the order learned from labelled pairs (habit_features.labelled) of customers with a next basket."""
    rows = pairs[pairs[IN_NEXT_BASKET].notna()]
    weights = rows[NEXT_BASKET_SIZE].to_numpy(dtype=np.float64) ** -config.size_power
    names = list(learnable_columns(rows))
    options = FitOptions(weights=weights / weights.mean())
    return BasketOrder(fit_trees(rows[names], rows[IN_NEXT_BASKET], trees, options), config.share)
