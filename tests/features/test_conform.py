"""From a folder to conformed tables: what is kept, in which order, on which local day, and what is off."""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pytest

from features import columns as c
from features.conform import Prepared
from features.contracts import MAX_ID_LENGTH
from features.errors import DataContractError, TablesError
from features.tables import TABLE_NAMES, TableSet
from serving.api import MAX_ID_LENGTH as ASKED_LENGTH
from tests.contracts.folders import prepared, quarantine, snapshot, transactions_csv, write_folder

BARE = "customer_id,order_id,product_id,ordered_at\n"


def shop(tmp_path: Path, time_zone: str | None = None, **files: str) -> Prepared:
    """Prepare a folder of CSV files, one for each argument."""
    folder = write_folder(tmp_path / "shop", {f"{table}.csv": text for table, text in files.items()})
    return prepared(folder, tmp_path / "home", time_zone)


def day_number(year: int, month: int, day: int) -> int:
    return (date(year, month, day) - date(1970, 1, 1)).days


def us(*moment: int, zone: str = "UTC") -> int:
    return round(datetime(*moment, tzinfo=ZoneInfo(zone)).timestamp()) * 1_000_000  # type: ignore[misc,arg-type] # tzinfo is by name


def test_every_table_is_there_even_for_transactions_alone(tmp_path: Path) -> None:
    tables = shop(tmp_path, transactions=BARE + "c,o,p,2024-03-01\n").tables

    assert all(tables.path(name).is_file() for name in TABLE_NAMES)
    assert not any((tables.has_hours, tables.has_amounts, tables.has_types, tables.has_categories, tables.has_prices))
    assert tables.currency == ""
    assert (tables.first_day, tables.last_day) == (day_number(2024, 3, 1),) * 2


def test_a_product_without_kinds_is_its_own_type_and_category(tmp_path: Path) -> None:
    tables = shop(tmp_path, transactions=BARE + "c,o,milk,2024-03-01\nc,o,bread,2024-03-01\n").tables

    products, types, categories = (tables.read(name) for name in ("products", "types", "categories"))
    assert set(products[c.NAME]) == {"milk", "bread"}
    assert set(types[c.PRODUCT_TYPE]) == set(categories[c.CATEGORY]) == {"milk", "bread"}
    assert types[c.IS_OWN].all()
    assert categories[c.IS_OWN].all()
    by_type = products.merge(types, on=c.TYPE_ROW)
    assert (by_type[c.PRODUCT_ID] == by_type[c.PRODUCT_TYPE]).all()


def test_an_id_that_is_also_a_types_name_stays_apart(tmp_path: Path) -> None:
    tables = shop(
        tmp_path,
        transactions=BARE + "c,o,milk,2024-03-01\nc,o,p1,2024-03-01\n",
        products="product_id,product_type\np1,milk\n",
    ).tables

    assert sorted(tables.read("types")[c.PRODUCT_TYPE]) == ["milk", "milk (product)"]


def test_a_time_without_a_zone_is_utc_and_its_day_is_local(tmp_path: Path) -> None:
    lines = shop(
        tmp_path,
        "America/New_York",
        transactions=BARE
        + "c,o1,p,2024-03-01T02:30:00\nc,o2,p,2024-03-01T02:30:00-05:00\nc,o3,p,2024-07-01 03:59:59.5Z\n",
    ).tables.read("lines")

    assert list(lines[c.ORDERED_DAY]) == [day_number(2024, 2, 29), day_number(2024, 3, 1), day_number(2024, 6, 30)]
    assert list(lines[c.ORDERED_HOUR]) == [21, 2, 23]
    assert lines[c.ORDERED_US][0] == us(2024, 3, 1, 2, 30)


def test_a_date_without_a_time_is_that_local_day_and_has_no_hour(tmp_path: Path) -> None:
    made = shop(tmp_path, "America/New_York", transactions=BARE + "c,o1,p,2024-03-10\nc,o2,p,2024-03-11\n")

    lines = made.tables.read("lines")
    assert list(lines[c.ORDERED_DAY]) == [day_number(2024, 3, 10), day_number(2024, 3, 11)]
    assert list(lines[c.ORDERED_US]) == [us(2024, 3, 10, 5), us(2024, 3, 11, 4)]  # clocks went forward on the 10th
    assert lines[c.ORDERED_HOUR].isna().all()
    assert not made.tables.has_hours
    assert any("hour" in line for line in made.tables.switched_off)


