"""The group `customers`, on lines that can be counted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from features import columns as c
from features.asof import Moment
from features.build import FeatureStore
from tests.features.tiny import Row, at, event, line, returned, write_tables


def customers(
    tmp_path: Path, lines: Sequence[Row], moment: Moment, products: Sequence[Row] = (), **tables: Sequence[Row]
) -> pd.DataFrame:
    store = FeatureStore(write_tables(tmp_path / "t", lines, products, **tables), tmp_path / "f")
    return store.read("customers", moment).set_index(c.CUSTOMER_ROW)


def first(frame: pd.DataFrame, column: str) -> float:
    return float(frame[column].iloc[0])


def test_recency_tenure_and_gaps(tmp_path: Path) -> None:
    frame = customers(tmp_path, [line(0, 0), line(1, 4), line(2, 10)], at(15))

    assert first(frame, c.RECENCY_DAYS) == 5
    assert first(frame, c.TENURE_DAYS) == 15
    assert first(frame, c.GAP_MEAN_DAYS) == (4 + 6) / 2
    assert first(frame, c.GAP_STD_DAYS) == pytest.approx(2**0.5)  # the deviations are -1 and 1
    assert first(frame, c.GAP_LAST_DAYS) == 6
    assert first(frame, c.GAP_RATIO) == 5 / 5


def test_two_trips_on_one_day_are_no_days_apart(tmp_path: Path) -> None:
    frame = customers(tmp_path, [line(0, 0), line(1, 0, hour=18), line(2, 6)], at(7))

    assert first(frame, c.N_BASKETS) == 3
    assert first(frame, c.N_DAYS) == 2
    assert first(frame, c.GAP_MEAN_DAYS) == (0 + 6) / 2


def test_one_trip_has_no_gap(tmp_path: Path) -> None:
    frame = customers(tmp_path, [line(0, 0), line(0, 0, 1)], at(1))

    assert first(frame, c.N_BASKETS) == 1
    assert first(frame, c.LINES_PER_BASKET) == 2
    assert frame[[c.GAP_MEAN_DAYS, c.GAP_STD_DAYS, c.GAP_LAST_DAYS, c.GAP_RATIO]].isna().all(axis=None)


def test_a_window_of_four_weeks_holds_28_days(tmp_path: Path) -> None:
    frame = customers(tmp_path, [line(0, 0), line(1, 1), line(2, 20)], at(29))

    assert first(frame, c.N_BASKETS_4W) == 2
    assert first(frame, c.N_BASKETS_12W) == 3


def test_a_decayed_count_halves_with_each_half_life(tmp_path: Path) -> None:
    frame = customers(tmp_path, [line(0, 0), line(1, 14)], at(28))

    assert first(frame, c.N_BASKETS_H14) == 1 / 4 + 1 / 2
    assert first(frame, c.N_BASKETS_H56) == pytest.approx(2 ** -(28 / 56) + 2 ** -(14 / 56), abs=1e-9)


def test_the_trend_of_someone_steady_is_one_however_new_they_are(tmp_path: Path) -> None:
    new = [line(order, 90 + 2 * order) for order in range(5)]
    old = [line(100 + order, order, customer_row=1) for order in range(100)]

    frame = customers(tmp_path, [*new, *old], at(100))

    assert list(frame[c.BASKET_TREND_4W_12W]) == [1, 1]
    assert list(frame[c.SPEND_TREND]) == [1, 1]


def test_spend_counts_all_lines_net_of_returns_and_items_only_merchandise(tmp_path: Path) -> None:
    fuel = {"is_merchandise": False}
    lines = [line(0, 0, 0, amount=5.0), line(0, 0, 1, amount=20.0), line(1, 1, 1, amount=30.0)]

    frame = customers(tmp_path, lines, at(9), products=[{}, fuel], returns=[returned(0, 3, quantity=0.5, amount=2.0)])

    assert first(frame, c.SPEND) == 5 - 2 + 20 + 30
    assert first(frame, c.N_BASKETS) == 2
    assert first(frame, c.N_PRODUCTS) == 1
    assert first(frame, c.UNIT_PRICE_MEAN) == 3 / 0.5
    assert first(frame, c.N_RETURNS) == 1
    assert first(frame, c.RETURN_SHARE) == 1 / 3


def test_what_the_source_cannot_tell_is_null(tmp_path: Path) -> None:
    frame = customers(tmp_path, [line(0, 0, amount=None, ordered_hour=None), line(1, 2, amount=None, hour=None)], at(3))

    unknown = [c.SPEND, c.SPEND_4W, c.SPEND_TREND, c.UNIT_PRICE_MEAN, c.DISCOUNT_SHARE, c.MORNING_SHARE]
    unknown += [c.MAIN_STORE_ROW, c.WEB_SHARE, c.COUPON_SHARE, c.REDEEM_RATE, c.PRIVATE_LABEL_SHARE]
    assert frame[unknown].isna().all(axis=None)
    assert first(frame, c.N_SENT) == 0


def test_shares_of_store_channel_and_time(tmp_path: Path) -> None:
    lines = [
        line(0, 0, store_row=7, channel="web", hour=9),  # a Monday
        line(1, 5, store_row=3, channel="store", hour=18),  # a Saturday
        line(2, 6, store_row=3, channel="store", hour=13),
        line(3, 7, store_row=7, channel="app", hour=20),
    ]

    frame = customers(tmp_path, lines, at(8))

    assert first(frame, c.MAIN_STORE_ROW) == 7  # as often as 3, and later
    assert first(frame, c.MAIN_STORE_SHARE) == 2 / 4
    assert (first(frame, c.WEB_SHARE), first(frame, c.APP_SHARE)) == (1 / 4, 1 / 4)
    assert first(frame, c.WEEKEND_SHARE) == 2 / 4
    assert (first(frame, c.MORNING_SHARE), first(frame, c.EVENING_SHARE)) == (1 / 4, 2 / 4)


def test_discount_and_private_label(tmp_path: Path) -> None:
    goods = [{"is_private_label": True}, {"is_private_label": False}, {}]
    lines = [line(0, 0, 0, amount=3.0, discount=1.0), line(0, 0, 1), line(0, 0, 2), line(1, 1, 1, customer_row=1)]

    frame = customers(tmp_path, lines, at(2), products=goods)

    assert first(frame, c.DISCOUNT_SHARE) == 1 / 6
    assert list(frame[c.PRIVATE_LABEL_SHARE]) == [1 / 2, 0]


def test_breadth_counts_different_types_and_categories(tmp_path: Path) -> None:
    goods = [{"type_row": 0, "category_row": 0}, {"type_row": 0, "category_row": 0}, {"type_row": 1, "category_row": 1}]
    lines = [line(0, 0, 0), line(0, 0, 1), line(0, 0, 2), line(1, 1, 0)]

    frame = customers(tmp_path, lines, at(2), products=goods)

    assert [first(frame, name) for name in (c.N_PRODUCTS, c.N_TYPES, c.N_CATEGORIES)] == [3, 2, 2]
    assert first(frame, c.N_CATEGORIES_PER_BASKET) == (2 + 1) / 2


def test_engagement_counts_what_happened_before_the_moment(tmp_path: Path) -> None:
    events = [event("send", 0), event("send", 1), event("open", 1), event("click", 1), event("redeem", 2)]
    events += [event("redeem", 20), event("redeem", 2, customer_row=5)]

    frame = customers(tmp_path, [line(0, 0), line(1, 2)], at(20), events=events)

    counts = [first(frame, name) for name in (c.N_SENT, c.N_OPENED, c.N_CLICKED, c.N_REDEEMED, c.N_REDEEMED_12W)]
    assert counts == [2, 1, 1, 1, 1]
    assert first(frame, c.REDEEM_RATE) == 1 / 2
    assert first(frame, c.COUPON_SHARE) == 1 / 2
    assert list(frame.index) == [0]


def test_nobody_is_known_before_the_first_line(tmp_path: Path) -> None:
    frame = customers(tmp_path, [line(0, 5)], at(5))

    assert frame.empty
    assert c.SPEND in frame.columns
