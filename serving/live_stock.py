"""What is out of stock: the latest word on a product, a store's own before that on all stores, else the bundle's."""

from __future__ import annotations

from collections.abc import Callable

from serving.bundle_format import OUT_OF_STOCK
from serving.shelf import Shelf
from serving.state.known import Stock


class StockRoom:
    """Tells what is out of stock; remembers what it found of the stock that it was asked about last.

    Many threads may ask at once: what is remembered is only ever added to, and dropped with the stock's generation.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._shelves: _Shelves = _Shelves(shelf, Stock())

    def is_out(self, stock: Stock, store_id: str | None) -> Callable[[int], bool]:
        """Return the claim that a product (its row; -1 never) is out of stock in a store, or everywhere for None."""
        if not stock.available:
            return self._is_flagged
        found = self._shelves
        if found.stock is not stock and found.stock.generation != stock.generation:
            found = self._shelves = _Shelves(self._shelf, stock)
        return found.of(store_id)

    def _is_flagged(self, product: int) -> bool:
        return product >= 0 and bool(self._shelf.flags[product] & OUT_OF_STOCK)


def nothing_is_out(_product: int) -> bool:
    """Return false: for answers to which no rule applies."""
    return False


class _Shelves:
    """One generation of the stock, by store; products are looked up as they are asked about."""

    def __init__(self, shelf: Shelf, stock: Stock) -> None:
        self.stock = stock
        self._shelf = shelf
        self._stores = {store_id for _, store_id in stock.available}
        self._found: dict[str | None, dict[int, bool]] = {store_id: {} for store_id in (*self._stores, None)}

    def of(self, store_id: str | None) -> Callable[[int], bool]:
        store = store_id if store_id in self._stores else None
        known = self._found[store]

        def is_out(product: int) -> bool:
            if product < 0:
                return False
            found = known.get(product)
            if found is None:
                found = known[product] = self._is_out(product, store)
            return found

        return is_out

    def _is_out(self, product: int, store: str | None) -> bool:
        product_id = self._shelf.ids[product]
        said = None if store is None else self.stock.available.get((product_id, store))
        if said is None:
            said = self.stock.available.get((product_id, None))
        return bool(self._shelf.flags[product] & OUT_OF_STOCK) if said is None else said <= 0.0
