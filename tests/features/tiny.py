"""Conformed tables written by hand, a few rows at a time, for tests whose expectations a reader can redo.

Days count from `DAY_0`, a Monday; moments are UTC midnights, so that `at(10)` sees the days up to 9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from features.asof import Moment, local_midnight
from features.tables import TableSet

DAY_0 = 19_723  # 2024-01-01, a Monday
ZONE = "UTC"
DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000

SCHEMAS: Mapping[str, Mapping[str, str]] = {
    "lines": {
        "line_key": "int64", "customer_row": "int32", "order_row": "int32", "product_row": "int32",
        "store_row": "int32", "channel": "string", "ordered_us": "int64", "ordered_day": "int32",
        "ordered_hour": "int32", "quantity": "double", "amount": "double", "discount": "double",
    },
    "returns": {
        "return_key": "int64", "customer_row": "int32", "product_row": "int32", "line_key": "int64",
        "returned_us": "int64", "returned_day": "int32", "quantity": "double", "amount": "double",
    },
    "products": {
        "product_row": "int32", "product_id": "string", "type_row": "int32", "category_row": "int32",
        "name": "string", "brand": "string", "department": "string", "price": "double", "cost": "double",
        "replenishable": "bool", "launched_us": "int64", "attributes": "string", "is_merchandise": "bool",
        "is_private_label": "bool",
    },
    "types": {"type_row": "int32", "product_type": "string", "category_row": "int32", "is_own": "bool"},
    "categories": {"category_row": "int32", "category": "string", "department": "string", "is_own": "bool"},
    "customers": {
        "customer_row": "int32", "customer_id": "string", "joined_us": "int64", "consent": "string",
        "attributes": "string",
    },
    "stores": {
        "store_row": "int32", "store_id": "string", "latitude": "double", "longitude": "double",
        "time_zone": "string", "opens": "string", "closes": "string",
    },
    "offers": {
        "offer_row": "int32", "offer_id": "string", "kind": "string", "value": "double", "cost": "double",
        "starts_us": "int64", "ends_us": "int64", "channels": "string", "budget": "double", "category": "string",
        "department": "string",
    },
    "offer_products": {"offer_row": "int32", "product_row": "int32"},
    "events": {
        "event_key": "int64", "event_id": "string", "customer_row": "int32", "type": "string", "at_us": "int64",
        "at_day": "int32", "product_row": "int32", "order_id": "string", "offer_id": "string", "quantity": "double",
        "amount": "double", "discount": "double", "channel": "string", "store_row": "int32", "value": "string",
    },
    "stock": {"product_row": "int32", "store_row": "int32", "available": "double"},
    "identities": {"customer_row": "int32", "kind": "string", "value_hash": "string"},
    "aliases": {"customer_row": "int32", "customer_id": "string"},
}  # fmt: skip

Row = Mapping[str, Any]  # a table's values by column, of whatever type the column has


def at(day: int) -> Moment:
    """Return the midnight at which `DAY_0 + day` begins."""
    return local_midnight(DAY_0 + day, ZONE)


def line(order: int, on: int, product: int = 0, **values: Any) -> Row:  # any column of lines
    """Return a line of order `order` on day `on`: customer 0, one piece for 1.00 at 12:00 unless said otherwise."""
    hour = values.pop("hour", 12)
    return {
        "customer_row": 0, "order_row": order, "product_row": product, "ordered_us": (DAY_0 + on) * DAY_US
        + (hour or 0) * HOUR_US, "ordered_day": DAY_0 + on, "ordered_hour": hour, "quantity": 1.0, "amount": 1.0,
        "discount": 0.0, **values,
    }  # fmt: skip


def returned(line_key: int | None, on: int, **values: Any) -> Row:  # any column of returns
    """Return a return on day `on` of one piece of a line (`line_key` as in the order of the lines given)."""
    return {
        "customer_row": 0, "product_row": 0, "line_key": line_key, "returned_us": (DAY_0 + on) * DAY_US + 13 * HOUR_US,
        "returned_day": DAY_0 + on, "quantity": 1.0, "amount": 1.0, **values,
    }  # fmt: skip


def event(type_: str, on: int, **values: Any) -> Row:  # any column of events
    return {
        "customer_row": 0, "type": type_, "at_us": (DAY_0 + on) * DAY_US + 9 * HOUR_US, "at_day": DAY_0 + on, **values,
    }  # fmt: skip


def write_tables(
    folder: Path, lines: Sequence[Row], products: Sequence[Row] | None = None, **others: Sequence[Row]
) -> TableSet:
    """Return the tables of these rows; products that are sold and not given are plain merchandise."""
    folder.mkdir(parents=True, exist_ok=True)
    n_products = 1 + max((row["product_row"] for row in lines), default=-1)
    goods = [*(products or ()), *({} for _ in range(n_products - len(products or ())))]
    rows: dict[str, Sequence[Row]] = dict.fromkeys(SCHEMAS, ())
    rows |= others
    rows["lines"] = [{"line_key": key, **row} for key, row in enumerate(lines)]
    rows["returns"] = [{"return_key": key, **row} for key, row in enumerate(others.get("returns", ()))]
    rows["events"] = [{"event_key": key, "event_id": str(key), **row} for key, row in enumerate(rows["events"])]
    rows["products"] = [
        {"product_row": row, "product_id": f"p{row}", "type_row": row, "category_row": row, "name": f"p{row}",
         "is_merchandise": True, **each}
        for row, each in enumerate(goods)
    ]  # fmt: skip
    for table, schema in SCHEMAS.items():
        fields = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in schema.items()])
        pq.write_table(pa.Table.from_pylist([dict(row) for row in rows[table]], fields), folder / f"{table}.parquet")
    days = [row["ordered_day"] for row in lines] or [DAY_0]
    return replace(EMPTY, folder=folder, digest=folder.name, first_day=min(days), last_day=max(days))


EMPTY = TableSet(
    folder=Path(), digest="", time_zone=ZONE, currency="EUR", source_name="tiny", first_day=DAY_0, last_day=DAY_0,
    has_hours=True, has_amounts=True, has_types=True, has_categories=True, has_prices=True, switched_off=(),
)  # fmt: skip
