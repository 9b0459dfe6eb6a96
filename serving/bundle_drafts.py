"""Drafts of bundles: each is held by who writes it, so that what a killed writer left behind is told and removed."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)

PREFIXES = (".writing", ".damaged")
"""What the names of folders begin with that stand beside bundles only while one is written."""

_OLD_SECONDS = 86_400.0


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder meanwhile; a process that is killed holds it no longer."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def sweep_drafts(bundles: Path, now: float | None = None) -> list[str]:
    """Return the names of drafts that were removed: unchanged for a day, by `now` (epoch seconds), and held by nobody.

    One that can't be looked at or removed is left for the next time.
    """
    by = time.time() if now is None else now
    left = [path for prefix in PREFIXES for path in sorted(bundles.glob(f"{prefix}-*")) if path.is_dir()]
    removed = [path.name for path in left if _is_removed(path, by - _OLD_SECONDS)]
    if removed:
        logger.info("what killed writers of bundles left behind was removed: %s", ", ".join(removed))
    return removed


def _is_removed(folder: Path, changed_before: float) -> bool:
    try:
        if _changed_at(folder) >= changed_before:
            return False
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
        return True
    except OSError:  # held, or not ours to remove
        return False
    finally:
        os.close(descriptor)


def _changed_at(folder: Path) -> float:
    return max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))
