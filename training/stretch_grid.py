"""Customers × categories that are new to them, as of a moment, with what may tell whether they will try them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from features import columns as c
from features.asof import Moment
from training.collaborative import Collaborative, CollaborativeConfig, learn
from training.history import History
from training.pairs import CATEGORY, CUSTOMER, PAIR, PairGrid, named_categories, pair_grid

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

CUSTOMERS_AT_ONCE = 2_000

RANK_OF = "rank_of_"
DEPARTMENT_SHARE = "department_share"
DEPARTMENT_OWNED = "department_owned"
PRICE_LEVEL = "price_level"
NEW_4W = "n_new_categories_4w"
POPULARITY_SCORE = CATEGORY + c.BUYER_SHARE_4W

_FEATURES = (
    *(
        PAIR + name
        for name in (c.N_BASKETS, c.N_BASKETS_H112, c.RECENCY_DAYS, c.FIRST_DAYS, c.GAP_MEAN_DAYS, c.DUE_RATIO, c.SPEND)
    ),
    *(
        CUSTOMER + name
        for name in (
            *(c.N_BASKETS_4W, c.N_BASKETS_12W, c.N_BASKETS_26W, c.RECENCY_DAYS, c.TENURE_DAYS, c.GAP_MEAN_DAYS),
            *(c.GAP_RATIO, c.SPEND_4W, c.SPEND_PER_BASKET, c.LINES_PER_BASKET, c.N_PRODUCTS, c.N_CATEGORIES),
            *(c.N_CATEGORIES_PER_BASKET, c.DISCOUNT_SHARE, c.COUPON_SHARE, c.PRIVATE_LABEL_SHARE, c.UNIT_PRICE_MEAN),
            *(c.WEEKEND_SHARE, c.EVENING_SHARE, c.N_STORES, c.BASKET_TREND_4W_12W, c.N_BASKETS_H14),
        )
    ),
    *(
        CATEGORY + name
        for name in (
            *(c.N_CUSTOMERS, c.N_CUSTOMERS_4W, c.N_BASKETS, c.N_BASKETS_4W, c.BUYER_SHARE_4W, c.TREND_4W_12W),
            *(c.PRICE_MEAN, c.REBUY_RATE, c.GAP_MEAN_DAYS, c.ADOPTION_4W, c.SEASON_RATIO, c.WEEKLY_RATE),
        )
    ),
)


@dataclass(frozen=True)
class StretchRules:
    """What is new, for whom a model learns, and how many categories there may be.

    A category is new when it was not bought in `new_days`. Learned from customers with `min_baskets` baskets in those
    days, the last within `active_days`, whose first basket lies `new_days` back (less where the source is younger).
    """

    new_days: int = 182
    active_days: int = 56
    min_baskets: int = 3
    first_weeks_days: int = 28
    max_categories: int = 300
    scores: CollaborativeConfig = field(default_factory=CollaborativeConfig)


@dataclass(frozen=True)
class StretchGrid:
    """All customers with a trip × the categories most bought, as of one moment."""

    rules: StretchRules
    pairs: PairGrid
    owned: sp.csr_array
    scores: Collaborative
    departments: IntArray
    is_learner: BoolArray
    n_new_4w: FloatArray

    @property
    def width(self) -> int:
        """Return the number of categories."""
        return len(self.pairs.categories)

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Yield ranges of customers, small enough to have all their cells in memory."""
        n = len(self.pairs.customers) if self.width else 0
        for start in range(0, n, CUSTOMERS_AT_ONCE):
            yield start, min(start + CUSTOMERS_AT_ONCE, n)

    def new_cells(self, start: int, stop: int) -> IntArray:
        """Return the cells (customer by customer) of categories new to the customers from `start` to `stop`."""
        is_new = np.asarray(self.owned[start:stop].todense()) == 0
        return np.flatnonzero(is_new).astype(np.int64) + start * self.width

    def features(self, cells: IntArray, start: int, stop: int) -> pd.DataFrame:
        """Return the features of cells of the customers from `start` to `stop`, a row each."""
        who, what = np.divmod(cells, max(self.width, 1))
        known = self.pairs.features(cells)
        more = {name: table[who - start, what] for name, table in self._tables(start, stop).items()}
        price = known.get(CATEGORY + c.PRICE_MEAN)
        if price is not None and CUSTOMER + c.UNIT_PRICE_MEAN in known:
            more[PRICE_LEVEL] = (price / known[CUSTOMER + c.UNIT_PRICE_MEAN]).to_numpy()
        more[NEW_4W] = self.n_new_4w[who]
        return known.assign(**{name: np.asarray(values, dtype=np.float32) for name, values in more.items()})

    def _tables(self, start: int, stop: int) -> dict[str, FloatArray]:
        scores = self.scores.scores(start, stop)
        is_owned = np.asarray(self.owned[start:stop].todense()) > 0
        ranks = {RANK_OF + name: _ranks(np.where(is_owned, -np.inf, table)) for name, table in scores.items()}
        n_departments = int(self.departments.max(initial=-1)) + 1
        member = np.zeros((self.width, n_departments))
        member[np.arange(self.width), self.departments] = 1.0
        by_department = is_owned @ member
        share = by_department / np.maximum(is_owned.sum(axis=1), 1)[:, None]
        held = by_department / np.maximum(member.sum(axis=0), 1)
        return {
            **scores,
            **ranks,
            DEPARTMENT_SHARE: share[:, self.departments],
            DEPARTMENT_OWNED: held[:, self.departments],
        }


