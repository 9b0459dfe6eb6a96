from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serving.bundle import Bundle
from serving.shelf import Shelf
from tests.serving.tiny import tiny_contents


def test_a_category_brings_what_its_products_do_as_often_as_each_is_bought(tiny_bundle: Bundle) -> None:
    shelf = Shelf(tiny_bundle, margin_rate=0.25)
    # White bread has no cost: a quarter of 2.50 stands in.
    bakery = (0.20 * 1.0 + 0.22 * 0.625) / 0.42
    assert shelf.category_gain[shelf.category_row_of("Bakery")] == pytest.approx(bakery)


def test_what_has_no_margin_says_nothing_of_its_category(tiny_bundle: Bundle) -> None:
    shelf = Shelf(tiny_bundle, margin_rate=0.25)
    # Of the tin neither price nor cost is known.
    assert shelf.category_gain[shelf.category_row_of("Snacks")] == pytest.approx(0.8)


def test_a_category_of_unknown_or_negative_margins_brings_nothing() -> None:
    contents = tiny_contents()
    products = contents.products
    lost = replace(products, margin=np.full_like(products.margin, -1.0))
    unknown = replace(
        products, margin=np.full_like(products.margin, np.nan), price=np.full_like(products.price, np.nan)
    )
    for each in (lost, unknown):
        assert set(Shelf(replace(contents, products=each), margin_rate=0.25).category_gain) == {0.0}


def test_where_nobody_buys_any_of_it_all_products_count_alike() -> None:
    contents = tiny_contents()
    unsold = replace(contents.products, p7=np.zeros_like(contents.products.p7))
    shelf = Shelf(replace(contents, products=unsold), margin_rate=0.25)
    assert shelf.category_gain[shelf.category_row_of("Produce")] == pytest.approx((0.5 + 1.5) / 2)
