"""A folder of files, one for each table: `.parquet`, `.csv` or `.csv.gz`."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from features.contracts import CONTRACTS, Contract, contract_for
from features.errors import SourceError
from features.sources.base import ROW, RawTable, RejectedRow, known_columns, literal, quoted

ENDINGS = (".parquet", ".csv", ".csv.gz")
_DELIMITERS = (",", ";", "\t", "|")
_CHUNK = 1 << 20
_HEADER_LIMIT = 1 << 16
_REJECTED_FOR = {
    "TOO MANY COLUMNS": "more values than the header has columns",
    "MISSING COLUMNS": "fewer values than the header has columns",
    "UNQUOTED VALUE": "a quote that is not closed",
    "INVALID ENCODING": "a byte that is not UTF-8",
    "LINE SIZE OVER MAXIMUM": "a line of more than 2 MB",
}
_UNQUOTED = "UNQUOTED VALUE"


@dataclass(frozen=True)
class Folder:
    """A source that is a folder; files of other names are left alone."""

    path: Path
    currency: str = ""
    time_zone: str | None = None

    @property
    def name(self) -> str:
        """Return the folder's own name: where it lies is nobody's business in a bundle."""
        return self.path.resolve().name

    def digest(self, work: Path) -> str:
        """Return a digest of the names and bytes of the files that are tables."""
        del work
        whole = hashlib.blake2b(digest_size=16)
        for table, path in sorted(self._files().items()):
            whole.update(f"{table}/{path.name}/".encode())
            whole.update(file_digest(path))
        return whole.hexdigest()

    def tables(self, connection: duckdb.DuckDBPyConnection) -> list[RawTable]:
        """Return a raw table for each file."""
        return [
            parquet_table(connection, table, path) if path.suffix == ".parquet" else csv_table(table, path)
            for table, path in self._files().items()
        ]

    def rejected(self, connection: duckdb.DuckDBPyConnection, table: RawTable) -> list[RejectedRow]:
        """Return the lines of a CSV file that could not be split into columns."""
        path = self._files().get(table.table)
        return [] if path is None or path.suffix == ".parquet" else _rejected_lines(connection, table, path)

    def _files(self) -> dict[str, Path]:
        """Return the file of each table that has one; two files for one table are a `SourceError`."""
        try:
            names = {path.name: path for path in self.path.iterdir() if path.is_file()}
        except OSError as error:
            raise SourceError(f"folder {self.path} can't be opened ({error.strerror})") from error
        found: dict[str, Path] = {}
        for contract in CONTRACTS:
            mine = [names[contract.table + ending] for ending in ENDINGS if contract.table + ending in names]
            if len(mine) > 1:
                raise SourceError(
                    f"{contract.table}: {' and '.join(path.name for path in mine)} both hold it; keep one of them"
                )
            if mine:
                found[contract.table] = mine[0]
        if not found:
            expected = " or ".join(f"transactions{ending}" for ending in ENDINGS)
            raise SourceError(f"folder {self.path} holds no table; expected at least {expected}")
        return found


def file_digest(path: Path) -> bytes:
    """Return a digest of a file's bytes; a file that can't be opened raises `SourceError`."""
    whole = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb") as opened:
            while chunk := opened.read(_CHUNK):
                whole.update(chunk)
    except OSError as error:
        raise SourceError(f"{path.name}: can't be opened ({error.strerror})") from error
    return whole.digest()


def parquet_table(connection: duckdb.DuckDBPyConnection, table: str, path: Path, place: str | None = None) -> RawTable:
    """Return the raw table of a Parquet file, only the columns that the contract knows."""
    place = place or path.name
    scanned = f"read_parquet({literal(str(path))}, file_row_number = true)"
    try:
        described = connection.execute(f"describe select * from {scanned}").fetchall()
    except duckdb.Error as error:
        raise SourceError(f"{place}: can't be read as Parquet; is the file complete?") from error
    types = {str(name): str(kind) for name, kind, *_ in described}
    columns = known_columns(contract_for(table), list(types), place)
    listed = ", ".join(quoted(name) for name in columns)
    scan = f"select file_row_number + 1 as {ROW}, {listed or '0 as nothing'} from {scanned}"
    return RawTable(table, place, scan, {name: types[name] for name in columns})


def csv_table(table: str, path: Path) -> RawTable:
    """Return the raw table of a CSV file, all text; the delimiter is the one that fits its header best."""
    header = _read_header(contract_for(table), path)
    columns = known_columns(contract_for(table), header.names, path.name)
    names = {f"c{number}": name for number, name in enumerate(header.names)}
    listed = ", ".join(f"{own} as {quoted(name)}" for own, name in names.items() if name in columns)
    typed = ", ".join(f"{literal(own)}: 'VARCHAR'" for own in names)
    options = f"""auto_detect = false, header = true, skip = {header.n_blank}, columns = {{{typed}}},
        delim = {literal(header.delimiter)}, quote = '"', escape = '"',
        ignore_errors = true, store_rejects = true, rejects_limit = 0,
        rejects_table = 'rejects_{table}', rejects_scan = 'rejects_{table}_scan'"""
    scanned = f"read_csv({literal(str(path))}, {options})"
    if len(names) == 1:  # DuckDB passes over a blank line only where it can't be a value
        scanned += " where c0 is not null"
    scan = f"select row_number() over () as {ROW}, {listed or '0 as nothing'} from {scanned}"
    return RawTable(table, path.name, scan, dict.fromkeys(columns, "VARCHAR"))


@dataclass(frozen=True)
class _Header:
    """How many blank lines come first in a CSV file, what stands between its values, and its columns' names."""

    n_blank: int
    delimiter: str
    names: list[str]


