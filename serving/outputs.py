"""The list of files that `tercet batch` wrote, wherever they lie: an erasure has to find them again."""

from __future__ import annotations

import json
import os
from pathlib import Path

OUTPUTS_FILE = "outputs.json"


def remember_output(home: Path, path: Path) -> None:
    """Put a file on the list; files that are there no more leave it."""
    listed = [*known_outputs(home), path.resolve()]
    there = sorted({str(each) for each in listed if each.is_file() or each == path.resolve()})
    place = home / "state" / OUTPUTS_FILE
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.with_name(f".{OUTPUTS_FILE}.{os.getpid()}")
    draft.write_text(json.dumps(there, indent=1), encoding="utf-8")
    draft.replace(place)


def known_outputs(home: Path) -> list[Path]:
    """Return the files on the list; some may have been removed since."""
    try:
        listed = json.loads((home / "state" / OUTPUTS_FILE).read_text(encoding="utf-8"))
        return [Path(each) for each in listed]
    except (OSError, ValueError, TypeError):
        return []
