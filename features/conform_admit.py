"""Which rows of a raw table are taken in: checked, counted, and what is not taken in written to quarantine."""

from __future__ import annotations

from bisect import bisect_right

import duckdb

from features.conform_checks import REASON, REASON_SEPARATOR, SOURCE_ROW, check_sql, kept_as
from features.conform_report import RowCounts
from features.contracts import BAD_SHARE_LIMIT, TRANSACTIONS, Contract
from features.errors import ROWS_NAMED, DataContractError, SourceError, name_rows
from features.quarantine import Quarantine, places_after, write_quarantine
from features.sources.base import ROW, RawTable, RejectedRow, Source, literal, quoted

_REASONS_NAMED = 5
_CONTRADICTION = "the same key as in an earlier row, with other values"


def take_nothing(connection: duckdb.DuckDBPyConnection, contract: Contract) -> None:
    """Make an empty `good_<table>` for a table that the source does not have."""
    types = ", ".join(f"{quoted(name)} {kind}" for column in contract.columns for name, kind in kept_as(column).items())
    connection.execute(f"create table good_{contract.table} ({ROW} bigint, {types})")


def admit(
    connection: duckdb.DuckDBPyConnection, contract: Contract, raw: RawTable, source: Source, quarantine: Quarantine
) -> RowCounts:
    """Return how the table's rows were dealt with, leaving the good ones as `good_<table>`.

    A required column that is missing, no row at all in transactions, or more than 20 % bad rows raise
    `DataContractError`.
    """
    _require_columns(contract, raw)
    _check(connection, contract, raw)
    rejected = source.rejected(connection, raw)
    _find_repeats(connection, contract, raw)
    n_checked, n_bad, n_contradictory, n_duplicates = _count(connection, raw)
    n_read = n_checked + len(rejected)
    if n_read == 0 and contract.table == TRANSACTIONS:
        raise DataContractError(f"{raw.place}: has no rows; expected at least one line of an order")
    n_quarantined = n_bad + n_contradictory + len(rejected)
    reasons = _reasons(connection, raw, rejected) if n_quarantined else []
    if n_quarantined > BAD_SHARE_LIMIT * n_read:
        raise DataContractError(_too_bad(raw, reasons, n_quarantined, n_read))
    if n_quarantined:
        write_quarantine(connection, raw, rejected, contradictory=_contradictory_sql(raw), quarantine=quarantine)
    _take_in(connection, raw, n_contradictory + n_duplicates)
    kept = n_checked - n_bad - n_contradictory - n_duplicates
    said = tuple(
        f"{reason}: {count:,} {'row' if count == 1 else 'rows'} ({name_rows(rows)})"
        for reason, count, rows in reasons[:_REASONS_NAMED]
    )
    counts = RowCounts(raw.table, raw.place, n_read, kept, n_quarantined, n_duplicates, reasons=said)
    if kept == 0 and contract.table == TRANSACTIONS:
        raise DataContractError(f"{raw.place}: no row is good; expected at least one line of an order")
    return counts


def _require_columns(contract: Contract, raw: RawTable) -> None:
    missing = [name for name in contract.required if name not in raw.columns]
    if not missing:
        return
    # Only names that the contract knows are printed: in a file without a header the others would be a customer's
    # values.
    found = ", ".join(raw.columns) or "none of the table's columns: is the header row missing?"
    what = "column" if len(missing) == 1 else "columns"
    raise DataContractError(f"{raw.place}: required {what} {', '.join(missing)} missing; found {found}")


def _check(connection: duckdb.DuckDBPyConnection, contract: Contract, raw: RawTable) -> None:
    """Make `checked_<table>`."""
    try:
        connection.execute(f"create table checked_{raw.table} as {check_sql(contract, raw)}")
    except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException):
        raise  # our own SQL is wrong: not the source's fault
    except duckdb.Error as error:
        raise SourceError(
            f"{raw.place}: can't be read ({type(error).__name__}); is it whole, and are its line ends alike?"
        ) from error


