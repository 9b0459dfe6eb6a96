"""Rows of the state's file, many in one statement: each statement gives up Python's lock, and must get it again."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from operator import itemgetter
from typing import TypeVar

from serving.state.committer import EncodedCommit, Left, expected
from serving.state.settling import Settled

T = TypeVar("T")

Rows = list[tuple[bytes, int, bytes]]

MOST_ROWS = 512
"""Keys in one statement at most; a power of two."""

_READ_MANY = "select key, version, value from documents where key in ({})"
_VERSIONS = "select key, version from documents where key in ({})"
_THERE = "select key from documents where key in ({})"
_PUT = (
    "insert into documents (key, version, value) values {} "
    "on conflict (key) do update set version = excluded.version, value = excluded.value"
)
_PUT_NEW = "insert into documents (version, key, value) values {} on conflict (key) do nothing"
_DELETE = "delete from documents where key in ({})"


def read_long(connection: sqlite3.Connection, keys: Sequence[bytes]) -> Rows:
    """Return the rows of more keys than a statement should have, from one moment."""
    rows: Rows = []
    connection.execute("begin")
    for chunk in _chunks(sorted(keys)):  # neighbours stand on the same pages
        rows += connection.execute(*_of_many(_READ_MANY, chunk)).fetchall()
    connection.execute("commit")
    return rows


def _there(connection: sqlite3.Connection, keys: Collection[bytes]) -> set[bytes]:
    """Return which of the keys are there."""
    found: set[bytes] = set()
    for chunk in _chunks(sorted(keys)):
        found.update(key for (key,) in connection.execute(*_of_many(_THERE, chunk)).fetchall())
    return found


def many_of(keys: Sequence[bytes]) -> tuple[str, Sequence[bytes]]:
    """Return the statement that reads the documents of some keys, and its values."""
    return _of_many(_READ_MANY, keys)


def versions_of(connection: sqlite3.Connection, batch: Iterable[EncodedCommit | Left]) -> dict[bytes, int]:
    """Return the versions of the keys of which a batch expects anything, without those that are not there."""
    keys = list({key for commit in batch for key in expected(commit)})
    found: dict[bytes, int] = {}
    for chunk in _chunks(keys):
        found.update(connection.execute(*_of_many(_VERSIONS, chunk)).fetchall())
    return found


def tallies_of(connection: sqlite3.Connection, batch: Iterable[EncodedCommit | Left]) -> dict[bytes, bytes]:
    """Return the documents that a batch adds to, without those that are not there."""
    keys = list({key for commit in batch if isinstance(commit, EncodedCommit) for key in commit.add})
    found: dict[bytes, bytes] = {}
    for chunk in _chunks(keys):
        found.update((key, value) for key, _, value in connection.execute(*_of_many(_READ_MANY, chunk)).fetchall())
    return found


def rows_of(connection: sqlite3.Connection, lefts: Sequence[Left]) -> list[tuple[bytes, bytes]]:
    """Return the documents of what was left, by key, without those whose other keys are there."""
    there = _there(connection, {key for _, _, absent in lefts for key in absent})
    rows = [row for keys, values, absent in lefts if there.isdisjoint(absent) for row in zip(keys, values, strict=True)]
    rows.sort(key=itemgetter(0))  # neighbours stand on the same pages
    return rows


def put_new(connection: sqlite3.Connection, rows: Sequence[tuple[bytes, bytes]], version: int) -> None:
    """Write documents, all of one version, where they are not there already."""
    for some in _powers_of_two(rows):
        connection.execute(_PUT_NEW.format(",".join(["(?1,?,?)"] * len(some))), [version, *chain(*some)])
    connection.execute("update clock set version = ?", (version,))


def store(connection: sqlite3.Connection, settled: Settled) -> None:
    """Write what a batch comes to."""
    for chunk in _chunks(list(settled.delete)):
        connection.execute(*_of_many(_DELETE, chunk))
    for keys in _powers_of_two(sorted(settled.put)):  # neighbours stand on the same pages
        values = [each for key in keys for each in (key, *settled.put[key])]
        connection.execute(_PUT.format(",".join(["(?,?,?)"] * len(keys))), values)
    connection.execute("update clock set version = ?", (settled.version,))


# A connection keeps every statement that it has met, and one of 500 rows takes 100 kB: so there are few lengths only.


def _of_many(sql: str, keys: Sequence[bytes]) -> tuple[str, list[bytes]]:
    """Return the statement and its values, the last key repeated until their number is a power of two."""
    n = 1 << (len(keys) - 1).bit_length() if keys else 0
    return sql.format(",".join("?" * n)), [*keys, *[keys[-1]] * (n - len(keys))] if keys else []


def _chunks(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    return (keys[at : at + MOST_ROWS] for at in range(0, len(keys), MOST_ROWS))


def _powers_of_two(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Give the rows in parts whose lengths are powers of two, the greatest first."""
    at = 0
    while at < len(rows):
        n = min(MOST_ROWS, 1 << (len(rows) - at).bit_length() - 1)
        yield rows[at : at + n]
        at += n
