"""Weibull AFT: the days until the next trip, Weibull-distributed; their scale is log-linear in the features.

The accelerated failure time model (Kalbfleisch and Prentice, The Statistical Analysis of Failure Time Data, 2002,
section 2.2), by the likelihood of right-censored times: who had not come when the window closed adds the chance of
that. With s the logarithm of the scale and k the shape,

    P(T > t) = exp(−(t ÷ eˢ)ᵏ),    median = eˢ · (ln 2)^(1 ÷ k).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize

from features import columns as c
from training.errors import ConfigError
from training.logistic import LogisticModel, design_of, terms_of, with_weights

FloatArray = npt.NDArray[np.float64]

COLUMNS = (
    *(c.RECENCY_DAYS, c.GAP_MEAN_DAYS, c.GAP_STD_DAYS, c.GAP_LAST_DAYS, c.N_BASKETS_4W, c.N_BASKETS_12W),
    *(c.N_BASKETS_26W, c.N_BASKETS_H14, c.N_BASKETS_H56, c.SPEND_PER_BASKET, c.SPEND_12W),
)
MIN_TIMES = 20
"""With fewer times than this seen to their end only the common scale and shape are learned."""

_SOONEST_DAYS = 0.01  # a density has no value at 0
_SHAPES = (np.log(0.2), np.log(5.0))
_FARTHEST = 50.0  # of a logarithm, so that nothing overflows on the way


@dataclass(frozen=True)
class WeibullConfig:
    """`penalty`: how strongly standardised weights are held to 0, in nats at a weight of √2."""

    penalty: float = 1.0
    n_cutoffs: int = 8

    def __post_init__(self) -> None:
        """Refuse settings without meaning."""
        if self.penalty < 0 or self.n_cutoffs < 1:
            raise ConfigError(f"weibull_aft: penalty >= 0 and n_cutoffs >= 1, found {self}")


@dataclass(frozen=True)
class WeibullAft:
    """The fitted model: `line` gives the logarithm of each customer's scale in days."""

    line: LogisticModel
    shape: float

    def survival(self, customers: pd.DataFrame, days: float) -> FloatArray:
        """Return the chance of no trip within `days`, ``(n_customers,)``."""
        passed = self.shape * (np.log(days) - self.line.margin(customers))
        return np.asarray(np.exp(-np.exp(np.minimum(passed, _FARTHEST))), dtype=np.float64)

    def median(self, customers: pd.DataFrame) -> FloatArray:
        """Return the days by which half of such customers have come, ``(n_customers,)``."""
        log_scale = np.minimum(self.line.margin(customers), _FARTHEST)
        return np.asarray(np.exp(log_scale) * np.log(2.0) ** (1.0 / self.shape), dtype=np.float64)


def fit(
    customers: pd.DataFrame, days: npt.ArrayLike, cap_days: float, columns: Sequence[str], config: WeibullConfig
) -> WeibullAft:
    """Return the model of the days to the next trip; `cap_days` or more means that it was not seen.

    Without a row it says `cap_days` to everyone.
    """
    times = np.clip(np.asarray(days, dtype=np.float64), _SOONEST_DAYS, cap_days)
    is_seen = times < cap_days
    if len(times) == 0 or not is_seen.any():
        return WeibullAft(LogisticModel(float(np.log(cap_days / np.log(2.0)))), 1.0)
    names = [name for name in columns if name in customers] if is_seen.sum() >= MIN_TIMES else []
    terms = terms_of(customers, names, 0)
    design = np.column_stack([np.ones(len(times)), design_of(customers, terms)])
    start = np.zeros(design.shape[1] + 1)
    start[0] = np.log(times).mean()
    found = minimize(
        lambda at: loss(at, design, times, is_seen, config.penalty),
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None)] * design.shape[1] + [_SHAPES],
        options={"maxiter": 500, "ftol": 1e-12, "gtol": 1e-7},
    )
    line = LogisticModel(float(found.x[0]), with_weights(terms, found.x[1:-1]))
    return WeibullAft(line, float(np.exp(found.x[-1])))


def loss(
    at: FloatArray, design: FloatArray, times: FloatArray, is_seen: npt.NDArray[np.bool_], penalty: float
) -> tuple[float, FloatArray]:
    """Return −(log-likelihood − penalty) a row, and its gradient.

    Parameters
    ----------
    at
        Weights of the design's columns, then the logarithm of the shape, ``(n_columns + 1,)``; the first column's
        weight is free.
    design, times, is_seen
        ``(n, n_columns)``, days and whether they ended with a trip, ``(n,)``.
    """
    n, shape = len(times), float(np.exp(at[-1]))
    passed = shape * (np.log(times) - design @ at[:-1])
    hazard = np.exp(np.minimum(passed, _FARTHEST))
    seen = is_seen.astype(np.float64)
    likelihood = (seen * (at[-1] + passed - np.log(times)) - hazard).sum()
    held = np.concatenate([[0.0], at[1:-1]])
    by_passed = seen - hazard
    gradient = np.append(design.T @ (by_passed * -shape) - penalty * held, seen.sum() + (by_passed * passed).sum())
    return -float(likelihood - 0.5 * penalty * held @ held) / n, -gradient / n
