"""The state in a file that all workers and processes of one machine share: SQLite, with commits in groups.

Whatever waits when the disk is free becomes one transaction: one look at the versions that are expected, the commits
decided one after the other in memory, one write of what comes of them, one flush. Readers never wait for writers.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from serving.errors import StateUnavailable
from serving.state.committer import (
    Answer,
    Breaker,
    Committer,
    EncodedCommit,
    Left,
    PerProcess,
    encode,
    is_durable,
    left,
)
from serving.state.marks import Marks, Stamp, places_of
from serving.state.rows import MOST_ROWS, Rows, many_of, put_new, read_long, rows_of, store, tallies_of, versions_of
from serving.state.settling import apart, settle
from serving.state.sqlite_file import Link, as_writer, identity_of, make_file, meaning_of, open_file, size_of
from serving.state.sqlite_log import Log
from serving.state.store import Commit, Document, next_prefix

_READ_BUSY_SECONDS = 0.2
_LOCK_SECONDS = 2.0
_LOCK_POLL_SECONDS = 0.0005
_PATIENT_POLL_SECONDS = 0.004  # where nothing is durable: each try takes Python's lock from answers twice
_SCRUB_SECONDS = 30.0
_BREAK_SECONDS = 0.5
_WATCH_SECONDS = 0.25
_TIDY_SECONDS = 1.0
_TIDY_PAGES = 256
_STANDS_SECONDS = 5.0  # for changes that nobody marks: those of an older release of ours, which knows of no marks
_IDLE_READERS = 8

_READ_ONE = "select key, version, value from documents where key = ?"
# For a few keys this is faster than a list of them, for which SQLite makes a table of its own.
_READ_FEW = tuple(" union all ".join([_READ_ONE] * n) for n in range(5))
_READ_CLOCK = "select null, version, null from clock"
_READ_STAMPED = tuple(" union all ".join([*[_READ_ONE] * n, _READ_CLOCK]) for n in range(5))
_SCAN = "select key, version, value from documents where key >= ? and key > ? and key < ? order by key limit ?"
_AFTER_ALL = b"\xff"  # no UTF-8 begins with it


class _Session:
    """What one process holds: idle readers, the writer's connection, and the thread that commits."""

    def __init__(self, store: FileStore) -> None:
        self.readers: deque[Link] = deque()
        self.identity: tuple[int, int] | None = None
        self.watched_at = 0.0
        self.writer: Link | None = None
        self.is_synced: bool | None = None
        self.tidied_at = 0.0
        self.log = Log()
        self.marks: Marks | None = None
        self.committer = Committer(store._apply)
        self.lock = threading.Lock()