def _read_header(contract: Contract, path: Path) -> _Header:
    """Return what the header says; a file whose header can't be read is a `SourceError`."""
    try:
        with _decompressed(path) as opened:
            line = opened.read(_HEADER_LIMIT)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path.name}: can't be read; is it complete, and what its ending says?") from error
    if not line.strip():
        raise SourceError(f"{path.name}: is empty; expected a header row and at least one line")
    n_blank, text = _first_record(line, path)
    known = {column.name for column in contract.columns}
    names = {
        mark: [name.strip() for name in next(csv.reader(io.StringIO(text), delimiter=mark))] for mark in _DELIMITERS
    }
    best = max(_DELIMITERS, key=lambda mark: len(known & set(names[mark])))
    return _Header(n_blank, best, names[best])


def _first_record(start: bytes, path: Path) -> tuple[int, str]:
    """Return the first line that is not blank, decoded, and how many blank ones stand before it."""
    lines = start.removeprefix(b"\xef\xbb\xbf").splitlines()
    n_blank, line = next((number, each) for number, each in enumerate(lines) if each.strip())
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(f"{path.name}: the header row is not UTF-8 text; save the file as UTF-8") from error
    if "\0" in text:
        raise SourceError(f"{path.name}: the header row holds zero bytes; save the file as UTF-8 text")
    return n_blank, text


@contextmanager
def _decompressed(path: Path) -> Iterator[io.BufferedIOBase]:
    """Give the file's bytes as they were before compression."""
    if path.suffix == ".gz":
        with gzip.open(path, "rb") as opened:
            yield opened
    else:
        with path.open("rb") as plain:
            yield plain


def _rejected_lines(connection: duckdb.DuckDBPyConnection, table: RawTable, path: Path) -> list[RejectedRow]:
    """Return what DuckDB could not split, with rows counted from 1 after the header and without blank lines."""
    found = connection.execute(f"""
        select line, min(line_byte_position), min_by(error_type, error_type), any_value(csv_line)
        from rejects_{table.table} group by line order by line""").fetchall()
    if not found:
        return []
    blanks = _blank_lines_before(path, [int(position or 0) for _, position, *_ in found])
    rows = []
    for (line, _, kind, text), n_blank in zip(found, blanks, strict=True):
        row = max(1, int(line) - 1 - n_blank)
        text = (text or "").strip("\r\n")
        if kind == _UNQUOTED and "\n" in text:
            raise SourceError(
                f"{table.place}: the quote opened in row {row} is never closed: all after it would be lost"
            )
        rows.append(RejectedRow(row, _REJECTED_FOR.get(str(kind), "not a row of this table"), text))
    return rows


def _blank_lines_before(path: Path, positions: list[int]) -> list[int]:
    """Return how many blank lines stand before each of the byte positions, which are in order."""
    counts: list[int] = []
    n_blank, at = 0, 0
    with _decompressed(path) as opened:
        for line in opened:
            while len(counts) < len(positions) and at >= positions[len(counts)]:
                counts.append(n_blank)
            if len(counts) == len(positions):
                break
            n_blank += not line.strip()
            at += len(line)
    return counts + [n_blank] * (len(positions) - len(counts))
