"""Small folders of tables, written by hand, for the tests of the way in."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.conform import Prepared, prepare

HEADER = "customer_id,order_id,product_id,ordered_at,quantity,amount"
Content = str | bytes | pa.Table


def good_lines(count: int = 20) -> list[str]:
    """Return lines of orders that nothing is wrong with, each its own order, a day apart."""
    return [f"c{i % 5},o{i},p{i % 3},2024-03-{1 + i:02}T10:00:00Z,1,2.50" for i in range(count)]


def transactions_csv(*more: str, good: int = 20, header: str = HEADER) -> str:
    """Return a CSV file of good lines with some others after them: the first of these is row `good` + 1."""
    return "\n".join([header, *good_lines(good), *more]) + "\n"


def write_folder(folder: Path, files: Mapping[str, Content]) -> Path:
    """Write the files; text that is to be `.gz` is compressed; good transactions are added where there are none."""
    folder.mkdir(parents=True, exist_ok=True)
    if not any(name.startswith("transactions") for name in files):
        files = {"transactions.csv": transactions_csv(), **files}
    for name, content in files.items():
        if isinstance(content, pa.Table):
            pq.write_table(content, folder / name)
        else:
            raw = content.encode() if isinstance(content, str) else content
            (folder / name).write_bytes(
                gzip.compress(raw) if name.endswith(".gz") and isinstance(content, str) else raw
            )
    return folder


def prepared(folder: Path, home: Path, time_zone: str | None = None) -> Prepared:
    """Prepare a folder without showing progress."""
    return prepare(str(folder), home, time_zone=time_zone, progress=lambda _: None)


def quarantine(home: Path, table: str) -> pd.DataFrame:
    """Return a table's quarantine, empty where nothing is in it."""
    path = home / "quarantine" / f"{table}.parquet"
    return pd.read_parquet(path) if path.is_file() else pd.DataFrame(columns=["reason", "file", "row"])


def snapshot(home: Path) -> dict[str, bytes]:
    """Return every file under a home with its content, so that a test sees whether anything was touched."""
    return {str(path.relative_to(home)): path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}
