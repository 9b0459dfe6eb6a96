"""The rows that broke the contract, with the reason and their place in the source."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import duckdb
import pyarrow as pa

from features.columns import CUSTOMER_ID
from features.conform_checks import REASON, SOURCE_ROW
from features.sources.base import ROW, RawTable, RejectedRow, literal, quoted

QUARANTINE_FOLDER = "quarantine"
_BETWEEN_VALUES = re.compile(r"[,;|\t]")


def _nobody(customer_id: str) -> bool:
    del customer_id
    return False


@dataclass(frozen=True)
class Quarantine:
    """Where bad rows are written, and whose are not: a customer's who was erased are counted, and not kept."""

    folder: Path
    is_erased: Callable[[str], bool] = _nobody

    def keeps(self, line: str) -> bool:
        """Return whether a line that could not be split into columns names nobody who was erased."""
        return not any(self.is_erased(each.strip(' "\r\n')) for each in _BETWEEN_VALUES.split(line))


def write_quarantine(
    connection: duckdb.DuckDBPyConnection,
    raw: RawTable,
    rejected: list[RejectedRow],
    *,
    contradictory: str,
    quarantine: Quarantine,
) -> None:
    """Write a table's bad rows to `<folder>/<table>.parquet`.

    Columns: reason, file, row (from 1, without header and blank lines), line (the whole line, where it could not be
    split), and the columns of the source as text. `contradictory` is a query that gives `_row`, `_reason` and
    `_source_row` of rows that contradict an earlier one.
    """
    columns = ", ".join(f"{SOURCE_ROW}.{quoted(name)} as {quoted(name)}" for name in raw.columns)
    connection.register("lines_in_hand", _as_table([each for each in rejected if quarantine.keeps(each.text)]))
    connection.register("places_in_hand", places_after(rejected))
    bad = f"""select {ROW}, {REASON}, {SOURCE_ROW} from checked_{raw.table} where {REASON} is not null
        union all {contradictory}"""
    if CUSTOMER_ID in raw.columns:
        bad = f"select * from ({bad}) where {_kept_sql(connection, bad, quarantine)}"
    path = quarantine.folder / f"{raw.table}.parquet"
    connection.execute(f"""copy (
        select {REASON} as "reason", {literal(raw.place)} as "file", {ROW} + p.n_rejected as "row", cast(null as
        varchar) as "line",
            {columns}
        from ({bad}) b asof join places_in_hand p on b.{ROW} >= p.first_row
        union all by name select "reason", {literal(raw.place)} as "file", "row", "line" from lines_in_hand
        order by "row") to {literal(str(path))} (format parquet)""")
    connection.unregister("lines_in_hand")
    connection.unregister("places_in_hand")


def _kept_sql(connection: duckdb.DuckDBPyConnection, bad: str, quarantine: Quarantine) -> str:
    """Return the condition that a bad row's customer was not erased."""
    own = f"trim({SOURCE_ROW}.{quoted(CUSTOMER_ID)})"
    ids = connection.execute(f"select distinct {own} from ({bad}) where {own} is not null").fetchall()
    # a number's text as the source has it, and as an id
    erased = [each for (each,) in ids if quarantine.is_erased(each) or quarantine.is_erased(each.removesuffix(".0"))]
    return f"coalesce({own} not in ({', '.join(map(literal, erased))}), true)" if erased else "true"


def _as_table(rejected: list[RejectedRow]) -> pa.Table:
    return pa.table(
        {
            "row": pa.array([each.row for each in rejected], pa.int64()),
            "reason": pa.array([each.reason for each in rejected], pa.string()),
            "line": pa.array([each.text for each in rejected], pa.string()),
        }
    )


def places_after(rejected: list[RejectedRow]) -> pa.Table:
    """Return how many rejected lines stand before a row: first_row (as numbered without them), n_rejected.

    Examples
    --------
    >>> places_after([RejectedRow(3, "short", "x")]).to_pydict()
    {'first_row': [0, 3], 'n_rejected': [0, 1]}
    """
    first_rows = [0, *(each.row - number for number, each in enumerate(rejected))]
    return pa.table({"first_row": pa.array(first_rows, pa.int64()), "n_rejected": list(range(len(first_rows)))})


def publish_quarantine(built: Path, home: Path) -> None:
    """Make `home`/quarantine hold the quarantine of the tables in `built`, file by file, and none of an earlier run."""
    target = home / QUARANTINE_FOLDER
    target.mkdir(parents=True, exist_ok=True)
    fresh = {path.name: path for path in (built / QUARANTINE_FOLDER).glob("*.parquet")}
    for name, path in fresh.items():
        half_written = target / f".{name}.{uuid4().hex}"
        shutil.copyfile(path, half_written)
        half_written.replace(target / name)
    for stale in target.glob("*.parquet"):
        if stale.name not in fresh:
            stale.unlink(missing_ok=True)
