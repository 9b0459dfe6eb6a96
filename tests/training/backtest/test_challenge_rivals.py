from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest

from features import columns as c
from features.asof import Moment
from serving.bundle import Bundle
from serving.bundle_format import INTIMATE, RECOMMENDABLE, RESTRICTED
from training.backtest.challenge_rivals import FREQUENT, RANDOM, first_open, rival_items
from training.challenge_weeks import COUNTS_LEVEL, COUNTS_ROW, N_ITEMS, TARGET
from training.history import History


def test_the_first_open_category_is_taken() -> None:
    tried = np.array([[4, 2, 0], [4, 2, 0], [4, 2, 0]])
    customers = np.array([7, 8, 9])
    keys = np.array([7 * 5 + 4, 9 * 5 + 0, 9 * 5 + 2, 9 * 5 + 4])
    also = np.array([[2], [-1], [-1]])
    assert first_open(tried, customers, (keys, also), 5).tolist() == [0, 4, -1]


def test_without_categories_there_is_no_stretch() -> None:
    none = first_open(np.zeros((2, 0), dtype=np.int64), np.array([1, 2]), (np.zeros(0, int), np.zeros((2, 1), int)), 0)
    assert none.tolist() == [-1, -1]


@pytest.fixture(scope="module")
def challenge_bundle(shop_history: History) -> Bundle:
    """Return as much of a bundle as rivals read, with one restricted product among those that may be shown."""
    tables = shop_history.tables
    products = tables.read("products", [c.PRODUCT_ROW, c.TYPE_ROW, c.CATEGORY_ROW]).sort_values(c.PRODUCT_ROW)
    types = tables.read("types", [c.TYPE_ROW, c.CATEGORY_ROW]).sort_values(c.TYPE_ROW)
    flags = np.full(len(products), RECOMMENDABLE, dtype=np.uint16)
    flags[products[c.TYPE_ROW].to_numpy() == 0] |= RESTRICTED
    shelf = SimpleNamespace(
        flags=flags, type=products[c.TYPE_ROW].to_numpy(), category=products[c.CATEGORY_ROW].to_numpy()
    )
    kinds = SimpleNamespace(category=types[c.CATEGORY_ROW].to_numpy())
    return cast(Bundle, SimpleNamespace(products=shelf, types=kinds))


@pytest.fixture(scope="module")
def asked(shop_history: History, shop_cutoff: Moment) -> np.ndarray:
    known = shop_history.until(shop_cutoff)
    rows = known.features("customers", shop_cutoff, [c.CUSTOMER_ROW])[c.CUSTOMER_ROW]
    return np.sort(rows.to_numpy(dtype=np.int64))[:60]


@pytest.fixture(scope="module")
def rivals(
    shop_history: History, shop_cutoff: Moment, challenge_bundle: Bundle, asked: np.ndarray
) -> dict[str, pd.DataFrame]:
    return rival_items(shop_history.until(shop_cutoff), shop_cutoff, challenge_bundle, asked)


def slow_habits(known: History, moment: Moment, bundle: Bundle, customer: int) -> list[int]:
    """Return the two types of different categories with most baskets, of those that may be asked for, read plainly."""
    flags, fit = bundle.products.flags, set()
    for product, kind in enumerate(bundle.products.type.tolist()):
        if flags[product] & RECOMMENDABLE and not flags[product] & (RESTRICTED | INTIMATE):
            fit.add(kind)
    own = known.features("customer_types", moment)
    mine = own[own[c.CUSTOMER_ROW] == customer]
    sold = known.features("types", moment).set_index(c.TYPE_ROW)[c.N_CUSTOMERS].to_dict()
    pairs = zip(mine[c.N_BASKETS].tolist(), mine[c.TYPE_ROW].tolist(), strict=True)
    ordered = sorted((-n, -sold[kind], -kind) for n, kind in pairs if kind in fit)
    found: list[int] = []
    for *_, negative in ordered:
        if all(bundle.types.category[-negative] != bundle.types.category[other] for other in found):
            found.append(-negative)
    return found[:2]


def test_habits_are_the_most_frequent_of_two_categories(
    shop_history: History, shop_cutoff: Moment, challenge_bundle: Bundle, rivals: dict[str, pd.DataFrame]
) -> None:
    known = shop_history.until(shop_cutoff)
    asked_for = rivals[FREQUENT][COUNTS_ROW].to_numpy().reshape(-1, N_ITEMS)
    for place, customer in enumerate(rivals[FREQUENT][c.CUSTOMER_ROW].tolist()[::N_ITEMS][:15]):
        expected = slow_habits(known, shop_cutoff, challenge_bundle, customer)
        assert asked_for[place, : len(expected)].tolist() == expected


@pytest.mark.parametrize("name", [FREQUENT, RANDOM])
def test_three_different_categories_and_a_new_one(
    name: str,
    shop_history: History,
    shop_cutoff: Moment,
    challenge_bundle: Bundle,
    rivals: dict[str, pd.DataFrame],
    asked: np.ndarray,
) -> None:
    items = rivals[name]
    assert items[c.CUSTOMER_ROW].tolist() == np.repeat(asked, N_ITEMS).tolist()
    assert (items[TARGET] >= 1).all()
    own = shop_history.until(shop_cutoff).features("customer_categories", shop_cutoff)
    recent = own[own[c.RECENCY_DAYS] <= 182].groupby(c.CUSTOMER_ROW)[c.CATEGORY_ROW].agg(set)
    for customer, each in items.groupby(c.CUSTOMER_ROW):
        first, second, stretch = each[COUNTS_ROW].tolist()
        categories = {int(challenge_bundle.types.category[first]), int(challenge_bundle.types.category[second])}
        assert each[COUNTS_LEVEL].tolist() == ["product_type", "product_type", "category"]
        assert len(categories | {stretch}) == 3
        assert stretch not in recent.get(customer, set())


def test_the_stretch_is_the_most_popular_that_is_new(
    shop_history: History, shop_cutoff: Moment, rivals: dict[str, pd.DataFrame]
) -> None:
    known = shop_history.until(shop_cutoff)
    rate = known.features("categories", shop_cutoff).set_index(c.CATEGORY_ROW)[c.WEEKLY_RATE]
    popular, drawn = (rivals[name][COUNTS_ROW].to_numpy()[2::3] for name in (FREQUENT, RANDOM))
    both = (popular >= 0) & (drawn >= 0)  # some have bought of every category
    assert rate.loc[popular[both]].mean() > rate.loc[drawn[both]].mean()


def test_what_is_restricted_is_not_asked_for(rivals: dict[str, pd.DataFrame]) -> None:
    for items in rivals.values():
        assert 0 not in items.loc[items[COUNTS_LEVEL] == "product_type", COUNTS_ROW].tolist()


def test_the_same_are_drawn_again(
    shop_history: History,
    shop_cutoff: Moment,
    challenge_bundle: Bundle,
    rivals: dict[str, pd.DataFrame],
    asked: np.ndarray,
) -> None:
    again = rival_items(shop_history.until(shop_cutoff), shop_cutoff, challenge_bundle, asked)
    pd.testing.assert_frame_equal(again[RANDOM], rivals[RANDOM])


def test_nobody_is_asked(shop_history: History, shop_cutoff: Moment, challenge_bundle: Bundle) -> None:
    nobody = np.zeros(0, dtype=np.int64)
    found = rival_items(shop_history.until(shop_cutoff), shop_cutoff, challenge_bundle, nobody)
    assert {name: len(each) for name, each in found.items()} == {FREQUENT: 0, RANDOM: 0}
