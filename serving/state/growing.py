"""Customers' documents after plain events: rows are added and dropped, and nothing else of the customer is made.

Most events are views, searches, carts and messages, which change nothing but the list of the newest events. To make a
person of 200 events and a document of that again takes ten times as long.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Sequence
from itertools import islice
from typing import Any

import orjson

from serving.errors import StateDamaged
from serving.state.codec import MISSHAPEN, Raw, event_row
from serving.state.events import Event, EventType
from serving.state.person import SHOWING, n_lasting
from serving.state.store import DAMAGED

_NOT_PLAIN = frozenset({EventType.PURCHASE, EventType.REDEEM, EventType.UNSUBSCRIBE, EventType.NOTIFICATION_BLOCK})
_PURCHASE, _SEND = EventType.PURCHASE.value, EventType.SEND.value
_ID, _TYPE, _AT, _OFFER = 0, 2, 3, 11  # places in an event's row

Row = list[Any]  # Any: JSON values in the order of Event's fields


def with_plain(raw: Raw, events: Sequence[Event], limit: int) -> bytes | None:
    """Return a customer's document after these events, at most `limit` of all kept, as `person.with_events` has it.

    None where they change more of the customer than that list: then the person has to be made. StateDamaged where `raw`
    is no person's document.
    """
    try:
        if not _are_plain(raw, events):
            return None
        rows: list[Row] = list(raw.get("events", ()))
        new_ids = {event.event_id for event in events}
        if not new_ids.isdisjoint([row[_ID] for row in rows]):
            return None
        for event in events:
            insort(rows, event_row(event), key=_moment)
        dropped = _dropped(rows, limit)
        if any(rows[place][_TYPE] == _PURCHASE for place in dropped):
            return None  # the kinds of what was bought may go with it
        return _written(raw, rows, dropped, min(event.accepted_us for event in events))
    except MISSHAPEN as error:
        raise StateDamaged(DAMAGED) from error


def _are_plain(raw: Raw, events: Sequence[Event]) -> bool:
    """Return whether events neither speak of consent, challenges, rewards or offers that are held, nor are bought."""
    if any(event.type in _NOT_PLAIN for event in events):
        return False
    return not raw.get("challenges") or all(event.decision_id is None or event.type not in SHOWING for event in events)


def _written(raw: Raw, rows: list[Row], dropped: Collection[int], first_us: int) -> bytes:
    changed: Raw = {"events": rows, "first": min(first_us, raw.get("first", first_us))}
    if dropped:
        cut_us = max(rows[place][_AT] for place in dropped)
        changed["cut"] = max(cut_us, raw.get("cut", cut_us))
        changed["events"] = [row for place, row in enumerate(rows) if place not in dropped]
    return orjson.dumps(raw | changed)


def _dropped(rows: Sequence[Row], limit: int) -> Collection[int]:
    """Return the places of the rows that go, as `person.with_newest` chooses them."""
    n_over = len(rows) - limit
    if n_over <= 0:
        return ()
    lasting = [
        place
        for place, row in enumerate(rows)
        if row[_TYPE] == _SEND or (len(row) > _OFFER and row[_OFFER] is not None)
    ]
    kept = set(lasting[max(len(lasting) - n_lasting(limit), 0) :])
    return set(islice((place for place in range(len(rows)) if place not in kept), n_over))


def _moment(row: Row) -> tuple[int, str]:
    return row[_AT], row[_ID]
