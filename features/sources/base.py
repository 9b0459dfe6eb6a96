"""What every source is: a name, a digest of its content, and raw tables that DuckDB can scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import duckdb

from features.contracts import Contract
from features.errors import SourceError

ROW = "_row"


def quoted(name: str) -> str:
    """Return a name as a quoted SQL identifier.

    Examples
    --------
    >>> quoted("order date")
    '"order date"'
    """
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def literal(text: str) -> str:
    """Return a text as an SQL literal.

    Examples
    --------
    >>> literal("it's")
    "'it''s'"
    """
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


def known_columns(contract: Contract, found: Sequence[str], place: str) -> list[str]:
    """Return those of the columns found that the contract knows; one that occurs twice is a `SourceError`."""
    known = [column.name for column in contract.columns]
    twice = [name for name in known if list(found).count(name) > 1]
    if twice:
        raise SourceError(f"{place}: column {', '.join(twice)} occurs more than once; keep one of each")
    return [name for name in known if name in found]


@dataclass(frozen=True)
class RejectedRow:
    """A line of a file that could not even be split into columns; `row` counts from 1 after the header."""

    row: int
    reason: str
    text: str


@dataclass(frozen=True)
class RawTable:
    """One table of a source, not yet checked.

    `scan` is a SELECT that gives `_row` (from 1, in the order of the source) and the table's columns; `columns` maps
    each column's name to its DuckDB type. `place` is what a person calls it: a file name, or a table in a database.
    """

    table: str
    place: str
    scan: str
    columns: Mapping[str, str]


class Source(Protocol):
    """Somewhere that the tables of contracts.md come from."""

    @property
    def name(self) -> str:
        """Return what a person calls the source; no path, no password."""
        ...

    @property
    def currency(self) -> str:
        """Return the currency of all money, empty where the policy says."""
        ...

    @property
    def time_zone(self) -> str | None:
        """Return the zone of days where no store has one; None where the policy says."""
        ...

    def digest(self, work: Path) -> str:
        """Return a digest of all content; `work` is a folder for what must be fetched."""
        ...

    def tables(self, connection: duckdb.DuckDBPyConnection) -> list[RawTable]:
        """Return the raw tables, after `digest` was asked; what can't be read raises `SourceError`."""
        ...

    def rejected(self, connection: duckdb.DuckDBPyConnection, table: RawTable) -> list[RejectedRow]:
        """Return the lines that could not be split into columns, after the table's scan has run."""
        ...
