"""The champion: a pointer file that names the bundle which serves, and taking up the next one without a pause."""

from __future__ import annotations

import errno
import logging
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from features.errors import TercetError

logger = logging.getLogger(__name__)

_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}")

AGAIN_SECONDS = 5.0
"""After how long a bundle is tried again that could not be opened for want of something that may be there by then."""

_NO_VERSION = "a champion without a version"
_PASSING = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EIO, errno.ENOSPC, errno.ESTALE}

E = TypeVar("E")


def bundle_folder(home: Path, version: str) -> Path:
    """Return the folder of a bundle of this shop."""
    return home / "bundles" / version


def read_champion(home: Path) -> str | None:
    """Return the version that the pointer file names; None when there is no such file or it names none."""
    return _read_version(home / "champion")


def write_champion(home: Path, version: str) -> None:
    """Make `version` the champion: at any moment, also after a power cut, the pointer names the old or the new one."""
    if not _VERSION.fullmatch(version):
        raise ValueError(f"{version!r} is not a bundle's version")
    _write_version(home / "champion", version)


def _read_version(path: Path) -> str | None:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return text if _VERSION.fullmatch(text) else None


def _write_version(path: Path, version: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(version + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@dataclass(frozen=True)
class Serving(Generic[E]):
    """What answers now: a bundle's version and its engine."""

    version: str
    engine: E


class Champion(Generic[E]):
    """Holds what serves, and takes up what the pointer file names.

    `current` is read by every request and replaced by one assignment, so a request sees the old engine or the new one,
    whole. `open_engine` makes an engine from a bundle's folder, or raises a TercetError that says what is wrong;
    then the old one serves on, and the bad one, which is `refused`, is tried again only when the pointer file has been
    written anew; after some seconds where the machine lacked something, descriptors or memory, and not the bundle. A
    process that begins while a bad one is named serves what served last under this home.
    """

    def __init__(
        self, home: Path, open_engine: Callable[[Path], E], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.current: Serving[E] | None = None
        self.refused: str | None = None
        self._home = home
        self._last = home / "state" / "served"
        self._open_engine = open_engine
        self._seen: tuple[int, int] | None = None
        self._clock = clock
        self._again_at = 0.0

    def has_news(self) -> bool:
        """Say whether the pointer file is another one than at the last `take_up`; one `stat`, a few µs."""
        return self._stamp() not in (None, self._seen) and self._clock() >= self._again_at

    def take_up(self) -> bool:
        """Serve what the pointer file names, if it is news and sound; say whether something new serves now.

        Takes as long as opening a bundle does: run it beside the event loop.
        """
        stamp = self._stamp()
        if stamp is None or stamp == self._seen:
            return False
        self._seen, self._again_at = stamp, 0.0
        taken_up = self._take_up()
        if self._again_at:
            self._seen = None
        return taken_up

    def _take_up(self) -> bool:
        try:
            version = read_champion(self._home)
        except OSError as error:
            self._note_passing(error)
            logger.error("champion can't be read: %s", error.strerror)
            return False
        if version is None:
            self.refused = _NO_VERSION
            logger.error("champion refused: %s names no version", self._home / "champion")
            return False
        if self.current is not None and self.current.version == version:
            self.refused = None
            return False
        self.refused, is_open = version, self._open(version)
        if is_open:
            self.refused = None
            self._remember(version)
            return True
        last = None if self.current is not None else _read_version(self._last)
        return last is not None and last != version and self._open(last)

    def _remember(self, version: str) -> None:
        try:
            if _read_version(self._last) != version:
                _write_version(self._last, version)
        except OSError as error:
            logger.warning("can't note in %s that bundle %s serves: %s", self._last, version, error.strerror)

    def _open(self, version: str) -> bool:
        started = time.perf_counter()
        try:
            engine = self._open_engine(bundle_folder(self._home, version))
        except (TercetError, OSError, ValueError, MemoryError) as error:
            serving = self.current.version if self.current else "nothing"
            logger.error("bundle %s refused, %s serves on: %s", version, serving, error)
            self._note_passing(error)
            return False
        self.current = Serving(version, engine)
        logger.info("bundle %s serves, taken up in %.0f ms", version, 1000 * (time.perf_counter() - started))
        return True

    def _note_passing(self, error: BaseException) -> None:
        """Try again soon when an error speaks of the machine."""
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, MemoryError) or getattr(cause, "errno", None) in _PASSING:
                self._again_at = self._clock() + AGAIN_SECONDS
            cause = cause.__cause__

    def _stamp(self) -> tuple[int, int] | None:
        try:
            state = (self._home / "champion").stat()
        except OSError:
            return None
        return state.st_mtime_ns, state.st_ino
