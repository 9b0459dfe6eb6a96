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
from training.adoption import Adoption, Newness, adoption
from training.collaborative import (
    EASE_COUNTS,
    EASE_EVER,
    FACTORS_COUNTS,
    NEIGHBOURS,
    Collaborative,
    CollaborativeConfig,
    Past,
    learn,
)
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
TAKEN_UP = "taken_up_4w"
"""Of those to whom a category was new four weeks ago, the share who have bought it since: where a model starts."""

TAKEN_UP_BEFORE, TAKEN_UP_2W = "taken_up_4w_before", "taken_up_2w"
N_TAKEN_UP_4W, N_TAKEN_UP_8W = "n_taken_up_4w", "n_taken_up_8w"

_RANKED = (EASE_EVER, EASE_COUNTS, FACTORS_COUNTS, NEIGHBOURS)
_LATEST_DAYS = 28

_OWNED = (c.CUSTOMER_ROW, c.CATEGORY_ROW, c.RECENCY_DAYS, c.FIRST_DAYS, c.N_BASKETS_26W)
_FEATURES = (
    *(PAIR + name for name in (c.N_BASKETS, c.N_BASKETS_H112, c.RECENCY_DAYS, c.FIRST_DAYS, c.SPEND)),
    *(
        CUSTOMER + name
        for name in (
            *(c.N_BASKETS_4W, c.N_BASKETS_12W, c.RECENCY_DAYS, c.TENURE_DAYS, c.GAP_MEAN_DAYS, c.SPEND_4W),
            *(c.LINES_PER_BASKET, c.N_PRODUCTS, c.N_CATEGORIES, c.N_CATEGORIES_PER_BASKET, c.DISCOUNT_SHARE),
            *(c.UNIT_PRICE_MEAN, c.EVENING_SHARE, c.N_STORES, c.BASKET_TREND_4W_12W),
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

    @property
    def newness(self) -> Newness:
        """Return what is new, and for whom a model learns."""
        return Newness(self.new_days, self.active_days, self.min_baskets, self.first_weeks_days)


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
    adoption: Adoption

    @property
    def width(self) -> int:
        """Return the number of categories."""
        return len(self.pairs.categories)

    @property
    def n_buyers(self) -> FloatArray:
        """Return how many customers bought each category in the days after which it is new, ``(width,)``."""
        return np.asarray(self.owned.sum(axis=0), dtype=np.float64)

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
        taken = self.adoption
        more |= {TAKEN_UP: taken.share[what], TAKEN_UP_BEFORE: taken.share_before[what]}
        more |= {TAKEN_UP_2W: taken.share_2w[what], N_TAKEN_UP_4W: taken.n_4w[who], N_TAKEN_UP_8W: taken.n_8w[who]}
        return known.assign(**{name: np.asarray(values, dtype=np.float32) for name, values in more.items()})

    def _tables(self, start: int, stop: int) -> dict[str, FloatArray]:
        scores = self.scores.scores(start, stop)
        is_owned = np.asarray(self.owned[start:stop].todense()) > 0
        ranks = {RANK_OF + name: _ranks(np.where(is_owned, -np.inf, scores[name])) for name in _RANKED}
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
    owned = history.features("customer_categories", moment, _OWNED)
    past = _past(pairs, owned, rules)
    new_4w = _owned(pairs, owned[owned[c.FIRST_DAYS] <= _LATEST_DAYS])
    table = history.tables.read("categories", [c.CATEGORY_ROW, c.DEPARTMENT]).set_index(c.CATEGORY_ROW)
    departments = pd.factorize(table[c.DEPARTMENT].reindex(pairs.categories).fillna(""))[0]
    newness = rules.newness
    return StretchGrid(
        rules=rules,
        pairs=pairs,
        owned=past.recent,
        scores=learn(past, rules.scores),
        departments=departments.astype(np.int64),
        is_learner=np.isin(pairs.customers, newness.learners(history, moment)),
        n_new_4w=np.diff(new_4w.indptr).astype(np.float64),
        adoption=adoption(history, moment, pairs.customers, pairs.categories, newness),
    )


def first_days(grid: StretchGrid, lines: pd.DataFrame) -> FloatArray:
    """Return for each cell the first day (from 0) on which it was bought in the lines, NaN where it wasn't."""
    bought = lines[lines[c.IS_PURCHASE]]
    keys = _cells(grid.pairs, bought)
    first = np.full(len(grid.pairs), np.inf)
    np.minimum.at(first, keys[keys >= 0], bought[c.DAY_OFFSET].to_numpy(dtype=np.float64)[keys >= 0])
    return np.where(np.isfinite(first), first, np.nan)


def _past(pairs: PairGrid, owned: pd.DataFrame, rules: StretchRules) -> Past:
    """Return who bought what before, of the customers and categories of the grid."""
    age = owned[c.RECENCY_DAYS].to_numpy(dtype=np.float64)
    is_recent = age <= rules.new_days
    baskets = owned[c.N_BASKETS_26W].to_numpy(dtype=np.float64)
    return Past(
        recent=_owned(pairs, owned[is_recent]),
        latest=_owned(pairs, owned[age <= _LATEST_DAYS]),
        ever=_owned(pairs, owned),
        counts=_owned(pairs, owned[is_recent & (baskets > 0)], baskets[is_recent & (baskets > 0)]),
        fading=_owned(pairs, owned, np.exp2(-age / rules.new_days)),
    )


def _owned(pairs: PairGrid, owned: pd.DataFrame, values: FloatArray | None = None) -> sp.csr_array:
    """Return a value (or 1) for what which customer has, ``(n_customers, n_categories)``."""
    keys = _cells(pairs, owned)
    is_known = keys >= 0
    who, what = np.divmod(keys[is_known], max(len(pairs.categories), 1))
    entries = np.ones(len(who)) if values is None else values[is_known]
    return sp.csr_array((entries, (who, what)), shape=(len(pairs.customers), len(pairs.categories)))


def _cells(pairs: PairGrid, rows: pd.DataFrame) -> IntArray:
    """Return the cell of each row's customer and category, −1 where either is not in the grid."""
    who = pd.Index(pairs.customers).get_indexer(pd.Index(rows[c.CUSTOMER_ROW]))
    what = pd.Index(pairs.categories).get_indexer(pd.Index(rows[c.CATEGORY_ROW]))
    return np.where((who >= 0) & (what >= 0), who * len(pairs.categories) + what, -1).astype(np.int64)


def _ranks(scores: FloatArray) -> FloatArray:
    """Return the rank of each entry in its row, 1 is best; ties by column."""
    order = np.argsort(-scores, axis=1, kind="stable")
    ranks = np.empty(scores.shape)
    np.put_along_axis(ranks, order, np.arange(1.0, scores.shape[1] + 1)[None, :], axis=1)
    return ranks
