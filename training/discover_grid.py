"""Customers × products that they have never bought, as of a moment: candidates, and what may tell what comes next.

Products are those that sell: the ones that most customers bought in the last 28 days, and the best of every category.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from features import columns as c
from features.asof import Moment
from training.baskets import entries_at
from training.discover_scores import SellerConfig, Sellers
from training.history import History
from training.item_to_item import nearest_items
from training.topk import top_of_each

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

CUSTOMERS_AT_ONCE = 400
ACTIVE_DAYS = 56
RECENT_DAYS = 182
NEW_DAYS = 28
_LEAST = 1e-9
_STORE_FLOOR = 0.3  # of a product's worth as a candidate where the customer's store hasn't sold it lately

AFFINITY, BRAND_SHARE, STORE_BASKETS, EXPECTED = "affinity", "brand_share", "store_baskets_4w", "expected_purchases"
TYPE_RATE, CATEGORY_RATE, TYPE_SHARE, CATEGORY_SHARE = (
    "type_rate",
    "category_rate",
    "share_of_type",
    "share_of_category",
)
PRICE_LEVEL, PRICE_IN_TYPE, NEW_PRODUCTS = "price_level", "price_in_type", "n_new_products_4w"
TAKEN_UP = "taken_up"
"""The share of active customers who bought a product for the first time in so many days (in the column's name)."""

_TAKEN_UP_WINDOWS = {"1w": (0, 7), "2w": (0, 14), "4w": (0, 28), "4w_before": (28, 56)}
TYPE_COMMON, BUYER_SHARE = "type_common", "product_" + c.BUYER_SHARE_4W
_PRODUCT = (
    *(c.N_CUSTOMERS, c.N_CUSTOMERS_4W, c.N_BASKETS_4W, c.TREND_4W_12W, c.ADOPTION_4W, c.REBUY_RATE, c.PRICE_MEAN),
    *(c.FIRST_DAYS, c.N_STORES),
)
_CUSTOMER = (
    *(c.N_BASKETS_4W, c.N_BASKETS_12W, c.RECENCY_DAYS, c.LINES_PER_BASKET, c.N_PRODUCTS, c.PRIVATE_LABEL_SHARE),
    *(c.UNIT_PRICE_MEAN, c.DISCOUNT_SHARE, c.TENURE_DAYS),
)


@dataclass(frozen=True)
class DiscoverRules:
    """How many products there are to discover, and how many of them are looked at for each customer."""

    max_products: int = 5000
    n_per_category: int = 8
    n_candidates: int = 80
    n_popular: int = 60
    n_neighbours: int = 50
    popularity_power: float = 0.4
    type_prior: float = 0.3
    n_ease: int = 40
    sellers: SellerConfig = field(default_factory=SellerConfig)


@dataclass(frozen=True)
class DiscoverGrid:
    """Customers ``(n,)`` × products ``(m,)`` with what is known of both; a cell is customer by customer."""

    rules: DiscoverRules
    customers: IntArray
    products: IntArray
    categories: IntArray
    types: IntArray
    brands: IntArray
    product_features: pd.DataFrame
    customer_features: pd.DataFrame
    owned: sp.csr_array
    recent: sp.csr_array
    near: sp.csr_array
    type_rates: sp.csr_array
    category_rates: sp.csr_array
    brand_shares: sp.csr_array
    store_baskets: sp.csr_array
    stores: IntArray
    sellers: Sellers
    taken_up: pd.DataFrame

    @property
    def width(self) -> int:
        """Return the number of products."""
        return len(self.products)

    @property
    def is_active(self) -> npt.NDArray[np.bool_]:
        """Return which customers had a trip within 56 days."""
        return np.asarray(self.customer_features[c.RECENCY_DAYS] <= ACTIVE_DAYS, dtype=np.bool_)

    def blocks(self, who: IntArray) -> Iterator[IntArray]:
        """Yield the places of customers in portions small enough to have all their products in memory."""
        for start in range(0, len(who) if self.width else 0, CUSTOMERS_AT_ONCE):
            yield who[start : start + CUSTOMERS_AT_ONCE]

    def block(self, who: IntArray) -> Block:
        """Return the customers at the places `who` (rising) with all their products."""
        is_owned = np.asarray(self.owned[who].todense()) > 0
        return Block(self, who, is_owned, self.expected(who), self.affinity(who))

    def expected(self, who: IntArray) -> FloatArray:
        """Return the purchases of each product to expect from its type's rate and its share there, ``(n, m)``."""
        rates = np.asarray(self.type_rates[who].todense())[:, self.types]
        share, common = self.shares()
        in_store = np.asarray(self.store_baskets[self.stores[who]].todense()) > 0
        return (rates + self.rules.type_prior * common) * share * np.where(in_store, 1.0, _STORE_FLOOR)

    def affinity(self, who: IntArray) -> FloatArray:
        """Return how near each product is to what the customers bought in 26 weeks, ``(n, m)``."""
        owned = self.recent[who]
        near = np.asarray((owned @ self.near).todense())
        return np.asarray(near / np.sqrt(np.maximum(np.diff(owned.indptr), 1.0))[:, None])

    def shares(self) -> tuple[FloatArray, FloatArray]:
        """Return each product's share of its type's buyers, and the share of active customers who buy the type."""
        buyers = self.product_features[c.N_CUSTOMERS_4W].to_numpy(dtype=np.float64)
        total = np.bincount(self.types, weights=buyers, minlength=int(self.types.max(initial=-1)) + 1)
        n_active = max(float((self.customer_features[c.RECENCY_DAYS] <= NEW_DAYS).sum()), 1.0)
        return self.share_in(self.types), total[self.types] / n_active

    def share_in(self, groups: IntArray) -> FloatArray:
        """Return each product's share of its group's buyers of the last 28 days, ``(m,)``."""
        buyers = self.product_features[c.N_CUSTOMERS_4W].to_numpy(dtype=np.float64)
        total = np.bincount(groups, weights=buyers, minlength=int(groups.max(initial=-1)) + 1)
        return np.asarray(buyers / np.maximum(total[groups], 1.0), dtype=np.float64)


@dataclass(frozen=True)
class Block:
    """Some customers, at the places `who` of the grid, with all products: tables ``(n, m)``."""

    grid: DiscoverGrid
    who: IntArray
    is_owned: npt.NDArray[np.bool_]
    expected: FloatArray
    affinity: FloatArray

    def candidates(self) -> IntArray:
        """Return the cells worth a look, rising: the most expected, the most akin and the most popular new products."""
        rules, width = self.grid.rules, self.grid.width
        row = np.repeat(np.arange(len(self.who)), width)
        chosen = []
        for table, n in (
            (self.expected, rules.n_candidates),
            (self.affinity, rules.n_candidates),
            (self.popular(), rules.n_popular),
        ):
            scores = np.where(self.is_owned, -1.0, table).ravel()
            best = top_of_each(row, scores, n)
            chosen.append(best[scores[best] > 0])
        chosen.append(self._best_sellers(rules.n_ease))
        place, column = np.divmod(np.unique(np.concatenate(chosen)), max(width, 1))
        return np.asarray(self.who[place] * width + column, dtype=np.int64)

    def _best_sellers(self, n: int) -> IntArray:
        """Return the places in the table ``(n, m)`` of each customer's `n` best of the best sellers, by EASE."""
        columns = self.grid.sellers.columns
        if len(columns) == 0 or n == 0:
            return np.zeros(0, dtype=np.int64)
        scores = np.where(self.is_owned[:, columns], -np.inf, self.grid.sellers.ease(self.who)).ravel()
        best = top_of_each(np.repeat(np.arange(len(self.who)), len(columns)), scores, n)
        row, column = np.divmod(best[scores[best] > 0], len(columns))
        return np.asarray(row * self.grid.width + columns[column], dtype=np.int64)

    def popular(self) -> FloatArray:
        """Return how many customers bought each product in 28 days, −1 where the customer has had it."""
        buyers = self.grid.product_features[c.N_CUSTOMERS_4W].to_numpy(dtype=np.float64)
        return np.where(self.is_owned, -1.0, buyers)

    def features(self, cells: IntArray) -> pd.DataFrame:
        """Return the features of cells of these customers, a row each."""
        grid, who = self.grid, self.who
        row, column = np.divmod(cells, max(grid.width, 1))
        local = np.searchsorted(who, row)
        share, common = grid.shares()
        product = grid.product_features[list(_PRODUCT)].iloc[column].reset_index(drop=True).add_prefix("product_")
        customer = grid.customer_features[list(_CUSTOMER)].iloc[row].reset_index(drop=True).add_prefix("customer_")
        price = grid.product_features[c.PRICE_MEAN].to_numpy(dtype=np.float64)
        usual = grid.customer_features[c.UNIT_PRICE_MEAN].to_numpy(dtype=np.float64)
        cell = {
            AFFINITY: self.affinity[local, column],
            EXPECTED: self.expected[local, column],
            TYPE_RATE: entries_at(sp.csr_array(grid.type_rates[who]), local, grid.types[column]),
            CATEGORY_RATE: entries_at(sp.csr_array(grid.category_rates[who]), local, grid.categories[column]),
            TYPE_SHARE: share[column],
            TYPE_COMMON: common[column],
            CATEGORY_SHARE: grid.share_in(grid.categories)[column],
            BRAND_SHARE: entries_at(sp.csr_array(grid.brand_shares[who]), local, grid.brands[column]),
            STORE_BASKETS: entries_at(grid.store_baskets, grid.stores[row], column),
            PRICE_LEVEL: price[column] / np.maximum(usual[row], _LEAST),
            PRICE_IN_TYPE: price[column] / np.maximum(_mean_by(grid.types, price)[grid.types[column]], _LEAST),
            BUYER_SHARE: grid.product_features[c.BUYER_SHARE_4W].to_numpy(dtype=np.float64)[column],
            NEW_PRODUCTS: grid.customer_features[NEW_PRODUCTS].to_numpy()[row],
        }
        cell |= grid.sellers.at(who, local, column)
        cell |= {str(name): grid.taken_up[name].to_numpy()[column] for name in grid.taken_up}
        frame = pd.concat([product, customer], axis=1).astype(np.float32)
        return frame.assign(**{name: np.asarray(values, dtype=np.float32) for name, values in cell.items()})


def discover_grid(history: History, moment: Moment, rules: DiscoverRules) -> DiscoverGrid:
    """Return the grid as of `moment`."""
    products = _products(history, moment, rules)
    rows = products[c.PRODUCT_ROW].to_numpy(dtype=np.int64)
    customers = history.features("customers", moment).sort_values(c.CUSTOMER_ROW)
    who = customers[c.CUSTOMER_ROW].to_numpy(dtype=np.int64)
    wanted = [c.CUSTOMER_ROW, c.PRODUCT_ROW, c.RECENCY_DAYS, c.FIRST_DAYS, c.N_BASKETS]
    own = history.features("customer_products", moment, wanted)
    types, categories, brands = (pd.factorize(products[n])[0] for n in (c.TYPE_ROW, c.CATEGORY_ROW, c.BRAND))
    recent = _matrix(own[own[c.RECENCY_DAYS] <= RECENT_DAYS], (who, rows), c.PRODUCT_ROW, None)
    new = own[own[c.FIRST_DAYS] <= NEW_DAYS].groupby(c.CUSTOMER_ROW).size().reindex(who, fill_value=0)
    store_rows, stores = _stores(customers)
    store_products = history.features("store_products", moment, [c.STORE_ROW, c.PRODUCT_ROW, c.N_BASKETS_4W])
    return DiscoverGrid(
        rules=rules,
        customers=who,
        products=rows,
        categories=categories.astype(np.int64),
        types=types.astype(np.int64),
        brands=np.where(brands < 0, brands.max(initial=-1) + 1, brands).astype(np.int64),
        product_features=products.reset_index(drop=True),
        customer_features=customers.reset_index(drop=True).assign(**{NEW_PRODUCTS: new.to_numpy(dtype=np.float64)}),
        owned=_matrix(own, (who, rows), c.PRODUCT_ROW, None),
        recent=recent,
        near=_near(recent, rules),
        type_rates=_rates(history, moment, "customer_types", (who, products[c.TYPE_ROW]), c.TYPE_ROW),
        category_rates=_rates(history, moment, "customer_categories", (who, products[c.CATEGORY_ROW]), c.CATEGORY_ROW),
        brand_shares=_brand_shares(recent, brands),
        store_baskets=_matrix(store_products, (store_rows, rows), c.PRODUCT_ROW, c.N_BASKETS_4W, c.STORE_ROW),
        stores=stores,
        sellers=Sellers.of(recent, rules.sellers),
        taken_up=_taken_up(own, rows, int((customers[c.RECENCY_DAYS] <= NEW_DAYS).sum())),
    )


def _taken_up(own: pd.DataFrame, products: IntArray, n_active: int) -> pd.DataFrame:
    """Return for each window the customers who first bought each product in it ÷ the active ones, a row a product."""
    place, days = pd.Index(products).get_indexer(pd.Index(own[c.PRODUCT_ROW])), own[c.FIRST_DAYS].to_numpy()
    columns = {}
    for name, (young, old) in _TAKEN_UP_WINDOWS.items():
        is_in = (place >= 0) & (days > young) & (days <= old) if young else (place >= 0) & (days <= old)
        columns[f"{TAKEN_UP}_{name}"] = np.bincount(place[is_in], minlength=len(products)) / max(n_active, 1)
    return pd.DataFrame(columns)


def _products(history: History, moment: Moment, rules: DiscoverRules) -> pd.DataFrame:
    """Return the products that sell, by row, with their features, type, category and brand."""
    features = history.features("products", moment)
    keys = [c.PRODUCT_ROW, c.TYPE_ROW, c.CATEGORY_ROW, c.BRAND]
    features = features.drop(columns=[name for name in keys[1:] if name in features])
    products = features.merge(history.tables.read("products", keys), on=c.PRODUCT_ROW)
    order = [c.N_CUSTOMERS_4W, c.N_BASKETS, c.PRODUCT_ROW]
    products = products.sort_values(order, ascending=[False, False, True])
    is_best = products.groupby(c.CATEGORY_ROW).cumcount() < rules.n_per_category
    is_top = np.arange(len(products)) < rules.max_products
    if products[c.CATEGORY_ROW].nunique() > rules.max_products:  # every product is its own category
        is_best = is_best & is_top
    return products[is_best | is_top].sort_values(c.PRODUCT_ROW)


def _near(recent: sp.csr_array, rules: DiscoverRules) -> sp.csr_array:
    n_items = recent.shape[1]
    popularity = np.maximum(np.bincount(recent.indices, minlength=n_items), 1.0)
    heaviness = np.maximum(np.diff(recent.indptr), 1.0) ** -0.25
    scaled = sp.diags_array(heaviness) @ recent @ sp.diags_array(popularity**-rules.popularity_power)
    return nearest_items(sp.csr_array(scaled), n_items, k=rules.n_neighbours)


def _rates(history: History, moment: Moment, group: str, rows: tuple[IntArray, pd.Series], item: str) -> sp.csr_array:
    """Return each customer's decayed baskets with each type (or category), in the order of first sight."""
    frame = history.features(group, moment, [c.CUSTOMER_ROW, item, c.N_BASKETS_H56])
    seen = pd.factorize(rows[1])[1]
    return _matrix(frame, (rows[0], np.asarray(seen, dtype=np.int64)), item, c.N_BASKETS_H56)


def _brand_shares(recent: sp.csr_array, brands: IntArray) -> sp.csr_array:
    """Return what share of a customer's products is of each brand; the last column, products without one, is 0."""
    n_brands = int(brands.max(initial=-1)) + 1
    known = np.flatnonzero(brands >= 0)
    member = sp.csr_array((np.ones(len(known)), (known, brands[known])), shape=(len(brands), n_brands + 1))
    counts = sp.csr_array(recent @ member)
    return sp.csr_array(sp.diags_array(1.0 / np.maximum(np.diff(recent.indptr), 1.0)) @ counts)


def _stores(customers: pd.DataFrame) -> tuple[IntArray, IntArray]:
    """Return the usual stores (a row −2, which no store has, is last), and each customer's place among them."""
    usual = customers[c.MAIN_STORE_ROW].astype(np.float64).fillna(-2.0).to_numpy(dtype=np.int64)
    stores = np.unique(usual[usual >= 0])
    place = np.where(usual >= 0, np.searchsorted(stores, usual), len(stores))
    return np.append(stores, -2).astype(np.int64), place.astype(np.int64)


def _matrix(
    frame: pd.DataFrame, rows: tuple[IntArray, IntArray], item: str, value: str | None, owner: str = c.CUSTOMER_ROW
) -> sp.csr_array:
    """Return `value` (or 1) by owner and item, of those that are in `rows`."""
    who = pd.Index(rows[0]).get_indexer(pd.Index(frame[owner]))
    what = pd.Index(rows[1]).get_indexer(pd.Index(frame[item]))
    known = (who >= 0) & (what >= 0)
    values = np.ones(int(known.sum())) if value is None else frame[value].to_numpy(dtype=np.float64)[known]
    matrix = sp.csr_array((values, (who[known], what[known])), shape=(len(rows[0]), len(rows[1])))
    matrix.sort_indices()
    return matrix


def _mean_by(groups: IntArray, values: FloatArray) -> FloatArray:
    known = np.isfinite(values)
    n = int(groups.max(initial=-1)) + 1
    total = np.bincount(groups[known], weights=values[known], minlength=n)
    return np.asarray(total / np.maximum(np.bincount(groups[known], minlength=n), 1), dtype=np.float64)
