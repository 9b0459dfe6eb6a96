"""Calibration as numbers: probabilities from raw margins, and small logistic fits that fall back on a prior.

Every fit here is a maximum a posteriori one: with few rows it stays at the prior (the model's own margin, even days,
independent items), with many the data decide. So thin data need no branch of their own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

FloatArray = npt.NDArray[np.float64]

MIN_CHANCE = 1e-6
"""Probabilities are kept this far from 0 and 1 before log-odds are taken."""

_MAX_STEPS = 50
_WIDEST_SHIFT = 10.0
_HALVINGS = 40
_CONVERGED = 1e-9
_BEND_DEVIATION = 0.3  # prior standard deviation of a change of slope at a knot
_LINE_DEVIATION = 1.0  # prior standard deviation of shift and slope


@dataclass(frozen=True)
class Prior:
    """What coefficients are taken to be before the data: means and standard deviations, shape ``(n_columns,)``."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@dataclass(frozen=True)
class MarginCalibration:
    """Log-odds as a piecewise linear, rising function of a raw margin; straight on beyond the outer knots."""

    margins: tuple[float, ...] = (-1.0, 1.0)
    log_odds: tuple[float, ...] = (-1.0, 1.0)

    def calibrated_log_odds(self, margin: npt.ArrayLike) -> FloatArray:
        """Return calibrated log-odds, shape ``(n_rows,)``."""
        x, y = np.asarray(self.margins), np.asarray(self.log_odds)
        values = np.asarray(margin, dtype=np.float64)
        piece = np.clip(np.searchsorted(x, values, side="right") - 1, 0, len(x) - 2)
        slope = np.diff(y) / np.diff(x)
        result: FloatArray = y[piece] + slope[piece] * (values - x[piece])
        return result

    def probability(self, margin: npt.ArrayLike) -> FloatArray:
        """Return probabilities, shape ``(n_rows,)``."""
        return np.asarray(expit(self.calibrated_log_odds(margin)), dtype=np.float64)

    def to_json(self) -> str:
        """Return the knots as JSON; `from_json` reads them back to the last bit."""
        return json.dumps({"margins": self.margins, "log_odds": self.log_odds})

    @classmethod
    def from_json(cls, text: str) -> MarginCalibration:
        """Return the calibration that `to_json` wrote."""
        stored = json.loads(text)
        return cls(tuple(map(float, stored["margins"])), tuple(map(float, stored["log_odds"])))


def fit_calibration(margin: npt.ArrayLike, outcomes: npt.ArrayLike, *, n_bends: int = 4) -> MarginCalibration:
    """Return the calibration of margins by outcomes (0 or 1), from rows that the model has not learned from.

    Log-odds are a + b·margin, bent at `n_bends` quantiles of the margin, half of them among the events. A fit that
    falls anywhere is replaced by the straight one; without rows the margin itself is taken for log-odds.
    """
    x, y = np.asarray(margin, dtype=np.float64), np.asarray(outcomes, dtype=np.float64)
    if len(x) == 0:
        return MarginCalibration()
    bends = _bends(x, y, n_bends)
    for knots in (bends, np.zeros(0)):
        design = np.column_stack([np.ones(len(x)), x, *(np.maximum(x - knot, 0.0) for knot in knots)])
        weights = fit_log_odds(design, y, _bent_prior(len(knots)))
        slopes = weights[1] + np.concatenate([[0.0], np.cumsum(weights[2:])])
        if (slopes > 0).all():
            return _as_knots(weights, knots, x)
    return MarginCalibration()


