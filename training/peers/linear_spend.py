"""Linear spend: what a customer will spend as a weighted sum of what they spent, a line by median and one by mean.

Spend counts as a rate too, over the time that the customer was known: of a short history a sum says how long it is, as
much as who spends. The line of least absolute errors is the regression quantile of one half (Koenker and Bassett,
Econometrica 46, 1978), solved as a linear programme.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LinearRegression, QuantileRegressor, Ridge

from features import columns as c
from training.errors import ConfigError

FloatArray = npt.NDArray[np.float64]
Aim = Literal["mean", "median"]

RATE, RATE_12W, RATE_26W = "spend_rate", "spend_rate_12w", "spend_rate_26w"
RATES = (RATE, RATE_12W, RATE_26W)
PAST_SPEND = (c.SPEND_4W, c.SPEND_12W, c.SPEND_26W)
COLUMNS = (
    *PAST_SPEND,
    *(c.SPEND_PER_BASKET, c.N_BASKETS_4W, c.N_BASKETS_12W, c.N_BASKETS_26W, c.RECENCY_DAYS),
    *RATES,
)

_LEAST_DAYS = 14.0


@dataclass(frozen=True)
class LinearSpendConfig:
    """How strongly the weights of standardised columns are held to 0, and how much the line of the median is shown.

    `median_penalty` is of absolute weights (scikit-learn's alpha), `mean_ridge` of squared ones, in rows. The median is
    learned from at most `max_rows`: its cost grows faster than they do.
    """

    max_rows: int = 6_000
    median_penalty: float = 0.01
    mean_ridge: float = 0.0
    seed: int = 20171009

    def __post_init__(self) -> None:
        """Refuse a line through nothing, and what would reward great weights."""
        if self.max_rows < 1 or min(self.median_penalty, self.mean_ridge) < 0:
            raise ConfigError(f"linear_spend: max_rows starts at 1, penalties are at least 0, found {self}")


@dataclass(frozen=True)
class LinearModel:
    """``intercept + Σ weight × column``, a missing value counting as 0."""

    intercept: float
    columns: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()

    def predict(self, frame: pd.DataFrame) -> FloatArray:
        """Return predictions, shape ``(n_rows,)``."""
        total = np.full(len(frame), self.intercept)
        for column, weight in zip(self.columns, self.weights, strict=True):
            total += weight * _filled(frame, [column])[:, 0]
        return total


def with_rates(customers: pd.DataFrame) -> pd.DataFrame:
    """Return the features with spend a day, over all the time a customer was known and over 12 and 26 weeks of it."""
    known = customers[c.TENURE_DAYS].to_numpy(dtype=np.float64)
    days = {
        RATE: (c.SPEND, np.maximum(known, _LEAST_DAYS)),
        RATE_12W: (c.SPEND_12W, np.clip(known, _LEAST_DAYS, 84.0)),
        RATE_26W: (c.SPEND_26W, np.clip(known, _LEAST_DAYS, 182.0)),
    }
    rates = {
        name: customers[spend].to_numpy(dtype=np.float64, na_value=np.nan) / length
        for name, (spend, length) in days.items()
    }
    return customers.assign(**rates)


def fit(
    features: pd.DataFrame, labels: npt.ArrayLike, columns: Sequence[str], aim: Aim, config: LinearSpendConfig
) -> LinearModel:
    """Return the line of least squared (`mean`) or absolute (`median`) errors by the named columns."""
    x, y = _filled(features, columns), np.asarray(labels, dtype=np.float64)
    if aim == "median" and len(y) > config.max_rows:
        kept = np.random.default_rng(config.seed).choice(len(y), config.max_rows, replace=False)
        x, y = x[kept], y[kept]
    scale = np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
    if aim == "mean":
        line = Ridge(config.mean_ridge, solver="svd") if config.mean_ridge else LinearRegression()
    else:
        line = QuantileRegressor(quantile=0.5, alpha=config.median_penalty, solver="highs")
    line.fit(x / scale, y)
    return LinearModel(float(line.intercept_), tuple(columns), tuple(float(w) for w in line.coef_ / scale))


def _filled(frame: pd.DataFrame, columns: Sequence[str]) -> FloatArray:
    """Return columns as an array ``(n_rows, n_columns)`` with 0 for what is missing."""
    return np.asarray(np.nan_to_num(frame[list(columns)].to_numpy(dtype=np.float64, na_value=np.nan)))
