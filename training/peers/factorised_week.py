"""The factorised histogram: a customer's weekdays times their parts of the day, as if one said nothing of the other.

Each is the mean of a multinomial under a Dirichlet prior round the shop's own shares (Gelman et al., Bayesian Data
Analysis, 3rd ed., 2013, section 3.4):

    chance = (n_weekday + strength · s_weekday) ÷ (n + strength) · (n_part + strength · s_part) ÷ (n + strength)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.errors import ConfigError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FactorisedConfig:
    """How many of the customer's trips the shop's week is worth."""

    strength: float = 20.0

    def __post_init__(self) -> None:
        """Refuse a week in which nothing may happen."""
        if self.strength <= 0:
            raise ConfigError(f"factorised_week: strength must be above 0, found {self.strength}")


def chances(counts: FloatArray, shop: FloatArray, config: FactorisedConfig) -> FloatArray:
    """Return the chances of the buckets ``(n, n_days, n_parts)``, each customer's adding up to 1.

    Parameters
    ----------
    counts
        Trips by weekday and part of the day, ``(n, n_days, n_parts)``.
    shop
        The shop's shares of the buckets, ``(n_days, n_parts)``, adding up to 1.
    """
    n = counts.sum(axis=(1, 2))[:, None]
    day = (counts.sum(axis=2) + config.strength * shop.sum(axis=1)) / (n + config.strength)
    part = (counts.sum(axis=1) + config.strength * shop.sum(axis=0)) / (n + config.strength)
    return np.asarray(day[:, :, None] * part[:, None, :], dtype=np.float64)
