"""From the chance within 28 days to the chance within 7: which share of first purchases falls in the first week.

The share is learned from what was bought within 28 days alone: it answers only *when*, given that it happens. Its
margins should be of rows that the ranking had not seen, where there are enough: those of rows that it had are wider.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from training.calibration import MarginCalibration, Prior, fit_log_odds

FloatArray = npt.NDArray[np.float64]

WINDOW_DAYS = 7
_SHARE_DEVIATION, _SLOPE_DEVIATION = 1.0, 0.3
_EVEN_DAYS = float(np.log(7 / 21))  # log-odds of one week of four


@dataclass(frozen=True)
class FirstWeek:
    """Share of the purchases within 28 days that fall in the first 7: σ(intercept + slope · margin)."""

    intercept: float = _EVEN_DAYS
    slope: float = 0.0

    def share(self, margin: npt.ArrayLike) -> FloatArray:
        """Return the share at each margin, 0 to 1."""
        return np.asarray(expit(self.intercept + self.slope * np.asarray(margin)), dtype=np.float64)


@dataclass(frozen=True)
class TwoChances:
    """The chances within 28 and within 7 days by one margin; the second is never the higher."""

    within_28: MarginCalibration
    first_week: FirstWeek

    def p28(self, margin: npt.ArrayLike) -> FloatArray:
        """Return the chance within 28 days, ``(n,)``."""
        return self.within_28.probability(margin)

    def p7(self, margin: npt.ArrayLike) -> FloatArray:
        """Return the chance within 7 days, ``(n,)``."""
        return np.asarray(self.p28(margin) * self.first_week.share(margin), dtype=np.float64)

    def to_json(self) -> str:
        """Return all coefficients as JSON."""
        first_week = {"intercept": self.first_week.intercept, "slope": self.first_week.slope}
        return json.dumps({"within_28": json.loads(self.within_28.to_json()), "first_week": first_week})


def fit_first_week(margin: npt.ArrayLike, day: npt.ArrayLike) -> FirstWeek:
    """Return the share of first weeks by margin; rows without a purchase within 28 days (inf, NaN) do not count.

    Without rows one week is as good as another: a quarter.
    """
    margins, days = np.asarray(margin, dtype=np.float64), np.asarray(day, dtype=np.float64)
    happened = np.isfinite(days)
    design = np.column_stack([np.ones(int(happened.sum())), margins[happened]])
    prior = Prior((_EVEN_DAYS, 0.0), (_SHARE_DEVIATION, _SLOPE_DEVIATION))
    intercept, slope = fit_log_odds(design, days[happened] < WINDOW_DAYS, prior)
    return FirstWeek(float(intercept), float(slope))
