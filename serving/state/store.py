"""What a state store must do: versioned documents under keys, and commits that happen whole or not at all.

All that is particular to customers, challenges and events is built on these few operations (`serving.state.shop`), so
that a store stays small and its conformance suite (tests/serving/state/test_stores.py) is the same for every one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote

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
class Commit:
    """Changes that happen together or not at all.

    `expect` names the version that documents must still have (`ABSENT`: must not be there); when one has another,
    nothing happens. A key that is both put and deleted is put. With `is_durable` the changes have reached the disk
    before the commit is answered; without, they are seen by every worker, and survive the end of this process, but not
    that of the machine.
    """

    put: Mapping[str, bytes] = field(default_factory=dict)
    delete: Collection[str] = ()
    expect: Mapping[str, int] = field(default_factory=dict)
    is_durable: bool = True


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
        """Return a future of whether the commit was applied: False when an expectation did not hold.

        Commits that arrive together share one flush to disk. A commit whose future raised `StateUnavailable` may have
        happened or not: whoever sends it again must make that harmless.
        """
        ...

    def commit(self, commit: Commit) -> bool:
        """Wait for `submit`, and return what it says."""
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


def key_of(kind: str, *parts: str) -> str:
    """Return the key of a document: its kind, then ids with whatever could be taken for a separator escaped.

    >>> key_of("log", "a/b", "e1")
    'log/a%2Fb/e1'
    """
    return "/".join((kind, *(quote(part, safe="") for part in parts)))


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
