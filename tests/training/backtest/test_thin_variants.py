from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features import columns as c
from features.conform import prepare
from features.tables import TableSet
from training.backtest.thin_catalogue import CatalogueConfig, write_catalogue
from training.backtest.thin_variants import LARGE_CATALOGUE, VARIANTS, Columns, Variant

BY_NAME = {each.name: each for each in VARIANTS}


def written(variant: Variant, tables: TableSet, folder: Path) -> dict[str, pd.DataFrame]:
    variant.write(tables, folder)
    return {path.stem: pd.read_parquet(path) for path in folder.glob("*.parquet")}


@pytest.mark.parametrize(
    ("name", "table", "gone"),
    [
        ("no names", "products", {"name"}),
        ("no categories", "products", {"product_type", "category", "department"}),
        ("no prices", "products", {"price", "cost"}),
        ("no amounts", "transactions", {"amount"}),
        ("no quantities", "transactions", {"quantity"}),
    ],
)
def test_a_variant_lacks_what_it_says_and_nothing_else(
    name: str, table: str, gone: set[str], shop_tables: TableSet, tmp_path: Path
) -> None:
    whole = written(Variant("whole", Columns().write), shop_tables, tmp_path / "whole")
    poor = written(BY_NAME[name], shop_tables, tmp_path / "poor")
    assert set(whole[table].columns) - set(poor[table].columns) == gone
    other = ({"products", "transactions"} - {table}).pop()
    assert set(whole[other].columns) == set(poor[other].columns)
    assert len(whole[table]) == len(poor[table])


def test_the_poorest_has_four_columns_and_days(shop_tables: TableSet, tmp_path: Path) -> None:
    files = written(BY_NAME["ids and days only"], shop_tables, tmp_path)
    assert list(files) == ["transactions"]
    assert list(files["transactions"].columns) == ["customer_id", "order_id", "product_id", "ordered_at"]
    lines = shop_tables.read("lines", [c.ORDERED_DAY])
    days = pd.to_datetime(files["transactions"]["ordered_at"])
    assert sorted((days - pd.Timestamp(0)).dt.days) == sorted(lines[c.ORDERED_DAY].tolist())


def test_few_customers_are_the_same_ones_again(shop_tables: TableSet, tmp_path: Path) -> None:
    few = Variant("few", Columns(n_customers=30).write)
    one, two = (written(few, shop_tables, tmp_path / name)["transactions"] for name in ("a", "b"))
    assert one["customer_id"].nunique() == 30
    assert sorted(one["customer_id"].unique()) == sorted(two["customer_id"].unique())
    lines = shop_tables.read("lines", [c.CUSTOMER_ROW])
    assert len(one) == lines[c.CUSTOMER_ROW].isin(one["customer_id"].astype(int).unique()).sum()


def test_everybody_has_two_or_three_consecutive_orders(shop_tables: TableSet, tmp_path: Path) -> None:
    rows = written(BY_NAME["2 or 3 orders each"], shop_tables, tmp_path)["transactions"]
    n_orders = rows.groupby("customer_id")["order_id"].nunique()
    assert set(n_orders) == {2, 3}
    lines = shop_tables.read("lines", [c.CUSTOMER_ROW, c.ORDER_ROW, c.ORDERED_US])
    orders = lines.groupby([c.CUSTOMER_ROW, c.ORDER_ROW])[c.ORDERED_US].min().sort_values(kind="stable").reset_index()
    place = orders.groupby(c.CUSTOMER_ROW).cumcount().set_axis(orders[c.ORDER_ROW].astype(str))
    own = rows.drop_duplicates(["customer_id", "order_id"])
    at = own.assign(place=place.loc[own["order_id"]].to_numpy()).groupby("customer_id")["place"]
    assert (at.max() - at.min() + 1).tolist() == n_orders.tolist()


def test_a_poor_variant_is_a_source_like_any_other(shop_tables: TableSet, tmp_path: Path) -> None:
    BY_NAME["ids and days only"].write(shop_tables, tmp_path / "s")
    tables = prepare(str(tmp_path / "s"), tmp_path / "h", time_zone=None, progress=lambda _: None).tables
    has = (tables.has_amounts, tables.has_hours, tables.has_types, tables.has_categories)
    assert not any(has)
    assert len(tables.read("lines", [c.LINE_KEY])) == len(shop_tables.read("lines", [c.LINE_KEY]))


SMALL = CatalogueConfig().scaled(0.06)


def test_most_of_a_large_catalogue_sells_once(tmp_path: Path) -> None:
    n_lines = write_catalogue(SMALL, tmp_path / "t.parquet")
    rows = pd.read_parquet(tmp_path / "t.parquet")
    sold = rows["product_id"].value_counts()
    assert len(rows) == n_lines
    assert SMALL.n_products - SMALL.n_heads <= (sold == 1).sum()
    assert len(sold) > 0.95 * SMALL.n_products
    assert not rows.duplicated(["customer_id", "order_id", "product_id"]).any()
    assert rows.groupby("order_id")["customer_id"].nunique().eq(1).all()


def test_the_catalogue_comes_from_its_seed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_catalogue(SMALL, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_customers_of_the_catalogue_have_favourites(tmp_path: Path) -> None:
    write_catalogue(SMALL, tmp_path / "t.parquet")
    rows = pd.read_parquet(tmp_path / "t.parquet")
    again = rows.groupby(["customer_id", "product_id"])["order_id"].nunique()
    assert np.mean(again >= 2) > 0.1


def test_the_large_one_is_large() -> None:
    assert CatalogueConfig().n_products == 200_000
    assert LARGE_CATALOGUE not in VARIANTS
