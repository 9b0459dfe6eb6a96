from __future__ import annotations

import math

import pytest

from serving.bundle import Bundle
from serving.live_stock import StockRoom
from serving.shelf import Shelf
from serving.state.known import Stock


@pytest.fixture
def shelf(tiny_bundle: Bundle) -> Shelf:
    return Shelf(tiny_bundle, margin_rate=0.25)


def test_without_a_word_the_bundle_says_what_is_out(shelf: Shelf) -> None:
    is_out = StockRoom(shelf).is_out(Stock(), "s-ny")
    assert is_out(shelf.row_of("gone-1"))
    assert not is_out(shelf.row_of("milk-1"))


def test_the_latest_word_goes_before_the_bundles_both_ways(shelf: Shelf) -> None:
    stock = Stock(1, {("gone-1", None): math.inf, ("milk-1", None): 0.0, ("unknown", None): 0.0})
    is_out = StockRoom(shelf).is_out(stock, None)
    assert [is_out(shelf.row_of(each)) for each in ("gone-1", "milk-1", "bread-1")] == [False, True, False]


def test_a_stores_own_word_goes_before_that_on_all(shelf: Shelf) -> None:
    stock = Stock(1, {("milk-1", None): 0.0, ("milk-1", "s-ny"): 3.0, ("bread-1", "s-ny"): 0.0})
    room = StockRoom(shelf)
    milk, bread = shelf.row_of("milk-1"), shelf.row_of("bread-1")
    said = {store: (room.is_out(stock, store)(milk), room.is_out(stock, store)(bread)) for store in ("s-ny", "x", None)}
    assert said == {"s-ny": (False, True), "x": (True, False), None: (True, False)}


def test_another_generation_is_another_stock(shelf: Shelf) -> None:
    room, milk = StockRoom(shelf), shelf.row_of("milk-1")
    words = [Stock(generation, {("milk-1", None): pieces}) for generation, pieces in ((1, 0.0), (2, 5.0), (1, 0.0))]
    assert [room.is_out(each, None)(milk) for each in words] == [True, False, True]


def test_a_product_that_is_not_known_is_never_out(shelf: Shelf) -> None:
    assert not StockRoom(shelf).is_out(Stock(1, {("x", None): 0.0}), None)(-1)
    assert not StockRoom(shelf).is_out(Stock(), None)(-1)