def test_a_stores_own_zone_decides_the_day_of_its_lines(tmp_path: Path) -> None:
    lines = shop(
        tmp_path,
        "UTC",
        transactions=BARE.strip() + ",store_id\nc,o1,p,2024-03-01T20:00:00Z,tokyo\nc,o2,p,2024-03-01T20:00:00Z,\n",
        stores="store_id,time_zone\ntokyo,Asia/Tokyo\n",
    ).tables.read("lines")

    assert sorted(zip(lines[c.ORDERED_DAY], lines[c.ORDERED_HOUR], strict=True)) == [
        (day_number(2024, 3, 1), 20),
        (day_number(2024, 3, 2), 5),
    ]


@pytest.mark.parametrize("kind", ["timestamp[us]", "timestamp[ns]", "timestamp[ms]"])
def test_timestamps_that_are_all_midnight_are_read_as_dates(tmp_path: Path, kind: str) -> None:
    days = pd.to_datetime(["2024-03-01", "2024-03-02"]).tz_localize(None)
    table = pa.table(
        {
            "customer_id": ["c", "c"],
            "order_id": ["1", "2"],
            "product_id": ["p", "p"],
            "ordered_at": pa.array(days).cast(pa.timestamp(kind[10:-1])),
        }
    )
    made = prepared(
        write_folder(tmp_path / "s", {"transactions.parquet": table}), tmp_path / "home", "America/New_York"
    )

    assert list(made.tables.read("lines")[c.ORDERED_DAY]) == [day_number(2024, 3, 1), day_number(2024, 3, 2)]
    assert any("midnight" in warning for warning in made.report.warnings)


def test_numbers_as_ids_are_their_plain_digits_even_where_a_tool_made_floats_of_them(tmp_path: Path) -> None:
    table = pa.table(
        {
            "customer_id": pa.array([7, 8, None, 7, 7, 7], pa.float64()),
            "order_id": [1, 2, 3, 4, 5, 6],
            "product_id": pa.array([10, 11, 12, 12, 12, 12], pa.int32()),
            "ordered_at": pa.array([datetime(2024, 3, 1, 9, tzinfo=UTC)] * 6, pa.timestamp("us", "UTC")),
        }
    )
    tables = prepared(write_folder(tmp_path / "s", {"transactions.parquet": table}), tmp_path / "home").tables

    assert set(tables.read("customers")[c.CUSTOMER_ID]) == {"7", "8"}
    assert set(tables.read("products")[c.PRODUCT_ID]) == {"10", "11", "12"}


def test_lines_are_in_the_order_of_time_with_dense_keys_and_orders_by_customer(tmp_path: Path) -> None:
    tables = shop(
        tmp_path, transactions=BARE + "a,1,p,2024-03-03T10:00Z\nb,1,p,2024-03-02T10:00Z\na,1,q,2024-03-03T10:00Z\n"
    ).tables

    lines = tables.read("lines")
    assert list(lines[c.LINE_KEY]) == [0, 1, 2]
    assert lines[c.ORDERED_US].is_monotonic_increasing
    assert list(lines[c.ORDER_ROW]) == [0, 1, 1]
    assert list(tables.read("customers")[c.CUSTOMER_ID][lines[c.CUSTOMER_ROW]]) == ["b", "a", "a"]


def test_an_exact_duplicate_counts_once_and_another_line_id_is_no_duplicate(tmp_path: Path) -> None:
    with_lines = BARE.strip() + ",line_id\n"
    made = shop(tmp_path, transactions=with_lines + "c,o,p,2024-03-01,1\nc,o,p,2024-03-01,2\nc,o,p,2024-03-01,2\n")

    counts = made.report.counts_of("transactions")
    assert (counts.read, counts.kept, counts.duplicates, counts.quarantined) == (3, 2, 1, 0)
    assert len(made.tables.read("lines")) == 2


def test_a_line_of_quantity_zero_stays_a_line_and_the_default_is_one(tmp_path: Path) -> None:
    lines = shop(
        tmp_path, transactions=BARE.strip() + ",quantity\nc,o1,p,2024-03-01,0\nc,o2,p,2024-03-02,\n"
    ).tables.read("lines")

    assert list(lines[c.QUANTITY]) == [0, 1]
    assert list(lines[c.DISCOUNT]) == [0, 0]


def test_attributes_say_what_is_no_merchandise_and_whose_brand_it_is(tmp_path: Path) -> None:
    products = shop(
        tmp_path,
        transactions=BARE + "c,o,p1,2024-03-01\n",
        products='product_id,attributes\np1,"{""merchandise"": false}"\np2,"{""private_label"": true}"\np3,\n',
    ).tables.read("products")

    by_id = products.set_index(c.PRODUCT_ID)
    assert list(by_id.loc[["p1", "p2", "p3"], c.IS_MERCHANDISE]) == [False, True, True]
    assert by_id.loc["p2", c.IS_PRIVATE_LABEL]
    assert by_id[c.IS_PRIVATE_LABEL].isna()["p3"]


