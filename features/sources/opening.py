"""From what a person typed to the reader of that kind of source."""

from __future__ import annotations

from pathlib import Path

from features.errors import SourceError
from features.sources import complete_journey
from features.sources.base import Source
from features.sources.databases import DuckDbFile, Postgres
from features.sources.files import ENDINGS, Folder

_POSTGRES = ("postgresql://", "postgres://")


def open_source(source: str) -> Source:
    """Return the reader of a named source, of a database or of a folder of files."""
    if source == complete_journey.NAME:
        return complete_journey.CompleteJourney()
    if source.partition(":")[0] == "synthetic":
        from features.sources.synthetic import SyntheticSource, parse_config

        return SyntheticSource(parse_config(source))
    if source.startswith(_POSTGRES):
        return Postgres(source)
    return _open_path(Path(source))


def _open_path(path: Path) -> Source:
    """Return the reader of a folder or of a DuckDB file."""
    if path.is_dir():
        return Folder(path)
    if not path.exists():
        expected = f"a folder, a DuckDB file, postgresql://… or {complete_journey.NAME}"
        raise SourceError(f"source '{path.name}' is not there; expected {expected}")
    if path.name.endswith(ENDINGS):
        raise SourceError(f"source '{path.name}' is one file; give the folder that holds it")
    return DuckDbFile(path)
