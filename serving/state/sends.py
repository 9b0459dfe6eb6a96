"""Messages that are counted when they are decided: an action answered on a message channel is a `send`, once."""

from __future__ import annotations

from serving.state.codec import decode, encode
from serving.state.events import Event
from serving.state.keys import Hashes
from serving.state.store import Document


def sent_id(decision_id: str) -> str:
    """Return the event_id of the message that a decision is."""
    return f"send-{decision_id}"


def sent_mark(event: Event) -> bytes:
    """Return the mark that a message was counted, by the event that its decision made."""
    return encode({"us": event.accepted_us, "channel": event.channel})


def mark_of_send(hashes: Hashes, event: Event) -> str:
    """Return the key of that mark for the decision that a client's `send` names."""
    return hashes.seen_key(sent_id(event.decision_id or ""))


def is_same_send(event: Event, mark: Document | None) -> bool:
    """Return whether a client's `send` tells of a message that was counted: on that very channel, or on none named."""
    return mark is not None and event.channel in (None, decode(mark.value).get("channel"))
