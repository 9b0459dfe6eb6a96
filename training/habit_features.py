"""What a habit is told by: a row a customer and item bought before, as of a moment, with labels where known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment
from training.examples import feature_columns
from training.habit_truth import first_baskets, known_after
from training.history import History
from training.levels import Level

FloatArray = npt.NDArray[np.float64]

WINDOW_DAYS = 7

ITEM_PREFIX = "item_"
CUSTOMER_PREFIX = "customer_"
FIRST_DAY_BOUGHT = "first_day_bought"
HAS_SHOPPED = "has_shopped"
IN_NEXT_BASKET = "in_next_basket"
NEXT_BASKET_SIZE = "next_basket_size"
PLACE = "place"
SHARE_H14 = "share_h14"
SHARE_H56 = "share_h56"
SHARE_H112 = "share_h112"
EXPECTED_GAP_DAYS = "expected_gap_days"
DUE_IN_DAYS = "due_in_days"
DUE_SHRUNK = "due_shrunk"

ITEM_FEATURES = (
    *(c.N_CUSTOMERS, c.N_BASKETS_4W, c.N_BASKETS_12W, c.BUYER_SHARE_4W, c.TREND_4W_12W, c.REBUY_RATE),
    *(c.GAP_MEAN_DAYS, c.SEASON_RATIO, c.WEEKLY_RATE, c.PRICE_MEAN, c.ADOPTION_4W),
)
CUSTOMER_FEATURES = (
    *(c.N_BASKETS, c.N_BASKETS_4W, c.N_BASKETS_H14, c.N_BASKETS_H56, c.N_BASKETS_H112, c.RECENCY_DAYS, c.TENURE_DAYS),
    *(c.GAP_MEAN_DAYS, c.GAP_RATIO, c.LINES_PER_BASKET, c.N_TYPES, c.N_CATEGORIES_PER_BASKET, c.SPEND_PER_BASKET),
    *(c.BASKET_TREND_4W_12W, c.DISCOUNT_SHARE, c.MAIN_STORE_SHARE),
)
_KEYS_AND_MARKS = frozenset({FIRST_DAY_BOUGHT, HAS_SHOPPED, IN_NEXT_BASKET, NEXT_BASKET_SIZE})


@dataclass(frozen=True)
class CandidateRules:
    """Which pairs are candidates: a customer's `max_items` largest decayed counts."""

    max_items: int = 60
    gap_weight: float = 2.0  # see expected_gaps


@dataclass(frozen=True)
class Surroundings:
    """The features of all items and all customers as of one moment, under prefixed names."""

    level: Level
    items: pd.DataFrame
    customers: pd.DataFrame
    rules: CandidateRules


def shortlist(history: History, moment: Moment, level: Level, rules: CandidateRules) -> pd.DataFrame:
    """Return the candidate pairs with their own features and `place`, by customer, largest decayed count first."""
    own = history.features(level.customer_group, moment)
    order = np.lexsort((own[level.item], -own[c.LAST_DAY], -own[c.N_BASKETS_H56], own[c.CUSTOMER_ROW]))
    place = own[[c.CUSTOMER_ROW]].iloc[order].groupby(c.CUSTOMER_ROW, sort=False).cumcount().to_numpy() + 1
    is_candidate = place <= rules.max_items
    return own.iloc[order[is_candidate]].assign(**{PLACE: place[is_candidate]}).reset_index(drop=True)


def surroundings(history: History, moment: Moment, level: Level, rules: CandidateRules) -> Surroundings:
    """Return what describes the items and customers of pairs as of `moment`."""
    items = history.features(level.item_group, moment, [level.item, *ITEM_FEATURES])
    customers = history.features("customers", moment, [c.CUSTOMER_ROW, *CUSTOMER_FEATURES])
    return Surroundings(
        level, _prefixed(items, level.item, ITEM_PREFIX), _prefixed(customers, c.CUSTOMER_ROW, CUSTOMER_PREFIX), rules
    )


def described(pairs: pd.DataFrame, around: Surroundings) -> pd.DataFrame:
    """Return shortlisted pairs, all or some, with the features of their items and customers, and derived ones."""
    joined = pairs.merge(around.items, on=around.level.item, how="left")
    joined = joined.merge(around.customers, on=c.CUSTOMER_ROW, how="left")
    return joined.assign(**_derived(joined, around.rules))


