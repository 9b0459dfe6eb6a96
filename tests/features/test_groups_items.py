"""The groups about items, on lines that can be counted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from features import columns as c
from features.asof import Moment
from features.build import FeatureStore
from tests.features.tiny import Row, at, line, returned, write_tables

FUEL = {"is_merchandise": False}


def group(
    tmp_path: Path,
    name: str,
    lines: Sequence[Row],
    moment: Moment,
    products: Sequence[Row] = (),
    **tables: Sequence[Row],
) -> pd.DataFrame:
    return FeatureStore(write_tables(tmp_path / "t", lines, products, **tables), tmp_path / "f").read(name, moment)


def test_a_line_split_in_two_is_one_basket(tmp_path: Path) -> None:
    frame = group(tmp_path, "customer_products", [line(0, 0), line(0, 0, quantity=2.0)], at(1))

    assert list(frame[c.N_BASKETS]) == [1]
    assert list(frame[c.QUANTITY_MEAN]) == [3]


def test_due_ratio_is_recency_in_own_gaps(tmp_path: Path) -> None:
    frame = group(tmp_path, "customer_products", [line(0, 0), line(1, 6), line(2, 14)], at(21)).iloc[0]

    assert frame[c.GAP_MEAN_DAYS] == 14 / 2
    assert frame[c.GAP_LAST_DAYS] == 8
    assert frame[c.DUE_RATIO] == 7 / 7
    assert frame[c.GAP_STD_DAYS] == pytest.approx(2**0.5)
    assert (frame[c.FIRST_DAYS], frame[c.RECENCY_DAYS]) == (21, 7)


def test_shares_and_places_count_baskets_with_a_purchase(tmp_path: Path) -> None:
    milk, fuel, bread = 0, 1, 2
    lines = [line(0, 0, bread), line(1, 1, milk), line(2, 2, bread), line(3, 3, fuel), line(4, 4, milk)]
    lines += [line(5, 5, bread), line(6, 6, fuel)]

    frame = group(tmp_path, "customer_products", lines, at(7), products=[{}, FUEL, {}]).set_index(c.PRODUCT_ROW)

    assert list(frame.index) == [milk, bread]
    assert frame.loc[milk, c.BASKET_SHARE] == 2 / 4  # since the first milk: milk, bread, milk, bread
    assert frame.loc[milk, c.BASKETS_SINCE] == 1
    assert [frame.loc[milk, name] for name in (c.IN_LAST_1, c.IN_LAST_3, c.IN_LAST_5)] == [0, 1, 2]
    assert [frame.loc[bread, name] for name in (c.IN_LAST_1, c.IN_LAST_3, c.IN_LAST_5)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("quantities", "usual"),
    [([1], 1), ([1, 1, 6], 1), ([2, 3], 2), ([5, 5, 1], 5), ([0.2, 0.3], 1), ([6, 6, 1], 6), ([8, 12], 10)],
)
def test_the_usual_quantity_is_a_whole_lower_median(tmp_path: Path, quantities: list[float], usual: int) -> None:
    lines = [line(order, order, quantity=float(quantity)) for order, quantity in enumerate(quantities)]

    assert list(group(tmp_path, "customer_products", lines, at(9))[c.QUANTITY_USUAL]) == [usual]


def test_prices_are_set_against_everyone_and_against_themselves(tmp_path: Path) -> None:
    lines = [line(0, 0, amount=1.0), line(1, 1, amount=3.0), line(2, 0, customer_row=1, amount=8.0)]

    frame = group(tmp_path, "customer_products", lines, at(2))

    assert list(frame[c.UNIT_PRICE_MEAN]) == [2, 8]
    assert list(frame[c.PRICE_RATIO]) == [2 / 4, 8 / 4]
    assert list(frame[c.PRICE_LAST_RATIO]) == [3 / 2, 1]


def test_without_amounts_money_is_null_and_counts_stay(tmp_path: Path) -> None:
    lines = [line(0, 0, amount=None), line(1, 1, amount=None)]

    owned = group(tmp_path, "customer_products", lines, at(2))
    item = group(tmp_path, "products", lines, at(2))

    money = [c.SPEND, c.UNIT_PRICE_MEAN, c.PRICE_RATIO, c.PRICE_LAST_RATIO, c.DISCOUNT_SHARE]
    assert owned[money].isna().all(axis=None)
    assert item[[c.PRICE_MEAN, c.PRICE_4W, c.MARGIN_RATE]].isna().all(axis=None)
    assert list(owned[c.N_BASKETS]) == list(item[c.N_BASKETS]) == [2]


def test_a_type_gathers_its_products(tmp_path: Path) -> None:
    goods = [{"type_row": 4, "category_row": 0}, {"type_row": 4, "category_row": 0}]
    lines = [line(0, 0, 0), line(1, 7, 1)]

    assert list(group(tmp_path, "customer_types", lines, at(8), goods)[c.GAP_MEAN_DAYS]) == [7]
    assert list(group(tmp_path, "types", lines, at(8), goods)[c.N_BASKETS]) == [2]
    assert list(group(tmp_path, "categories", lines, at(8), goods)[c.CATEGORY_ROW]) == [0]


def test_a_returned_purchase_leaves_the_items_and_not_the_trips(tmp_path: Path) -> None:
    tables = {"returns": [returned(0, 3)]}
    lines = [line(0, 0)]

    before = group(tmp_path / "1", "customer_products", lines, at(3), **tables)
    after = group(tmp_path / "2", "customer_products", lines, at(4), **tables)
    trips = group(tmp_path / "3", "customers", lines, at(4), **tables)

    assert (len(before), len(after)) == (1, 0)
    assert list(trips[c.N_BASKETS]) == [1]


def test_an_items_rates_count_customers(tmp_path: Path) -> None:
    lines = [line(0, 0), line(1, 50), line(2, 10, customer_row=1), line(3, 55, 1, customer_row=1)]
    lines += [line(4, 52, customer_row=2)]

    frame = group(tmp_path, "products", lines, at(60)).set_index(c.PRODUCT_ROW)

    assert frame.loc[0, c.N_CUSTOMERS] == 3
    assert frame.loc[0, c.REBUY_RATE] == 1 / 3
    assert frame.loc[0, c.GAP_MEAN_DAYS] == 50
    assert frame.loc[0, c.BUYER_SHARE_4W] == 2 / 3  # customers 0 and 2 of the three who are active
    assert frame.loc[0, c.ADOPTION_4W] == 1 / 1  # customer 2, the only active one who had not had it
    assert frame.loc[0, c.WEEKLY_RATE] == pytest.approx(2 / 4 / 3)
    assert frame.loc[0, c.TREND_4W_12W] == pytest.approx((2 / 28) / (4 / 60))


def test_prices_margin_and_stores_of_an_item(tmp_path: Path) -> None:
    lines = [line(0, 0, amount=4.0, quantity=2.0, store_row=0), line(1, 50, amount=1.0, store_row=1)]

    frame = group(tmp_path, "products", lines, at(60), products=[{"cost": 1.5}]).iloc[0]

    assert frame[c.PRICE_MEAN] == 5 / 3
    assert frame[c.PRICE_4W] == 1
    assert frame[c.MARGIN_RATE] == pytest.approx((5 - 4.5) / 5)
    assert frame[c.N_STORES] == 2


def test_the_season_compares_a_year_ago_with_the_year(tmp_path: Path) -> None:
    ice, milk = 0, 1
    lines = [line(order, order * 7, milk) for order in range(52)]  # weekly: four of them in the coming 28 days' season
    lines += [line(0, 0, ice), line(1, 7, ice)]

    year = group(tmp_path / "1", "products", lines, at(364)).set_index(c.PRODUCT_ROW)
    half = group(tmp_path / "2", "products", lines, at(180))

    assert year.loc[ice, c.SEASON_RATIO] == pytest.approx((2 / 4) / (2 / 52))
    assert year.loc[milk, c.SEASON_RATIO] == 1
    assert half[c.SEASON_RATIO].isna().all()


def test_store_products_count_baskets_there(tmp_path: Path) -> None:
    lines = [line(0, 0, store_row=0), line(1, 28, store_row=0), line(2, 28, store_row=1), line(3, 28)]

    frame = group(tmp_path, "store_products", lines, at(56))

    assert list(frame[c.STORE_ROW]) == [0, 1]
    assert list(frame[c.N_BASKETS_4W]) == [1, 1]
    assert list(frame[c.N_BASKETS_H28]) == [1 / 4 + 1 / 2, 1 / 2]


def test_customer_hours_are_local_weekdays_and_hours(tmp_path: Path) -> None:
    lines = [line(0, 0, hour=9), line(1, 7, hour=9), line(1, 7, 1, hour=9), line(2, 6, hour=23)]

    frame = group(tmp_path, "customer_hours", lines, at(8))

    rows = frame[[c.WEEKDAY, c.HOUR, c.HOUR_BLOCK, c.N_BASKETS]].to_numpy().tolist()
    assert rows == [[0, 9, 2, 2], [6, 23, 5, 1]]


def test_without_times_there_are_no_hours(tmp_path: Path) -> None:
    assert group(tmp_path, "customer_hours", [line(0, 0, hour=None)], at(1)).empty


def test_pairs_within_a_basket_count_both_ways(tmp_path: Path) -> None:
    lines = [line(order, order, product) for order in range(3) for product in (0, 1)]
    lines += [line(3, 3, 0), line(4, 3, 1, customer_row=1)]

    frame = group(tmp_path, "product_pairs", lines, at(9)).set_index([c.PRODUCT_ROW, c.OTHER_ROW])

    assert sorted(frame.index) == [(0, 1), (1, 0)]
    assert list(frame[c.N_BOTH]) == [3, 3]
    assert list(frame[c.WEIGHT_BOTH]) == pytest.approx([3 * 2**-0.6] * 2)
    assert frame.loc[(1, 0), c.N_NEXT] == 3  # baskets 0, 1 and 2 are followed by one with product 0
    assert frame.loc[(0, 1), c.N_NEXT] == 0  # only baskets 0 and 1 are: not enough


def test_a_pair_over_time_needs_no_common_basket(tmp_path: Path) -> None:
    lines = [line(10 * customer + order, order, order % 2, customer_row=customer)
             for customer in range(3) for order in range(2)]  # fmt: skip

    frame = group(tmp_path, "category_pairs", lines, at(9))

    assert list(zip(frame[c.CATEGORY_ROW], frame[c.OTHER_ROW], frame[c.N_NEXT], strict=True)) == [(0, 1, 3)]
    assert list(frame[c.N_BOTH]) == [0]


def test_households_that_own_both_count_however_far_apart(tmp_path: Path) -> None:
    lines = [line(10 * customer + order, 9 * order, order, customer_row=customer)
             for customer in range(3) for order in range(2)]  # fmt: skip
    lines += [line(90, 1, 2, customer_row=0), line(91, 1, 2, customer_row=1)]  # with product 2 there are only two

    frame = group(tmp_path, "product_household_pairs", lines, at(30))

    assert frame.to_numpy().tolist() == [[0, 1, 3]]


def test_households_are_asked_about_the_thousand_products_that_most_own(tmp_path: Path) -> None:
    owned = [(0, 1000)] * 3 + [tuple(range(1000))] * 3  # product 1000 is the rarest, and 999 goes with 0 in three
    lines = [line(1000 * customer, customer, product, customer_row=customer)
             for customer, products in enumerate(owned) for product in products]  # fmt: skip

    frame = group(tmp_path, "product_household_pairs", lines, at(30))

    assert (frame[c.N_HOUSEHOLDS] == 3).all()
    assert len(frame) == 1000 * 999 / 2
    assert frame[c.OTHER_ROW].max() == 999