def test_a_type_in_two_categories_stands_in_the_one_with_most_of_its_products(tmp_path: Path) -> None:
    tables = shop(
        tmp_path,
        transactions=BARE + "c,o,p1,2024-03-01\n",
        products="product_id,product_type,category\np1,other,b\np2,other,a\np3,other,b\n",
    ).tables

    types = tables.read("types").merge(tables.read("categories"), on=c.CATEGORY_ROW)
    assert list(types[c.CATEGORY]) == ["b"]


def test_an_offer_holds_to_the_end_of_its_last_day_and_lists_its_products(tmp_path: Path) -> None:
    tables = shop(
        tmp_path,
        "America/New_York",
        transactions=BARE + "c,o,p1,2024-03-01\n",
        offers='offer_id,kind,product_ids,starts_at,ends_at\nx,discount,"[""p1"", 7]",2024-03-01,2024-03-10\n',
    ).tables

    offer = tables.read("offers").iloc[0]
    assert (offer[c.STARTS_US], offer[c.ENDS_US]) == (us(2024, 3, 1, 5), us(2024, 3, 11, 4))
    offered = tables.read("offer_products").merge(tables.read("products"), on=c.PRODUCT_ROW)
    assert set(offered[c.PRODUCT_ID]) == {"p1", "7"}


def test_purchase_events_are_lines_unless_the_table_has_them_and_other_events_stay_events(tmp_path: Path) -> None:
    made = shop(
        tmp_path,
        transactions=BARE + "c,o1,p,2024-03-01T10:00Z\n",
        events=(
            "event_id,customer_id,type,at,product_id,order_id,quantity\n"
            "e1,c,purchase,2024-03-01T10:00Z,p,o1,1\n"
            "e2,c,purchase,2024-03-02T10:00Z,q,o2,2\n"
            "e3,c,purchase,2024-03-03T10:00Z,p,o1,-1\n"
            "e4,c,view,2024-03-03T10:00Z,r,,\n"
        ),
    )

    assert list(made.tables.read("lines")[c.QUANTITY]) == [1, 2]
    assert list(made.tables.read("returns")[c.LINE_KEY]) == [0]
    assert list(made.tables.read("events")[c.TYPE]) == ["view"]
    counts = made.report.counts_of("events")
    assert (counts.read, counts.kept, counts.left_out) == (4, 3, 1)
    assert set(made.tables.read("products")[c.PRODUCT_ID]) == {"p", "q", "r"}


def test_whoever_and_whatever_occurs_anywhere_has_a_row(tmp_path: Path) -> None:
    tables = shop(
        tmp_path,
        transactions=BARE + "a,o,p1,2024-03-01\n",
        customers="customer_id\nb\n",
        identities="customer_id,kind,value\nd,email,x\n",
        events="event_id,customer_id,type,at,product_id,store_id\ne1,e,view,2024-03-01,p2,s1\n",
        stock="product_id,store_id,available\np3,s2,4\np1,,false\n",
    ).tables

    assert set(tables.read("customers")[c.CUSTOMER_ID]) == {"a", "b", "d", "e"}
    assert set(tables.read("products")[c.PRODUCT_ID]) == {"p1", "p2", "p3"}
    assert set(tables.read("stores")[c.STORE_ID]) == {"s1", "s2"}
    assert sorted(tables.read("stock")[c.AVAILABLE]) == [0, 4]


def test_json_of_any_shape_comes_as_json(tmp_path: Path) -> None:
    folder = write_folder(
        tmp_path / "s",
        {
            "transactions.csv": transactions_csv(),
            "customers.parquet": pa.table(
                {"customer_id": ["c1", "c2"], "consent": [{"email": True, "sms": False}, {"email": None, "sms": None}]}
            ),
            "offers.parquet": pa.table(
                {"offer_id": ["x"], "kind": ["gift"], "product_ids": [["p1", "p2"]], "channels": [["sms"]]}
            ),
        },
    )
    tables = prepared(folder, tmp_path / "home").tables

    consent = tables.read("customers").set_index(c.CUSTOMER_ID)[c.CONSENT]
    assert json.loads(consent["c1"]) == {"email": True, "sms": False}
    assert len(tables.read("offer_products")) == 2
    assert json.loads(tables.read("offers")[c.CHANNELS][0]) == ["sms"]


