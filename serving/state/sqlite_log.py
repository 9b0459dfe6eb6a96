"""The log in front of the state's file: carried over into the file now and then, and begun again from its start.

SQLite itself would do so after each commit that finds the log long. Where two processes write in turn it never gets to
the end of it, as the other one has written more by then: the log grows for ever, and every commit pays for three
flushes instead of one. So whoever has written enough carries the log over first while others write on, and then what is
left while they wait, which is little.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress

_PAGE_BYTES = 4096
_LONG_PAGES = 2000
_LEAST_SHARE, _MOST_SHARE = 0.25, 8.0

_FIRST_SHARE = 3.0
"""Until the first look, which had better come early: a log that begins again is written in place, and one that grows
needs the disk to note its length with each flush, which took a third longer."""


class Log:
    """How long the log is by what a process has written, and what it does about it.

    Only a look tells its length. In between it is taken to grow by a share of what this process puts, as it did before
    the last look: by less where documents share pages, by more where others write as well.
    """

    def __init__(self) -> None:
        self._n_put = 0.0
        self._share = _FIRST_SHARE
        self._is_long = False

    def grow(self, connection: sqlite3.Connection, values: Sequence[bytes]) -> None:
        """Note the documents that a connection has put and committed just now, and shorten the log when it is time to.

        Each counts for one page more than it fills: that of the index that leads to it.
        """
        self._n_put += len(values) + sum(map(len, values)) / _PAGE_BYTES
        with suppress(sqlite3.Error):  # the commit itself has happened; there is always a next time
            if self._is_long:
                self._restart(connection)
            elif self._n_put * self._share >= _LONG_PAGES:
                self._carry_over(connection)

    def _carry_over(self, connection: sqlite3.Connection) -> None:
        """Carry over what is there while others write on, and learn how long the log is."""
        ((_, n_pages, _),) = connection.execute("pragma wal_checkpoint(passive)").fetchall()
        if n_pages < 0:  # another process is at it
            self._n_put /= 2
            return
        self._share = min(max(n_pages / self._n_put, _LEAST_SHARE), _MOST_SHARE)
        self._n_put = n_pages / self._share
        self._is_long = n_pages >= _LONG_PAGES

    def _restart(self, connection: sqlite3.Connection) -> None:
        """Carry over what was added since, and have the next commit begin at the start, unless another one writes.

        Right after a commit of one's own hardly anybody does: they ask for the lock twice a millisecond.
        """
        ((is_busy, _, _),) = connection.execute("pragma wal_checkpoint(restart)").fetchall()
        self._is_long = bool(is_busy)
        self._n_put = self._n_put if is_busy else 0.0
