"""Completion: the chance that all three items of a challenge are bought, fitted to what challenges came to.

The three share a trip, so the joint chance is more than the product of the three. It is

    σ(intercept + log_joint · Σ ln pᵢ + logit_shop · logit(p_shop))

with each item's chance and that of a trip within the challenge's window; the terms are those that serving computes
(`serving.decisioning.completion`), and like there it is never above the least of the three. Where little was seen the
coefficients stay near those of items that are independent given one trip: Π pᵢ ÷ p_shop².
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from serving.numbers import COMPLETION_KEYS
from training.calibration import MIN_CHANCE, Prior, fit_log_odds, log_odds

FloatArray = npt.NDArray[np.float64]

N_ITEMS = 3
# −2 ln p ≈ 1.25 − 0.45 logit(p) for chances of a trip from 0.4 to 0.98, by least squares
_PRIOR = Prior(mean=(1.25, 1.0, -0.45), deviation=(1.5, 0.25, 0.5))


def fit_completion(chances: npt.ArrayLike, shops: npt.ArrayLike, completed: npt.ArrayLike) -> dict[str, float]:
    """Return the coefficients by name, as `numbers.json` has them.

    Parameters
    ----------
    chances
        The items' chances within the window, shape ``(n, 3)``.
    shops
        The chance of a trip within the window, shape ``(n,)``.
    completed
        Whether all three were bought in it, shape ``(n,)``.
    """
    weights = fit_log_odds(_terms(chances, shops), np.asarray(completed, dtype=np.float64), _PRIOR)
    return dict(zip(COMPLETION_KEYS, map(float, weights), strict=True))


def predict_completion(chances: npt.ArrayLike, shops: npt.ArrayLike, coefficients: Mapping[str, float]) -> FloatArray:
    """Return the joint chances, shape ``(n,)``: the same numbers as serving gives for the same coefficients."""
    weights = np.array([coefficients[name] for name in COMPLETION_KEYS])
    items = np.asarray(chances, dtype=np.float64).reshape(-1, N_ITEMS)
    joint = expit(_terms(items, shops) @ weights)
    return np.asarray(np.minimum(joint, items.min(axis=1)) if len(items) else joint, dtype=np.float64)


def _terms(chances: npt.ArrayLike, shops: npt.ArrayLike) -> FloatArray:
    """Return the columns of ``COMPLETION_KEYS``: ones, the sum of the logarithms, the log-odds of a trip."""
    items = np.maximum(np.asarray(chances, dtype=np.float64).reshape(-1, N_ITEMS), MIN_CHANCE)
    return np.column_stack([np.ones(len(items)), np.log(items).sum(axis=1), log_odds(shops)])
