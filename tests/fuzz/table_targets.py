"""Tables of any bytes: conformed, set aside row by row, or refused in one line that names the file."""

from __future__ import annotations

import gzip
import io
import shutil
from collections.abc import Callable
from functools import cache

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from features.conform import prepare
from features.contracts import CONTRACTS
from features.errors import DataContractError
from features.sources.synthetic import ShopConfig, make_shop
from tests.contracts.folders import transactions_csv
from tests.fuzz.target import Broken, Run, Target, scratch

TABLES = tuple(contract.table for contract in CONTRACTS)
N_ROWS = 12


def _run(ending: str) -> Run:
    root = scratch()

    def run(data: bytes) -> None:
        if not data:
            return
        table = TABLES[data[0] % len(TABLES)]
        source, home = root / "source", root / "home"
        source.mkdir()
        try:
            if table != "transactions":
                (source / "transactions.csv").write_text(transactions_csv(), "utf-8")
            (source / f"{table}{ending}").write_bytes(data[1:])
            prepare(str(source), home, time_zone=None, progress=lambda _: None)
        except DataContractError as error:
            _judge(str(error))
        finally:
            shutil.rmtree(source)
            shutil.rmtree(home, ignore_errors=True)

    return run


def _judge(said: str) -> None:
    if "\n" in said or "bug of tercet" in said or not said:
        raise Broken(said)


@cache
def _tables() -> dict[str, pa.Table]:
    """Return a few rows of each table of a synthetic shop."""
    shop = make_shop(ShopConfig(customers=30, weeks=4, seed=3))
    return {table: _as_arrow(rows.head(N_ROWS)) for table, rows in shop.tables.items() if table in TABLES}


def _as_arrow(rows: pd.DataFrame) -> pa.Table:
    """Return the rows with times as text: pandas warns where it hands on those with a zone."""
    timed = {name: column.astype(str) for name, column in rows.items() if isinstance(column.dtype, pd.DatetimeTZDtype)}
    return pa.Table.from_pandas(rows.assign(**timed), preserve_index=False)


def _as_csv(table: pa.Table) -> bytes:
    written = io.BytesIO()
    texts = [pa.array(["" if each is None else str(each) for each in column.to_pylist()]) for column in table.columns]
    csv.write_csv(pa.table(texts, names=table.column_names), written)
    return written.getvalue()


def _as_parquet(table: pa.Table) -> bytes:
    written = io.BytesIO()
    pq.write_table(table, written)
    return written.getvalue()


def _seeds(written: Callable[[pa.Table], bytes]) -> Callable[[], list[bytes]]:
    return lambda: [bytes([TABLES.index(name)]) + written(table) for name, table in _tables().items()]


def _words() -> list[bytes]:
    names = {column.name for contract in CONTRACTS for column in contract.columns}
    values = [
        "2024-03-01T25:00:00Z",
        "0001-01-01",
        "9999-12-31T23:59:59+14:00",
        "1e308",
        "-0.0",
        "nan",
        "inf",
        "\0",
        '"',
    ]
    return [text.encode() for text in (*sorted(names), *values, '{"a": [1]}', "2024-02-30", "99999999999999999999")]


def _gzipped(table: pa.Table) -> bytes:
    return gzip.compress(_as_csv(table), mtime=0)


def _csv_or_gzip() -> Run:
    """Return what takes a table as CSV, or (the first byte is odd) as CSV that gzip made smaller."""
    plain, small = _run(".csv"), _run(".csv.gz")

    def run(data: bytes) -> None:
        table, content = data[:1], data[1:]
        if content[:2] == b"\x1f\x8b":
            small(data)
        elif table and table[0] >= 128:
            small(bytes([table[0] - 128]) + gzip.compress(content, mtime=0))
        else:
            plain(data)

    return run


TARGETS = (
    Target(
        "csv",
        _csv_or_gzip,
        lambda: _seeds(_as_csv)() + _seeds(_gzipped)(),
        _words,
        short_runs=2,
    ),
    Target("parquet", lambda: _run(".parquet"), _seeds(_as_parquet), _words, short_runs=2),
)
