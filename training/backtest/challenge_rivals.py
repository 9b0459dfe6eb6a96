"""Challenges that a shop could put together without models, in the form of ours: what each asks for.

Both obey what every challenge obeys: three different categories, nothing restricted or intimate, and a stretch from a
category that the customer has not bought of in 26 weeks. "Personal top frequency" asks for the two types that they
bought in most baskets (Hu et al., "Modeling Personalized Item Frequency Information for Next-basket Recommendation",
SIGIR 2020, name it as the baseline to beat) and the most popular category that is new to them; "random" for two types
that they ever bought and any new category. Who has bought of fewer than two categories gets popular types.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment
from serving.bundle import Bundle
from serving.bundle_format import INTIMATE, RECOMMENDABLE, RESTRICTED
from training.challenge_weeks import COUNTS_LEVEL, COUNTS_ROW, N_ITEMS, PLACE, TARGET
from training.history import History
from training.levels import TYPE
from training.peers.frequency import TOP_FREQUENCY, own_items

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

FREQUENT = "P-TopFreq + popular"
RANDOM = "random"
RECENT_DAYS = 26 * 7
NOTHING = -1
N_TRIED = 300
"""So many popular, or random, categories are looked through for one that is new to a customer."""
_N_POPULAR = 40
_SEED = 20171009
_SCORE = "score"


def rival_items(known: History, moment: Moment, bundle: Bundle, customers: IntArray) -> dict[str, pd.DataFrame]:
    """Return what each rival asks of these customers in the week from `moment`: three rows each, by customer.

    The columns are customer_row, place, `counts_level`, `counts_row` (−1 where there is nothing to ask for) and
    target_quantity: of a habit as many pieces as they usually buy, of a stretch one.
    """
    rng = np.random.default_rng([_SEED, moment.day])
    shop = _Shop.of(known, moment, bundle)
    own = _own_types(known, moment, shop, customers)
    recent = known.features("customer_categories", moment, [c.CUSTOMER_ROW, c.CATEGORY_ROW, c.RECENCY_DAYS])
    recent = recent[recent[c.RECENCY_DAYS] <= RECENT_DAYS]
    tried = {
        FREQUENT: np.tile(shop.popular_categories[:N_TRIED], (len(customers), 1)),
        RANDOM: _drawn(shop.popular_categories, len(customers), rng),
    }
    own[FREQUENT], own[RANDOM] = own[TOP_FREQUENCY], rng.random(len(own))
    found = {}
    for name, categories in tried.items():
        habits = _two_habits(own, shop, customers, name)
        closed = _closed(recent, habits, shop)
        stretch = first_open(categories, customers, closed, shop.n_categories)
        found[name] = _as_items(customers, habits, stretch, own)
    return found


class _Shop:
    """What may be asked for at all: types and categories with a product that may be shown, most popular first."""

    def __init__(self, category_of_type: IntArray, popular_types: IntArray, popular_categories: IntArray) -> None:
        self.category_of_type = category_of_type
        self.popular_types = popular_types
        self.popular_categories = popular_categories
        self.n_categories = int(category_of_type.max(initial=-1)) + 1
        self.may_be_asked = np.zeros(len(category_of_type), dtype=np.bool_)
        self.may_be_asked[popular_types] = True

    @classmethod
    def of(cls, known: History, moment: Moment, bundle: Bundle) -> _Shop:
        products = bundle.products
        flags = products.flags
        is_fit = (flags & RECOMMENDABLE > 0) & (flags & (RESTRICTED | INTIMATE) == 0)
        types = known.features("types", moment, [c.TYPE_ROW, c.WEEKLY_RATE])
        categories = known.features("categories", moment, [c.CATEGORY_ROW, c.WEEKLY_RATE])
        return cls(
            np.asarray(bundle.types.category, dtype=np.int64),
            _popular(types, c.TYPE_ROW, np.unique(products.type[is_fit])),
            _popular(categories, c.CATEGORY_ROW, np.unique(products.category[is_fit])),
        )


def _popular(items: pd.DataFrame, row: str, fit: npt.NDArray[np.int32]) -> IntArray:
    """Return the items that may be asked for, by the share of active customers who buy them in a week; ties by row."""
    allowed = items[items[row].isin(fit)]
    order = np.lexsort((allowed[row], -allowed[c.WEEKLY_RATE].fillna(0.0)))
    return allowed[row].to_numpy(dtype=np.int64)[order]


def _drawn(categories: IntArray, n: int, rng: np.random.Generator) -> IntArray:
    """Return categories drawn at random for each of `n` customers, shape ``(n, N_TRIED)``; none of none."""
    if len(categories) == 0:
        return np.zeros((n, 0), dtype=np.int64)
    return categories[rng.integers(0, len(categories), (n, N_TRIED))]


def _own_types(known: History, moment: Moment, shop: _Shop, customers: IntArray) -> pd.DataFrame:
    """Return the types that each customer has bought, with category, usual quantity and baskets."""
    own = own_items(known, moment, TYPE)[[c.CUSTOMER_ROW, c.TYPE_ROW, TOP_FREQUENCY]]
    usual = known.features("customer_types", moment, [c.CUSTOMER_ROW, c.TYPE_ROW, c.QUANTITY_USUAL])
    own = own.merge(usual, on=[c.CUSTOMER_ROW, c.TYPE_ROW], how="left")
    types = own[c.TYPE_ROW].to_numpy()
    own = own.assign(**{c.CATEGORY_ROW: shop.category_of_type[types]})
    is_asked = own[c.CUSTOMER_ROW].isin(customers).to_numpy() & shop.may_be_asked[types]
    return own.loc[np.flatnonzero(is_asked)].reset_index(drop=True)


def _two_habits(own: pd.DataFrame, shop: _Shop, customers: IntArray, score: str) -> IntArray:
    """Return the two best types of different categories of each customer, shape ``(n, 2)``; −1 where there is none."""
    popular = shop.popular_types[:_N_POPULAR]
    everyone = pd.DataFrame(
        {
            c.CUSTOMER_ROW: np.repeat(customers, len(popular)),
            c.TYPE_ROW: np.tile(popular, len(customers)),
            c.CATEGORY_ROW: np.tile(shop.category_of_type[popular], len(customers)),
            _SCORE: np.tile(-1.0 - np.arange(len(popular)), len(customers)),
        }
    )
    named = own[[c.CUSTOMER_ROW, c.TYPE_ROW, c.CATEGORY_ROW]].assign(**{_SCORE: own[score]})
    rows = pd.concat([named, everyone], ignore_index=True)
    rows = rows.sort_values([c.CUSTOMER_ROW, _SCORE, c.TYPE_ROW], ascending=[True, False, True])
    best = rows.drop_duplicates(c.CUSTOMER_ROW).set_index(c.CUSTOMER_ROW)
    others = rows[rows[c.CATEGORY_ROW].to_numpy() != best[c.CATEGORY_ROW].reindex(rows[c.CUSTOMER_ROW]).to_numpy()]
    second = others.drop_duplicates(c.CUSTOMER_ROW).set_index(c.CUSTOMER_ROW)
    both = [each[c.TYPE_ROW].reindex(customers).fillna(NOTHING).to_numpy(dtype=np.int64) for each in (best, second)]
    return np.column_stack(both)


def _closed(recent: pd.DataFrame, habits: IntArray, shop: _Shop) -> tuple[IntArray, IntArray]:
    """Return what is not new: keys (customer_row × number of categories + category_row), and the habits' categories."""
    keys = recent[c.CUSTOMER_ROW].to_numpy(dtype=np.int64) * shop.n_categories + recent[c.CATEGORY_ROW].to_numpy()
    categories = np.where(habits >= 0, shop.category_of_type[np.maximum(habits, 0)], NOTHING)
    return np.unique(keys), categories


