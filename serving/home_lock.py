"""Who may work on what lies under a home: many who read and build, or one who erases."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_FILE = ".lock"


@contextmanager
def working_in(home: Path) -> Iterator[None]:
    """Keep erasures out while tables, features and bundles of a home are read or made; others may work beside.

    A home that can't be written to can't be erased from either: nothing is locked there.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(home / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def erasing_in(home: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Keep everybody else out, after those who are at work have finished.

    `say` is told when they must be waited for.
    """
    home.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(home / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for a training or another run that reads what is to be erased")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
