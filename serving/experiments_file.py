"""The experiments of a home: its `experiments.toml`, taken up as it changes, and refused when it has mistakes."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from serving.errors import ExperimentsError
from serving.experiments import Experiments
from serving.experiments_toml import FILE_NAME, default_experiments, default_experiments_text, parse_experiments

logger = logging.getLogger(__name__)


def read_experiments(home: Path) -> Experiments:
    """Return what the home's `experiments.toml` says; it is written with the defaults where it is missing.

    ExperimentsError names the file and every mistake.
    """
    return _sound(home)[1]


def _sound(home: Path) -> tuple[str, Experiments]:
    """Return the text of the home's file, and what it says."""
    path = home / FILE_NAME
    try:
        if not path.exists():
            _write(path, default_experiments_text())
        text = path.read_text("utf-8")
        return text, parse_experiments(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ExperimentsError(f"{path} can't be read: {error}") from error
    except ExperimentsError as error:
        raise ExperimentsError(f"{path}: {error}") from error


class ExperimentsFile:
    """Holds the experiments in force, and takes up what the home's file says.

    One with mistakes is refused, and what was in force stands, also for a worker that starts only then: the last sound
    text is kept in the home's `state`, so that nobody leaves the holdout by a slip of the pen.
    """

    def __init__(self, home: Path) -> None:
        self.current = default_experiments()
        self._home = home
        self._kept = home / "state" / FILE_NAME
        self._seen: tuple[int, int] | None = None
        self._is_open = False

    def has_news(self) -> bool:
        """Say whether the file is another one than at the last `take_up`; one `stat`, a few µs."""
        return not self._is_open or self._stamp() not in (None, self._seen)

    def take_up(self) -> bool:
        """Go by what the file says, if it is news and sound; say whether something else is in force now."""
        is_first, self._is_open = not self._is_open, True
        stamp = self._stamp()
        try:
            text, found = _sound(self._home)
        except ExperimentsError as error:
            logger.error("experiments refused, what was in force stands: %s", error)
            self._seen = stamp
            return is_first and self._fall_back()
        self._seen = stamp or self._stamp()
        is_new = found != self.current
        self.current = found
        self._keep(text)
        if is_new:
            names = ", ".join(each.name for each in found.experiments) or "none"
            logger.info("experiments taken up: %s; holdout %g", names, found.holdout.share)
        return is_new

    def _fall_back(self) -> bool:
        try:
            self.current = parse_experiments(self._kept.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, ExperimentsError):
            logger.error("no sound experiments are kept either: nobody is held out and nothing runs")
            return False
        return self.current != default_experiments()

    def _keep(self, text: str) -> None:
        try:
            _write(self._kept, text)
        except OSError as error:
            # What is in force does not depend on it, only what a worker goes by that starts on a broken file.
            logger.warning("the experiments in force can't be kept: %s", error)

    def _stamp(self) -> tuple[int, int] | None:
        try:
            state = (self._home / FILE_NAME).stat()
        except OSError:
            return None
        return state.st_mtime_ns, state.st_ino


def _write(path: Path, text: str) -> None:
    """Write a file whole: a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
