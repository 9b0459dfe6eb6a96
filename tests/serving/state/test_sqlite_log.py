"""The log in front of the state's file stays short, however many write in turn."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.state import sqlite_log
from serving.state.file_store import FileStore
from serving.state.store import Commit

PAGE_BYTES = 4096
N_COMMITS = 900


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def stores(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FileStore, FileStore]]:
    """Two processes' stores, as far as a file can tell, to whom a log of fifty pages is a long one."""
    monkeypatch.setattr(sqlite_log, "_LONG_PAGES", 50)
    both = FileStore(path), FileStore(path)
    yield both
    for each in both:
        each.close()


def write(store: FileStore, whose: str) -> None:
    for n in range(N_COMMITS):
        assert store.commit(Commit(put={f"{whose}/{n}": b"x" * PAGE_BYTES}))


def log_pages(path: Path) -> int:
    return path.with_name("state.db-wal").stat().st_size // PAGE_BYTES


def test_the_log_stays_short_while_two_write_in_turn(stores: tuple[FileStore, FileStore], path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(write, stores, ("a", "b"))) == [None, None]
    assert log_pages(path) < 3 * N_COMMITS  # each of twice as many commits fills at least three
    assert all(stores[0].read([f"{whose}/{n}" for whose in "ab" for n in range(N_COMMITS)]))


def test_a_log_that_cannot_be_shortened_costs_no_commit(
    stores: tuple[FileStore, FileStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_log: sqlite_log.Log, _connection: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(sqlite_log.Log, "_carry_over", fail)
    write(stores[0], "a")
    assert stores[1].read([f"a/{N_COMMITS - 1}"]) != [None]