def first_open(tried: IntArray, customers: IntArray, closed: tuple[IntArray, IntArray], n_categories: int) -> IntArray:
    """Return the first of each customer's categories that is open to them, −1 for none, shape ``(n,)``.

    `tried` has shape ``(n, k)``, the first to be tried first; `closed` are sorted keys (customer_row × `n_categories` +
    category_row) and further categories of each customer, shape ``(n, j)``.
    """
    keys, also = closed
    wanted = customers[:, None] * n_categories + tried
    place = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    is_closed = keys[place] == wanted if len(keys) else np.zeros(wanted.shape, dtype=np.bool_)
    for column in also.T:
        is_closed = is_closed | (tried == column[:, None])
    if tried.shape[1] == 0:
        return np.full(len(customers), NOTHING, dtype=np.int64)
    first = np.argmin(is_closed, axis=1)
    rows = np.arange(len(customers))
    return np.where(is_closed[rows, first], NOTHING, tried[rows, first])


def _as_items(customers: IntArray, habits: IntArray, stretch: IntArray, own: pd.DataFrame) -> pd.DataFrame:
    n = len(customers)
    items = pd.DataFrame(
        {
            c.CUSTOMER_ROW: np.repeat(customers, N_ITEMS),
            PLACE: np.tile(np.arange(N_ITEMS), n),
            COUNTS_LEVEL: np.tile(_levels(), n),
            COUNTS_ROW: np.column_stack([habits, stretch]).ravel(),
        }
    )
    usual = own.set_index([c.CUSTOMER_ROW, c.TYPE_ROW])[c.QUANTITY_USUAL].astype(np.float64)
    of_types = usual.reindex(pd.MultiIndex.from_frame(items[[c.CUSTOMER_ROW, COUNTS_ROW]])).fillna(1.0).to_numpy()
    return items.assign(**{TARGET: np.where(items[PLACE] < N_ITEMS - 1, of_types, 1.0)})


def _levels() -> Sequence[str]:
    return ("product_type", "product_type", "category")
