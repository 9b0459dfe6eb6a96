"""Taking a customer out of MLflow's files and of reports, without MLflow.

What tercet logs there names no customer; what others logged beside it may: tables with a column customer_id lose the
rows, and an id that can be nothing else is blotted out wherever it stands in a text.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any  # JSON of anybody's making

from serving.erasing_tables import Forgotten, rewrite_parquet

CUSTOMER_ID = "customer_id"
BLOT = "[erased]"
_TEXT_ENDINGS = frozenset(
    {"", ".json", ".jsonl", ".txt", ".md", ".csv", ".tsv", ".yaml", ".yml", ".toml", ".html", ".log"}
)


def erase_from_files(folder: Path, forgotten: Forgotten) -> int:
    """Return how many files below a folder were rewritten."""
    return sum(_erase_from_file(path, forgotten) for path in sorted(folder.rglob("*")) if path.is_file())


def erase_from_database(path: Path, forgotten: Forgotten) -> int:
    """Return how many values of an SQLite database were blotted out; no page of the file keeps what was there."""
    if not path.is_file() or not forgotten.telling:
        return 0
    with closing(sqlite3.connect(path, timeout=60)) as connection:
        connection.execute("pragma secure_delete = on")
        n_changed = sum(
            _blot_column(connection, table, column, forgotten) for table, column in _text_columns(connection)
        )
        connection.commit()
        if n_changed:
            connection.execute("vacuum")
        connection.execute("pragma wal_checkpoint(truncate)")
    return n_changed


def rename_in_database(path: Path, old: str, new: str) -> None:
    """Call a bundle by its new version in the tags and names of MLflow's runs."""
    if not path.is_file():
        return
    with closing(sqlite3.connect(path, timeout=60)) as connection:
        known = {(table, column) for table, column in _text_columns(connection)}
        for table, column in known & {("tags", "value"), ("runs", "name")}:
            changed = f'set "{column}" = replace("{column}", ?, ?) where instr("{column}", ?)'
            connection.execute(f'update "{table}" {changed}', (old, new, old))
        connection.commit()


def _erase_from_file(path: Path, forgotten: Forgotten) -> bool:
    if path.suffix == ".parquet":
        return rewrite_parquet(path, forgotten, [CUSTOMER_ID]) > 0
    if path.suffix.lower() not in _TEXT_ENDINGS:
        return False
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return False
    rest = _blotted(_without_rows(path, text, forgotten), forgotten)
    if rest == text:
        return False
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(rest.encode())
    draft.replace(path)
    return True


def _without_rows(path: Path, text: str, forgotten: Forgotten) -> str:
    """Return a table's text without their rows; any other text is what it was."""
    if CUSTOMER_ID not in text:
        return text
    if path.suffix == ".csv":
        return _without_csv_rows(text, forgotten)
    if path.suffix == ".json":
        return _without_json_rows(text, forgotten)
    return text


def _without_csv_rows(text: str, forgotten: Forgotten) -> str:
    rows = list(csv.reader(io.StringIO(text, newline="")))
    if not rows or CUSTOMER_ID not in rows[0]:
        return text
    place = rows[0].index(CUSTOMER_ID)
    rest = [row for row in rows if len(row) <= place or row[place] not in forgotten.customer_ids]
    if len(rest) == len(rows):
        return text
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\n").writerows(rest)
    return written.getvalue()


def _without_json_rows(text: str, forgotten: Forgotten) -> str:
    """Return a table as MLflow logs it (columns and data) without their rows."""
    try:
        table: Any = json.loads(text)
        place = table["columns"].index(CUSTOMER_ID)
        rest = [row for row in table["data"] if str(row[place]) not in forgotten.customer_ids]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return text
    return text if len(rest) == len(table["data"]) else json.dumps(table | {"data": rest})


def _blotted(text: str, forgotten: Forgotten) -> str:
    for each in forgotten.telling:
        if each in text:
            text = re.sub(rf"(?<!\w){re.escape(each)}(?!\w)", BLOT, text)
    return text


def _text_columns(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Yield the table and name of each column that holds texts and is not part of a key."""
    tables = connection.execute("select name from sqlite_master where type = 'table' and name not like 'sqlite%'")
    for (table,) in tables.fetchall():
        for _, column, kind, _, _, key in connection.execute(f'pragma table_info("{table}")').fetchall():
            if not key and re.search("CHAR|TEXT|CLOB", kind.upper()):
                yield table, column


def _blot_column(connection: sqlite3.Connection, table: str, column: str, forgotten: Forgotten) -> int:
    holds = " or ".join([f'instr("{column}", ?)'] * len(forgotten.telling))
    found = connection.execute(
        f'select rowid, "{column}" from "{table}" where {holds}',
        forgotten.telling,
    ).fetchall()
    changed = [(rest, row) for row, text in found if (rest := _blotted(text, forgotten)) != text]
    connection.executemany(f'update "{table}" set "{column}" = ? where rowid = ?', changed)
    return len(changed)
