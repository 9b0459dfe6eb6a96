"""Where tables come from: one reader for each kind of source."""

from __future__ import annotations

from features.sources.base import Source


def open_source(source: str) -> Source:
    """Return the source that a person named; what can't be found raises `SourceError`."""
    from features.sources.opening import open_named

    return open_named(source)
