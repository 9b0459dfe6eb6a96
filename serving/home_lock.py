"""Who may work on what lies under a home: many who read and build, or one who erases; many who train, or one alone."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from serving.errors import HomeInUse

LOCK_FILE = ".lock"
TRAINING_FILE = ".training"


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


@contextmanager
def alone_in(home: Path) -> Iterator[bool]:
    """Say whether nobody is at work now, as `working_in` and `erasing_in` have it; if so, nobody begins meanwhile."""
    with _locked(home / LOCK_FILE, fcntl.LOCK_EX) as is_alone:
        yield is_alone


@contextmanager
def training_in(home: Path) -> Iterator[None]:
    """Train beside other trainings of a home; HomeInUse where a retraining is at work, which goes by what it finds."""
    with _locked(home / TRAINING_FILE, fcntl.LOCK_SH) as is_free:
        if not is_free:
            raise HomeInUse(f"a retraining is at work in {home}: wait until it has ended")
        yield


@contextmanager
def retraining_in(home: Path) -> Iterator[None]:
    """Be the only training of a home; HomeInUse where another one is at work."""
    with _locked(home / TRAINING_FILE, fcntl.LOCK_EX) as is_free:
        if not is_free:
            raise HomeInUse(f"another training is at work in {home}: this one does nothing")
        yield


@contextmanager
def _locked(path: Path, how: int) -> Iterator[bool]:
    """Say whether the lock of a file was had at once; it is held meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)
