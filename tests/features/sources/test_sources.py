"""The same shop from every kind of source: the tables that come out are the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from features.conform import prepare
from features.errors import DataContractError, SourceError
from features.sources.databases import DuckDbFile, Postgres
from features.sources.files import Folder
from features.sources.opening import open_source
from features.tables import TABLE_NAMES, TableSet
from tests.contracts.folders import prepared, write_folder

LINES = pd.DataFrame(
    {
        "customer_id": ["c1", "c1", "c2", "c2"],
        "order_id": ["o1", "o1", "o2", "o3"],
        "product_id": ["p1", "p2", "p1", "p1"],
        "ordered_at": pd.to_datetime(
            ["2024-03-01T10:00:00Z", "2024-03-01T10:00:00Z", "2024-03-30T23:30:00Z", "2024-03-31T01:30:00Z"]
        ),
        "quantity": [1.0, 2.0, 3.0, -1.0],
        "amount": [2.5, 3.0, 7.5, -2.5],
        "store_id": ["s1", None, "s1", "s1"],
    }
)
PRODUCTS = pd.DataFrame(
    {
        "product_id": ["p1", "p2"],
        "product_type": ["cheddar", None],
        "category": ["cheese", "bread"],
        "price": [2.5, None],
        "launched_at": [pd.Timestamp("2020-01-01").date(), None],
        "attributes": ['{"healthy": true}', None],
    }
)
STORES = pd.DataFrame({"store_id": ["s1"], "time_zone": ["Europe/Berlin"]})
SHOP = {"transactions": LINES, "products": PRODUCTS, "stores": STORES}


def as_parquet(folder: Path) -> Path:
    folder.mkdir()
    for name, frame in SHOP.items():
        frame.to_parquet(folder / f"{name}.parquet")
    return folder


def as_csv(folder: Path, ending: str = "csv") -> Path:
    folder.mkdir()
    for name, frame in SHOP.items():
        frame.to_csv(folder / f"{name}.{ending}", index=False)
    return folder


def as_gzip(folder: Path) -> Path:
    return as_csv(folder, "csv.gz")


def as_duckdb(folder: Path) -> Path:
    folder.mkdir()
    path = folder / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        for name, frame in SHOP.items():
            connection.register("frame", frame)
            connection.execute(f"create table {name}_stored as from frame")
            connection.execute(f"create view {name} as select * from {name}_stored")
            connection.unregister("frame")
    return path


def tables_of(source: Path, home: Path) -> TableSet:
    return prepare(str(source), home, time_zone="UTC", progress=lambda _: None).tables


@pytest.mark.parametrize("written", [as_csv, as_gzip, as_duckdb], ids=lambda each: each.__name__)
def test_every_kind_of_source_gives_the_same_tables(tmp_path: Path, written: Callable[[Path], Path]) -> None:
    expected = tables_of(as_parquet(tmp_path / "parquet"), tmp_path / "home")
    got = tables_of(written(tmp_path / "other"), tmp_path / "home")

    for name in TABLE_NAMES:
        pd.testing.assert_frame_equal(got.read(name), expected.read(name), check_dtype=False)
    assert len(expected.read("returns")) == 1
    assert sorted(expected.read("lines")["ordered_hour"]) == [0, 10, 11]


def test_a_source_is_named_by_its_own_name_and_never_by_a_path_or_password(tmp_path: Path) -> None:
    (tmp_path / "my-shop").mkdir()
    (tmp_path / "x.db").touch()

    assert open_source(str(tmp_path / "my-shop")).name == "my-shop"
    assert open_source(str(tmp_path / "x.db")).name == "x.db"
    assert open_source("postgresql://me:secret@host:5432/shop?sslmode=require").name == "shop"


def test_a_digest_follows_content_and_not_the_folders_name(tmp_path: Path) -> None:
    first, second = as_csv(tmp_path / "a"), as_csv(tmp_path / "b")
    same = Folder(first).digest(tmp_path) == Folder(second).digest(tmp_path)
    (second / "stores.csv").write_text("store_id\ns1\n")

    assert same
    assert Folder(first).digest(tmp_path) != Folder(second).digest(tmp_path)


def test_a_file_that_is_no_database_is_said_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"
    path.write_text("not a database")

    with pytest.raises(SourceError, match=r"^shop.duckdb: can't be opened as a database") as caught:
        prepared(path, tmp_path / "home")
    assert "\n" not in str(caught.value)


def test_a_database_without_our_tables_is_said(tmp_path: Path) -> None:
    path = tmp_path / "other.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table sales (a int)")

    with pytest.raises(SourceError, match="holds no table that the contract knows"):
        prepared(path, tmp_path / "home")


def test_a_database_with_products_alone_is_said(tmp_path: Path) -> None:
    path = tmp_path / "half.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table products (product_id int)")

    with pytest.raises(DataContractError, match="no table transactions"):
        prepared(path, tmp_path / "home")


def test_a_postgresql_that_does_not_answer_is_said_without_its_password(tmp_path: Path) -> None:
    pytest.importorskip("adbc_driver_postgresql")
    with pytest.raises(SourceError, match="PostgreSQL can't be read") as caught:
        Postgres("postgresql://me:hunter2@127.0.0.1:1/shop").digest(tmp_path)

    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="can't be opened"):
        Folder(tmp_path / "gone").digest(tmp_path)
    with pytest.raises(SourceError, match="can't be opened"):
        DuckDbFile(tmp_path / "gone.duckdb").digest(tmp_path)


def test_another_tables_columns_do_not_make_a_table(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "s", {"stores.csv": "shop,town\n1,Bonn\n"})

    with pytest.raises(DataContractError, match=r"stores.csv: required column store_id missing"):
        prepared(folder, tmp_path / "home")
