"""Events of the tiny shop, told in hours after its bundle's as-of, and what the engine is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from serving.live import epoch_us
from serving.state.events import Event, EventType
from serving.state.known import Known, Live, Stock, Trace
from tests.serving.tiny import AS_OF

_numbers = count()


def after(hours: float) -> datetime:
    """Return the moment so many hours after the bundle's as-of."""
    return AS_OF + timedelta(hours=hours)


def event(kind: str, product_id: str | None = None, hours: float = 1.0, **fields: Any) -> Event:
    """Return an event so many hours after the as-of; accepted when it happened unless `accepted` says otherwise."""
    accepted = epoch_us(after(fields.pop("accepted", hours)))
    if kind == "purchase":
        fields.setdefault("order_id", f"order-{hours}")
    return Event(
        f"event-{next(_numbers)}", "anna", EventType(kind), epoch_us(after(hours)), accepted, product_id, **fields
    )


def known(
    *events: Event,
    stock: Mapping[tuple[str, str | None], float] | None = None,
    trace: Trace | None = None,
    customer_id: str = "",
    **live: Any,
) -> Known:
    """Return what the engine is told: the events in order, and words about the stock."""
    told = tuple(sorted(events, key=lambda each: (each.at_us, each.event_id)))
    said = Stock(next(_numbers) + 1, stock) if stock else Stock()
    return Known(Live(customer_id, events=told, **live), said, trace)
