"""Opening a bundle that this machine has checked before: every byte is hashed once a machine, not once a worker.

What was checked is noted by the stamps of all files: length, time of change, inode and device, as the file system has
them. A file that is written to, replaced, truncated or restored gets another stamp, and the bundle is checked again.
What a disk spoils by itself keeps its stamp: `serving.bundle.open_bundle` finds it, as a training and a promotion do.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from serving.bundle import Bundle, open_bundle

logger = logging.getLogger(__name__)

_LOCK = ".lock"


def open_checked(folder: Path, notes: Path) -> Bundle:
    """Return the bundle of a folder, checked in full unless `notes` says that this machine did so.

    BundleError, one line, when anything is off. Of several processes that come at once one checks, and the others wait
    for it. Where notes can't be kept, all check.
    """
    if _is_noted(folder, notes):
        return open_bundle(folder, verify=False)
    with _one_at_a_time(notes):
        if _is_noted(folder, notes):
            return open_bundle(folder, verify=False)
        before = stamp_of(folder)
        bundle = open_bundle(folder)
        if stamp_of(folder) == before:
            _note(folder, notes, before)
        return bundle


def stamp_of(folder: Path) -> str:
    """Return a digest that another machine, and a change of any file of a bundle, makes another one.

    Reads no file: some 100 µs for the hundred files of a bundle and their folders.
    """
    digest = hashlib.sha256(platform.node().encode())
    for path in sorted([folder, *folder.rglob("*")]):
        state = path.stat()
        told = (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino, state.st_dev)
        digest.update(f"{path.relative_to(folder)} {told}\n".encode())
    return digest.hexdigest()


def _is_noted(folder: Path, notes: Path) -> bool:
    try:
        noted = json.loads((notes / f"{folder.name}.json").read_text("utf-8"))
        return isinstance(noted, dict) and noted.get("stamp") == stamp_of(folder)
    except (OSError, ValueError):
        return False


def _note(folder: Path, notes: Path, stamp: str) -> None:
    """Keep the stamp of a bundle, and forget those of bundles that are gone."""
    try:
        notes.mkdir(parents=True, exist_ok=True)
        draft = notes / f".{folder.name}.{os.getpid()}"
        draft.write_text(json.dumps({"stamp": stamp}) + "\n", encoding="utf-8")
        draft.replace(notes / f"{folder.name}.json")
        for path in notes.glob("*.json"):
            if not (folder.parent / path.stem).exists():
                path.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("can't note in %s that bundle %s was checked: %s", notes, folder.name, error.strerror)


@contextmanager
def _one_at_a_time(notes: Path) -> Iterator[None]:
    """Let one process after the other go on; all at once where there is nowhere to lock."""
    descriptor = -1
    with suppress(OSError):
        notes.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(notes / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    if descriptor < 0:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
