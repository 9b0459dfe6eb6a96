"""Fifty and more ways in which a table can be broken: each stops the run with one clear line, and touches nothing."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from features.errors import DataContractError
from tests.contracts.folders import (
    HEADER,
    Content,
    good_lines,
    prepared,
    quarantine,
    snapshot,
    transactions_csv,
    write_folder,
)

# Stands for what no message may hold: a customer's id or the value of an identity.
SECRET = "zoe.secret@example.org"


@dataclass(frozen=True)
class Stop:
    """Files that must stop the run with a line that holds each of the words."""

    name: str
    files: dict[str, Content]
    words: tuple[str, ...]


@dataclass(frozen=True)
class Bad:
    """Files of which one table has bad rows: the reason in quarantine, and their numbers."""

    name: str
    table: str
    files: dict[str, Content]
    reason: str
    rows: tuple[int, ...] = (21,)


def _table(**columns: list[object]) -> pa.Table:
    return pa.table(columns)


def _without(column: str) -> str:
    kept = [i for i, name in enumerate(HEADER.split(",")) if name != column]
    rows = [HEADER, *good_lines()]
    return "\n".join(",".join(row.split(",")[i] for i in kept) for row in rows) + "\n"


def _mostly(bad: str, n_bad: int = 10) -> str:
    return transactions_csv(*[bad] * n_bad)


GOOD_TABLE = _table(
    customer_id=["a"] * 3,
    order_id=["1", "2", "3"],
    product_id=["p"] * 3,
    ordered_at=["2024-03-01", "2024-03-02", "2024-03-03"],
)

STOPS = (
    Stop("empty folder", {}, ("holds no table", "transactions.parquet")),
    Stop("no transactions", {"products.csv": "product_id\np1\n"}, ("transactions", "required")),
    Stop(
        "two files for one table",
        {"transactions.csv": transactions_csv(), "transactions.parquet": GOOD_TABLE},
        ("both",),
    ),
    Stop("empty file", {"transactions.csv": ""}, ("transactions.csv", "empty")),
    Stop("blank file", {"transactions.csv": "\n\n  \n"}, ("transactions.csv", "empty")),
    Stop("header alone", {"transactions.csv": HEADER + "\n"}, ("transactions.csv", "no rows")),
    Stop(
        "no header",
        {"transactions.csv": f"{SECRET},o1,p1,2024-03-01\n" * 5},
        ("transactions.csv", "header", "customer_id"),
    ),
    Stop(
        "no customer_id", {"transactions.csv": _without("customer_id")}, ("transactions.csv", "customer_id", "missing")
    ),
    Stop("no order_id", {"transactions.csv": _without("order_id")}, ("transactions.csv", "order_id", "missing")),
    Stop("no product_id", {"transactions.csv": _without("product_id")}, ("transactions.csv", "product_id", "missing")),
    Stop("no ordered_at", {"transactions.csv": _without("ordered_at")}, ("transactions.csv", "ordered_at", "missing")),
    Stop(
        "misspelt column",
        {"transactions.csv": transactions_csv(header=HEADER.replace("order_id", "orderid"))},
        ("order_id",),
    ),
    Stop(
        "a column twice",
        {"transactions.csv": transactions_csv(header=HEADER.replace("quantity", "amount"))},
        ("amount", "once"),
    ),
    Stop("Parquet that is text", {"transactions.parquet": transactions_csv()}, ("transactions.parquet", "Parquet")),
    Stop("Parquet cut off", {"transactions.parquet": b"PAR1" + b"\0" * 200}, ("transactions.parquet", "Parquet")),
    Stop("Parquet without bytes", {"transactions.parquet": b""}, ("transactions.parquet", "Parquet")),
    Stop("Parquet without rows", {"transactions.parquet": GOOD_TABLE.slice(0, 0)}, ("transactions.parquet", "no rows")),
    Stop(
        "Parquet without a column",
        {"transactions.parquet": GOOD_TABLE.drop_columns(["order_id"])},
        ("order_id", "missing"),
    ),
    Stop(
        "gzip that is text", {"transactions.csv.gz": transactions_csv().encode()}, ("transactions.csv.gz", "complete")
    ),
    Stop(
        "gzip cut off",
        {"transactions.csv.gz": gzip.compress(transactions_csv(good=30).encode())[:-60]},
        ("transactions.csv.gz",),
    ),
    Stop(
        "CSV that is gzip",
        {"transactions.csv": gzip.compress(transactions_csv().encode())},
        ("transactions.csv", "UTF-8"),
    ),
    Stop("line ends of two kinds", {"transactions.csv": transactions_csv().replace("\n", "\r\n", 5)}, ("line ends",)),
    Stop(
        "returns alone",
        {"transactions.csv": "customer_id,order_id,product_id,ordered_at,quantity\nc,o,p,2024-03-01,-1\n"},
        ("every line is a return",),
    ),
    Stop("UTF-16", {"transactions.csv": transactions_csv().encode("utf-16")}, ("transactions.csv", "UTF-8")),
    Stop(
        "a quote never closed",
        {"transactions.csv": _mostly('"c1,o9,p1,2024-03-01,1,1')},
        ("transactions.csv", "row 21", "quote"),
    ),
    Stop(
        "no customers", {"transactions.csv": _mostly(",o9,p1,2024-03-01,1,1")}, ("10 of 30", "customer_id", "row", "21")
    ),
    Stop(
        "no times", {"transactions.csv": _mostly(f"{SECRET},o9,p1,yesterday,1,1")}, ("ordered_at", "ISO 8601", "21, 22")
    ),
    Stop("epoch seconds", {"transactions.csv": _mostly("c1,o9,p1,1709280000,1,1", 30)}, ("ordered_at", "30 of 50")),
    Stop("other calendars", {"transactions.csv": _mostly("c1,o9,p1,31.01.2024,1,1")}, ("ordered_at", "ISO 8601")),
    Stop(
        "words for numbers", {"transactions.csv": _mostly("c1,o9,p1,2024-03-01,many,1")}, ("quantity", "not a number")
    ),
    Stop("decimal commas", {"transactions.csv": _mostly('c1,o9,p1,2024-03-01,1,"2,50"')}, ("amount", "not a number")),
    Stop("rows too short", {"transactions.csv": _mostly("c1,o9")}, ("fewer values", "21, 22")),
    Stop("rows too long", {"transactions.csv": _mostly("c1,o9,p1,2024-03-01,1,1,1,1")}, ("more values", "21, 22")),
    Stop("not UTF-8", {"transactions.csv": _mostly("c1,o9,caf\xe9,2024-03-01,1,1").encode("latin-1")}, ("UTF-8", "21")),
    Stop("products without an id", {"products.csv": "name,price\nmilk,1\n"}, ("products.csv", "product_id", "missing")),
    Stop(
        "prices below zero", {"products.csv": "product_id,price\np1,-1\np2,-2\n"}, ("products.csv", "price is below 0")
    ),
    Stop(
        "identities of nobody",
        {"identities.csv": f"customer_id,kind,value\n,email,{SECRET}\n"},
        ("identities.csv", "row 1"),
    ),
    Stop(
        "identities without kind", {"identities.csv": f"customer_id,value\nc1,{SECRET}\n"}, ("identities.csv", "kind")
    ),
    Stop("stock by words", {"stock.csv": "product_id,available\np1,plenty\n"}, ("stock.csv", "available")),
    Stop("an empty optional table", {"stores.csv": ""}, ("stores.csv", "empty")),
    Stop("infinite quantities", {"transactions.csv": _mostly("c1,o9,p1,2024-03-01,inf,1")}, ("quantity",)),
)

LINE = "c1,o9,p1,2024-03-01T10:00:00Z,1,1"
BADS = (
    Bad(
        "no customer",
        "transactions",
        {"transactions.csv": transactions_csv(",o9,p1,2024-03-01,1,1")},
        "customer_id is empty",
    ),
    Bad(
        "customer of spaces",
        "transactions",
        {"transactions.csv": transactions_csv("  ,o9,p1,2024-03-01,1,1")},
        "customer_id",
    ),
    Bad(
        "no order", "transactions", {"transactions.csv": transactions_csv("c1,,p1,2024-03-01,1,1")}, "order_id is empty"
    ),
    Bad(
        "no product",
        "transactions",
        {"transactions.csv": transactions_csv("c1,o9,,2024-03-01,1,1")},
        "product_id is empty",
    ),
    Bad("no time", "transactions", {"transactions.csv": transactions_csv("c1,o9,p1,,1,1")}, "ordered_at is empty"),
    Bad(
        "30 February",
        "transactions",
        {"transactions.csv": transactions_csv("c1,o9,p1,2024-02-30,1,1")},
        "ordered_at is not",
    ),
    Bad(
        "25 o'clock",
        "transactions",
        {"transactions.csv": transactions_csv("c1,o9,p1,2024-02-03T25:00,1,1")},
        "ordered_at is not",
    ),
    Bad(
        "month first",
        "transactions",
        {"transactions.csv": transactions_csv("c1,o9,p1,03/01/2024,1,1")},
        "ordered_at is not",
    ),
    Bad(
        "a zone's name",
        "transactions",
        {"transactions.csv": transactions_csv("c1,o9,p1,2024-03-01 10:00 CET,1,1")},
        "ordered_at",
    ),
    Bad(
        "year 201",
        "transactions",
        {"transactions.csv": transactions_csv("c1,o9,p1,0201-03-01,1,1")},
        "from 1970 to 2199",
    ),
    Bad(
        "year 9999",
        "transactions",
        {"transactions.csv": transactions_csv("c1,o9,p1,9999-12-31,1,1")},
        "from 1970 to 2199",
    ),
    Bad(
        "infinite quantity",
        "transactions",
        {"transactions.csv": transactions_csv("c1,o9,p1,2024-03-01,inf,1")},
        "quantity is not",
    ),
    Bad(
        "quantity too big",
        "transactions",
        {"transactions.csv": transactions_csv("c1,o9,p1,2024-03-01,1e999,1")},
        "quantity is not",
    ),
    Bad(
        "amount with a sign",
        "transactions",
        {"transactions.csv": transactions_csv("c1,o9,p1,2024-03-01,1,$5")},
        "amount is not",
    ),
    Bad(
        "thousands",
        "transactions",
        {"transactions.csv": transactions_csv('c1,o9,p1,2024-03-01,1,"1,000.00"')},
        "amount is not",
    ),
    Bad(
        "two breaches",
        "transactions",
        {"transactions.csv": transactions_csv("c1,,p1,soon,1,1")},
        "order_id is empty; ordered_at",
    ),
    Bad("row too short", "transactions", {"transactions.csv": transactions_csv("c1,o9")}, "fewer values"),
    Bad("row too long", "transactions", {"transactions.csv": transactions_csv(LINE + ",1,1")}, "more values"),
    Bad("stray quote", "transactions", {"transactions.csv": transactions_csv('c1,"o"9,p1,2024-03-01,1,1')}, "quote"),
    Bad(
        "latin-1 byte",
        "transactions",
        {"transactions.csv": transactions_csv("c1,o9,caf\xe9,2024-03-01,1,1").encode("latin-1")},
        "UTF-8",
    ),
    Bad(
        "negative discount",
        "transactions",
        {
            "transactions.csv": "customer_id,order_id,product_id,ordered_at,discount\n"
            + "c,o,p,2024-03-01,0\n" * 9
            + "c,o,p,2024-03-01,-1\n"
        },
        "discount is below 0",
        (10,),
    ),
    Bad(
        "Parquet with infinity",
        "transactions",
        {
            "transactions.parquet": _table(
                customer_id=["a"] * 6,
                order_id=list("123456"),
                product_id=["p"] * 6,
                ordered_at=["2024-03-01"] * 6,
                quantity=[1.0, 1.0, float("inf"), 1.0, 1.0, 1.0],
            )
        },
        "quantity is not a number",
        (3,),
    ),
    Bad(
        "Parquet with nulls",
        "transactions",
        {
            "transactions.parquet": _table(
                customer_id=["a", None, "a", "a", "a", "a"],
                order_id=list("123456"),
                product_id=[1, 2, 3, 4, 5, 6],
                ordered_at=["2024-03-01"] * 6,
            )
        },
        "customer_id is empty",
        (2,),
    ),
    Bad(
        "one product twice",
        "products",
        {"products.csv": "product_id,name\np0,a\np1,b\np2,c\np3,d\np4,e\np0,f\n"},
        "same key",
        (6,),
    ),
    Bad(
        "attributes no object",
        "products",
        {"products.csv": "product_id,attributes\na,{}\nb,{}\nc,{}\nd,{}\ne,[1]\n"},
        "JSON object",
        (5,),
    ),
    Bad(
        "attributes no JSON",
        "products",
        {"products.csv": "product_id,attributes\na,\nb,\nc,\nd,\ne,healthy\n"},
        "JSON object",
        (5,),
    ),
    Bad(
        "replenishable maybe",
        "products",
        {"products.csv": "product_id,replenishable\na,true\nb,\nc,0\nd,F\ne,maybe\n"},
        "true or false",
        (5,),
    ),
    Bad(
        "consent by words",
        "customers",
        {
            "customers.csv": "customer_id,consent\n"
            + "".join(f"c{i},\n" for i in range(4))
            + 'c9,"{""email"": ""yes""}"\n'
        },
        "consent is not",
        (5,),
    ),
    Bad(
        "joined some day",
        "customers",
        {"customers.csv": "customer_id,joined_at\na,2020-01-01\nb,\nc,\nd,\ne,once\n"},
        "joined_at",
        (5,),
    ),
    Bad(
        "offer of no kind",
        "offers",
        {"offers.csv": "offer_id,kind\na,gift\nb,gift\nc,points\nd,discount\ne,bogof\n"},
        "kind is none of",
        (5,),
    ),
    Bad(
        "offer that ends first",
        "offers",
        {
            "offers.csv": "offer_id,kind,starts_at,ends_at\n"
            + "".join(f"o{i},gift,2024-01-01,2024-01-01\n" for i in range(4))
            + "x,gift,2024-02-01,2024-01-01\n"
        },
        "ends_at is before starts_at",
        (5,),
    ),
    Bad(
        "product_ids no list",
        "offers",
        {"offers.csv": "offer_id,kind,product_ids\n" + "".join(f"o{i},gift,\n" for i in range(4)) + "x,gift,p1|p2\n"},
        "product_ids is not a JSON list",
        (5,),
    ),
    Bad(
        "product_ids of lists",
        "offers",
        {
            "offers.csv": "offer_id,kind,product_ids\n"
            + "".join(f'o{i},gift,"[""p1"", 2]"\n' for i in range(4))
            + "x,gift,[[1]]\n"
        },
        "product_ids is not a JSON list",
        (5,),
    ),
    Bad(
        "event of no type",
        "events",
        {
            "events.csv": "event_id,customer_id,type,at\n"
            + "".join(f"e{i},c1,view,2024-03-01\n" for i in range(4))
            + "e9,c1,stare,2024-03-01\n"
        },
        "type is none of",
        (5,),
    ),
    Bad(
        "purchase of nothing",
        "events",
        {
            "events.csv": "event_id,customer_id,type,at,order_id\n"
            + "".join(f"e{i},c1,view,2024-03-01,\n" for i in range(4))
            + "e9,c1,purchase,2024-03-01,o1\n"
        },
        "product_id is empty in a purchase",
        (5,),
    ),
    Bad(
        "event twice",
        "events",
        {
            "events.csv": "event_id,customer_id,type,at\n"
            + "".join(f"e{i},c1,view,2024-03-01\n" for i in range(5))
            + "e0,c2,view,2024-03-01\n"
        },
        "same key",
        (6,),
    ),
    Bad(
        "stock below zero",
        "stock",
        {"stock.csv": "product_id,available\na,1\nb,true\nc,0\nd,false\ne,-3\n"},
        "available is not",
        (5,),
    ),
    Bad("stock both ways", "stock", {"stock.csv": "product_id,available\na,1\nb,1\nc,1\nd,1\na,0\n"}, "same key", (5,)),
    Bad(
        "north of the pole",
        "stores",
        {"stores.csv": "store_id,latitude\na,1\nb,2\nc,3\nd,\ne,91\n"},
        "latitude is above 90",
        (5,),
    ),
    Bad(
        "zone of nowhere",
        "stores",
        {"stores.csv": "store_id,time_zone\na,UTC\nb,\nc,\nd,\ne,Europe/Atlantis\n"},
        "time_zone is not",
        (5,),
    ),
    Bad(
        "opens at tea time",
        "stores",
        {"stores.csv": "store_id,opens\na,08:00\nb,8:00 am\nc,09:00\nd,\ne,07:30\n"},
        "opens is not",
        (2,),
    ),
)


@pytest.mark.parametrize("case", STOPS, ids=lambda case: case.name)
def test_broken_source_stops_with_one_clear_line(case: Stop, tmp_path: Path) -> None:
    home = tmp_path / "home"
    folder = tmp_path / "shop"
    if case.files:
        write_folder(folder, case.files if case.name != "no transactions" else {"transactions.txt": "", **case.files})
    else:
        folder.mkdir()

    with pytest.raises(DataContractError) as caught:
        prepared(folder, home)

    line = str(caught.value)
    assert "\n" not in line
    assert all(word in line for word in case.words), line
    assert SECRET not in line
    assert snapshot(home) == {}


@pytest.mark.parametrize("case", BADS, ids=lambda case: f"{case.table}: {case.name}")
def test_bad_rows_end_in_quarantine_with_reason_and_place(case: Bad, tmp_path: Path) -> None:
    report = prepared(write_folder(tmp_path / "shop", case.files), tmp_path / "home").report

    found = quarantine(tmp_path / "home", case.table)
    assert tuple(found["row"]) == case.rows
    assert all(case.reason in reason for reason in found["reason"]), list(found["reason"])
    assert all(name in case.files for name in found["file"])
    assert report.counts_of(case.table).quarantined == len(case.rows)
    assert report.counts_of(case.table).adds_up


def test_what_was_built_before_is_not_touched_by_a_broken_source(tmp_path: Path) -> None:
    home = tmp_path / "home"
    folder = write_folder(tmp_path / "shop", {"transactions.csv": transactions_csv(",o9,p1,2024-03-01,1,1")})
    prepared(folder, home)
    before = snapshot(home)

    write_folder(folder, {"transactions.csv": _mostly("nothing,good")})
    with pytest.raises(DataContractError):
        prepared(folder, home)

    assert snapshot(home) == before
    assert not list(home.rglob(".building-*"))


def test_there_are_fifty_kinds_of_broken_input() -> None:
    assert len({case.name for case in (*STOPS, *BADS)}) >= 50
