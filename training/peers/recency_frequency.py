"""The recency-frequency logistic: when they last came and how often, in one additive logistic model.

What marketing has scored customers by since Bult and Wansbeek (Marketing Science 14, 1995), here on logarithms. The
category model also knows how popular the category is, and how many baskets with it the customer's pace promises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy.typing as npt
import pandas as pd

from features import columns as c
from training.errors import ConfigError
from training.logistic import LogisticConfig, LogisticModel, fit_logistic
from training.pairs import BASE_RATE, CUSTOMER, EXPECTED_BASKETS, PAIR

CUSTOMERS = (c.RECENCY_DAYS, c.N_BASKETS, c.N_BASKETS_12W, c.TENURE_DAYS)
CATEGORIES = (
    *(PAIR + c.RECENCY_DAYS, PAIR + c.N_BASKETS, EXPECTED_BASKETS, BASE_RATE),
    *(CUSTOMER + c.RECENCY_DAYS, CUSTOMER + c.N_BASKETS_4W),
)
OFFERS = (c.RECENCY_DAYS, c.N_BASKETS_12W, c.N_BASKETS_OWNED_12W, c.N_REDEEMED_BEFORE, c.REDEEM_RATE)


@dataclass(frozen=True)
class RecencyFrequencyConfig:
    """How weakly the weights are held to 0 (scikit-learn's C), and where each line may bend (`n_knots` quantiles)."""

    inverse_penalty: float = 1.0
    n_knots: int = 0

    def __post_init__(self) -> None:
        """Refuse a penalty without end, and less than a straight line."""
        if self.inverse_penalty <= 0 or self.n_knots < 0:
            raise ConfigError(f"recency_frequency: inverse_penalty > 0 and n_knots >= 0, found {self}")


def fit(
    features: pd.DataFrame, labels: npt.ArrayLike, columns: Sequence[str], config: RecencyFrequencyConfig
) -> LogisticModel:
    """Return the model of `labels` (0 or 1) by the named columns, each a line with `n_knots` bends on its logarithm."""
    return fit_logistic(features, labels, columns, LogisticConfig(config.n_knots, config.inverse_penalty))