def stretch_grid(history: History, moment: Moment, rules: StretchRules) -> StretchGrid:
    """Return the grid as of `moment`."""
    pairs = pair_grid(
        history,
        moment,
        active_days=None,
        min_base_rate=0.0,
        most=rules.max_categories,
        among=named_categories(history),
    ).only(_FEATURES)
    owned = history.features(
        "customer_categories", moment, [c.CUSTOMER_ROW, c.CATEGORY_ROW, c.RECENCY_DAYS, c.FIRST_DAYS]
    )
    recent = _owned(pairs, owned[owned[c.RECENCY_DAYS] <= rules.new_days])
    new_4w = _owned(pairs, owned[owned[c.FIRST_DAYS] <= 28])
    table = history.tables.read("categories", [c.CATEGORY_ROW, c.DEPARTMENT]).set_index(c.CATEGORY_ROW)
    departments = pd.factorize(table[c.DEPARTMENT].reindex(pairs.categories).fillna(""))[0]
    return StretchGrid(
        rules=rules,
        pairs=pairs,
        owned=recent,
        scores=learn(recent, rules.scores),
        departments=departments.astype(np.int64),
        is_learner=_learners(history, moment, rules, pairs.customers),
        n_new_4w=np.diff(new_4w.indptr).astype(np.float64),
    )


def first_days(grid: StretchGrid, lines: pd.DataFrame) -> FloatArray:
    """Return for each cell the first day (from 0) on which it was bought in the lines, NaN where it wasn't."""
    bought = lines[lines[c.IS_PURCHASE]]
    keys = _cells(grid.pairs, bought)
    first = np.full(len(grid.pairs), np.inf)
    np.minimum.at(first, keys[keys >= 0], bought[c.DAY_OFFSET].to_numpy(dtype=np.float64)[keys >= 0])
    return np.where(np.isfinite(first), first, np.nan)


def _owned(pairs: PairGrid, owned: pd.DataFrame) -> sp.csr_array:
    """Return which customer has which category, 0 or 1, ``(n_customers, n_categories)``."""
    keys = _cells(pairs, owned)
    who, what = np.divmod(keys[keys >= 0], max(len(pairs.categories), 1))
    return sp.csr_array((np.ones(len(who)), (who, what)), shape=(len(pairs.customers), len(pairs.categories)))


def _cells(pairs: PairGrid, rows: pd.DataFrame) -> IntArray:
    """Return the cell of each row's customer and category, −1 where either is not in the grid."""
    who = pd.Index(pairs.customers).get_indexer(pd.Index(rows[c.CUSTOMER_ROW]))
    what = pd.Index(pairs.categories).get_indexer(pd.Index(rows[c.CATEGORY_ROW]))
    return np.where((who >= 0) & (what >= 0), who * len(pairs.categories) + what, -1).astype(np.int64)


def _learners(history: History, moment: Moment, rules: StretchRules, customers: IntArray) -> BoolArray:
    """Return which of the customers a model learns from and is judged on."""
    span = moment.day - history.tables.first_day
    min_tenure = min(rules.new_days, max(span - rules.first_weeks_days, 0))
    wanted = [c.CUSTOMER_ROW, c.N_BASKETS_26W, c.RECENCY_DAYS, c.TENURE_DAYS]
    frame = history.features("customers", moment, wanted).set_index(c.CUSTOMER_ROW).reindex(customers)
    is_learner = (
        (frame[c.N_BASKETS_26W] >= rules.min_baskets)
        & (frame[c.RECENCY_DAYS] <= rules.active_days)
        & (frame[c.TENURE_DAYS] >= min_tenure)
    )
    return is_learner.to_numpy(dtype=np.bool_)


def _ranks(scores: FloatArray) -> FloatArray:
    """Return the rank of each entry in its row, 1 is best; ties by column."""
    order = np.argsort(-scores, axis=1, kind="stable")
    ranks = np.empty(scores.shape)
    np.put_along_axis(ranks, order, np.arange(1.0, scores.shape[1] + 1)[None, :], axis=1)
    return ranks
