"""Which documents have changed since they were read, in memory that all processes of a machine share.

A file beside the state's, mapped by whoever has the state open: a number for each of some thousand places, over which
keys are spread by a checksum. Whoever commits a change writes the change's version there before it can be seen; whoever
has read a document asks there, instead of the state's file, whether it may have changed since. Two keys of one place
only make a document be read once more than it had to be.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

N_PLACES = 1 << 14
_BYTES = 8
_MARKED = (b"person/", b"erased/", b"stock")
"""What keys begin with whose changes are marked: decisions and events are written all the time, and read seldom."""


class Stamp(NamedTuple):
    """When documents were read: the places of their keys, and a version that no change before had beyond."""

    marks: Marks
    places: tuple[int, ...]
    version: int
    at: float


class Marks:
    """The numbers of one file; OSError where it can't be made or mapped.

    >>> import tempfile
    >>> marks = Marks(Path(tempfile.mkdtemp()) / "marks")
    >>> places = places_of([b"person/a"])
    >>> marks.note([b"person/a", b"decision/d"], 7)
    >>> marks.latest(places), marks.latest(places_of([b"person/b"]))
    (7, 0)
    """

    def __init__(self, path: Path) -> None:
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            # All of it at once: a place without room on the disk would end the process that writes there.
            os.posix_fallocate(handle, 0, N_PLACES * _BYTES)
            found = os.fstat(handle)
            self.identity = (found.st_dev, found.st_ino)
            self._numbers = memoryview(mmap.mmap(handle, N_PLACES * _BYTES)).cast("Q")
        finally:
            os.close(handle)

    def note(self, keys: Iterable[bytes], version: int) -> None:
        """Mark the keys as changed; before the change can be seen, and by one process at a time."""
        for key in keys:
            if key.startswith(_MARKED):
                self._numbers[crc32(key) % N_PLACES] = version

    def latest(self, places: Sequence[int]) -> int:
        """Return the version of the latest change at any of these places; 0 where there was none."""
        numbers = self._numbers
        return max([numbers[place] for place in places])


def places_of(keys: Iterable[bytes]) -> tuple[int, ...]:
    """Return the places of keys, all of which must be among those whose changes are marked."""
    places = []
    for key in keys:
        if not key.startswith(_MARKED):
            raise ValueError(f"changes of keys such as {key.partition(b'/')[0].decode()!r} are not marked")
        places.append(crc32(key) % N_PLACES)
    return tuple(places)