def _find_repeats(connection: duckdb.DuckDBPyConnection, contract: Contract, raw: RawTable) -> None:
    """Make `repeats_<table>`: good rows that repeat an earlier one exactly, or contradict it (`is_exact` false).

    Rows are compared by a 64-bit hash first, and only those that share one are compared in full: a table of any size is
    grouped by one number.
    """
    columns = ", ".join(quoted(name) for column in contract.columns for name in kept_as(column))
    key = ", ".join(quoted(name) for name in contract.key)
    exact = f"""select {ROW}, min({ROW}) over (partition by {columns}) as first_row from checked_{raw.table}
        where {REASON} is null and hash({columns}) in (
            select hash({columns}) from checked_{raw.table} where {REASON} is null group by 1 having count(*) > 1)"""
    connection.execute(f"""create table repeats_{raw.table} as
        select {ROW}, first_row, true as is_exact from ({exact}) where {ROW} > first_row""")
    if key:
        connection.execute(f"""insert into repeats_{raw.table}
            select {ROW}, first_row, false from (
                select {ROW}, min({ROW}) over (partition by {key}) as first_row from checked_{raw.table} c
                where {REASON} is null and not exists (select 1 from repeats_{raw.table} r where r.{ROW} = c.{ROW}))
            where {ROW} > first_row""")


def _count(connection: duckdb.DuckDBPyConnection, raw: RawTable) -> tuple[int, int, int, int]:
    """Return how many rows were checked, are bad, contradict an earlier one, repeat an earlier one."""
    rows = connection.execute(f"""
        select (select count(*) from checked_{raw.table}), (select count({REASON}) from checked_{raw.table}),
            (select count(*) from repeats_{raw.table} where not is_exact), (select count(*) from repeats_{raw.table}
            where is_exact)
        """).fetchall()
    n_checked, n_bad, n_contradictory, n_duplicates = rows[0]
    return int(n_checked), int(n_bad), int(n_contradictory), int(n_duplicates)


def _contradictory_sql(raw: RawTable) -> str:
    """Return the query of the rows that contradict an earlier one, with their reason and the row as it came."""
    packed = ", ".join(f"{quoted(name)} := cast(s.{quoted(name)} as varchar)" for name in raw.columns)
    return f"""select s.{ROW}, {literal(_CONTRADICTION)} as {REASON},
            struct_pack({packed}) as {SOURCE_ROW}
        from repeats_{raw.table} r join ({raw.scan}) s on s.{ROW} = r.{ROW} where not r.is_exact"""


def _reasons(
    connection: duckdb.DuckDBPyConnection, raw: RawTable, rejected: list[RejectedRow]
) -> list[tuple[str, int, list[int]]]:
    """Return each reason with its number of rows and the first of them, the most frequent reason first."""
    found = connection.execute(f"""
        select reason, count(*), list({ROW} order by {ROW})[:{ROWS_NAMED}] from (
            select unnest(string_split({REASON}, {literal(REASON_SEPARATOR)})) as reason, {ROW}
            from checked_{raw.table} where {REASON} is not null
            union all select {literal(_CONTRADICTION)}, {ROW} from repeats_{raw.table} where not is_exact)
        group by reason""").fetchall()
    first_rows = places_after(rejected)["first_row"].to_pylist()
    reasons = [
        (str(reason), int(n), [row + bisect_right(first_rows, row) - 1 for row in rows]) for reason, n, rows in found
    ]
    for reason in sorted({each.reason for each in rejected}):
        rows = [each.row for each in rejected if each.reason == reason]
        reasons.append((reason, len(rows), rows[:ROWS_NAMED]))
    return sorted(reasons, key=lambda each: (-each[1], each[0]))


def _too_bad(raw: RawTable, reasons: list[tuple[str, int, list[int]]], n_bad: int, n_read: int) -> str:
    said = "; ".join(f"{reason}: {name_rows(rows)}" for reason, _, rows in reasons[:_REASONS_NAMED])
    share = f"{n_bad:,} of {n_read:,} rows are bad, more than {BAD_SHARE_LIMIT:.0%}"
    return f"{raw.place}: {share}: {said}; correct the source and run again"


def _take_in(connection: duckdb.DuckDBPyConnection, raw: RawTable, n_repeats: int) -> None:
    """Make `good_<table>`: the rows that are neither bad nor repeats, without what only the checks need."""
    is_first = f"and not exists (select 1 from repeats_{raw.table} r where r.{ROW} = c.{ROW})" if n_repeats else ""
    connection.execute(f"""create view good_{raw.table} as
        select * exclude ({REASON}, {SOURCE_ROW}) from checked_{raw.table} c where {REASON} is null {is_first}""")
