"""Tables in a database: a DuckDB file, or PostgreSQL."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import duckdb
import pyarrow.parquet as pq

from features.contracts import CONTRACTS, contract_for
from features.errors import SourceError
from features.sources.base import ROW, RawTable, RejectedRow, known_columns, literal, quoted
from features.sources.files import file_digest, parquet_table

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Cursor

_ATTACHED = "source_database"
_TABLES = frozenset(contract.table for contract in CONTRACTS)
# What ADBC hands over in types of its own is asked for as text, which the checks read.
_TAKEN_AS_IT_IS = frozenset(
    {
        "bigint",
        "boolean",
        "character varying",
        "date",
        "double precision",
        "integer",
        "real",
        "smallint",
        "text",
        "timestamp with time zone",
        "timestamp without time zone",
    }
)


@dataclass(frozen=True)
class DuckDbFile:
    """A source that is a DuckDB file; tables and views of its schema `main` count."""

    path: Path
    currency: str = ""
    time_zone: str | None = None

    @property
    def name(self) -> str:
        """Return the file's own name."""
        return self.path.name

    def digest(self, work: Path) -> str:
        """Return a digest of the file's bytes."""
        del work
        log = self.path.with_name(self.path.name + ".wal")
        whole = file_digest(self.path) + (file_digest(log) if log.is_file() else b"")
        return hashlib.blake2b(whole, digest_size=16).hexdigest()

    def tables(self, connection: duckdb.DuckDBPyConnection) -> list[RawTable]:
        """Return a raw table for each table or view whose name the contract knows."""
        try:
            connection.execute(f"attach {literal(str(self.path))} as {_ATTACHED} (read_only)")
        except duckdb.Error as error:
            hint = "is it a DuckDB file, and open in no other program?"
            raise SourceError(f"{self.name}: can't be opened as a database; {hint}") from error
        columns: dict[str, dict[str, str]] = {}
        for table, column, kind in connection.execute(f"""
            select table_name, column_name, data_type from duckdb_columns()
            where database_name = '{_ATTACHED}' and schema_name = 'main' order by column_index""").fetchall():
            columns.setdefault(table, {})[column] = kind
        found = [self._table(table, types) for table, types in columns.items() if table in _TABLES]
        if not found:
            raise SourceError(f"{self.name}: holds no table that the contract knows; expected at least transactions")
        return found

    def rejected(self, connection: duckdb.DuckDBPyConnection, table: RawTable) -> list[RejectedRow]:
        """Return nothing: a database has no lines to split."""
        del connection, table
        return []

    def _table(self, table: str, types: dict[str, str]) -> RawTable:
        place = f"{self.name} table {table}"
        columns = known_columns(contract_for(table), list(types), place)
        listed = ", ".join([f"row_number() over () as {ROW}", *(quoted(name) for name in columns)])
        scan = f"select {listed} from {_ATTACHED}.main.{quoted(table)}"
        return RawTable(table, place, scan, {name: types[name] for name in columns})


@dataclass(frozen=True)
class Postgres:
    """A source that is a PostgreSQL database; tables and views of its search path count.

    What is read is written aside as Parquet first: its digest says whether anything has changed.
    """

    url: str
    currency: str = ""
    time_zone: str | None = None
    _fetched: dict[str, Path] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the database's name; never the user, password or host that the URL holds."""
        return urlsplit(self.url).path.strip("/") or "postgresql"

    def digest(self, work: Path) -> str:
        """Fetch every table into `work`, and return a digest of what came."""
        whole = hashlib.blake2b(digest_size=16)
        for table in sorted(self._fetch(work)):
            whole.update(table.encode())
            whole.update(file_digest(self._fetched[table]))
        return whole.hexdigest()

    def tables(self, connection: duckdb.DuckDBPyConnection) -> list[RawTable]:
        """Return a raw table for each table that was fetched."""
        return [
            parquet_table(connection, table, path, place=f"{self.name} table {table}")
            for table, path in self._fetched.items()
        ]

    def rejected(self, connection: duckdb.DuckDBPyConnection, table: RawTable) -> list[RejectedRow]:
        """Return nothing: a database has no lines to split."""
        del connection, table
        return []

    def _fetch(self, work: Path) -> list[str]:
        """Write each table that the contract knows to `work` as Parquet, a batch at a time; return their names."""
        try:
            from adbc_driver_postgresql import dbapi
        except ImportError as error:
            raise SourceError(
                "postgresql:// needs adbc-driver-postgresql; install tercet's extra 'postgres'"
            ) from error
        try:
            with dbapi.connect(self.url) as connection, connection.cursor() as cursor:
                for table, types in _postgres_columns(cursor).items():
                    self._fetched[table] = _fetch_table(cursor, table, types, work)
        except dbapi.Error as error:
            # The driver's own words may hold the URL with its password.
            raise SourceError(
                f"{self.name}: PostgreSQL can't be read ({type(error).__name__}); check URL and rights"
            ) from error
        if not self._fetched:
            raise SourceError(f"{self.name}: holds no table that the contract knows; expected at least transactions")
        return list(self._fetched)


def _postgres_columns(cursor: Cursor) -> dict[str, dict[str, str]]:
    """Return the columns and types of every table on the search path whose name the contract knows."""
    listed = ", ".join(literal(table) for table in sorted(_TABLES))
    cursor.execute(f"""
        select table_name::text, column_name::text, data_type::text from information_schema.columns
        where table_schema = current_schema() and table_name in ({listed}) order by table_name, ordinal_position""")
    columns: dict[str, dict[str, str]] = {}
    for table, column, kind in cursor.fetchall():
        columns.setdefault(table, {})[column] = kind
    return columns


def _fetch_table(cursor: Cursor, table: str, types: dict[str, str], work: Path) -> Path:
    """Return the Parquet file that now holds a table's known columns."""
    known = known_columns(contract_for(table), list(types), table)
    listed = ", ".join(_postgres_value(name, types[name]) for name in known) or "1 as nothing"
    cursor.execute(f"select {listed} from {quoted(table)}")
    path = work / f"{table}.parquet"
    with cursor.fetch_record_batch() as batches, pq.ParquetWriter(path, batches.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return path


def _postgres_value(name: str, kind: str) -> str:
    own = quoted(name)
    if kind in _TAKEN_AS_IT_IS:
        return own
    if kind == "ARRAY":
        return f"array_to_json({own})::text as {own}"
    return f"{own}::text as {own}"