def labelled(history: History, moment: Moment, pairs: pd.DataFrame, level: Level) -> pd.DataFrame:
    """Return the pairs with what came after.

    `first_day_bought` is 0 to 6, NaN when not within 7 days; `has_shopped` tells of any line then. `in_next_basket` (0
    or 1) and `next_basket_size` (different items) are of the customer's next basket with merchandise, however late:
    NaN where the history knows of none.
    """
    lines = history.purchases_after(moment, WINDOW_DAYS)
    keys = [c.CUSTOMER_ROW, level.item]
    first = lines[lines[c.IS_PURCHASE]].groupby(keys)[c.DAY_OFFSET].min().astype(np.float64).rename(FIRST_DAY_BOUGHT)
    marked = pairs.merge(first.reset_index(), on=keys, how="left")
    marked[HAS_SHOPPED] = marked[c.CUSTOMER_ROW].isin(lines[c.CUSTOMER_ROW].unique())
    return _with_next_basket(marked, known_after(history, moment), level)


def _with_next_basket(pairs: pd.DataFrame, after: pd.DataFrame, level: Level) -> pd.DataFrame:
    following = first_baskets(after[after[c.IS_PURCHASE]], level.item)
    sizes = following.groupby(c.CUSTOMER_ROW).size()
    marked = pairs.merge(following.assign(**{IN_NEXT_BASKET: 1.0}), on=[c.CUSTOMER_ROW, level.item], how="left")
    size = marked[c.CUSTOMER_ROW].map(sizes).astype(np.float64)
    in_basket = marked[IN_NEXT_BASKET].fillna(0.0).where(size.notna())
    return marked.assign(**{IN_NEXT_BASKET: in_basket, NEXT_BASKET_SIZE: size})


def learnable_columns(pairs: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns that a habit model may learn from."""
    return tuple(name for name in feature_columns(pairs) if name not in _KEYS_AND_MARKS)


def expected_gaps(pairs: pd.DataFrame, item_gap: pd.Series[float], weight: float) -> FloatArray:
    """Return the days expected between baskets with the item: the mean of own gaps and `weight` typical ones of it.

    Where the item's own typical gap is not known, the median over all items stands in; with none at all the result is
    the customer's own gap, NaN after a single basket.
    """
    typical = item_gap.to_numpy(dtype=np.float64, na_value=np.nan)
    known = typical[np.isfinite(typical)]
    own = pairs[c.GAP_MEAN_DAYS].to_numpy(dtype=np.float64, na_value=np.nan)
    if len(known) == 0:
        return own
    typical = np.where(np.isfinite(typical), typical, np.median(known))
    n_gaps = np.where(np.isfinite(own), pairs[c.N_BASKETS].to_numpy(dtype=np.float64) - 1.0, 0.0)
    total = n_gaps * np.nan_to_num(own) + weight * typical
    gaps: FloatArray = total / (n_gaps + weight)
    return gaps


def _derived(pairs: pd.DataFrame, rules: CandidateRules) -> dict[str, FloatArray]:
    gap = expected_gaps(pairs, pairs[ITEM_PREFIX + c.GAP_MEAN_DAYS], rules.gap_weight)
    recency = pairs[c.RECENCY_DAYS].to_numpy(dtype=np.float64)
    return {
        SHARE_H14: _ratio(pairs, c.N_BASKETS_H14),
        SHARE_H56: _ratio(pairs, c.N_BASKETS_H56),
        SHARE_H112: _ratio(pairs, c.N_BASKETS_H112),
        EXPECTED_GAP_DAYS: gap,
        DUE_IN_DAYS: gap - recency,
        DUE_SHRUNK: np.divide(recency, gap, out=np.full(len(gap), np.nan), where=gap > 0),
    }


def _ratio(pairs: pd.DataFrame, count: str) -> FloatArray:
    """Return the item's decayed count ÷ the customer's decayed trips: in which share of recent baskets it was."""
    trips = pairs[CUSTOMER_PREFIX + count].to_numpy(dtype=np.float64)
    with_it = pairs[count].to_numpy(dtype=np.float64)
    share: FloatArray = np.divide(with_it, trips, out=np.zeros(len(trips)), where=trips > 0)
    return share


def _prefixed(frame: pd.DataFrame, key: str, prefix: str) -> pd.DataFrame:
    return frame.rename(columns={name: prefix + name for name in frame.columns if name != key})
