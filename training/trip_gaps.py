"""What a customer's own gaps between trips say of the present one: survival features, without a model of survival.

A gap is the days from one day with a trip to the next. How often they stayed away as long as now and came back all the
same, and how long they stayed away at most, tells more than means and deviations do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment
from training.baskets import known_lines
from training.history import WEEK_DAYS, History

IntArray = npt.NDArray[np.int64]

CAME_BACK = "gap_came_back_share"
LONG_GAPS, VERY_LONG_GAPS = "gaps_14d_rate", "gaps_28d_rate"
LONGEST, PAST_LONGEST = "gap_longest_days", "recency_per_longest_gap"
LATE_MEAN, LATE_LONGEST = "gap_late_mean_days", "gap_late_longest_days"
PAST_LATE_MEAN, PAST_LATE_LONGEST = "recency_per_late_gap", "recency_per_late_longest_gap"
LOG_MEAN, LOG_STD = "gap_log_mean", "gap_log_std"
WEEKS_8, WEEKS_26 = "weeks_with_trip_8w", "weeks_with_trip_26w"

_N_LATE = 5
_WINDOW_DAYS = 28
_LONG_DAYS = 14


@dataclass(frozen=True)
class TripDays:
    """Each customer's days with a trip, by customer and day: rows, day numbers, and the first trip's time that day."""

    customers: IntArray
    days: IntArray
    at_us: IntArray

    def before(self, moment: Moment) -> TripDays:
        """Return the days whose first trip lies before `moment`."""
        kept = self.at_us < moment.us
        return TripDays(self.customers[kept], self.days[kept], self.at_us[kept])


def trip_days(history: History) -> TripDays:
    """Return the days with a trip that the history knows; any line counts."""
    lines = known_lines(history)
    first = lines.groupby([c.CUSTOMER_ROW, c.ORDERED_DAY])[c.ORDERED_US].min().reset_index()
    return TripDays(*(first[name].to_numpy(dtype=np.int64) for name in (c.CUSTOMER_ROW, c.ORDERED_DAY, c.ORDERED_US)))


def with_gaps(customers: pd.DataFrame, trips: TripDays, moment: Moment) -> pd.DataFrame:
    """Return customers' features as of `moment` with those of their gaps; missing where there is no gap yet."""
    known = trips.before(moment)
    gaps = _gaps(known, customers)
    late = gaps[gaps.groupby(c.CUSTOMER_ROW).cumcount(ascending=False) < _N_LATE].groupby(c.CUSTOMER_ROW)["gap"]
    each = gaps.groupby(c.CUSTOMER_ROW)
    sums = each[["longer", "unended", "long", "very_long"]].sum()
    found = pd.DataFrame(
        {
            CAME_BACK: (sums["longer"] - sums["unended"] + 1.0) / (sums["longer"] + 2.0),
            LONGEST: each["gap"].max(),
            LOG_MEAN: each["log"].mean(),
            LOG_STD: each["log"].std(),
            LATE_MEAN: late.mean(),
            LATE_LONGEST: late.max(),
            LONG_GAPS: sums["long"],
            VERY_LONG_GAPS: sums["very_long"],
        }
    )
    found = found.join(_weeks(known, moment), how="outer").reindex(customers[c.CUSTOMER_ROW].to_numpy())
    found.index = customers.index
    recency = customers[c.RECENCY_DAYS].astype(np.float64)
    windows = customers[c.TENURE_DAYS].clip(lower=_WINDOW_DAYS).astype(np.float64) / _WINDOW_DAYS
    return pd.concat([customers, found], axis=1).assign(
        **{
            LONG_GAPS: found[LONG_GAPS] / windows,
            VERY_LONG_GAPS: found[VERY_LONG_GAPS] / windows,
            PAST_LONGEST: recency / found[LONGEST],
            PAST_LATE_MEAN: recency / found[LATE_MEAN],
            PAST_LATE_LONGEST: recency / found[LATE_LONGEST],
        }
    )


def _gaps(known: TripDays, customers: pd.DataFrame) -> pd.DataFrame:
    """Return a row a gap, in order: its days, and how it compares with what the customer's present gap has come to."""
    same = known.customers[1:] == known.customers[:-1]
    gap = np.diff(known.days)[same].astype(np.float64)
    who = known.customers[1:][same]
    recency = customers.set_index(c.CUSTOMER_ROW)[c.RECENCY_DAYS].reindex(who).to_numpy(np.float64, na_value=np.nan)
    return pd.DataFrame(
        {
            c.CUSTOMER_ROW: who,
            "gap": gap,
            "log": np.log1p(gap),
            "longer": gap > recency,
            "unended": gap >= recency + _WINDOW_DAYS,
            "long": gap >= _LONG_DAYS,
            "very_long": gap >= _WINDOW_DAYS,
        }
    )


def _weeks(known: TripDays, moment: Moment) -> pd.DataFrame:
    """Return in how many of the last 8 and 26 weeks each customer came."""
    rows = pd.DataFrame({c.CUSTOMER_ROW: known.customers, "week": (moment.day - 1 - known.days) // WEEK_DAYS})
    weeks = rows.drop_duplicates()
    counted = {name: weeks[weeks["week"] < n].groupby(c.CUSTOMER_ROW).size() for name, n in _WEEKS.items()}
    return pd.DataFrame(counted).astype(np.float64)


_WEEKS = {WEEKS_8: 8, WEEKS_26: 26}
