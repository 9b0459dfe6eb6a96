"""Events as tests write them down."""

from __future__ import annotations

from typing import Any

from serving.state.events import Event, EventType


def event(kind: str, at_us: int, **fields: Any) -> Event:  # any field of an event
    """Return an event of `anna`, accepted when it happened; its id says what it is."""
    event_id = fields.pop("event_id", f"{kind}-{at_us}-{sorted(fields.items())}")
    return Event(event_id, "anna", EventType(kind), at_us, at_us, **fields)
