"""What a cut would leave of a folder, before each call by which a process writes to it.

A killed process leaves what it wrote. After a power cut, what was not flushed is lost besides: the content of a file,
which then stands there empty, and a rename in a folder that was not flushed since, which then has not happened.
"""

from __future__ import annotations

import builtins
import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

_CALLS = ("fsync", "fdatasync", "mkdir", "rename", "replace", "unlink", "rmdir", "link", "truncate", "ftruncate")


class Broken(BaseException):
    """What a cut would leave is not what it should be; nothing of the work may catch it."""


@dataclass
class Disk:
    """Watches what this process does under a folder; `check` is asked what a cut would leave before each call."""

    folder: Path
    check: Callable[[Disk], None]
    n_calls: int = 0
    # The content of each file, by inode, as it was flushed last; and renames whose folder was not flushed since.
    flushed: dict[int, bytes] = field(default_factory=dict)
    unflushed: list[tuple[Path, Path, Path | None]] = field(default_factory=list)
    _is_looking: bool = False

    def __post_init__(self) -> None:
        """Take what is there already for flushed."""
        self.flushed = {path.stat().st_ino: path.read_bytes() for path in self._files()}

    def watch(self, work: Callable[[], object]) -> None:
        """Do the work, with a look before each of its calls and one at the end."""
        with ExitStack() as patches:
            for name in _CALLS:
                patches.enter_context(mock.patch.object(os, name, self._watched(name)))
            for module in (builtins, io):
                patches.enter_context(mock.patch.object(module, "open", self._opening(module.open)))
            work()
        self.check(self)

    def leavings(self, into: Path) -> Iterator[Path]:
        """Give copies of the folder as a kill leaves it, and a power cut with the last renames or without them."""
        for number, (keeps_contents, keeps_names) in enumerate([(True, True), (False, True), (False, False)]):
            copy = into / f"{self.n_calls}-{number}"
            shutil.copytree(self.folder, copy)
            if not keeps_contents:
                self._empty(copy)
            if not keeps_names:
                self._rename_back(copy)
            yield copy
            shutil.rmtree(copy)

    def _files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]

    def _watched(self, name: str) -> Callable[..., Any]:
        call = getattr(os, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            if self._is_looking:
                return call(*arguments, **options)
            self._look()
            with self._looking():
                before = self._before(name, arguments)
            done = call(*arguments, **options)
            if name in ("fsync", "fdatasync"):
                with self._looking():
                    self._flush(Path(os.readlink(f"/proc/self/fd/{arguments[0]}")))  # noqa: PTH115  # Path asks os as well
            elif before is not None:
                self.unflushed.append(before)
            return done

        return watched

    def _opening(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def opening(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            if isinstance(file, str | Path) and set(mode) & set("wax+") and Path(file).is_relative_to(self.folder):
                self._look()
            return call(file, mode, *arguments, **options)

        return opening

    def _look(self) -> None:
        if not self._is_looking:
            self.n_calls += 1
            with self._looking():
                try:
                    self.check(self)
                except Exception as error:
                    raise Broken from error

    @contextmanager
    def _looking(self) -> Iterator[None]:
        """What the watch itself does is not watched."""
        self._is_looking = True
        yield
        self._is_looking = False

    def _before(self, name: str, arguments: tuple[Any, ...]) -> tuple[Path, Path, Path | None] | None:
        """Return a rename, with a second name for the file that it replaces."""
        if name not in ("rename", "replace") or not Path(arguments[1]).is_relative_to(self.folder):
            return None
        source, target = Path(arguments[0]), Path(arguments[1])
        kept = None
        if target.is_file():
            kept = target.with_name(f".before-{self.n_calls}-{target.name}")
            kept.write_bytes(target.read_bytes())
            self.flushed[kept.stat().st_ino] = self.flushed.get(target.stat().st_ino, b"")
        return source, target, kept

    def _flush(self, path: Path) -> None:
        if path.is_dir():
            self.unflushed = [each for each in self.unflushed if path not in (each[0].parent, each[1].parent)]
        elif path.is_relative_to(self.folder):
            self.flushed[path.stat().st_ino] = path.read_bytes()

    def _empty(self, copy: Path) -> None:
        for path in self._files():
            flushed = self.flushed.get(path.stat().st_ino, b"")
            (copy / path.relative_to(self.folder)).write_bytes(flushed)

    def _rename_back(self, copy: Path) -> None:
        for source, target, kept in reversed(self.unflushed):
            if not (copy / target.relative_to(self.folder)).exists():
                continue  # removed since
            (copy / target.relative_to(self.folder)).rename(copy / source.relative_to(self.folder))
            if kept is not None:
                (copy / kept.relative_to(self.folder)).rename(copy / target.relative_to(self.folder))
