"""What an open bundle says of products, types and categories, read one value at a time.

The arrays are read through memoryviews: one element costs a third of what it costs from a numpy array.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from features.ids import find_row
from serving.bundle_format import OWN_CATEGORY, OWN_TYPE, BundleArrays, Products

_HARDLY_EVER = 1e-9  # a chance: where nobody buys any product of a category, all of them count alike
_ITEMS_REMEMBERED = 8192  # about 5 MB: most answers hold what many customers are shown


def ints(array: npt.NDArray[np.integer[Any]]) -> Sequence[int]:
    """Return the elements of an integer array, flattened, as a sequence of Python integers that copies nothing."""
    flat: Sequence[int] = array.reshape(-1).data
    return flat


def floats(array: npt.NDArray[np.floating[Any]]) -> Sequence[float]:
    """Return the elements of a float array, flattened, as a sequence of Python floats that copies nothing."""
    flat: Sequence[float] = array.reshape(-1).data
    return flat


class Shelf:
    """The products of a bundle by row, their types and categories by theirs; `known_price` is NaN where unknown.

    `items` tells what every item of an answer says of a product, which is for nobody to change: `item` is a copy.
    `gain` is a product's margin where that is known and above 0, else 0: money. `category_gain` is what a
    piece of a category usually brings: its products' margins, as often as customers buy each; unknown ones don't count.
    """

    def __init__(self, bundle: BundleArrays, *, margin_rate: float) -> None:
        """Take a share of the price for the margin where no cost is known."""
        products, types, categories = bundle.products, bundle.types, bundle.categories
        self.n_products = len(products.id)
        self.ids = products.id
        self.type = ints(products.type)
        self.category = ints(products.category)
        self.flags = ints(products.flags)
        self.p7 = floats(products.p7)
        self.type_names = list(types.name)
        self.type_category = ints(types.category)
        self.type_p7 = floats(types.p7)
        self.category_names = list(categories.name)
        self.category_flags = ints(categories.flags)
        self.category_p7 = floats(categories.p7)
        self._hashes = products.hash
        self._names = products.name
        self.known_price = floats(products.price)
        self._margin = floats(products.margin)
        self._margin_rate = margin_rate
        self.gain = self._gains().data
        self.category_gain = self._category_gains(products).data
        self.items = lru_cache(_ITEMS_REMEMBERED)(self._item)
        # A category that a product stands for has no name of its own: the product's is said instead.
        stands = np.flatnonzero(products.flags & OWN_CATEGORY)
        self._own_categories = dict(zip(products.category[stands].tolist(), stands.tolist(), strict=True))
        self._category_rows = {name.casefold(): row for row, name in reversed(list(enumerate(self.category_names)))}
        self._type_rows = {name.casefold(): row for row, name in reversed(list(enumerate(self.type_names)))}

    def row_of(self, product_id: str) -> int:
        """Return the row of a product, -1 when it is not known."""
        return find_row(self._hashes, self.ids, product_id)

    def rows_of(self, product_ids: Iterable[str]) -> set[int]:
        """Return the rows of those products that are known."""
        return {row for each in product_ids if (row := self.row_of(each)) >= 0}

    def category_row_of(self, name: str) -> int:
        """Return the row of a category by its name, whatever its case; -1 when it is not known."""
        return self._category_rows.get(name.casefold(), -1)

    def type_row_of(self, name: str) -> int:
        """Return the row of a product type by its name, whatever its case; -1 when it is not known."""
        return self._type_rows.get(name.casefold(), -1)

    def kinds(self, product_id: str) -> tuple[str, str] | None:
        """Return the product type and the category of a product, by name; None when it is not known."""
        row = self.row_of(product_id)
        return None if row < 0 else (self.type_names[self.type[row]], self.category_names[self.category[row]])

    def name(self, product: int) -> str:
        """Return the product's name: its own, else its type's, else its id."""
        return self._names[product] or self.type_names[self.type[product]] or self.ids[product]

    def category_label(self, category: int) -> str:
        """Return what a person calls the category: its name, or that of the only product, which stands for it."""
        product = self._own_categories.get(category)
        return self.category_names[category] if product is None else self.name(product)

    def price(self, product: int) -> float | None:
        """Return the price of one piece, money; None when it is not known."""
        price = self.known_price[product]
        return None if math.isnan(price) else round(price, 4)

    def margin(self, product: int) -> float | None:
        """Return the margin of one piece, money; a share of the price where no cost is known; None without a price."""
        margin = self._margin[product]
        if not math.isnan(margin):
            return margin
        price = self.known_price[product]
        return None if math.isnan(price) else self._margin_rate * price

    def margins(self) -> npt.NDArray[np.float64]:
        """Return `margin` of every product, NaN where it is not known, shape ``(n_products,)``."""
        own, price = (np.asarray(each, dtype=np.float64) for each in (self._margin, self.known_price))
        return np.where(np.isnan(own), self._margin_rate * price, own)

    def _gains(self) -> npt.NDArray[np.float64]:
        margins = self.margins()
        return np.where(margins > 0.0, margins, 0.0)

    def _category_gains(self, products: Products) -> npt.NDArray[np.float64]:
        margins, n = self.margins(), len(self.category_names)
        known = np.flatnonzero(np.isfinite(margins))
        categories = products.category[known]
        weights = products.p7[known].astype(np.float64) + _HARDLY_EVER
        total = np.bincount(categories, weights * margins[known], minlength=n)
        weight = np.bincount(categories, weights, minlength=n)
        return np.maximum(np.divide(total, weight, out=np.zeros(n), where=weight > 0.0), 0.0)

    def is_priced(self, product: int) -> bool:
        """Return whether the margin is known, from a cost or from a price."""
        return self.margin(product) is not None

    def has_cost(self, product: int) -> bool:
        """Return whether the margin is the product's own, not a share of its price."""
        return not math.isnan(self._margin[product])

    def stands_for_type(self, product: int) -> bool:
        """Return whether the source gave no type, so that the product is its own."""
        return bool(self.flags[product] & OWN_TYPE)

    def stands_for_category(self, product: int) -> bool:
        """Return whether the source gave no category, so that the product is its own."""
        return bool(self.flags[product] & OWN_CATEGORY)

    def item(self, product: int) -> dict[str, Any]:  # Any: an answer's item, checked against api_answers in the tests
        """Return what every item of an answer says of its product: a dictionary of the caller's own."""
        return self.items(product).copy()

    def _item(self, product: int) -> dict[str, Any]:  # Any: as above
        type_name = self.type_names[self.type[product]]
        category_name = self.category_names[self.category[product]]
        return {
            "product_id": self.ids[product],
            "name": self._names[product] or type_name or self.ids[product],
            "product_type": type_name,
            "category": category_name,
            "price": self.price(product),
        }
