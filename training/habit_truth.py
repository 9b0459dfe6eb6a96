"""What customers really bought after a moment, and which of them repeat is judged on.

Merchandise only: a basket is one with a purchase, and who comes for fuel alone does not shop here.

- Regular: at least three baskets before the moment. Active: regular, the last basket within 56 days.
- Next basket: what a regular customer buys in the first basket after the moment, however late it comes.
- Week: what anyone buys within 7 days.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment
from training.baskets import known_lines
from training.history import History

IntArray = npt.NDArray[np.int64]

MIN_BASKETS, ACTIVE_DAYS, WEEK_DAYS = 3, 56, 7


@dataclass(frozen=True)
class HabitTruth:
    """Rows of customers, ascending, and what they bought: frames of `customer_row` and the item's row, each pair once.

    `shoppers` are the active ones who buy within the week.
    """

    regular: IntArray
    active: IntArray
    shoppers: IntArray
    next_basket: pd.DataFrame
    week: pd.DataFrame


def habit_truth(history: History, moment: Moment, item: str) -> HabitTruth:
    """Return what was known at `moment` of who is judged, and what `history`, to its end, knows of what came after."""
    before = known_lines(history.until(moment))
    baskets = before.loc[before[c.IS_PURCHASE], [c.CUSTOMER_ROW, c.ORDER_ROW, c.ORDERED_DAY]]
    by_customer = baskets.groupby(c.CUSTOMER_ROW)
    n_baskets, last_day = by_customer[c.ORDER_ROW].nunique(), by_customer[c.ORDERED_DAY].max()
    is_regular = n_baskets >= MIN_BASKETS
    is_active = is_regular & (moment.day - last_day <= ACTIVE_DAYS)
    regular, active = (_rows(each.index[each.to_numpy()]) for each in (is_regular, is_active))

    after = known_after(history, moment)
    bought = after[after[c.IS_PURCHASE]]
    week = bought.loc[bought[c.DAY_OFFSET] < WEEK_DAYS, [c.CUSTOMER_ROW, item]].drop_duplicates()
    shoppers = np.intersect1d(active, week[c.CUSTOMER_ROW].to_numpy(dtype=np.int64))
    following = first_baskets(bought[bought[c.CUSTOMER_ROW].isin(regular)], item)
    return HabitTruth(regular, active, shoppers, following, week.reset_index(drop=True))


def known_after(history: History, moment: Moment) -> pd.DataFrame:
    """Return all lines from `moment` to the last whole day that the history knows (features/labels.sql)."""
    days = max(history.known_until.day - moment.day, 0)
    is_whole = moment.plus_days(days, history.tables.time_zone) <= history.known_until
    return history.purchases_after(moment, days if is_whole else days - 1)


def first_baskets(own: pd.DataFrame, item: str) -> pd.DataFrame:
    """Return customer_row and `item` of what lies in the first basket of each customer, each pair once."""
    first = own.sort_values([c.ORDERED_US, c.ORDER_ROW]).groupby(c.CUSTOMER_ROW)[c.ORDER_ROW].first()
    in_first = own[c.ORDER_ROW].to_numpy() == own[c.CUSTOMER_ROW].map(first).to_numpy()
    baskets: pd.DataFrame = own.loc[in_first, [c.CUSTOMER_ROW, item]].drop_duplicates().reset_index(drop=True)
    return baskets


def _rows(index: pd.Index[int]) -> IntArray:
    return np.sort(np.asarray(index, dtype=np.int64))
