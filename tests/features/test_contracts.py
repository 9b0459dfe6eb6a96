"""The contract's kinds: what a value may look like, and what it is then."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb
import pytest

from features.conform_checks import REASON, check_sql
from features.contracts import CONTRACTS, Column, Contract, Kind, contract_for
from features.sources.base import ROW, RawTable, literal

YEAR_2024 = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    connected = duckdb.connect()
    connected.execute("set timezone = 'UTC'; set threads = 1")
    connected.execute("create table known_zones as select unnest(['UTC', 'Europe/Berlin']) as zone")
    return connected


def checked(connection: duckdb.DuckDBPyConnection, column: Column, text: str | None) -> tuple[object, ...]:
    """Return what the contract makes of one text: its values, then the reason why it is bad."""
    value = "cast(null as varchar)" if text is None else literal(text)
    raw = RawTable("t", "t.csv", f'select cast(1 as bigint) as {ROW}, {value} as "x"', {"x": "VARCHAR"})
    row = connection.execute(check_sql(Contract("t", (column,)), raw)).fetchall()[0]
    return tuple(row[1:-1])


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("2024-01-01T00:07:00Z", 7),
        ("2024-01-01T00:07:00z", 7),
        ("2024-01-01t00:07", 7),
        ("2024-01-01 00:07:00", 7),
        ("2024-01-01T00:07:30.5", 7.5 + 0.5 / 60),
        ("2024-01-01T00:07:30,5Z", 7.5 + 0.5 / 60),
        ("2024-01-01T00:07:00.123456789Z", 7 + 0.123456 / 60),
        ("2024-01-01T01:07:00+01:00", 7),
        ("2024-01-01T01:07:00+0100", 7),
        ("2024-01-01T01:07:00+01", 7),
        ("2024-01-01 01:07:00 +01:00", 7),
        ("2023-12-31T18:37:00-05:30", 7),
        ("2024-01-01T24:00", 1440),
        (" 2024-01-01T00:07Z ", 7),
    ],
)
def test_times_are_iso_8601_and_utc_without_a_zone(
    connection: duckdb.DuckDBPyConnection, text: str, minutes: float
) -> None:
    at_us, on, reason = checked(connection, Column("x", Kind.TIME), text)

    assert at_us == round((YEAR_2024.timestamp() + minutes * 60) * 1e6)
    assert on is None
    assert reason is None


def test_a_date_is_no_time(connection: duckdb.DuckDBPyConnection) -> None:
    at_us, on, reason = checked(connection, Column("x", Kind.TIME), "2024-02-29")

    assert (at_us, str(on), reason) == (None, "2024-02-29", None)


@pytest.mark.parametrize(
    "text",
    ["2023-02-29", "2024-1-1", "01.02.2024", "20240101", "2024-01-01T", "2024-01-01T25:00", "2024-W05",
     "2024-01-01 10:00 Europe/Berlin", "1704067200",
     "now", "infinity", "epoch", "1969-12-31", "2200-01-01", "2024-01-01T00:00:00+01:00:00x"],
)  # fmt: skip
def test_what_is_no_time_is_bad(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert "ISO 8601" in str(checked(connection, Column("x", Kind.TIME), text)[-1])


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Kind.ID, " 007 ", "007"),
        (Kind.TEXT, "Käse", "Käse"),
        (Kind.NUMBER, "1e3", 1000.0),
        (Kind.NUMBER, "-.5", -0.5),
        (Kind.NUMBER, "+3.", 3.0),
        (Kind.FLAG, "TRUE", True),
        (Kind.FLAG, "0", False),
        (Kind.AMOUNT_ON_HAND, "true", 1.0),
        (Kind.AMOUNT_ON_HAND, "False", 0.0),
        (Kind.AMOUNT_ON_HAND, "12", 12.0),
        (Kind.OBJECT, '{"a": [1]}', '{"a": [1]}'),
        (Kind.CONSENT, '{"email": true, "fax": "x", "sms": null}', '{"email": true, "fax": "x", "sms": null}'),
        (Kind.STRINGS, '["a", 1]', '["a", 1]'),
        (Kind.STRINGS, "[]", "[]"),
        (Kind.ZONE, "Europe/Berlin", "Europe/Berlin"),
        (Kind.CLOCK, "08:30:00", "08:30"),
        (Kind.CLOCK, "24:00", "24:00"),
    ],
)
def test_a_good_value_is_kept(connection: duckdb.DuckDBPyConnection, kind: Kind, text: str, value: object) -> None:
    assert checked(connection, Column("x", kind), text) == (value, None)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Kind.NUMBER, "1,5"),
        (Kind.NUMBER, "1_000"),
        (Kind.NUMBER, "0x10"),
        (Kind.NUMBER, "NaN"),
        (Kind.NUMBER, "1e999"),
        (Kind.FLAG, "maybe"),
        (Kind.AMOUNT_ON_HAND, "-1"),
        (Kind.OBJECT, "[]"),
        (Kind.OBJECT, "{'a': 1}"),
        (Kind.CONSENT, '{"email": 1}'),
        (Kind.STRINGS, '{"a": 1}'),
        (Kind.STRINGS, "[true]"),
        (Kind.STRINGS, "[1.5]"),
        (Kind.ZONE, "CEST"),
        (Kind.CLOCK, "25:00"),
    ],
)
def test_a_bad_value_is_named_by_its_column(connection: duckdb.DuckDBPyConnection, kind: Kind, text: str) -> None:
    value, reason = checked(connection, Column("x", kind), text)

    assert value is None
    assert reason == f"x is not {kind.value}"


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("text", [None, "", "  "])
def test_nothing_is_no_breach_where_a_column_may_be_empty(
    connection: duckdb.DuckDBPyConnection, kind: Kind, text: str | None
) -> None:
    assert all(value is None for value in checked(connection, Column("x", kind), text))
    assert checked(connection, Column("x", kind, required=True), text)[-1] == "x is empty"


def test_bounds_are_inclusive(connection: duckdb.DuckDBPyConnection) -> None:
    bounded = Column("x", Kind.NUMBER, low=-90.0, high=90.0)

    assert [checked(connection, bounded, text)[-1] for text in ("-90", "90", "90.1", "-91")] == [
        None,
        None,
        "x is above 90",
        "x is below -90",
    ]


def test_the_contract_has_the_eight_tables_and_what_each_requires() -> None:
    assert {contract.table: contract.required for contract in CONTRACTS} == {
        "transactions": ("customer_id", "order_id", "product_id", "ordered_at"),
        "products": ("product_id",),
        "customers": ("customer_id",),
        "identities": ("customer_id", "kind", "value"),
        "offers": ("offer_id", "kind"),
        "events": ("event_id", "customer_id", "type", "at"),
        "stock": ("product_id", "available"),
        "stores": ("store_id",),
    }
    assert len(contract_for("events").column("type").choices) == 16
    assert REASON not in {column.name for contract in CONTRACTS for column in contract.columns}
