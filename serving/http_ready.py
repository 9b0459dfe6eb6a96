"""Whether every worker that takes requests serves a bundle, so that ready means ready whoever answers next."""

from __future__ import annotations

import os
from pathlib import Path


class ReadyBoard:
    """A folder in which each worker of a server says whether it serves a bundle; None: this worker is the only one.

    A worker says so before it takes its first request, and one that was killed doesn't count: so what stands there is
    about exactly those who may answer next.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def report(self, version: str | None) -> None:
        """Say what this worker serves, None: nothing yet."""
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft = self._folder / f".{os.getpid()}"
            draft.write_text(version or "", encoding="utf-8")
            draft.replace(self._folder / str(os.getpid()))

    def leave(self) -> None:
        """Take this worker off the board."""
        if self._folder is not None:
            (self._folder / str(os.getpid())).unlink(missing_ok=True)

    def are_all(self) -> bool:
        """Say whether every worker that runs serves a bundle; takes those off that don't run any more."""
        if self._folder is None:
            return True
        return all(_serves(each) for each in list(self._folder.iterdir()) if each.name.isdigit())


def _serves(report: Path) -> bool:
    """Say whether the worker of a report serves a bundle, or has gone."""
    if not _is_running(int(report.name)):
        report.unlink(missing_ok=True)
        return True
    try:
        return bool(report.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return True


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
