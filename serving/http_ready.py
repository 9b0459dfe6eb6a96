"""Whether every worker that takes requests serves a bundle, so that ready means ready whoever answers next."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)

_SERVES = ".serves"


class ReadyBoard:
    """A folder in which each worker of a server says whether it serves a bundle; None: this worker is the only one.

    A worker says so before it takes its first request, and one that was killed doesn't count: so what stands there is
    about exactly those who may answer next. It says so by the name of an empty file, which a full disk has room for.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def report(self, version: str | None) -> None:
        """Say what this worker serves, None: nothing yet. A folder that can't be written is logged, and no more."""
        if self._folder is None:
            return
        waiting = self._folder / str(os.getpid())
        serving = waiting.with_name(waiting.name + _SERVES)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if version is None:
                waiting.touch()
                serving.unlink(missing_ok=True)
            else:
                serving.touch()
                waiting.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("can't note in %s what this worker serves: %s", self._folder, error.strerror)

    def leave(self) -> None:
        """Take this worker off the board."""
        if self._folder is not None:
            for name in (str(os.getpid()), f"{os.getpid()}{_SERVES}"):
                with suppress(OSError):
                    (self._folder / name).unlink(missing_ok=True)

    def are_all(self) -> bool:
        """Say whether every worker that runs serves a bundle; takes those off that don't run any more.

        A folder that can't be read says nothing against it.
        """
        if self._folder is None:
            return True
        try:
            reports = list(self._folder.iterdir())
        except OSError:
            return True
        running = [each for each in reports if each.name.removesuffix(_SERVES).isdigit() and _runs(each)]
        return all(each.suffix == _SERVES for each in running)


def _runs(report: Path) -> bool:
    """Say whether the worker of a report runs; a report of one that doesn't is removed."""
    if is_running(int(report.name.removesuffix(_SERVES))):
        return True
    with suppress(OSError):
        report.unlink(missing_ok=True)
    return False


def is_running(pid: int) -> bool:
    """Say whether there is a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
