"""What runs the feature SQL: the protocol, and DuckDB. The other implementation is features/spark.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import duckdb

from features.asof import SOURCE_PREFIX


@dataclass(frozen=True)
class FeatureQuery:
    """A select over named views, and the columns that its rows are sorted by (together they are unique)."""

    views: Mapping[str, str]
    select: str
    grain: tuple[str, ...]


class FeatureEngine(Protocol):
    """Runs one portable query over Parquet tables."""

    @property
    def name(self) -> str:
        """Return the engine's name, part of the names of the files that it writes."""

    def write(self, tables: Mapping[str, Path], query: FeatureQuery, out: Path) -> None:
        """Write the query's rows, sorted by its grain, to the Parquet file `out`.

        `tables` are the conformed tables' files by name; the views read them as `source_<name>`.
        """


@dataclass(frozen=True)
class DuckDbEngine:
    """DuckDB in memory, reading and writing Parquet directly; what doesn't fit in memory goes beside the output."""

    threads: int = 2
    memory_limit: str = "4GB"
    name: str = "duckdb"

    def write(self, tables: Mapping[str, Path], query: FeatureQuery, out: Path) -> None:
        """Write the query's rows, sorted by its grain, to the Parquet file `out`."""
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": self.threads,
            "memory_limit": self.memory_limit,
            "disabled_optimizers": "join_order",
            "temp_directory": str(out.with_suffix(".spill")),
        }
        with duckdb.connect(":memory:", config=config) as connection:
            for table, path in tables.items():
                connection.execute(
                    f"create view {SOURCE_PREFIX}{table} as select * from read_parquet({_literal(str(path))})"
                )
            for view, select in query.views.items():
                connection.execute(f"create view {view} as {select}")
            connection.execute(
                f"copy (select * from ({query.select}) as feature_rows order by {', '.join(query.grain)}) "
                f"to {_literal(str(out))} (format parquet, compression snappy)"
            )


def _literal(text: str) -> str:
    """Return `text` as a SQL string."""
    return "'" + text.replace("'", "''") + "'"
