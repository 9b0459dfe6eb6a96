"""Old tables and features leave the disk: those of a source as it was before last."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

TABLES, GROUPS = "tables", "groups"


def prune(features: Path, current: str) -> tuple[str, ...]:
    """Return the digests of the tables that were removed, with their features: all but `current` and the last before.

    `features` holds `tables/<digest>/` and `groups/<digest>/`. The last before is the one whose features were made or
    pruned latest. What goes can be made again from its source; what can't be removed stays.
    """
    mark = features / GROUPS / current
    if mark.is_dir():
        os.utime(mark)
    others = {folder.name for kind in (TABLES, GROUPS) for folder in _folders(features / kind)} - {current}
    oldest_first = sorted(others, key=lambda digest: (_used_at(features, digest), digest))
    for digest in oldest_first[:-1]:
        for kind in (GROUPS, TABLES):  # features without tables are known to be left over
            shutil.rmtree(features / kind / digest, ignore_errors=True)
    return tuple(oldest_first[:-1])


def _folders(parent: Path) -> list[Path]:
    """Return the folders of digests; a hidden one is being written."""
    return [each for each in parent.glob("*") if each.is_dir() and not each.name.startswith(".")]


def _used_at(features: Path, digest: str) -> int:
    """Return when the features of tables were made or pruned last, in nanoseconds; of none, when the tables were."""
    found = [features / kind / digest for kind in (GROUPS, TABLES)]
    return next(folder.stat().st_mtime_ns for folder in found if folder.is_dir())
