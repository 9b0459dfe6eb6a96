"""From good rows to the conformed tables: ids become dense rows, times become integers, returns are netted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from features import columns as c
from features.conform_checks import ON, US
from features.conform_customers import CUSTOMER_IDS
from features.conform_fold import LOG_ROWS
from features.conform_time import EPOCH, zone_days, zone_offsets
from features.contracts import CONTRACTS, Kind
from features.errors import DataContractError
from features.ids import IdIndex
from features.returns import net_returns
from features.sources.base import ROW, literal, quoted
from features.tables import TABLE_NAMES

SQL_FOLDER = Path(__file__).parent / "conform_sql"

# Where each kind of id occurs, as queries over the good tables.
_PRODUCT_IDS = """select product_id from good_transactions union select product_id from good_products
    union select product_id from good_events where product_id is not null union select product_id from good_stock
    union select product_id from offered_products"""
_STORE_IDS = """select store_id from good_transactions where store_id is not null union select store_id from good_stores
    union select store_id from good_events where store_id is not null
    union select store_id from good_stock where store_id is not null"""
_OFFERED_PRODUCTS = (
    """select offer_id, unnest(json_extract_string(product_ids, '$[*]')) as product_id from good_offers"""
)


@dataclass(frozen=True)
class BuiltFacts:
    """What is true of the lines that were built; days are local day numbers since 1970-01-01.

    `nearly_last_day` is the day by which 99.9 % of the lines have happened.
    """

    first_day: int
    last_day: int
    nearly_last_day: int
    n_lines: int
    n_hours: int
    n_amounts: int
    n_types: int
    n_categories: int
    n_prices: int
    n_purchase_events_in_transactions: int
    n_log_purchases_in_transactions: int


def build_tables(connection: duckdb.DuckDBPyConnection, time_zone: str, folder: Path) -> BuiltFacts:
    """Return the facts of the tables, once each is written to `folder` as Parquet.

    `good_<table>`, `customer_map` and `identity_names` must be there (`features.conform_fold`).
    """
    _make_calendar(connection, time_zone)
    connection.execute(f"create table offered_products as {_OFFERED_PRODUCTS}")
    _make_ids(connection, c.CUSTOMER_ID, c.CUSTOMER_ROW, CUSTOMER_IDS)
    _make_ids(connection, c.PRODUCT_ID, c.PRODUCT_ROW, _PRODUCT_IDS)
    _make_ids(connection, c.STORE_ID, c.STORE_ROW, _STORE_IDS)
    _make_ids(connection, c.OFFER_ID, c.OFFER_ROW, "select offer_id from good_offers")
    _run(connection, "all_lines", time_zone)
    # The largest table is needed no more, and is not held beside those that come from it.
    connection.execute("drop view good_transactions; drop view if exists found_transactions")
    connection.execute(" drop table checked_transactions; drop table repeats_transactions")
    _run(connection, "lines", time_zone)
    _net(connection)
    _run(connection, "products", time_zone)
    _make_ids(connection, c.PRODUCT_TYPE, c.TYPE_ROW, "select distinct product_type from product_kinds")
    _make_ids(connection, c.CATEGORY, c.CATEGORY_ROW, "select distinct category from product_kinds")
    _run(connection, "kinds", time_zone)
    _run(connection, "others", time_zone)
    facts = _facts(connection)
    if facts.n_lines == 0:
        raise DataContractError(
            "transactions: every line is a return, or of a customer who was erased; expected at least one with a "
            "quantity of 0 or more"
        )
    for table in TABLE_NAMES:
        path = literal(str(folder / f"{table}.parquet"))
        connection.execute(f"copy {table} to {path} (format parquet, compression zstd)")
    return facts


def _run(connection: duckdb.DuckDBPyConnection, name: str, time_zone: str) -> None:
    """Run one of the SQL files."""
    connection.execute(
        (SQL_FOLDER / f"{name}.sql").read_text(encoding="utf-8").replace("'{time_zone}'", literal(time_zone))
    )


def _make_ids(connection: duckdb.DuckDBPyConnection, id_column: str, row_column: str, query: str) -> None:
    """Make `<thing>_ids`: every distinct id with its dense row."""
    ids = [row[0] for row in connection.execute(query).fetchall()]
    index = IdIndex.of(ids)
    rows = pa.table({row_column: pa.array(range(len(index)), pa.int32()), id_column: pa.array(index.ids, pa.string())})
    name = row_column.removesuffix("_row") + "_ids"
    connection.register("ids_in_hand", rows)
    connection.execute(f"create table {name} as from ids_in_hand")
    connection.unregister("ids_in_hand")


def _make_calendar(connection: duckdb.DuckDBPyConnection, time_zone: str) -> None:
    """Make `zone_days` and `zone_offsets` for every zone and date that occur, and the day after."""
    times = [
        (contract.table, column.name)
        for contract in CONTRACTS
        for column in contract.columns
        if column.kind is Kind.TIME
    ]
    zones = {time_zone} | _first_column(
        connection, "select distinct time_zone from good_stores where time_zone is not null"
    )
    dates: set[date] = _first_column(
        connection,
        " union ".join(
            f"select {quoted(name + ON)} from good_{table} where {quoted(name + ON)} is not null"
            for table, name in times
        ),
    )
    moments: set[int] = _first_column(
        connection,
        " union all ".join(
            f"select unnest([min({quoted(name + US)}), max({quoted(name + US)})]) from good_{table}"
            for table, name in times
        ),
    )
    known = [EPOCH + timedelta(microseconds=us) for us in moments if us is not None]
    known += [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in dates]
    margin = timedelta(days=9)
    offsets = zone_offsets(zones, min(known, default=EPOCH) - margin, max(known, default=EPOCH) + margin)
    for name, table in {"zone_days": zone_days(zones, _with_next(dates)), "zone_offsets": offsets}.items():
        connection.register("calendar_in_hand", table)
        connection.execute(f"create table {name} as from calendar_in_hand")
        connection.unregister("calendar_in_hand")


def _with_next(days: Iterable[date]) -> set[date]:
    """Return the days and the day after each: where a date means the end of its day."""
    return {day + timedelta(days=ahead) for day in days for ahead in (0, 1)}


def _first_column(connection: duckdb.DuckDBPyConnection, query: str) -> set[Any]:  # values of the query's own type
    return {row[0] for row in connection.execute(query).fetchall()}


def _net(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `returns`: each return with the line that it takes back."""
    returns = connection.execute("select * from return_rows order by return_number").df()
    lines = connection.execute("""
        select l.line_key, l.customer_row, l.product_row, l.order_row, l.ordered_us, l.quantity
        from lines l semi join return_rows r on r.customer_row = l.customer_row and r.product_row =
        l.product_row""").df()
    connection.register("netted_in_hand", pa.Table.from_pandas(net_returns(returns, lines), preserve_index=False))
    connection.execute("""create table returns as
        select row_number() over (order by n.return_number, n.line_key desc nulls last) - 1 as return_key,
            r.customer_row, r.product_row, n.line_key, r.returned_us, r.returned_day, n.quantity,
            case when isnan(n.amount) then null else n.amount end as amount
        from netted_in_hand n join return_rows r using (return_number)
        order by return_key""")
    connection.unregister("netted_in_hand")


def _facts(connection: duckdb.DuckDBPyConnection) -> BuiltFacts:
    n_twice = ", ".join(
        f"""(select count(*) from good_events where "type" = 'purchase' and {rows})
            - (select count(*) from all_lines where origin = 1 and {rows})"""
        for rows in (f"{ROW} < {LOG_ROWS}", f"{ROW} >= {LOG_ROWS}")
    )
    rows = connection.execute(f"""
        select min(ordered_day), max(ordered_day), quantile_disc(ordered_day, 0.999),
            count(*), count(ordered_hour), count(amount),
            (select count(given_type) from product_kinds), (select count(given_category) from product_kinds),
            (select count(price) from products), {n_twice}
        from lines""").fetchall()
    return BuiltFacts(*(int(value) if value is not None else 0 for value in rows[0]))