@pytest.mark.parametrize(("mark", "ending"), [(";", "\n"), ("\t", "\r\n"), ("|", "\n"), (",", "\r\n")])
def test_csv_of_other_marks_and_line_ends_reads_the_same(tmp_path: Path, mark: str, ending: str) -> None:
    text = transactions_csv()
    other = "\ufeff" + text.replace(",", mark).replace("\n", ending)
    expected = prepared(write_folder(tmp_path / "a", {"transactions.csv": text}), tmp_path / "home").tables
    got = prepared(write_folder(tmp_path / "b", {"transactions.csv.gz": other}), tmp_path / "home").tables

    pd.testing.assert_frame_equal(got.read("lines"), expected.read("lines"))
    pd.testing.assert_frame_equal(got.read("products"), expected.read("products"))


def test_an_id_that_no_call_could_name_is_kept_out_and_any_other_is_kept(tmp_path: Path) -> None:
    longest, odd = "x" * MAX_ID_LENGTH, "кл 1 \u00fc \U0001f642"
    good = [f"{odd},o,商品 1,2024-03-01", *(f"{longest},o{i},p{i},2024-03-01" for i in range(20))]
    tables = shop(tmp_path, transactions=BARE + "\n".join([*good, f"{longest}x,o,p,2024-03-01"]) + "\n").tables

    assert set(tables.read("customers")[c.CUSTOMER_ID]) == {odd, longest}
    assert "商品 1" in set(tables.read("products")[c.PRODUCT_ID])
    found = quarantine(tmp_path / "home", "transactions")
    assert list(found["reason"]) == [f"customer_id is longer than {MAX_ID_LENGTH} characters"]
    assert MAX_ID_LENGTH == ASKED_LENGTH


def test_row_numbers_hold_after_quoted_line_ends_blank_lines_and_lines_that_can_not_be_split(tmp_path: Path) -> None:
    text = transactions_csv(
        '"c\n1",o90,p1,2024-03-01,1,1', "", "short", "c1,o91,p1,2024-03-01,x,1", "too,short", "c2,o92,p1,soon,1,1"
    )
    prepared(write_folder(tmp_path / "s", {"transactions.csv": text}), tmp_path / "home")

    found = quarantine(tmp_path / "home", "transactions")
    assert list(found["row"]) == [22, 23, 24, 25]  # 20 good lines, then the one over two lines is row 21
    assert list(found["customer_id"].fillna("")) == ["", "c1", "", "c2"]
    assert list(found["line"].fillna("")) == ["short", "", "too,short", ""]


def test_blank_lines_are_no_rows_wherever_they_stand(tmp_path: Path) -> None:
    files = {"transactions.csv": "\n\n" + transactions_csv("", "short", ""), "stores.csv": "store_id\n\ns1\n\n"}
    report = prepared(write_folder(tmp_path / "s", files), tmp_path / "home").report

    assert report.counts_of("transactions").read == 21
    assert report.counts_of("stores").read == 1
    assert list(quarantine(tmp_path / "home", "transactions")["row"]) == [21]


