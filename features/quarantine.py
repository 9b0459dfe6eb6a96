"""The rows that broke the contract, with the reason and their place in the source."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from uuid import uuid4

import duckdb
import pyarrow as pa

from features.conform_checks import REASON, SOURCE_ROW
from features.sources.base import ROW, RawTable, RejectedRow, literal, quoted

QUARANTINE_FOLDER = "quarantine"


def write_quarantine(
    connection: duckdb.DuckDBPyConnection, raw: RawTable, rejected: list[RejectedRow], *, contradictory: str, path: Path
) -> int:
    """Return how many rows were written to `path`; nothing is written when there are none.

    Columns: reason, file, row (from 1), the columns of the source as text, and `line` (the whole line, where it could not be
    split). `contradictory` is a query that gives `_row`, `_reason` and `_source_row` of rows that contradict an earlier one.
    """
    columns = ", ".join(f"{SOURCE_ROW}.{quoted(name)} as {quoted(name)}" for name in raw.columns)
    names: dict[str, pa.DataType] = {"row": pa.int64(), "reason": pa.string(), "line": pa.string()}
    lines = [(each.row, each.reason, each.text) for each in rejected]
    values = list(zip(*lines, strict=True)) or [(), (), ()]
    connection.register(
        "rejected_lines",
        pa.table({name: pa.array(column, names[name]) for name, column in zip(names, values, strict=True)}),
    )
    own_columns = f", {columns}" if columns else ""
    query = f"""
        select {REASON} as "reason", {literal(raw.place)} as "file", {ROW} as "row", cast(null as varchar) as "line"{own_columns}
        from (select {ROW}, {REASON}, {SOURCE_ROW} from checked_{raw.table} where {REASON} is not null
            union all {contradictory})
        union all by name select reason, {literal(raw.place)} as "file", "row", "line" from rejected_lines
        order by "row" """
    written = connection.execute(f"create or replace temp table quarantined as {query}").fetchall()
    n_rows = int(connection.execute("select count(*) from quarantined").fetchall()[0][0]) if written else 0
    if n_rows:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection.execute(f"copy quarantined to {literal(str(path))} (format parquet)")
    connection.unregister("rejected_lines")
    return n_rows


def publish_quarantine(built: Path, home: Path) -> None:
    """Make `home`/quarantine hold the quarantine of the tables in `built`, file by file, and none of an earlier run."""
    target = home / QUARANTINE_FOLDER
    target.mkdir(parents=True, exist_ok=True)
    fresh = {path.name: path for path in (built / QUARANTINE_FOLDER).glob("*.parquet")}
    for name, path in fresh.items():
        half_written = target / f".{name}.{uuid4().hex}"
        shutil.copyfile(path, half_written)
        os.replace(half_written, target / name)
    for stale in target.glob("*.parquet"):
        if stale.name not in fresh:
            stale.unlink(missing_ok=True)