class FileStore:
    """`serving.state.store.Store` over one file; its folder must be on a disk of this machine, not on the network."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sessions = PerProcess(lambda: _Session(self))
        self._reading, self._writing = Breaker(_BREAK_SECONDS), Breaker(_BREAK_SECONDS)
        self._was_made = False
        self._is_closed = False

    @property
    def reads_in_place(self) -> bool:
        """True: a read takes some microseconds."""
        return True

    def check(self) -> tuple[str, ...]:
        """Return nothing, as a file that can be written is durable; StateUnavailable when it can't be."""
        link = self._open(_LOCK_SECONDS)
        try:
            _begin(link.connection)
            link.connection.execute("rollback")
        except sqlite3.Error as error:
            raise meaning_of(error) from error
        finally:
            link.connection.close()
        return ()

    def read(self, keys: Sequence[str]) -> list[Document | None]:
        """Return the documents of the keys, None for one that is not there."""
        encoded = [key.encode() for key in keys]
        if 0 < len(encoded) < len(_READ_FEW):
            rows = self._look(_READ_FEW[len(encoded)], encoded)
        elif len(encoded) <= MOST_ROWS:
            rows = self._look(*many_of(encoded))
        else:
            rows = self._read_with(lambda connection: read_long(connection, encoded))
        found = {key: Document(value, version) for key, version, value in rows}
        return [found.get(key) for key in encoded]

    def read_stamped(self, keys: Sequence[str]) -> tuple[list[Document | None], Stamp | None]:
        """Return the documents of four keys at most, and as of when; they are of kinds whose changes are marked."""
        encoded = [key.encode() for key in keys]
        at, marks = time.monotonic(), self._sessions.get().marks
        rows = self._look(_READ_STAMPED[len(encoded)], encoded)
        found = {key: Document(value, version) for key, version, value in rows}
        clock = found.pop(None)  # type: ignore[call-overload]  # the row of the clock has no key
        stamp = None if marks is None else Stamp(marks, places_of(encoded), clock.version, at)
        return [found.get(key) for key in encoded], stamp

    def stands(self, stamp: Stamp) -> bool:
        """Return whether documents are for sure as they were; false now and then, so that the file is looked at too."""
        session, now = self._sessions.get(), time.monotonic()
        return (
            session.marks is stamp.marks
            and stamp.marks.latest(stamp.places) <= stamp.version
            and now - stamp.at < _STANDS_SECONDS
            and now - session.watched_at < _WATCH_SECONDS
            and not self._reading.has_tripped
        )

    def scan(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[tuple[str, Document]]:
        """Return up to `limit` documents whose key begins with `prefix` and comes after `after`, by key."""
        low, last = prefix.encode(), after.encode()
        rows = self._look(_SCAN, (low, last if after else b"", next_prefix(low) or _AFTER_ALL, limit))
        return [(key.decode(), Document(value, version)) for key, version, value in rows]

    def submit(self, commit: Commit) -> Future[bool]:
        """Return the future of the commit, which shares its transaction with whatever else waits."""
        return self._submit(commit, is_awaited=False)

    def submit_all(self, commits: Sequence[Commit]) -> Future[list[Answer]]:
        """Return one future of several commits, which are in one batch."""
        self._writing.guard()
        return self._sessions.get().committer.submit_all(list(map(encode, commits)))

    def commit(self, commit: Commit) -> bool:
        """Return what `submit` comes to, at once."""
        return self._submit(commit, is_awaited=True).result()

    def leave(self, put: Mapping[str, bytes], absent: Collection[str]) -> None:
        """Have new documents put with whatever else waits."""
        self._writing.guard()
        self._sessions.get().committer.leave(left(put, absent))

    def scrub(self) -> None:
        """Write the file anew from what is in it, and empty its log: writers wait for some seconds a GB."""
        link = self._open(_SCRUB_SECONDS)
        try:
            link.connection.execute("vacuum")
            until = time.monotonic() + _SCRUB_SECONDS
            while link.connection.execute("pragma wal_checkpoint(truncate)").fetchall()[0][0]:
                if time.monotonic() > until:
                    raise StateUnavailable("the state's file is locked by another process")
        except sqlite3.Error as error:
            raise meaning_of(error) from error
        finally:
            link.connection.close()

    def n_bytes(self) -> int:
        """Return the bytes of the file and of its log."""
        identity_of(self._path)
        files = (self._path.with_name(self._path.name + suffix) for suffix in ("", "-wal", "-shm"))
        return sum(size_of(file) for file in files)

    def close(self) -> None:
        """Finish what was submitted, and close the file."""
        session = self._sessions.get()
        session.committer.close()
        self._is_closed, session.marks = True, None
        self._drop(session)
        with session.lock:
            writer, session.writer = session.writer, None
        if writer is not None:
            writer.connection.close()

    def _open(self, busy_seconds: float) -> Link:
        """Return a connection."""
        self._ensure_file()
        return open_file(self._path, busy_seconds=busy_seconds)

    def _ensure_file(self) -> None:
        """Make the file, once: one that is gone later is a fault, and an empty one in its place would hide that."""
        if self._is_closed:
            raise StateUnavailable("the state is closed")
        if not self._was_made:
            make_file(self._path)
            self._was_made = True

    def _submit(self, commit: Commit, *, is_awaited: bool) -> Future[bool]:
        self._writing.guard()
        return self._sessions.get().committer.submit(encode(commit), is_awaited=is_awaited)

    def _look(self, sql: str, values: Sequence[object]) -> Rows:
        return self._read_with(lambda connection: connection.execute(sql, values).fetchall())

    def _read_with(self, ask: Callable[[sqlite3.Connection], Rows]) -> Rows:
        """Return what a connection that nobody else uses is asked for; one that failed is not used again."""
        self._reading.guard()
        session = self._sessions.get()
        link: Link | None = None
        try:
            self._watch(session)
            link = _pop(session.readers) or self._open(_READ_BUSY_SECONDS)
            rows = ask(link.connection)
        except (sqlite3.Error, StateUnavailable) as error:
            if link is not None:
                link.connection.close()
            raise self._reading.trip(error if isinstance(error, StateUnavailable) else meaning_of(error)) from error
        self._reading.reset()
        if link.identity == session.identity and len(session.readers) < _IDLE_READERS:
            session.readers.append(link)
        else:
            link.connection.close()
        return rows

    def _watch(self, session: _Session) -> None:
        """Let go of the readers when another file is at the path; looked at some times a second."""
        now = time.monotonic()
        if session.identity is not None and now - session.watched_at < _WATCH_SECONDS:
            return
        self._ensure_file()
        identity = identity_of(self._path)
        if session.identity != identity:
            self._drop(session)
            session.marks = None
        with suppress(StateUnavailable):
            self._marks_of(session)
        session.identity, session.watched_at = identity, now

    def _marks_of(self, session: _Session) -> Marks:
        """Return the marks beside the file; StateUnavailable where they can't be had."""
        path, marks = self._path.with_name(self._path.name + "-marks"), session.marks
        try:
            if marks is None or not path.exists() or identity_of(path) != marks.identity:
                session.marks = None
                session.marks = marks = Marks(path)
        except OSError as error:
            raise meaning_of(error) from error
        return marks

    def _drop(self, session: _Session) -> None:
        while link := _pop(session.readers):
            link.connection.close()

    def _apply(self, batch: Sequence[EncodedCommit | Left]) -> Sequence[bool]:
        """Write the batch in one transaction, on the committer's thread."""
        session = self._sessions.get()
        try:
            link = self._writer(session)
            answers = self._write(session, link.connection, batch)
            if link.identity != identity_of(self._path):
                raise StateUnavailable("the state's file was replaced while it was written")
        except (sqlite3.Error, StateUnavailable) as error:
            self._forget_writer(session)
            raise self._writing.trip(error if isinstance(error, StateUnavailable) else meaning_of(error)) from error
        except BaseException:
            self._forget_writer(session)  # with whatever it had begun, and its lock
            raise
        self._writing.reset()
        return answers

    def _writer(self, session: _Session) -> Link:
        with session.lock:
            link = session.writer
            if link is not None and link.identity != identity_of(self._path):
                link.connection.close()
                link = None
            if link is None:
                link, session.is_synced = self._open(_LOCK_SECONDS), None
                as_writer(link.connection)
            session.writer = link
            return link

    def _forget_writer(self, session: _Session) -> None:
        with session.lock:
            link, session.writer = session.writer, None
        if link is not None:
            link.connection.close()

    def _write(
        self, session: _Session, connection: sqlite3.Connection, batch: Sequence[EncodedCommit | Left]
    ) -> list[bool]:
        is_synced = any(map(is_durable, batch))
        if session.is_synced is not is_synced:
            # One flush takes all that was written before along.
            connection.execute(f"pragma synchronous={'full' if is_synced else 'normal'}")
            session.is_synced = is_synced
        _begin(connection, _LOCK_POLL_SECONDS if is_synced else _PATIENT_POLL_SECONDS)
        ((last,),) = connection.execute("select version from clock").fetchall()
        last = max(last, time.time_ns() // 1000)
        lefts = apart(batch)
        if lefts is not None:
            self._write_left(session, connection, lefts, last + 1)
            return [True] * len(batch)  # nobody hears of it
        versions, tallies = versions_of(connection, batch), tallies_of(connection, batch)
        settled = settle(batch, versions, tallies, last)
        if settled.put or settled.delete:
            self._marks_of(session).note((*settled.put, *settled.delete), settled.version)
            store(connection, settled)
            connection.execute("commit")
            session.log.grow(connection, [value for _, value in settled.put.values()])
            self._tidy(session, connection)
        else:
            connection.execute("rollback")
        return settled.answers

    def _write_left(
        self, session: _Session, connection: sqlite3.Connection, lefts: Sequence[Left], version: int
    ) -> None:
        """Write new documents that don't speak of each other: a batch of them is decided as a whole."""
        rows = rows_of(connection, lefts)
        self._marks_of(session).note([key for key, _ in rows], version)
        put_new(connection, rows, version)
        connection.execute("commit")
        session.log.grow(connection, [value for _, value in rows])
        self._tidy(session, connection)

    def _tidy(self, session: _Session, connection: sqlite3.Connection) -> None:
        """Give room that deletions left back to the disk, a little at a time, so that no commit waits long for it."""
        now = time.monotonic()
        if now - session.tidied_at < _TIDY_SECONDS:
            return
        session.tidied_at = now
        ((n_free,),) = connection.execute("pragma freelist_count").fetchall()
        ((n_pages,),) = connection.execute("pragma page_count").fetchall()
        if n_free > max(_TIDY_PAGES, n_pages // 10):
            with suppress(sqlite3.OperationalError):  # the commit itself has happened; there is always a next time
                connection.executescript(f"pragma incremental_vacuum({_TIDY_PAGES})")  # `execute` gives back one page


def _pop(links: deque[Link]) -> Link | None:
    try:
        return links.pop()
    except IndexError:
        return None


def _begin(connection: sqlite3.Connection, poll_seconds: float = _LOCK_POLL_SECONDS) -> None:
    """Begin to write, once no other process does; sqlite3.OperationalError after two seconds.

    SQLite's own waiting sleeps for up to 100 ms at a time, and a process that is always busy would starve the others.
    """
    until = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            connection.execute("begin immediate")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(poll_seconds)
        else:
            return