@pytest.mark.parametrize("name", ['1/2" drill', 'bit 5"', "a, b", "tab\there", "ünï", "'; drop table x; --"])
def test_names_come_through_csv_as_they_are(tmp_path: Path, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    products = shop(tmp_path, transactions=transactions_csv(), products=f"product_id,name\np0,{quoted}\n").tables.read(
        "products"
    )

    assert name in set(products[c.NAME])


def test_extra_columns_and_files_are_ignored(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "s", {"notes.txt": "x", "demographics.csv": "a,b\n1,2\n"})
    text = "mood," + BARE + "good,c,o,p,2024-03-01\n"
    made = prepared(write_folder(folder, {"transactions.csv": text}), tmp_path / "home")

    assert [each.table for each in made.report.counts] == ["transactions"]
    assert len(made.tables.read("lines")) == 1


def test_ids_that_reach_a_person_are_warned_of_and_never_shown(tmp_path: Path) -> None:
    made = shop(tmp_path, transactions=BARE + "zoe@example.org,o1,p,2024-03-01\n+49 30 1234567,o2,p,2024-03-01\n")

    text = made.report.text()
    assert "1 of 2 customer ids look like e-mail addresses" in text
    assert "1 of 2 customer ids look like telephone numbers" in text
    assert "zoe" not in text
    assert "1234567" not in text


def test_plain_numbers_as_ids_are_no_telephone_numbers(tmp_path: Path) -> None:
    assert shop(tmp_path, transactions=BARE + "1000123456,o1,p,2024-03-01\n").report.warnings == ()


def test_the_report_shows_how_rows_add_up_and_what_is_off(tmp_path: Path) -> None:
    text = shop(tmp_path, transactions=transactions_csv("c1,,p1,2024-03-01,1,1")).report.text()

    assert "transactions    21    20            1          0         0" in text
    assert "order_id is empty: 1 row (row 21)" in text
    assert "no table products" in text


def test_an_unchanged_source_is_not_built_again_and_a_changed_one_is(tmp_path: Path) -> None:
    folder, home = write_folder(tmp_path / "s", {}), tmp_path / "home"
    first = prepared(folder, home)
    before = snapshot(home)

    said: list[str] = []
    from features.conform import prepare

    again = prepare(str(folder), home, time_zone=None, progress=said.append)
    write_folder(folder, {"transactions.csv": transactions_csv(good=19)})
    changed = prepared(folder, home)

    assert again == first
    assert len(said) == 1
    assert before.items() <= snapshot(home).items()
    assert changed.tables.digest != first.tables.digest
    assert prepared(folder, home, "Asia/Tokyo").tables.digest != changed.tables.digest


def test_quarantine_of_an_earlier_source_does_not_stay(tmp_path: Path) -> None:
    folder, home = tmp_path / "s", tmp_path / "home"
    prepared(write_folder(folder, {"transactions.csv": transactions_csv(",o9,p1,2024-03-01,1,1")}), home)
    prepared(write_folder(folder, {"transactions.csv": transactions_csv()}), home)

    assert len(quarantine(home, "transactions")) == 0


def test_two_runs_at_once_both_end_with_the_same_tables(tmp_path: Path) -> None:
    folder, home = write_folder(tmp_path / "s", {}), tmp_path / "home"
    made: list[Prepared] = []
    runs = [threading.Thread(target=lambda: made.append(prepared(folder, home))) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()

    assert len(made) == 3
    assert len({each.tables.folder for each in made}) == 1
    assert [path.name for path in (home / "features" / "tables").iterdir()] == [made[0].tables.digest]


def test_a_zone_that_is_not_known_and_a_source_that_is_not_there_are_said(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "s", {})
    with pytest.raises(DataContractError, match="Mars/Olympus"):
        prepared(folder, tmp_path / "home", "Mars/Olympus")
    with pytest.raises(DataContractError, match="nowhere.*not there"):
        prepared(tmp_path / "nowhere", tmp_path / "home")
    with pytest.raises(DataContractError, match="folder that holds it"):
        prepared(folder / "transactions.csv", tmp_path / "home")


def test_a_home_that_can_not_be_written_is_said_in_a_line(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "s", {})
    (tmp_path / "home").write_text("a file")

    with pytest.raises(TablesError, match="can't be written") as caught:
        prepared(folder, tmp_path / "home")
    assert "\n" not in str(caught.value)


def test_what_a_killed_run_has_left_is_cleared_after_a_day(tmp_path: Path) -> None:
    root = tmp_path / "home" / "features" / "tables"
    old, young = root / ".building-old", root / ".building-young"
    for left in (old, young):
        left.mkdir(parents=True)
    os.utime(old, (0, 0))
    prepared(write_folder(tmp_path / "s", {}), tmp_path / "home")

    assert young.is_dir()
    assert not old.exists()


def test_some_lines_without_a_time_are_warned_of(tmp_path: Path) -> None:
    made = shop(tmp_path, transactions=BARE + "c,o1,p,2024-03-01\nc,o2,p,2024-03-01T10:00Z\n")

    assert made.tables.has_hours
    assert made.report.warnings == ("1 of 2 lines have a date without a time: their hour is not known",)


def test_a_last_line_long_after_all_others_is_warned_of(tmp_path: Path) -> None:
    often = "".join(f"c,o{i},p,2024-03-01\n" for i in range(2000))
    warnings = shop(tmp_path, transactions=BARE + often + "c,x,p,2042-03-01\n").report.warnings

    assert warnings == ("99.9 % of the lines are from before 2024-03-02, and the last from 2042-03-01: is it wrong?",)


def test_tables_are_loaded_from_a_folder_or_refused(tmp_path: Path) -> None:
    tables = prepared(write_folder(tmp_path / "s", {}), tmp_path / "home").tables

    assert TableSet.load(tables.folder) == tables
    with pytest.raises(TablesError, match="no conformed tables"):
        TableSet.load(tmp_path)
    with pytest.raises(TablesError, match="no table 'orders'"):
        tables.path("orders")
    tables.path("lines").unlink()
    with pytest.raises(TablesError, match="has no lines"):
        TableSet.load(tables.folder)
