"""Events as the state keeps them: what a customer did, at a moment in epoch microseconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EventType(StrEnum):
    """The types of contracts.md."""

    VIEW = "view"
    SEARCH = "search"
    WISHLIST = "wishlist"
    CART = "cart"
    UNCART = "uncart"
    PURCHASE = "purchase"
    SEND = "send"
    IMPRESSION = "impression"
    OPEN = "open"
    CLICK = "click"
    REDEEM = "redeem"
    DISMISS = "dismiss"
    UNSUBSCRIBE = "unsubscribe"
    NOTIFICATION_BLOCK = "notification_block"
    SCAN = "scan"
    VISIT = "visit"


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `quantity` is negative for a return. Times are epoch microseconds, money is the shop's currency.

    `customer_id` is the id that the event came with, before any merge. `accepted_us` is the server's clock when it was
    accepted.
    """

    event_id: str
    customer_id: str
    type: EventType
    at_us: int
    accepted_us: int
    product_id: str | None = None
    order_id: str | None = None
    quantity: float = 1.0
    amount: float | None = None
    discount: float | None = None
    store_id: str | None = None
    offer_id: str | None = None
    decision_id: str | None = None
    channel: str | None = None
    value: str | None = None
