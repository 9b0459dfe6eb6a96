"""Bundles leave the disk: the oldest, where somebody said how many to keep. What serves, or has just served, stays."""

from __future__ import annotations

import shutil
from collections.abc import Collection

from training.home import Home


def drop_oldest(place: Home, n_kept: int, but: Collection[str] = ()) -> tuple[str, ...]:
    """Return the versions that were removed, with their reports: all but the `n_kept` newest, the champion, and `but`.

    Newest is what was written last. Past decisions of a bundle that is gone can't be decided anew (`tercet replay`).
    A worker that still serves one goes on: what it has mapped stays until it lets go.
    """
    folders = [each for each in place.bundles.glob("[!.]*") if (each / "manifest.json").is_file()]
    newest_first = sorted(
        folders, key=lambda each: ((each / "manifest.json").stat().st_mtime_ns, each.name), reverse=True
    )
    stay = {*but, place.champion()}
    gone = [each for each in newest_first[n_kept:] if each.name not in stay]
    for folder in gone:
        shutil.rmtree(folder)
        shutil.rmtree(place.report(folder.name), ignore_errors=True)
    return tuple(each.name for each in gone)
