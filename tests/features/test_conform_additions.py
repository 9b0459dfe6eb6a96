"""What is added to a source: the log, merged ids, consent, stock, and who asked to be forgotten."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features import columns as c
from features.additions import Additions
from features.conform import Prepared, prepare
from features.tables import TABLE_NAMES
from tests.contracts.folders import quarantine, write_folder

LINES = "customer_id,order_id,product_id,ordered_at,quantity,amount\n"
EVENTS = "event_id,customer_id,type,at,product_id,order_id,quantity,amount\n"
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("event_id", "customer_id", "type", "product_id", "order_id")),
        ("at", pa.timestamp("us")),
        ("quantity", pa.float64()),
        ("amount", pa.float64()),
    ]
)


def us(*moment: int) -> int:
    return round(datetime(*moment, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[misc,arg-type] # tzinfo is by name


def event(event_id: str, customer: str, type_: str, day: int, **values: Any) -> dict[str, Any]:  # any column of events
    """Return an event of noon on a day of March 2024."""
    return {
        "event_id": event_id, "customer_id": customer, "type": type_, "at": datetime(2024, 3, day, 12), **values,
    }  # fmt: skip


def bought(
    event_id: str, customer: str, day: int, product: str = "p", order: str = "o", **values: Any
) -> dict[str, Any]:
    return event(
        event_id, customer, "purchase", day, **{"product_id": product, "order_id": order, "quantity": 1.0, **values}
    )


def log_of(tmp_path: Path, *events: Mapping[str, Any]) -> Path:
    path = tmp_path / "log.parquet"
    pq.write_table(pa.Table.from_pylist([dict(each) for each in events], SCHEMA), path)
    return path


def shop(tmp_path: Path, additions: Additions, **files: str) -> Prepared:
    folder = write_folder(tmp_path / "shop", {f"{table}.csv": text for table, text in files.items()})
    return prepare(str(folder), tmp_path / "home", time_zone="UTC", progress=lambda _: None, additions=additions)


def hashed(*ids: str, at: int) -> dict[str, Any]:
    """Return what makes these ids erased at a moment."""
    return {"erased": {f"#{each}": at for each in ids}, "hash_of": lambda each: f"#{each}"}


def bought_by(made: Prepared) -> list[tuple[str, int]]:
    """Return who bought on which day of March, by line."""
    lines = made.tables.read("lines").merge(made.tables.read("customers"), on=c.CUSTOMER_ROW)
    days = lines[c.ORDERED_DAY] - (datetime(2024, 3, 1) - datetime(1970, 1, 1)).days + 1
    return sorted(zip(lines[c.CUSTOMER_ID], days.tolist(), strict=True))


def test_lines_of_the_log_are_those_of_a_table_with_the_same_rows(tmp_path: Path) -> None:
    log = log_of(tmp_path, bought("e2", "d", 5), event("e1", "d", "view", 4), bought("e3", "c", 3, "q", "o2"))
    head = LINES + "c,o,p,2024-03-01T12:00:00Z,1,\n"
    added = shop(tmp_path, Additions(events=log), transactions=head)
    table = shop(
        tmp_path / "b", Additions(),
        transactions=head + "c,o2,q,2024-03-03T12:00:00Z,1,\nd,o,p,2024-03-05T12:00:00Z,1,\n",
        events=EVENTS + "e1,d,view,2024-03-04T12:00:00Z,,,,\n",
    )  # fmt: skip
    for name in TABLE_NAMES:
        pd.testing.assert_frame_equal(added.tables.read(name), table.tables.read(name))


@pytest.mark.parametrize("seed", range(4))
def test_it_does_not_matter_which_lines_were_told(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [
        (f"c{rng.integers(3)}", f"o{i}", f"p{rng.integers(3)}", int(rng.integers(1, 29)), int(rng.choice([-1, 1, 2])))
        for i in range(40)
    ]
    is_told = rng.random(40) < 0.5
    lines = [f"{who},{order},{what},2024-03-{day:02}T12:00:00Z,{n},\n" for who, order, what, day, n in rows]
    log = log_of(
        tmp_path,
        *(
            bought(order, who, day, what, order, quantity=float(n))
            for (who, order, what, day, n), told in zip(rows, is_told, strict=True)
            if told
        ),
    )
    in_table = [line for line, told in zip(lines, is_told, strict=True) if not told]
    added = shop(tmp_path, Additions(events=log), transactions=LINES + "".join(in_table))
    whole = shop(tmp_path / "b", Additions(), transactions=LINES + "".join(lines))
    for name in ("lines", "returns", "products", "customers"):
        pd.testing.assert_frame_equal(added.tables.read(name), whole.tables.read(name))


def test_what_the_table_has_counts_once_and_the_rows_add_up(tmp_path: Path) -> None:
    log = log_of(
        tmp_path, bought("e1", "c", 1), bought("e2", "c", 2, order="o2"),
        event("e3", "c", "view", 2), event("e4", "c", "view", 3),
    )  # fmt: skip
    made = shop(
        tmp_path, Additions(events=log),
        transactions=LINES + "c,o,p,2024-03-01T09:00:00Z,1,\n", events=EVENTS + "e3,c,view,2024-03-02T12:00:00Z,,,,\n",
    )  # fmt: skip
    assert bought_by(made) == [("c", 1), ("c", 2)]
    assert made.tables.read("lines")[c.ORDERED_HOUR].tolist() == [9, 12]
    assert made.tables.read("events")[c.EVENT_ID].tolist() == ["e3", "e4"]
    counts = made.report.counts_of("log")
    assert (counts.read, counts.kept, counts.duplicates, counts.left_out) == (4, 2, 1, 1)
    assert all(each.adds_up for each in made.report.counts)


def test_a_merged_id_is_the_others_in_every_table(tmp_path: Path) -> None:
    log = log_of(tmp_path, event("e1", "guest", "view", 4))
    made = shop(
        tmp_path, Additions(events=log, aliases={"guest": "c"}),
        transactions=LINES + "c,o,p,2024-03-02,1,\nguest,o2,p,2024-03-01,1,\n",
        customers="customer_id,joined_at,attributes\nguest,2024-02-01,\"{}\"\nc,2024-03-01,\n",
    )  # fmt: skip
    customers = made.tables.read("customers")
    assert customers[c.CUSTOMER_ID].tolist() == ["c"]
    assert customers[c.JOINED_US].tolist() == [us(2024, 2, 1)]
    assert made.tables.read("aliases")[c.CUSTOMER_ID].tolist() == ["guest"]
    assert bought_by(made) == [("c", 1), ("c", 2)]
    assert made.tables.read("events")[c.CUSTOMER_ROW].tolist() == [0]


def test_a_shared_identity_makes_one_customer_of_two_and_the_older_loyalty_id_stays(tmp_path: Path) -> None:
    made = shop(
        tmp_path, Additions(hash_of_identity=lambda kind, value: f"{kind}#{value}"),
        transactions=LINES + "".join(
            f"{each},o,p,2024-03-0{day},1,\n" for each, day in (("guest", 1), ("old", 2), ("young", 3), ("x", 3))
        ),
        customers="customer_id,joined_at\nold,2024-03-02\nyoung,2024-03-03\n",
        identities="customer_id,kind,value\nguest,email,a@b.cd\nyoung,email,a@b.cd\n"
        "young,card,7\nold,card,7\nx,phone,7\n",
    )  # fmt: skip
    assert bought_by(made) == [("old", 1), ("old", 2), ("old", 3), ("x", 3)]
    assert made.tables.read("identities")[c.VALUE_HASH].tolist().count("email#a@b.cd") == 1


def test_identities_are_kept_as_keyed_hashes_or_not_at_all(tmp_path: Path) -> None:
    files = {"transactions": LINES + "c,o,p,2024-03-01,1,\n", "identities": "customer_id,kind,value\nc,email,a@b.cd\n"}
    assert shop(tmp_path, Additions(), **files).tables.read("identities")[c.VALUE_HASH].isna().all()
    keyed = shop(tmp_path, Additions(hash_of_identity=lambda kind, value: f"{len(kind)}{len(value)}"), **files)
    assert keyed.tables.read("identities")[c.VALUE_HASH].tolist() == ["56"]


def test_an_identity_that_many_share_joins_nobody_and_is_said(tmp_path: Path) -> None:
    sharers = [f"c{i}" for i in range(11)]
    made = shop(
        tmp_path, Additions(),
        transactions=LINES + "".join(f"{each},o,p,2024-03-01,1,\n" for each in sharers),
        identities="customer_id,kind,value\n" + "".join(f"{each},phone,0\n" for each in sharers),
    )  # fmt: skip
    assert len(made.tables.read("customers")) == 11
    assert "shared by more than 10 customers" in " ".join(made.report.warnings)


def test_consent_said_later_goes_before_the_table(tmp_path: Path) -> None:
    said = {"c": {"personalize": False, "email": True}, "new": {"email": False}}
    made = shop(
        tmp_path, Additions(consents=said),
        transactions=LINES + "c,o,p,2024-03-01,1,\nd,o,p,2024-03-01,1,\n",
        customers='customer_id,consent\nc,"{""personalize"": true, ""sms"": true}"\nd,"{""email"": true}"\n',
    )  # fmt: skip
    consents = made.tables.read("customers").set_index(c.CUSTOMER_ID)[c.CONSENT].map(json.loads)
    assert {key for key, is_given in consents["c"].items() if is_given} == {"email", "sms"}
    assert consents["c"]["personalize"] is False
    assert consents["d"] == {"email": True}
    assert (consents["new"]["email"], consents["new"]["personalize"]) == (False, None)


def test_merged_customers_agreed_only_to_what_both_did(tmp_path: Path) -> None:
    made = shop(
        tmp_path, Additions(aliases={"guest": "c"}),
        transactions=LINES + "c,o,p,2024-03-01,1,\n",
        customers='customer_id,consent\nc,"{""email"": true, ""sms"": true}"\n'
        'guest,"{""email"": false, ""sms"": true}"\n',
    )  # fmt: skip
    consent = json.loads(made.tables.read("customers")[c.CONSENT][0])
    assert {key for key, is_given in consent.items() if is_given} == {"sms"}


def test_the_latest_word_on_stock_stands(tmp_path: Path) -> None:
    made = shop(
        tmp_path, Additions(stock={("p", None): 0.0, ("q", "s"): float("inf")}),
        transactions=LINES + "c,o,p,2024-03-01,1,\n",
        stock="product_id,store_id,available\np,,5\np,s,2\nr,,1\n",
    )  # fmt: skip
    stock = made.tables.read("stock").merge(made.tables.read("products"), on=c.PRODUCT_ROW)
    found = set(zip(stock[c.PRODUCT_ID], stock[c.STORE_ROW].notna(), stock[c.AVAILABLE], strict=True))
    assert found == {("p", False, 0.0), ("p", True, 2.0), ("q", True, 1.0), ("r", False, 1.0)}


def test_what_is_from_before_an_erasure_is_left_out_and_what_came_after_counts(tmp_path: Path) -> None:
    log = log_of(tmp_path, bought("e1", "c", 9, order="o9"), event("e2", "d", "view", 1))
    made = shop(
        tmp_path, Additions(events=log, **hashed("c", "d", at=us(2024, 3, 5))),
        transactions=LINES + "c,o,p,2024-03-04,1,\nc,o5,p,2024-03-05T00:00:00Z,1,\n"
        "d,o,p,2024-03-01,1,\nx,o,p,2024-03-01,1,\n",
        customers="customer_id,joined_at\nc,2024-01-01\nd,2024-01-01\nx,2024-01-01\n",
        identities="customer_id,kind,value\nc,email,c@d.ef\nd,email,d@d.ef\n",
    )  # fmt: skip
    assert bought_by(made) == [("c", 9), ("x", 1)]
    customers = made.tables.read("customers").set_index(c.CUSTOMER_ID)
    assert set(customers.index) == {"c", "x"}
    assert pd.isna(customers[c.JOINED_US]["c"])
    assert len(made.tables.read("identities")) == 1
    left_out = {each.table: each.left_out for each in made.report.counts}
    assert left_out == {"transactions": 3, "customers": 1, "identities": 1, "log": 1}
    assert all(each.adds_up for each in made.report.counts)


def test_whoever_was_merged_into_an_erased_customer_is_left_out_as_well(tmp_path: Path) -> None:
    made = shop(
        tmp_path, Additions(aliases={"guest": "c"}, **hashed("c", at=us(2024, 3, 5))),
        transactions=LINES + "guest,o,p,2024-03-04,1,\nx,o,p,2024-03-01,1,\n",
    )  # fmt: skip
    assert bought_by(made) == [("x", 1)]
    assert made.tables.read("customers")[c.CUSTOMER_ID].tolist() == ["x"]


def test_the_identity_of_an_erased_customer_joins_nobody(tmp_path: Path) -> None:
    made = shop(
        tmp_path, Additions(**hashed("c", at=us(2024, 3, 5))),
        transactions=LINES + "c,o,p,2024-03-04,1,\nx,o,p,2024-03-01,1,\n",
        identities="customer_id,kind,value\nc,device,7\nx,device,7\n",
    )  # fmt: skip
    assert bought_by(made) == [("x", 1)]


def test_bad_rows_of_an_erased_customer_are_counted_and_not_kept(tmp_path: Path) -> None:
    good = "".join(f"x{i},o,p,2024-03-01,1,\n" for i in range(20))
    made = shop(
        tmp_path, Additions(**hashed("c", at=us(2024, 3, 5))),
        transactions=LINES + good + "c,o,p,never,1,\nd,o,p,never,1,\nc,o,p,2024-03-01,1,2,3\nd,o,p,2024-03-01,1,2,3\n",
    )  # fmt: skip
    kept = quarantine(tmp_path / "home", "transactions")
    assert kept["customer_id"].dropna().tolist() == ["d"]
    assert [line.split(",")[0] for line in kept["line"].dropna()] == ["d"]
    assert made.report.counts_of("transactions").quarantined == 4


def test_equal_additions_reuse_the_tables_and_others_make_new_ones(tmp_path: Path) -> None:
    lines = LINES + "c,o,p,2024-03-01,1,\n"
    plain = shop(tmp_path, Additions(), transactions=lines).tables
    log = log_of(tmp_path, event("e", "c", "view", 1))
    additions = [
        Additions(events=log),
        Additions(aliases={"x": "c"}),
        Additions(consents={"c": {"email": True}}),
        Additions(stock={("p", None): 1.0}),
        Additions(erased={"#": 1}),
    ]
    digests = [shop(tmp_path, each, transactions=lines).tables.digest for each in additions]
    assert len({plain.digest, *digests}) == 6
    written = plain.path("lines").stat().st_mtime_ns
    assert [shop(tmp_path, each, transactions=lines).tables.digest for each in additions] == digests
    assert shop(tmp_path, Additions(), transactions=lines).tables.path("lines").stat().st_mtime_ns == written
