"""What a retraining may have to take back: what the home and MLflow were before it, and how they become so again.

A training replaces nothing that serves: its bundle and its report are folders of their own, tables, features and
results have names by content. So taking back means: the pointer to the champion and MLflow's aliases are put back, and
what was not there before is removed. What was there is noted in ``state/retrain.json`` by name and never by content,
so that nothing which is erased meanwhile can come back by it; a retraining that was killed is settled by the next one.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from serving.champion import write_champion
from serving.home_lock import alone_in, working_in
from serving.renamed import version_now
from training.gate_record import read_record, write_json
from training.home import Home
from training.tracking import Aliases, Tracker

NOTE_FILE = "retrain.json"
_CACHES = ("features", "results")
_QUARANTINE = "quarantine"
_MADE_EMPTY = ("bundles", "reports", _QUARANTINE, *_CACHES)
_STORE = ("mlflow.db", "mlartifacts")


@dataclass(frozen=True)
class Before:
    """What was there before a retraining, by name, and what it made.

    Attributes
    ----------
    since_ms
        When it began, in epoch milliseconds.
    champion
        The version that served, or None.
    names
        What lay at the top of the home.
    bundles
        The versions that there were.
    caches
        Files and folders of tables, features and results, relative to the home.
    aliases
        By registered model and alias the version; None where the home had no store of MLflow yet.
    version
        The bundle that it wrote; empty before it did.
    """

    since_ms: int
    champion: str | None
    names: tuple[str, ...]
    bundles: tuple[str, ...]
    caches: tuple[str, ...]
    aliases: Aliases | None
    version: str = ""


@dataclass
class Undo:
    """Takes a retraining back, until it is told to let it stand."""

    home: Home
    before: Before
    overwritten: dict[Path, bytes] = field(default_factory=dict)

    @classmethod
    def begin(cls, home: Home) -> Undo:
        """Return what takes back all that is done from now on, and note it in case this process is killed."""
        before = Before(
            since_ms=int(time.time() * 1000),
            champion=home.champion(),
            names=_names(home.folder),
            bundles=_names(home.bundles),
            caches=tuple(sorted(_entries(home.folder, _CACHES))),
            aliases=_aliases(home),
        )
        undo = cls(home, before, _contents(home.folder / _QUARANTINE))
        undo._note(before)
        return undo

    def written(self, version: str) -> None:
        """Take notice of the bundle that the training wrote; the report of one that was there is overwritten next."""
        self._note(replace(self.before, version=version))
        if version in self.before.bundles:
            self.overwritten |= _contents(self.home.report(version))

    def stand(self) -> None:
        """Let everything stand as it is now."""
        _note_of(self.home).unlink(missing_ok=True)

    def take_back(self) -> None:
        """Make champion, bundles, reports, quarantine and MLflow what they were; whoever calls holds the home's lock.

        What serves is put right first, MLflow last: it may be what failed, and be away still. The error that it raises
        then leaves the note, by which the next retraining finishes this.
        """
        self._take_back_bundle()
        for path in _contents(self.home.folder / _QUARANTINE).keys() - self.overwritten.keys():
            path.unlink()
        for path, content in self.overwritten.items():
            _put_back(path, content)
        self._take_back_runs()
        self.stand()

    def take_back_caches(self) -> None:
        """Remove tables, features and results that were not there, unless somebody else may be reading them now."""
        folder = self.home.folder
        with alone_in(folder) as is_alone:
            if is_alone:
                _remove(folder / each for each in set(_entries(folder, _CACHES)) - set(self.before.caches))
                _remove(folder / each for each in self._made_at_the_top())

    def _note(self, before: Before) -> None:
        self.before = before
        _note_of(self.home).parent.mkdir(parents=True, exist_ok=True)
        write_json(_note_of(self.home), asdict(before))

    def _take_back_bundle(self) -> None:
        made, place = self.before.version, self.home.folder
        now = version_now(place, made)
        if not made:
            return
        if self.home.champion() == now:
            _point_to(place, self.before.champion)
        if made not in self.before.bundles:
            _remove((self.home.bundle(now), self.home.report(now)))

    def _take_back_runs(self) -> None:
        tracker, before = Tracker.under(self.home.folder), self.before
        if tracker.artifacts is not None and before.aliases is None:
            _remove(self.home.folder / each for each in _STORE)  # made by what is taken back
        elif before.version:
            bundles = {before.version, version_now(self.home.folder, before.version)}
            tracker.take_back(before.since_ms, bundles, before.aliases or {})

    def _made_at_the_top(self) -> list[str]:
        """Return what was not there and is an empty folder now, or the policy with its defaults."""
        news = set(_names(self.home.folder)) - set(self.before.names)
        empty = {each for each in news & set(_MADE_EMPTY) if not any((self.home.folder / each).iterdir())}
        return sorted(empty | (news & {"policy.toml"}))


def settle(home: Home) -> bool:
    """Finish or take back what a retraining that was killed has left; say whether there was anything to settle.

    A bundle that is the champion, or was judged to its end, stays: it is whole. One that was not goes.
    """
    before = _noted(home)
    if before is None:
        return False
    undo, now = Undo(home, before, _contents(home.folder / _QUARANTINE)), version_now(home.folder, before.version)
    with working_in(home.folder):
        is_whole = bool(before.version) and (home.champion() == now or read_record(home.report(now)) is not None)
        if is_whole:
            undo.stand()
        else:
            undo.take_back()
    if not is_whole:
        undo.take_back_caches()
    return True


def _noted(home: Home) -> Before | None:
    """Return what the note of a retraining says; None where there is none, or it is cut off."""
    try:
        found: dict[str, Any] = json.loads(_note_of(home).read_text(encoding="utf-8"))  # Any: JSON
        listed: Any = {name: tuple(each) if isinstance(each, list) else each for name, each in found.items()}
        return Before(**listed)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None


def _note_of(home: Home) -> Path:
    return home.folder / "state" / NOTE_FILE


def _aliases(home: Home) -> Aliases | None:
    tracker = Tracker.under(home.folder)
    has_store = tracker.artifacts is None or (home.folder / _STORE[0]).is_file()
    return tracker.aliases() if has_store else None


def _names(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(each.name for each in folder.iterdir())) if folder.is_dir() else ()


def _entries(home: Path, roots: Iterable[str]) -> list[str]:
    return [str(each.relative_to(home)) for root in roots for each in (home / root).rglob("*")]


def _contents(folder: Path) -> dict[Path, bytes]:
    return {each: each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def _put_back(path: Path, content: bytes) -> None:
    if not path.is_file() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.retrain")
        draft.write_bytes(content)
        draft.replace(path)


def _point_to(home: Path, champion: str | None) -> None:
    if champion is None:
        (home / "champion").unlink(missing_ok=True)
    else:
        write_champion(home, version_now(home, champion))


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
