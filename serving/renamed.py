"""Which version a bundle has become: an erasure writes it anew, and what named the old one still has to find it."""

from __future__ import annotations

import json
import os
from pathlib import Path

RENAMED_FILE = "renamed.json"


def remember_version(home: Path, old: str, new: str) -> None:
    """Write down that a bundle has a new version; all that had become the old one before has become the new one."""
    known = {each: new if now == old else now for each, now in _read(home).items()} | {old: new}
    place = home / "state" / RENAMED_FILE
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.with_name(f".{RENAMED_FILE}.{os.getpid()}")
    draft.write_text(json.dumps(known, indent=1, sort_keys=True), encoding="utf-8")
    draft.replace(place)


def version_now(home: Path, version: str) -> str:
    """Return the version that a bundle has now: usually its own."""
    return _read(home).get(version, version)


def _read(home: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads((home / "state" / RENAMED_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found
