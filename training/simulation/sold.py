"""What of a shop's history the simulator learns from: purchases of the types that most customers buy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features import columns as c
from features.tables import TableSet
from serving.decisioning.flags import flag_products
from serving.decisioning.policy import default_policy_text, parse_policy
from training.simulation.arrays import Bools, Floats, Ints

PRODUCTS_A_TYPE = 2
AFFINITIES = (0.3, 4.0)
PRIOR_BUYERS = 20.0


@dataclass(frozen=True)
class Goods:
    """What is sold: types with their category, and a few products of each with their price.

    `category` has shape ``(n_types,)``, `price` ``(n_products,)``. `affinity`, ``(n_categories, n_categories)``: how
    much likelier the second is bought by who buys the first, within bounds. `is_delicate` are categories, ``(n,)``,
    that the default policy restricts, or calls intimate: nobody makes offers for them.
    """

    types: tuple[str, ...]
    categories: tuple[str, ...]
    departments: tuple[str, ...]
    category: Ints
    product_ids: tuple[str, ...]
    product_names: tuple[str, ...]
    product_type: Ints
    price: Floats
    affinity: Floats
    is_delicate: Bools

    @property
    def n_types(self) -> int:
        """Return how many types there are."""
        return len(self.types)


@dataclass(frozen=True)
class Sold:
    """Purchases, a row a line, and what they are of; type_row and category_row count within `goods`."""

    lines: pd.DataFrame
    goods: Goods


def sold_of(tables: TableSet, n_types: int) -> Sold:
    """Return the purchases of the types that most customers buy, in order of customer and day."""
    wanted = [c.CUSTOMER_ROW, c.PRODUCT_ROW, c.ORDERED_DAY, c.QUANTITY, c.AMOUNT, c.DISCOUNT]
    named = [c.PRODUCT_ROW, c.PRODUCT_ID, c.NAME, c.TYPE_ROW, c.CATEGORY_ROW, c.IS_MERCHANDISE]
    products = tables.read("products", named)
    lines = tables.read("lines", wanted).merge(products, on=c.PRODUCT_ROW)
    lines = lines[lines[c.IS_MERCHANDISE] & (lines[c.QUANTITY] > 0) & (lines[c.AMOUNT] > 0)]
    buyers = lines.groupby(c.TYPE_ROW)[c.CUSTOMER_ROW].nunique().sort_values(ascending=False, kind="stable")
    kinds = np.sort(buyers.index[:n_types].to_numpy(np.int64))
    lines = lines[lines[c.TYPE_ROW].isin(kinds)]
    groups = np.unique(lines[c.CATEGORY_ROW])
    lines = lines.assign(
        **{
            c.TYPE_ROW: np.searchsorted(kinds, lines[c.TYPE_ROW]),
            c.CATEGORY_ROW: np.searchsorted(groups, lines[c.CATEGORY_ROW]),
        }
    )
    lines = lines.sort_values([c.CUSTOMER_ROW, c.ORDERED_DAY], kind="stable", ignore_index=True)
    return Sold(lines, _goods(tables, lines, kinds, groups))


def _goods(tables: TableSet, lines: pd.DataFrame, kinds: Ints, groups: Ints) -> Goods:
    types = tables.read("types").set_index(c.TYPE_ROW).loc[kinds]
    categories = tables.read("categories").set_index(c.CATEGORY_ROW).loc[groups]
    full = lines[c.AMOUNT] + lines[c.DISCOUNT]
    by_product = lines.assign(full=full).groupby([c.TYPE_ROW, c.PRODUCT_ROW, c.PRODUCT_ID, c.NAME])
    sums = by_product[["full", c.QUANTITY]].sum()
    sums = sums.sort_values(c.QUANTITY, ascending=False, kind="stable").reset_index()
    of_type = sums.groupby(c.TYPE_ROW)[["full", c.QUANTITY]].sum()
    best = sums[sums.groupby(c.TYPE_ROW).cumcount() < PRODUCTS_A_TYPE].sort_values(c.TYPE_ROW, kind="stable")
    return Goods(
        tuple(types[c.PRODUCT_TYPE]),
        tuple(categories[c.CATEGORY]),
        tuple(categories[c.DEPARTMENT].fillna("")),
        np.searchsorted(groups, types[c.CATEGORY_ROW]),
        tuple(best[c.PRODUCT_ID]),
        tuple(best[c.NAME]),
        best[c.TYPE_ROW].to_numpy(np.int64),
        _prices(best, (of_type["full"] / of_type[c.QUANTITY]).to_numpy(np.float64)),
        _affinity(lines, len(groups)),
        _delicate(tuple(categories[c.CATEGORY])),
    )


def _delicate(categories: tuple[str, ...]) -> Bools:
    nothing = [None] * len(categories)
    flags = flag_products(nothing, nothing, categories, nothing, parse_policy(default_policy_text()).lists)
    return flags > 0


def _prices(best: pd.DataFrame, usual: Floats) -> Floats:
    """Return the products' prices, so that a type costs on average what it does over all its products."""
    price = (best["full"] / best[c.QUANTITY]).to_numpy(np.float64)
    kind, pieces = best[c.TYPE_ROW].to_numpy(np.int64), best[c.QUANTITY].to_numpy(np.float64)
    chosen = np.bincount(kind, weights=best["full"]) / np.bincount(kind, weights=pieces)
    found: Floats = np.maximum(np.round(price * (usual / chosen)[kind], 2), 0.05)
    return found


def _affinity(lines: pd.DataFrame, n_categories: int) -> Floats:
    """Return the lift between categories over customers, drawn to 1 where there are few buyers."""
    pairs = lines[[c.CUSTOMER_ROW, c.CATEGORY_ROW]].drop_duplicates()
    customer = np.unique(pairs[c.CUSTOMER_ROW], return_inverse=True)[1]
    bought = np.zeros((customer.max() + 1, n_categories))
    bought[customer, pairs[c.CATEGORY_ROW]] = 1.0
    n = bought.sum(axis=0)
    expected = np.outer(n, n) / len(bought)
    lift: Floats = np.clip((bought.T @ bought + PRIOR_BUYERS) / (expected + PRIOR_BUYERS), *AFFINITIES)
    return lift
