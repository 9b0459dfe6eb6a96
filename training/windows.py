"""From a 7-day chance to the chance within the first h days: what is still left of a challenge's week."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.calibration import Prior, fit_log_odds, log_odds

FloatArray = npt.NDArray[np.float64]
WindowPairs = tuple[tuple[float, float], ...]

WINDOW_DAYS = 7
_MAX_ROWS = 400_000  # two coefficients need no more
_SHIFT_DEVIATION = 1.0
_SLOPE_DEVIATION = 0.2
_PRIOR_EVENTS = 7.0  # events, spread evenly over the days, that the population's shares start from


def fit_windows(chance_7_days: npt.ArrayLike, first_day: npt.ArrayLike, *, seed: int = 0) -> WindowPairs:
    """Return a pair (a, b) for each h of 1 to 7 days: chance within h days = σ(a + b·logit(p7)).

    Parameters
    ----------
    chance_7_days
        Calibrated 7-day chances of rows that the model has not learned from, ``(n_rows,)``.
    first_day
        The day (0 to 6) on which each first happened, NaN where it did not, ``(n_rows,)``.

    Notes
    -----
    Without rows the pairs say that every day is as good as another. Chances within more days are never lower: each
    pair starts from the one before.
    """
    p7, day = np.asarray(chance_7_days, dtype=np.float64), np.asarray(first_day, dtype=np.float64)
    if len(p7) > _MAX_ROWS:
        kept = np.random.default_rng(seed).choice(len(p7), _MAX_ROWS, replace=False)
        p7, day = p7[kept], day[kept]
    design = np.column_stack([np.ones(len(p7)), log_odds(p7)])
    pairs = [_fit_one(design, day, h) for h in range(1, WINDOW_DAYS + 1)]
    return _rising(pairs)


def population_shares(first_day: npt.ArrayLike) -> tuple[float, ...]:
    """Return for h = 1 to 7 days which share of the events within 7 days lies in the first h; rising, the last is 1.

    Examples
    --------
    >>> [round(share, 3) for share in population_shares([])]
    [0.143, 0.286, 0.429, 0.571, 0.714, 0.857, 1.0]
    """
    day = np.asarray(first_day, dtype=np.float64)
    counts = np.bincount(day[np.isfinite(day)].astype(np.int64), minlength=WINDOW_DAYS)[:WINDOW_DAYS]
    shares = np.cumsum(counts + _PRIOR_EVENTS / WINDOW_DAYS)
    return tuple(float(share) for share in shares / shares[-1])


def _fit_one(design: FloatArray, day: FloatArray, h: int) -> tuple[float, float]:
    if h == WINDOW_DAYS:
        return (0.0, 1.0)
    prior = Prior((float(np.log(h / WINDOW_DAYS)), 1.0), (_SHIFT_DEVIATION, _SLOPE_DEVIATION))
    happened = np.nan_to_num(day, nan=np.inf) < h
    a, b = fit_log_odds(design, happened, prior)
    return (float(a), float(b))


def _rising(pairs: list[tuple[float, float]]) -> WindowPairs:
    """Return the pairs, changed where a longer window would have a lower chance between one in 10,000 and 0.95."""
    span = log_odds(np.array([1e-4, 0.95]))
    kept = [pairs[-1]]
    for a, b in reversed(pairs[:-1]):
        later_a, later_b = kept[0]
        ends = np.minimum(a + b * span, later_a + later_b * span)
        slope = float((ends[1] - ends[0]) / (span[1] - span[0]))
        kept.insert(0, (float(ends[0] - slope * span[0]), slope))
    return tuple(kept)
