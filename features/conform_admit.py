"""Which rows of a raw table are taken in: checked, counted, and what is not taken in written to quarantine."""

from __future__ import annotations

from pathlib import Path

import duckdb

from features.conform_checks import ON, REASON, REASON_SEPARATOR, SOURCE_ROW, US, check_sql
from features.conform_report import RowCounts
from features.contracts import BAD_SHARE_LIMIT, TRANSACTIONS, Contract, Kind
from features.errors import ROWS_NAMED, DataContractError, SourceError, name_rows
from features.quarantine import write_quarantine
from features.sources.base import ROW, RawTable, RejectedRow, Source, literal, quoted

_REASONS_NAMED = 5
_UNREADABLE = "a row that can't be split into the header's columns"


def empty_table(contract: Contract) -> RawTable:
    """Return the raw table that stands for one which the source does not have."""
    columns = ", ".join(f"cast(null as varchar) as {quoted(name)}" for name in contract.required)
    scan = f"select cast(1 as bigint) as {ROW}, {columns} where false"
    return RawTable(contract.table, f"no {contract.table}", scan, dict.fromkeys(contract.required, "VARCHAR"))


def admit(
    connection: duckdb.DuckDBPyConnection, contract: Contract, raw: RawTable, source: Source, quarantine: Path
) -> RowCounts:
    """Return how the table's rows were dealt with, leaving the good ones as `good_<table>`.

    A required column that is missing, no row at all in transactions, or more than 20 % bad rows raise `DataContractError`.
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
        write_quarantine(
            connection, raw, rejected, contradictory=_contradictory_sql(raw), path=quarantine / f"{raw.table}.parquet"
        )
    _take_in(connection, raw)
    kept = n_checked - n_bad - n_contradictory - n_duplicates
    said = tuple(f"{reason}: {count:,} rows ({name_rows(rows)})" for reason, count, rows in reasons[:_REASONS_NAMED])
    counts = RowCounts(raw.table, raw.place, n_read, kept, n_quarantined, n_duplicates, reasons=said)
    if kept == 0 and contract.table == TRANSACTIONS:
        raise DataContractError(f"{raw.place}: no row is good; expected at least one line of an order")
    return counts


def _require_columns(contract: Contract, raw: RawTable) -> None:
    missing = [name for name in contract.required if name not in raw.columns]
    if not missing:
        return
    # Only names that the contract knows are printed: in a file without a header the others would be a customer's values.
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
            f"{raw.place}: can't be read ({type(error).__name__}); is the file complete and of its own type?"
        ) from error


def _find_repeats(connection: duckdb.DuckDBPyConnection, contract: Contract, raw: RawTable) -> None:
    """Make `repeats_<table>`: rows that repeat an earlier good one (`first_row`) exactly, or contradict it (`is_exact` false).

    Rows are compared by a 64-bit hash first, and only those that share one are compared in full: a table of any size is
    grouped by one number.
    """
    columns = ", ".join(quoted(name) for name in _value_columns(contract))
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


def _value_columns(contract: Contract) -> list[str]:
    """Return the names under which a checked table holds its values."""
    names: list[str] = []
    for column in contract.columns:
        names += [column.name + US, column.name + ON] if column.kind is Kind.TIME else [column.name]
    return names


def _count(connection: duckdb.DuckDBPyConnection, raw: RawTable) -> tuple[int, int, int, int]:
    """Return how many rows were checked, are bad, contradict an earlier one, repeat an earlier one."""
    rows = connection.execute(f"""
        select (select count(*) from checked_{raw.table}), (select count({REASON}) from checked_{raw.table}),
            (select count(*) from repeats_{raw.table} where not is_exact), (select count(*) from repeats_{raw.table} where is_exact)
        """).fetchall()
    n_checked, n_bad, n_contradictory, n_duplicates = rows[0]
    return int(n_checked), int(n_bad), int(n_contradictory), int(n_duplicates)


def _contradictory_sql(raw: RawTable) -> str:
    """Return the query of the rows that contradict an earlier one, with their reason and the row as it came."""
    packed = ", ".join(f"{quoted(name)} := cast(s.{quoted(name)} as varchar)" for name in raw.columns)
    return f"""select s.{ROW}, 'the same key as in row ' || r.first_row || ' with other values' as {REASON},
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
            union all select 'the same key as an earlier row, with other values', {ROW} from repeats_{raw.table} where not is_exact)
        group by reason""").fetchall()
    if rejected:
        found.append((_UNREADABLE, len(rejected), [each.row for each in rejected][:ROWS_NAMED]))
    return sorted(
        ((str(reason), int(n), list(rows)) for reason, n, rows in found), key=lambda each: (-each[1], each[0])
    )


def _too_bad(raw: RawTable, reasons: list[tuple[str, int, list[int]]], n_bad: int, n_read: int) -> str:
    said = "; ".join(f"{reason}: {name_rows(rows)}" for reason, _, rows in reasons[:_REASONS_NAMED])
    share = f"{n_bad:,} of {n_read:,} rows are bad, more than {BAD_SHARE_LIMIT:.0%}"
    return f"{raw.place}: {share}: {said}; correct the source and run again"


def _take_in(connection: duckdb.DuckDBPyConnection, raw: RawTable) -> None:
    """Make `good_<table>`: the rows that are neither bad nor repeats, without what only the checks need."""
    connection.execute(f"""create view good_{raw.table} as
        select * exclude ({REASON}, {SOURCE_ROW}) from checked_{raw.table} c
        where {REASON} is null and not exists (select 1 from repeats_{raw.table} r where r.{ROW} = c.{ROW})""")
