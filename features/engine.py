"""What runs the feature SQL: the protocol, and DuckDB. The other implementation is features/spark.py."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Protocol

import duckdb
import pyarrow.parquet as pq

from features.asof import SOURCE_PREFIX, SteadyView


@dataclass(frozen=True)
class FeatureQuery:
    """A select over named views, and the columns that its rows are sorted by (together they are unique).

    `steady` views are the same for every query over the same tables; `views` read them and are the query's own.
    """

    views: Mapping[str, str]
    select: str
    grain: tuple[str, ...]
    steady: Mapping[str, SteadyView] = field(default_factory=lambda: MappingProxyType({}))


class FeatureEngine(Protocol):
    """Runs one portable query over Parquet tables."""

    @property
    def name(self) -> str:
        """Return the engine's name, part of the names of the files that it writes."""

    def write(self, tables: Mapping[str, Path], query: FeatureQuery, out: Path) -> None:
        """Write the query's rows, sorted by its grain, to the Parquet file `out`.

        `tables` are the conformed tables' files by name; the views read them as `source_<name>`.
        """


@dataclass
class _Session:
    """DuckDB over one set of tables with their steady views; `tables` tells whether it is still of use."""

    lock: Lock = field(default_factory=Lock)
    tables: tuple[object, ...] = ()
    connection: duckdb.DuckDBPyConnection | None = None


@dataclass(frozen=True)
class DuckDbEngine:
    """DuckDB in memory, reading and writing Parquet directly; what doesn't fit in memory goes beside the output.

    The steady views of the tables last asked for are kept as sorted tables between queries, up to `max_kept_lines`
    lines (of about 100 bytes); beyond that every query reads them from Parquet.
    """

    threads: int = 2
    memory_limit: str = "4GB"
    max_kept_lines: int = 10_000_000
    name: str = "duckdb"
    _session: _Session = field(default_factory=_Session, init=False, repr=False, compare=False)

    def write(self, tables: Mapping[str, Path], query: FeatureQuery, out: Path) -> None:
        """Write the query's rows, sorted by its grain, to the Parquet file `out`."""
        with self._connection(tables, query.steady, out) as connection:
            for view, select in query.views.items():
                connection.execute(f"create temp view {view} as {select}")
            connection.execute(
                f"copy (select * from ({query.select}) as feature_rows order by {', '.join(query.grain)}) "
                f"to {_literal(str(out))} (format parquet, compression snappy)"
            )

    def _connection(
        self, tables: Mapping[str, Path], steady: Mapping[str, SteadyView], out: Path
    ) -> duckdb.DuckDBPyConnection:
        """Return a connection of its own to the database of these tables, which is opened when it is another one."""
        wanted = (tuple(_identity(name, path) for name, path in tables.items()), tuple(steady.items()))
        with self._session.lock:
            if self._session.connection is None or self._session.tables != wanted:
                self._session.connection = self._opened(tables, steady, out)
                self._session.tables = wanted
            return self._session.connection.cursor()

    def _opened(
        self, tables: Mapping[str, Path], steady: Mapping[str, SteadyView], out: Path
    ) -> duckdb.DuckDBPyConnection:
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": self.threads,
            "memory_limit": self.memory_limit,
            "disabled_optimizers": "join_order",
            "temp_directory": str(out.parent / f"{uuid.uuid4().hex}.spill"),
        }
        connection = duckdb.connect(":memory:", config=config)
        for table, path in tables.items():
            connection.execute(
                f"create view {SOURCE_PREFIX}{table} as select * from read_parquet({_literal(str(path))})"
            )
        is_kept = "lines" in tables and pq.read_metadata(tables["lines"]).num_rows <= self.max_kept_lines
        for name, view in steady.items():
            if is_kept:
                connection.execute(f"create table {name} as {view.select} order by {', '.join(view.order)}")
            else:
                connection.execute(f"create view {name} as {view.select}")
        return connection


def _identity(name: str, path: Path) -> tuple[object, ...]:
    """Return what changes when a table's file is written anew."""
    found = path.stat()
    return name, str(path), found.st_mtime_ns, found.st_size


def _literal(text: str) -> str:
    """Return `text` as a SQL string."""
    return "'" + text.replace("'", "''") + "'"
