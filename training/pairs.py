"""Customer × category pairs as a grid; features are gathered only for the pairs that are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment
from training.examples import numeric_columns
from training.history import History

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

PAIR, CUSTOMER, CATEGORY = "pair_", "customer_", "category_"
"""What the features of the three tables are prefixed with: the same name means another thing in each."""

BASE_RATE = CATEGORY + c.BUYER_SHARE_4W
EXPECTED_BASKETS = PAIR + "expected_baskets"
_EXPECTING = (PAIR + c.N_BASKETS_H56, CUSTOMER + c.N_BASKETS_H56, CUSTOMER + c.N_BASKETS_H14)


@dataclass(frozen=True)
class PairGrid:
    """Customers × categories as of one moment.

    `customers` ``(n,)`` and `categories` ``(m,)`` are rows in rising order; a pair is a cell, numbered customer by
    customer. `owned_keys` are the cells that were bought before, in rising order, with their features in `owned`.
    """

    customers: IntArray
    categories: IntArray
    owned_keys: IntArray
    owned: FloatArray
    customer_features: FloatArray
    category_features: FloatArray
    names: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self.customers) * len(self.categories)

    def features(self, cells: IntArray) -> pd.DataFrame:
        """Return the features of cells, a row each; the pair's own are missing where it was never bought."""
        who, what = np.divmod(cells, max(len(self.categories), 1))
        place = np.searchsorted(self.owned_keys, cells)
        place[place == len(self.owned_keys)] = 0
        found = self.owned_keys[place] == cells if len(self.owned_keys) else np.zeros(len(cells), dtype=np.bool_)
        pair = np.full((len(cells), self.owned.shape[1]), np.nan, dtype=np.float32)
        pair[found] = self.owned[place[found]]
        matrix = np.hstack([pair, self.customer_features[who], self.category_features[what]])
        frame = pd.DataFrame(matrix, columns=list(self.names), copy=False)
        return frame.assign(**{EXPECTED_BASKETS: _expected_baskets(frame)}) if self._expects else frame

    def only(self, names: Sequence[str]) -> PairGrid:
        """Return the grid with these features alone, in the order given within pair, customer and category.

        A name that the grid doesn't have is left out, and so is what is expected of a pair where it can't be told.
        """
        widths = [self.owned.shape[1], self.customer_features.shape[1], self.category_features.shape[1]]
        place = {name: i for i, name in enumerate(self.names)}
        wanted = np.array([place[name] for name in names if name in place], dtype=np.int64)
        starts = np.concatenate([[0], np.cumsum(widths)])
        chosen = [wanted[(wanted >= low) & (wanted < high)] for low, high in pairwise(starts)]
        pair, customer, category = (columns - start for columns, start in zip(chosen, starts[:-1], strict=True))
        return replace(
            self,
            owned=self.owned[:, pair],
            customer_features=self.customer_features[:, customer],
            category_features=self.category_features[:, category],
            names=tuple(self.names[i] for i in np.concatenate(chosen)),
        )

    @property
    def _expects(self) -> bool:
        return set(_EXPECTING) <= set(self.names)

    def rows(self, cells: IntArray) -> pd.DataFrame:
        """Return `customer_row` and `category_row` of cells."""
        who, what = np.divmod(cells, max(len(self.categories), 1))
        return pd.DataFrame({c.CUSTOMER_ROW: self.customers[who], c.CATEGORY_ROW: self.categories[what]})

    def bought(self, lines: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Return for every cell whether the lines hold a purchase of it."""
        lines = lines[lines[c.IS_PURCHASE]]
        keys = self._keys(lines[c.CUSTOMER_ROW].to_numpy(), lines[c.CATEGORY_ROW].to_numpy())
        happened = np.zeros(len(self), dtype=np.bool_)
        happened[keys[keys >= 0]] = True
        return happened

    def _keys(self, customers: npt.NDArray[np.generic], categories: npt.NDArray[np.generic]) -> IntArray:
        return _cells(self.customers, self.categories, customers, categories)


def named_categories(history: History) -> IntArray:
    """Return the rows of the categories of merchandise, rising: where any is named by the source, only the named ones.

    A product without a category is its own one, which is nothing to suggest beside those that are.
    """
    categories = history.tables.read("categories", [c.CATEGORY_ROW, c.IS_OWN])
    products = history.tables.read("products", [c.CATEGORY_ROW, c.IS_MERCHANDISE])
    sold = categories[categories[c.CATEGORY_ROW].isin(products.loc[products[c.IS_MERCHANDISE], c.CATEGORY_ROW])]
    named = sold[~sold[c.IS_OWN]]
    chosen = named if len(named) else sold
    return np.sort(chosen[c.CATEGORY_ROW].to_numpy(dtype=np.int64))


def pair_grid(
    history: History,
    moment: Moment,
    *,
    active_days: int | None,
    min_base_rate: float,
    most: int,
    among: IntArray | None = None,
) -> PairGrid:
    """Return the grid of customers with a trip (within `active_days` when given) and of categories that enough buy.

    Those are the categories (of `among`, when given) that at least `min_base_rate` of the active customers bought in
    the last 28 days, at most the `most` most bought ones.
    """
    customers = history.features("customers", moment)
    if active_days is not None:
        customers = customers[customers[c.RECENCY_DAYS] <= active_days]
    categories = history.features("categories", moment)
    if among is not None:
        categories = categories[categories[c.CATEGORY_ROW].isin(among)]
    categories = categories[categories[c.BUYER_SHARE_4W].fillna(0.0) >= min_base_rate]
    categories = categories.nlargest(most, c.BUYER_SHARE_4W, keep="first").sort_values(c.CATEGORY_ROW)
    owned = history.features("customer_categories", moment)
    who = customers[c.CUSTOMER_ROW].to_numpy(dtype=np.int64)
    what = categories[c.CATEGORY_ROW].to_numpy(dtype=np.int64)
    keys = _cells(who, what, owned[c.CUSTOMER_ROW].to_numpy(), owned[c.CATEGORY_ROW].to_numpy())
    order = np.argsort(keys, kind="stable")
    order = order[keys[order] >= 0]
    pair, customer, category = (
        _prefixed(owned.iloc[order], PAIR),
        _prefixed(customers, CUSTOMER),
        _prefixed(categories, CATEGORY),
    )
    return PairGrid(
        customers=who,
        categories=what,
        owned_keys=keys[order],
        owned=_matrix(pair),
        customer_features=_matrix(customer),
        category_features=_matrix(category),
        names=(*pair.columns, *customer.columns, *category.columns),
    )


def _expected_baskets(frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return the baskets with the category to expect: its share of their baskets × their trips of late."""
    share = frame[PAIR + c.N_BASKETS_H56].fillna(0.0) / frame[CUSTOMER + c.N_BASKETS_H56].clip(lower=1e-6)
    return np.asarray(share * frame[CUSTOMER + c.N_BASKETS_H14], dtype=np.float64)


def _cells(
    customers: IntArray, categories: IntArray, who: npt.NDArray[np.generic], what: npt.NDArray[np.generic]
) -> IntArray:
    """Return the cell of each pair of rows, −1 where either is not in the grid."""
    i, j = _places(customers, who), _places(categories, what)
    return np.where((i >= 0) & (j >= 0), i * len(categories) + j, -1)


def _places(known: IntArray, rows: npt.NDArray[np.generic]) -> IntArray:
    """Return where each row stands among the sorted `known`, −1 where it doesn't."""
    wanted = rows.astype(np.int64)
    place = np.minimum(np.searchsorted(known, wanted), max(len(known) - 1, 0))
    found = known[place] == wanted if len(known) else np.zeros(len(wanted), dtype=np.bool_)
    return np.where(found, place, -1)


def _prefixed(frame: pd.DataFrame, prefix: str) -> pd.DataFrame:
    return frame[list(numeric_columns(frame))].add_prefix(prefix)


def _matrix(frame: pd.DataFrame) -> FloatArray:
    matrix: FloatArray = frame.to_numpy(dtype=np.float32, na_value=np.nan)
    return matrix
