"""The files in which the workers of a server count, with room that is really there.

prometheus_client maps files with holes into memory: to count into a hole on a full disk ends the process (SIGBUS).
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from pathlib import Path

from serving.http_ready import is_running

logger = logging.getLogger(__name__)

FILE_BYTES = 1 << 20
"""More than all that a worker counts takes: labels come from short lists, and no file has to grow."""

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_KINDS = ("counter", "histogram", "gauge_mostrecent", "gauge_livemax")
_IN_MEMORY = Path("/dev/shm")
_PREFIX = "tercet-counters-"


def reserve(folder: str | None) -> str | None:
    """Return the folder in which this process is to count, with its files there in full; None: it counts for itself.

    Where the disk has no room for them, that is a folder in memory, which no other worker adds up; said in the log.
    """
    if folder is None:
        return None
    try:
        _reserve(Path(folder))
        _forget_the_dead(Path(folder))
        return folder
    except OSError as error:
        logger.warning("no room for counters in %s, this worker counts in memory: %s", folder, error.strerror)
    for left in _IN_MEMORY.glob(f"{_PREFIX}*-*"):
        pid = left.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not is_running(int(pid)):
            shutil.rmtree(left, ignore_errors=True)  # of a worker that was killed
    instead = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=_IN_MEMORY)
    atexit.register(shutil.rmtree, instead, ignore_errors=True)
    _reserve(Path(instead))
    os.environ[FOLDER_VARIABLE] = instead
    return instead


def _reserve(folder: Path) -> None:
    made: list[Path] = []
    try:
        for kind in _KINDS:
            path = folder / f"{kind}_{os.getpid()}.db"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            made.append(path)
            try:
                os.posix_fallocate(descriptor, 0, FILE_BYTES)
            finally:
                os.close(descriptor)
    except OSError:
        for path in made:
            path.unlink(missing_ok=True)
        raise


def _forget_the_dead(folder: Path) -> None:
    """Remove what workers said of the present who are no more: nothing of that holds; what they counted stays."""
    for path in folder.glob("gauge_livemax_*.db"):
        if not is_running(int(path.stem.rpartition("_")[2])):
            path.unlink(missing_ok=True)
