"""What the synthetic shop offers as its data end, and the messages that it sent: drawn from a generator of their own.

So nothing else in the shop depends on them, and they may change without moving a line that was bought.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.sources.synthetic_goods import Goods
from features.sources.synthetic_people import People
from features.sources.synthetic_tables import Calendar, Sold

SEND_MINUTE, OPEN_MINUTE, CLICK_MINUTE, LEAVE_MINUTE = 600, 690, 700, 720
MESSAGES = ("email", "sms", "push")
FIRST_MESSAGE_DAY = 28
SENT_TO = 0.25
OPENED, OPENED_BY_RESPONDERS, CLICKED = 0.15, 0.45, 0.3
LEFT_AFTER = {"email": 0.01, "sms": 0.04, "push": 0.02}
REDEEMED_LATE, REDEEMED_LATE_BY_RESPONDERS = 0.03, 0.4
_NO_END = 10_000

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _LateOffer:
    """An offer around the end of the data: days are counted from the day after the last one."""

    starts: int
    ends: int
    category: int | None = None
    department: int | None = None
    product: int | None = None
    kind: str = "discount"
    value: float | None = 1.0
    cost: float | None = None
    budget: float | None = None
    channels: tuple[str, ...] = ()


LATE_OFFERS = {
    "late-budget": _LateOffer(-10, 11, category=1, value=1.5, cost=1.0, budget=60.0),
    "late-mail": _LateOffer(-7, 7, product=0, value=0.8, cost=0.5, channels=("email", "push")),
    "late-small-budget": _LateOffer(-5, 2, category=3, value=2.0, budget=12.0),
    "late-delivery": _LateOffer(-20, _NO_END, kind="free_shipping", value=3.0, cost=2.5, channels=("web", "app")),
    "late-department": _LateOffer(-14, 14, department=0, value=None),
    "late-last-day": _LateOffer(-13, 1, category=6, value=0.5),
    "late-next": _LateOffer(2, 16, category=8, value=1.2, budget=100.0),
    "late-gift": _LateOffer(7, 21, product=5, kind="gift", value=2.0, cost=0.9, channels=("store", "app")),
}
"""Six that run as the data end and two that begin later; without `value` it is learned from redemptions."""


def late_offers_table(goods: Goods, calendar: Calendar, end_day: int) -> pd.DataFrame:
    """Return the offers around `end_day`, the day after the last one, in the columns of the table offers."""
    rows = []
    for offer_id, offer in LATE_OFFERS.items():
        starts, ends = end_day + offer.starts, end_day + offer.ends
        rows.append(
            {
                "offer_id": offer_id,
                "kind": offer.kind,
                "product_ids": None if offer.product is None else json.dumps([goods.ids[offer.product]]),
                "category": _named(goods.categories, offer.category),
                "department": _named(sorted(set(goods.departments)), offer.department),
                "value": offer.value,
                "cost": offer.cost,
                "budget": offer.budget,
                "starts_at": _midnight(calendar, starts),
                "ends_at": pd.NaT if offer.ends == _NO_END else _midnight(calendar, ends),
                "channels": json.dumps(offer.channels) if offer.channels else None,
            }
        )
    return pd.DataFrame(rows)


def message_events(
    rng: np.random.Generator, people: People, sold: Sold, calendar: Calendar, end_day: int
) -> pd.DataFrame:
    """Return what was sent besides campaigns: a message a week, and the offers that run as the data end.

    Who leaves a channel is sent nothing there any more. A redemption says what it took off (`discount`).
    """
    listens = {channel: np.ones(len(people.ids), dtype=bool) for channel in MESSAGES}
    parts = []
    for week, day in enumerate(range(FIRST_MESSAGE_DAY + 2, end_day, 7)):
        channel = MESSAGES[week % len(MESSAGES)]
        parts.append(_message(rng, people, calendar, (channel, day), listens[channel]))
    parts += [
        _late_sends(rng, people, sold, calendar, (offer_id, end_day + offer.starts, end_day))
        for offer_id, offer in LATE_OFFERS.items()
        if offer.starts < 0
    ]
    events = pd.concat(parts, ignore_index=True).sort_values(["at", "customer_id"], kind="stable", ignore_index=True)
    events.insert(0, "event_id", [f"m{i:06d}" for i in range(len(events))])
    return events


def _message(
    rng: np.random.Generator, people: People, calendar: Calendar, sending: tuple[str, int], listens: Bools
) -> pd.DataFrame:
    """Return a message to some of those who listen on its channel, and what came of it; who leaves listens no more."""
    channel, day = sending
    n = len(people.ids)
    is_sent = (rng.random(n) < SENT_TO) & (people.first_day <= day) & listens
    opens = is_sent & (rng.random(n) < np.where(people.responds, OPENED_BY_RESPONDERS, OPENED))
    clicks = opens & (rng.random(n) < CLICKED)
    leaves = is_sent & (rng.random(n) < LEFT_AFTER[channel])
    listens &= ~leaves
    told = (
        (is_sent, "send", SEND_MINUTE),
        (opens, "open", OPEN_MINUTE),
        (clicks, "click", CLICK_MINUTE),
        (leaves, "notification_block" if channel == "push" else "unsubscribe", LEAVE_MINUTE),
    )
    parts = [_told(people, who, kind, _minute(calendar, day, minute)) for who, kind, minute in told]
    return pd.concat(parts, ignore_index=True).assign(channel=channel)


def _late_sends(
    rng: np.random.Generator, people: People, sold: Sold, calendar: Calendar, sending: tuple[str, int, int]
) -> pd.DataFrame:
    """Return the sending of an offer to a fifth of the customers, and its redemptions on their next order."""
    offer_id, start, end_day = sending
    n = len(people.ids)
    is_sent = (rng.random(n) < 0.2) & (people.first_day <= start)
    chance = np.where(people.responds, REDEEMED_LATE_BY_RESPONDERS, REDEEMED_LATE)
    redeems = is_sent & (rng.random(n) < chance)
    orders = sold.clean.drop_duplicates("order_id")
    within = orders[(orders["day"] > start) & (orders["day"] < end_day)]
    used = within[redeems[within["customer"].to_numpy()]].drop_duplicates("customer_id")
    used = used[["customer_id", "order_id", "ordered_at", "store_id"]].rename(columns={"ordered_at": "at"})
    value = LATE_OFFERS[offer_id].value
    taken_off = np.round(rng.uniform(0.5, 2.0, len(used)), 2) if value is None else np.full(len(used), value)
    sent = _told(people, is_sent, "send", _minute(calendar, start, SEND_MINUTE))
    told: pd.DataFrame = pd.concat([sent, used.assign(type="redeem", discount=taken_off)], ignore_index=True)
    return told.assign(offer_id=offer_id, channel="email")


def _told(people: People, who: Bools, kind: str, at: pd.Timestamp) -> pd.DataFrame:
    ids = [people.ids[i] for i in np.flatnonzero(who)]
    return pd.DataFrame({"customer_id": ids, "type": kind, "at": pd.DatetimeIndex([at] * len(ids), tz="UTC")})


def _minute(calendar: Calendar, day: int, minute: int) -> pd.Timestamp:
    return calendar.to_utc(np.array([day]), np.array([minute]))[0]


def _midnight(calendar: Calendar, day: int) -> pd.Timestamp:
    return _minute(calendar, day, 0)


def _named(names: tuple[str, ...] | list[str], place: int | None) -> str | None:
    return None if place is None else names[place % len(names)]
