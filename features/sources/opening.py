"""From what a person typed to the reader of that kind of source."""

from __future__ import annotations

from features.errors import SourceError
from features.sources import complete_journey
from features.sources.base import Source


def open_named(source: str) -> Source:
    """Return the reader of a named source, a database or a folder of files."""
    if source == complete_journey.NAME:
        return complete_journey.CompleteJourney()
    if source.partition(":")[0] == "synthetic":
        from features.sources.synthetic import SyntheticSource, parse_config

        return SyntheticSource(parse_config(source))
    raise SourceError(f"'{source}' is not a source that is known")
