"""Rows about trips: a row a customer and day ahead, or a row a customer, with what came after the moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment
from training.examples import Examples
from training.history import History

FloatArray = npt.NDArray[np.float64]

WINDOW_DAYS = 7
DAY_AHEAD = "day_ahead"
DAY_RECENCY = "day_recency_days"
DAY_GAP_RATIO = "day_gap_ratio"
MONTH_DAY = "month_day"
WEEKDAY_SHARE = "weekday_share"

_DAY_US = 86_400_000_000
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0
_WEEKDAY_PRIOR = 3.0  # trips, spread evenly over the week, that a customer's weekdays start from
_RATE_PRIOR_DAYS = 14.0


def pooled(parts: Sequence[Examples]) -> Examples:
    """Return the examples of all parts, in their order."""
    kept = [part for part in parts if len(part)]
    if not kept:
        return Examples(pd.DataFrame(), np.zeros(0), np.zeros(0, dtype=np.int64))
    features = pd.concat([part.features for part in kept], ignore_index=True)
    labels = np.concatenate([part.labels for part in kept])
    return Examples(features, labels, np.concatenate([part.customers for part in kept]))


def known_customers(history: History, moment: Moment) -> pd.DataFrame:
    """Return the features of all who had a basket before `moment`."""
    customers = history.features("customers", moment)
    return customers[customers[c.N_BASKETS] > 0].reset_index(drop=True)


def trip_rates(customers: pd.DataFrame) -> FloatArray:
    """Return expected trips a day, ``(n_customers,)``: trips + 1 over tenure + recency + two weeks.

    Recency counts twice, so that who stays away longer than their gaps is expected ever less.
    """
    days = customers[c.TENURE_DAYS].to_numpy(dtype=np.float64) + customers[c.RECENCY_DAYS].to_numpy(dtype=np.float64)
    rate: FloatArray = (customers[c.N_BASKETS].to_numpy(dtype=np.float64) + 1.0) / (days + _RATE_PRIOR_DAYS)
    return rate


def weekday_shares(history: History, moment: Moment) -> pd.DataFrame:
    """Return each customer's share of trips by weekday (columns 0 to 6, Monday first), shrunk to an even week."""
    hours = history.features("customer_hours", moment, [c.CUSTOMER_ROW, c.WEEKDAY, c.N_BASKETS])
    counts = hours.pivot_table(index=c.CUSTOMER_ROW, columns=c.WEEKDAY, values=c.N_BASKETS, aggfunc="sum")
    counts = counts.reindex(columns=range(WINDOW_DAYS)).fillna(0.0) + _WEEKDAY_PRIOR / WINDOW_DAYS
    return counts.div(counts.sum(axis=1), axis=0)


def day_rows(customers: pd.DataFrame, shares: pd.DataFrame, moment: Moment) -> pd.DataFrame:
    """Return a row a customer and day of the window, customers in their order, with what is known of that day.

    The day of the month is among it: money comes once a month, and trips follow it.
    """
    n = len(customers)
    rows = customers.loc[customers.index.repeat(WINDOW_DAYS)].reset_index(drop=True)
    ahead = np.tile(np.arange(WINDOW_DAYS), n)
    weekday = (moment.day + ahead + _EPOCH_WEEKDAY) % WINDOW_DAYS
    month_day = np.array([_month_day(moment.day + d) for d in range(WINDOW_DAYS)])
    by_customer = shares.reindex(customers[c.CUSTOMER_ROW]).fillna(1.0 / WINDOW_DAYS).to_numpy(dtype=np.float64)
    recency = rows[c.RECENCY_DAYS].to_numpy(dtype=np.float64) + ahead
    gap = rows[c.GAP_MEAN_DAYS].to_numpy(dtype=np.float64, na_value=np.nan)
    return rows.assign(
        **{
            DAY_AHEAD: ahead,
            c.WEEKDAY: weekday,
            MONTH_DAY: month_day[ahead],
            WEEKDAY_SHARE: by_customer[np.repeat(np.arange(n), WINDOW_DAYS), weekday],
            DAY_RECENCY: recency,
            DAY_GAP_RATIO: np.divide(recency, gap, out=np.full(len(gap), np.nan), where=gap > 0),
        }
    )


def hazard_examples(history: History, moment: Moment) -> Examples:
    """Return a row a customer and day up to their first trip after `moment`, labelled 1 on the day of that trip."""
    customers = known_customers(history, moment)
    rows = day_rows(customers, weekday_shares(history, moment), moment)
    first = first_days(history.purchases_after(moment, WINDOW_DAYS), [c.CUSTOMER_ROW])
    came = customers[c.CUSTOMER_ROW].map(first).to_numpy(dtype=np.float64, na_value=np.inf).repeat(WINDOW_DAYS)
    ahead = rows[DAY_AHEAD].to_numpy()
    labels = (ahead == came).astype(np.float64)
    return Examples(rows, labels, rows[c.CUSTOMER_ROW].to_numpy(dtype=np.int64)).only(
        np.asarray(ahead <= came, dtype=np.bool_)
    )


def days_examples(history: History, moment: Moment, cap_days: int) -> Examples:
    """Return all who had bought before `moment`, labelled with the days (fractional, capped) to their next trip."""
    customers = known_customers(history, moment)
    lines = history.purchases_after(moment, cap_days)
    at_us = customers[c.CUSTOMER_ROW].map(lines.groupby(c.CUSTOMER_ROW)[c.ORDERED_US].min())
    days = (at_us.to_numpy(dtype=np.float64, na_value=np.inf) - moment.us) / _DAY_US
    labels = np.asarray(np.minimum(days, float(cap_days)), dtype=np.float64)
    return Examples(customers, labels, customers[c.CUSTOMER_ROW].to_numpy(dtype=np.int64))


def first_days(lines: pd.DataFrame, keys: Sequence[str]) -> pd.Series[int]:
    """Return the first day (0-based, after the cutoff) on which each key occurs among label lines."""
    found: pd.Series[int] = lines.groupby(list(keys))[c.DAY_OFFSET].min()
    return found


def trip_examples(history: History, moment: Moment) -> Examples:
    """Return all who had bought before `moment`, labelled 1 where they make a trip within 7 days."""
    customers = known_customers(history, moment)
    shoppers = history.purchases_after(moment, WINDOW_DAYS)[c.CUSTOMER_ROW].unique()
    came = customers[c.CUSTOMER_ROW].isin(shoppers)
    rows = customers[c.CUSTOMER_ROW].to_numpy(dtype=np.int64)
    return Examples(customers, np.asarray(came, dtype=np.float64), rows)


def _month_day(day: int) -> int:
    return date.fromordinal(_EPOCH_ORDINAL + day).day
