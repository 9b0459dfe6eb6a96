"""The file that holds the state of one machine: how it is made, opened and checked, and what its errors mean.

A process that has the file open must not open it by any other means: to close that would let go of SQLite's locks.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from serving.errors import StateUnavailable, StateUnfit

SCHEMA = 1
APPLICATION_ID = 0x74657263  # "terc": tells our file from anybody else's

_TABLES = """
create table documents (key blob primary key, version integer not null, value blob not null);
create table clock (version integer not null);
insert into clock values (0);
"""
# A row of its own, found over an index of keys, was measured three times as fast as rows kept inside the index (values
# reach over several pages), and 4,096 bytes a page as good as any (docs/adr/0008-state.md).
_PAGE_BYTES = 4096
_WAL_BYTES = 16 * 1024 * 1024
# What another connection writes empties a connection's cache, so a large one would only take memory from many.
_CACHE_KB = 512
# But each decision writes two places of the index that none before it did: with these CPU fell by a quarter.
_WRITER_CACHE_KB = 2048

_DAMAGED = "the state's file is damaged: restore it from a backup, or move it away to begin with an empty one"
_MEANINGS = {
    sqlite3.SQLITE_BUSY: "the state's file is locked by another process",
    sqlite3.SQLITE_LOCKED: "the state's file is locked by another process",
    sqlite3.SQLITE_FULL: "the disk of the state is full",
    sqlite3.SQLITE_READONLY: "the state's file may not be written",
    sqlite3.SQLITE_PERM: "the state's file may not be opened",
    sqlite3.SQLITE_CANTOPEN: "the state's file can't be opened",
    sqlite3.SQLITE_IOERR: "the state's file can't be read or written: its disk fails, or is full",
    sqlite3.SQLITE_NOMEM: "there is no memory left for the state",
}


@dataclass(frozen=True, slots=True)
class Link:
    """A connection to the file, and which file that was: one that was moved away is not the state any more."""

    connection: sqlite3.Connection
    identity: tuple[int, int]


def meaning_of(error: sqlite3.Error | OSError) -> StateUnavailable:
    """Return what the error means to an operator; neither the path nor a key is part of it."""
    if isinstance(error, OSError):
        return StateUnavailable(f"the state's file can't be opened: {error.strerror or type(error).__name__}")
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StateUnfit(_DAMAGED)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return StateUnavailable(_MEANINGS.get(code, f"the state's file can't be used: {name}"))


def identity_of(path: Path) -> tuple[int, int]:
    """Return which file is at the path; StateUnavailable when there is none."""
    try:
        found = path.stat()
    except OSError as error:
        raise StateUnavailable(
            "the state's file is gone: put it back, or start the server again to begin with an empty one"
        ) from error
    return found.st_dev, found.st_ino


def size_of(file: Path) -> int:
    """Return the bytes of a file, 0 where there is none."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def open_file(path: Path, *, busy_seconds: float) -> Link:
    """Return a connection to the file, which must be there; StateUnavailable, or StateUnfit when it is not ours."""
    identity = identity_of(path)
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=busy_seconds,
            isolation_level=None,
            check_same_thread=False,
        )
    except sqlite3.Error as error:
        raise meaning_of(error) from error
    try:
        check_schema(connection)
        connection.execute("pragma secure_delete=on")
        connection.execute(f"pragma cache_size=-{_CACHE_KB}")
        connection.execute(f"pragma journal_size_limit={_WAL_BYTES}")
    except (sqlite3.Error, StateUnfit) as error:
        connection.close()
        raise error if isinstance(error, StateUnfit) else meaning_of(error) from error
    return Link(connection, identity)


def as_writer(connection: sqlite3.Connection) -> None:
    """Make a connection the one that writes for its process, which sees to locks and the length of the log itself."""
    connection.execute(f"pragma cache_size=-{_WRITER_CACHE_KB}")
    connection.execute("pragma wal_autocheckpoint=0")
    connection.execute("pragma busy_timeout=0")


def check_schema(connection: sqlite3.Connection) -> None:
    """Return when the file is one that this release can use; StateUnfit otherwise."""
    ((found,),) = connection.execute("pragma application_id").fetchall()
    ((schema,),) = connection.execute("pragma user_version").fetchall()
    if found != APPLICATION_ID:
        raise StateUnfit("the state's file is none that tercet has written: move it away")
    if schema > SCHEMA:
        raise StateUnfit(f"the state's file has schema {schema}, this release of tercet reads up to {SCHEMA}: upgrade")


def make_file(path: Path) -> None:
    """Leave an empty state at the path unless a file is there: whole, or not at all, also when two make it at once."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        _write_schema(draft)
        _put_in_place(draft, path)
    except (OSError, sqlite3.Error) as error:
        raise meaning_of(error) from error
    finally:
        _remove(draft)


def _write_schema(draft: Path) -> None:
    connection = sqlite3.connect(draft, isolation_level=None)
    try:
        connection.execute(f"pragma page_size={_PAGE_BYTES}")
        connection.execute("pragma auto_vacuum=incremental")
        connection.execute("pragma journal_mode=wal")
        connection.execute("pragma synchronous=full")
        connection.executescript(
            f"begin; {_TABLES} pragma application_id={APPLICATION_ID}; pragma user_version={SCHEMA}; commit;"
        )
        # So that no version of a file that was here before is given again.
        connection.execute("update clock set version = ?", (time.time_ns() // 1000,))
    finally:
        connection.close()


def _put_in_place(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove(draft: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        try:
            draft.with_name(draft.name + suffix).unlink(missing_ok=True)
        except OSError:  # the folder is away or read-only: nothing of ours is there, or nothing can be done
            return
