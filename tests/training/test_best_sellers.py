from __future__ import annotations

import pandas as pd
import pytest

from features import columns as c
from features.asof import Moment
from training.best_sellers import BestSellers
from training.history import History


@pytest.fixture(scope="module")
def asked(shop_history: History) -> pd.DataFrame:
    categories = shop_history.tables.read("categories", [c.CATEGORY_ROW])[c.CATEGORY_ROW].tolist()
    return pd.DataFrame({c.CUSTOMER_ROW: [0] * len(categories) + [7], c.CATEGORY_ROW: [*categories, categories[0]]})


def test_they_are_what_most_customers_bought(shop_history: History, shop_cutoff: Moment, asked: pd.DataFrame) -> None:
    found = BestSellers().best_products(shop_history, shop_cutoff, asked)
    sold = shop_history.features("products", shop_cutoff).set_index(c.PRODUCT_ROW)[c.N_CUSTOMERS_4W].to_dict()
    shelf = shop_history.tables.read("products", [c.PRODUCT_ROW, c.CATEGORY_ROW, c.IS_MERCHANDISE])
    shelf = shelf[shelf[c.IS_MERCHANDISE] & shelf[c.PRODUCT_ROW].isin(list(sold))]
    for (_, category), own in found.groupby([c.CUSTOMER_ROW, c.CATEGORY_ROW]):
        there = shelf.loc[shelf[c.CATEGORY_ROW] == category, c.PRODUCT_ROW].tolist()
        assert own[c.PRODUCT_ROW].tolist() == sorted(there, key=lambda row: (-sold[row], row))[:3]
        assert own[c.RANK].tolist() == list(range(1, len(own) + 1))


def test_nothing_is_asked_for(shop_history: History, shop_cutoff: Moment, asked: pd.DataFrame) -> None:
    assert BestSellers().best_products(shop_history, shop_cutoff, asked.iloc[:0]).empty
    assert BestSellers().artifacts() == {}
