"""What a state store must do: versioned documents under keys, and commits that happen whole or not at all.

All that is particular to customers, challenges and events is built on these few operations (`serving.state.shop`), so
that a store stays small and its conformance suite (tests/serving/state/test_stores.py) is the same for every one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Protocol, runtime_checkable
from urllib.parse import quote

from serving.errors import StateDamaged, StateUnavailable

if TYPE_CHECKING:
    from serving.state.marks import Stamp

DAMAGED = "a document of the state is damaged; restore the state from a backup"
_is_bare = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
ABSENT = 0
"""The version of a document that is not there."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was read: its bytes, and the version by which a later commit can tell that it has not changed.

    Versions are at least 1, and a document that was deleted and made again never has an old version.
    """

    value: bytes
    version: int


@dataclass(frozen=True, slots=True)
class Addition:
    """What is added to the numbers of a tally (`numbers_of`), whatever they are by then: nobody has to be first.

    With `at_most` the sum of all its numbers may not be more than that afterwards, else nothing of the commit happens.
    All numbers stay within 2^53.
    """

    numbers: tuple[int, ...]
    at_most: int | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """Changes that happen together or not at all.

    `expect` names the version that documents must still have (`ABSENT`: must not be there); when one has another,
    nothing happens. A key that is both put and deleted is put; one that is added to is neither put nor deleted. With
    `is_durable` the changes have reached the disk before the commit is answered; without, they are seen by every
    worker, and survive the end of this process, but not that of the machine.
    """

    put: Mapping[str, bytes] = field(default_factory=dict)
    delete: Collection[str] = ()
    expect: Mapping[str, int] = field(default_factory=dict)
    is_durable: bool = True
    add: Mapping[str, Addition] = field(default_factory=dict)


class Store(Protocol):
    """Documents by key, shared by all workers of a shop; every method may be called from any thread.

    A method that can't reach its disk or server raises `StateUnavailable` within a second or two, and works again when
    they are back. Keys order as UTF-8 bytes.
    """

    @property
    def reads_in_place(self) -> bool:
        """Return whether a read takes microseconds, so that an event loop may wait for it."""
        ...

    def check(self) -> tuple[str, ...]:
        """Return what an operator should know of how safe the state is, a line each, as it is now.

        `StateUnfit` names what must change before it can be relied on; `StateUnavailable`: it can't be reached.
        """
        ...

    def read(self, keys: Sequence[str]) -> list[Document | None]:
        """Return the documents of the keys, None for one that is not there; one consistent look, one round trip."""
        ...

    def submit(self, commit: Commit) -> Future[bool]:
        """Return a future of whether the commit was applied: False when an expectation or a limit did not hold.

        Commits that arrive together share one flush to disk. A commit whose future raised `StateUnavailable` may have
        happened or not: whoever sends it again must make that harmless.
        """
        ...

    def submit_all(self, commits: Sequence[Commit]) -> Future[list[bool | StateUnavailable]]:
        """Return one future of several commits: what `submit` says of each, in order, with an error as a value.

        To hear once of a group costs less than to hear of each.
        """
        ...

    def commit(self, commit: Commit) -> bool:
        """Wait for `submit`, and return what it says."""
        ...

    def leave(self, put: Mapping[str, bytes], absent: Collection[str]) -> None:
        """Have new documents put some time soon, where none of some other keys is there by then; nobody hears of it.

        As `submit` of a commit that is not durable, and expects neither these keys nor those, for less of whoever asks.
        Their keys are to be such as nobody else writes: where only some are there already, these stay as they are, and
        of the others a store may put none or all.
        """
        ...

    def scan(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[tuple[str, Document]]:
        """Return up to `limit` documents whose key begins with `prefix` and comes after `after`, by key."""
        ...

    def scrub(self) -> None:
        """Leave no trace on disk of what was deleted or overwritten before this call."""
        ...

    def n_bytes(self) -> int:
        """Return the room that the store takes on disk, or in the server's memory."""
        ...

    def close(self) -> None:
        """Finish what was submitted, and let go of files and connections."""
        ...


@runtime_checkable
class Marking(Protocol):
    """What a store may do besides: say, without reading them again, that documents are as they were."""

    def read_stamped(self, keys: Sequence[str]) -> tuple[list[Document | None], Stamp | None]:
        """Return the documents of a few keys, four at most, and as of when (None: nobody can say of these)."""
        ...

    def stands(self, stamp: Stamp) -> bool:
        """Return whether they are for sure as they were: no commit that was answered by now has changed one."""
        ...


def numbers_of(value: bytes) -> tuple[int, ...]:
    """Return the numbers of a tally: a document that was only ever added to; none where there is no document.

    StateDamaged where it holds anything else.

    >>> numbers_of(b"12 -3"), numbers_of(b"")
    ((12, -3), ())
    """
    try:
        return tuple(map(int, value.split()))
    except ValueError as error:
        raise StateDamaged(DAMAGED) from error


def added(value: bytes, addition: Addition) -> bytes | None:
    """Return the document of a tally after an addition, None when that is too much; `value` is empty for a new one.

    >>> added(b"12 3", Addition((1, -3), at_most=13)), added(b"12 3", Addition((1, -3), at_most=12))
    (b'13 0', None)
    """
    pairs = zip_longest(numbers_of(value), addition.numbers, fillvalue=0)
    numbers = [here + more for here, more in pairs]
    if addition.at_most is not None and sum(numbers) > addition.at_most:
        return None
    return b" ".join(b"%d" % each for each in numbers)


def key_of(kind: str, *parts: str) -> str:
    """Return the key of a document: its kind, then ids with whatever could be taken for a separator escaped.

    >>> key_of("log", "a/b", "e1")
    'log/a%2Fb/e1'
    """
    return "/".join((kind, *map(escaped, parts)))


def escaped(part: str) -> str:
    """Return a part of a key without what could be taken for a separator."""
    # Most ids are of characters that escape to themselves.
    return part if _is_bare(part) else quote(part, safe="")


def prefix_of(kind: str, *parts: str) -> str:
    """Return what the keys of all documents below these parts begin with.

    >>> prefix_of("log", "a")
    'log/a/'
    """
    return key_of(kind, *parts) + "/"


def next_prefix(prefix: bytes) -> bytes:
    """Return the least key that comes after all that begin with the prefix, empty when every key does.

    >>> next_prefix(b"log/a/")
    b'log/a0'
    """
    return prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else b""
