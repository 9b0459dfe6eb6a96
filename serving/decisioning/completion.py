"""The chance that all three items of a challenge are done: a joint event, since the three share a trip."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial

_LEAST = 1e-6
_MOST = 1.0 - _LEAST
_exp, _log = math.exp, math.log
_DAYS_REMEMBERED = 256


def logit(p: float) -> float:
    """Return log(p ÷ (1 − p)), with p held to 1e-6 from either end."""
    if not _LEAST < p < _MOST:
        p = _LEAST if p <= _LEAST else _MOST
    return math.log(p / (1.0 - p))


def sigmoid(x: float) -> float:
    """Return 1 ÷ (1 + e^−x), without overflow."""
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    grown = math.exp(x)
    return grown / (1.0 + grown)


def completion_terms(probabilities: Sequence[float], p_shop: float) -> dict[str, float]:
    """Return what the joint chance is computed from, by the name of its coefficient.

    `probabilities` are those of the items within the window, `p_shop` the chance of any trip within it. ``log_joint``
    is the sum of the logarithms (each chance held to at least 1e-6), ``logit_shop`` the logit of `p_shop`. Training
    fits a logistic regression on these very terms.
    """
    return {"intercept": 1.0, "log_joint": _log_joint(probabilities), "logit_shop": logit(p_shop)}


def _log_joint(probabilities: Sequence[float]) -> float:
    return sum([_log(p if p > _LEAST else _LEAST) for p in probabilities])


def completion_probability(probabilities: Sequence[float], p_shop: float, coefficients: Mapping[str, float]) -> float:
    """Return the chance that all are done within the window: σ(Σ coefficient·term), above 0, at most the least of them.

    Examples
    --------
    >>> independent = {"intercept": 0.0, "log_joint": 1.0, "logit_shop": 0.0}
    >>> round(completion_probability([0.1, 0.1, 0.1], 0.9, independent), 4)
    0.001
    """
    if not probabilities:
        return 0.0
    if len(probabilities) == 1:
        return probabilities[0]
    # Σ coefficient·term of `completion_terms`, in their order.
    logit_done = coefficients["intercept"] + coefficients["log_joint"] * _log_joint(probabilities)
    return min(sigmoid(logit_done + coefficients["logit_shop"] * logit(p_shop)), *probabilities)


def within_days(p7: float, days: float, window: Sequence[tuple[float, float]]) -> float:
    """Return the chance within `days` (above 0, at most 7) of a chance within seven.

    For whole days it is σ(a + b·logit(p7)) with that day's pair; between two of them it lies evenly between (within 0
    days nothing happens).

    Examples
    --------
    >>> even = [(0.0, 1.0)] * 7
    >>> round(within_days(0.5, 0.5, even), 6), round(within_days(0.5, 2.5, even), 6)
    (0.25, 0.5)
    """
    return WithinDays(days, window)(p7)


class WithinDays:
    """`within_days` of many chances, for one number of days; it `is_rising` where more within seven is more within."""

    def __init__(self, days: float, window: Sequence[tuple[float, float]]) -> None:
        whole = int(days)
        self._part = days - whole
        self._low = window[whole - 1] if whole else None
        self._high = window[whole] if self._part else None
        self.is_rising = all(pair is None or pair[1] >= 0.0 for pair in (self._low, self._high))

    def __call__(self, p7: float) -> float:
        """Return the chance within the days of a chance within seven."""
        # `logit` and `sigmoid`, written out: a challenge asks some eight times.
        x = _log(p7 / (1.0 - p7)) if _LEAST < p7 < _MOST else logit(p7)
        low = 0.0
        if self._low is not None:
            a, b = self._low
            z = a + b * x
            low = 1.0 / (1.0 + _exp(-z)) if z >= 0.0 else (grown := _exp(z)) / (1.0 + grown)
        if self._high is None:
            return low
        a, b = self._high
        z = a + b * x
        high = 1.0 / (1.0 + _exp(-z)) if z >= 0.0 else (grown := _exp(z)) / (1.0 + grown)
        return low + self._part * (high - low)


class Windows:
    """`WithinDays` for any number of days, those of the last ones that were asked about ready made."""

    def __init__(self, window: Sequence[tuple[float, float]]) -> None:
        self.of = lru_cache(_DAYS_REMEMBERED)(partial(WithinDays, window=window))


def shifted(p: float, log_odds: float) -> float:
    """Return the chance with its odds multiplied by e^`log_odds`; the very same for 0."""
    return sigmoid(logit(p) + log_odds) if log_odds else p