def keeping_level(calibration: MarginCalibration, margin: npt.ArrayLike) -> MarginCalibration:
    """Return the calibration shifted so that the mean probability of these margins is the uncalibrated one.

    A model that is fitted anew on more weeks has its level from all of them; what a few weeks showed of its shape is
    kept, and their own level, which every week's weather moves by a few percent, is not.
    """
    x = np.asarray(margin, dtype=np.float64)
    if len(x) == 0:
        return calibration
    wanted, log_odds_now = float(expit(x).mean()), calibration.calibrated_log_odds(x)
    low, high = -_WIDEST_SHIFT, _WIDEST_SHIFT
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(log_odds_now + middle).mean() < wanted else (low, middle)
    return MarginCalibration(calibration.margins, tuple(y + (low + high) / 2 for y in calibration.log_odds))


def fit_log_odds(design: FloatArray, outcomes: npt.ArrayLike, prior: Prior) -> FloatArray:
    """Return the coefficients ``(n_columns,)`` of a logistic model that maximise likelihood × prior.

    Parameters
    ----------
    design
        ``(n_rows, n_columns)``, with a column of ones where an intercept is wanted.
    outcomes
        0 or 1 (or shares between), ``(n_rows,)``.
    """
    y = np.asarray(outcomes, dtype=np.float64)
    mean = np.asarray(prior.mean, dtype=np.float64)
    precision = 1.0 / np.square(np.asarray(prior.deviation, dtype=np.float64))
    weights = mean.copy()
    loss = _penalised_loss(design, y, weights, mean, precision)
    for _ in range(_MAX_STEPS):
        p = expit(design @ weights)
        gradient = design.T @ (p - y) + precision * (weights - mean)
        curvature = (design * (p * (1 - p))[:, None]).T @ design + np.diag(precision)
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while size > _CONVERGED:
            next_loss = _penalised_loss(design, y, weights - size * step, mean, precision)
            if next_loss <= loss:
                break
            size /= 2
        weights = weights - size * step
        if abs(loss - next_loss) <= _CONVERGED * (1 + abs(loss)):
            break
        loss = next_loss
    return weights


def log_odds(probability: npt.ArrayLike) -> FloatArray:
    """Return ln(p ÷ (1 − p)), with p kept `MIN_CHANCE` away from 0 and 1."""
    p = np.clip(np.asarray(probability, dtype=np.float64), MIN_CHANCE, 1 - MIN_CHANCE)
    return np.asarray(np.log(p) - np.log1p(-p), dtype=np.float64)


def _penalised_loss(
    design: FloatArray, y: FloatArray, weights: FloatArray, mean: FloatArray, precision: FloatArray
) -> float:
    margin = design @ weights
    away = weights - mean
    return float((np.logaddexp(0.0, margin) - y * margin).sum() + 0.5 * (precision * away * away).sum())


def _bent_prior(n_knots: int) -> Prior:
    mean = (0.0, 1.0, *([0.0] * n_knots))
    return Prior(mean, (_LINE_DEVIATION, _LINE_DEVIATION, *([_BEND_DEVIATION] * n_knots)))


def _bends(x: FloatArray, y: FloatArray, n: int) -> FloatArray:
    """Return where the line may bend: quantiles of all margins and of those of the events."""
    shares = np.linspace(0, 1, n // 2 + 2)[1:-1]
    events = x[y > 0]
    found = [np.quantile(x, shares), np.quantile(events, shares) if len(events) else np.zeros(0)]
    knots = np.unique(np.concatenate(found)) if n else np.zeros(0)
    inside: FloatArray = knots[(knots > x.min()) & (knots < x.max())]
    return inside


def _as_knots(weights: Sequence[float] | FloatArray, bends: FloatArray, x: FloatArray) -> MarginCalibration:
    low = min(float(x.min()), float(bends.min()) if len(bends) else 0.0)
    at = np.unique(np.concatenate([[low - 1.0], bends, [float(x.max()) + 1.0]]))
    values = weights[0] + weights[1] * at
    for knot, bend in zip(bends, weights[2:], strict=True):
        values = values + bend * np.maximum(at - knot, 0.0)
    return MarginCalibration(tuple(map(float, at)), tuple(map(float, values)))
