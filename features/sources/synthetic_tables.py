"""The synthetic shop's tables, in the columns of contracts.md part 1, with returns, duplicates and offers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.sources.synthetic_goods import BRANDS, HEALTHY, PRIVATE_LABEL, Goods
from features.sources.synthetic_people import N_STORES, People

if TYPE_CHECKING:
    from features.sources.synthetic import Lines

RETURNED = 0.02
DUPLICATED = 0.005
DISCOUNTED = 0.12
DISCOUNT = 0.2  # of the price
CAMPAIGN_EVERY_DAYS = 28
CAMPAIGN_DAYS = 14
COUPON_VALUE = 1.0
EVENTS_ALSO_IN_TRANSACTIONS = 20
MESSAGES = ("email", "sms", "push")

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Calendar:
    """The shop's first local day and its time zone."""

    first: date
    time_zone: str

    def to_utc(self, day: Ints, minute: Ints) -> pd.DatetimeIndex:
        """Return UTC times of local days since the first and minutes of the day (none within a clock change)."""
        local = pd.Timestamp(self.first) + pd.to_timedelta(day, unit="D") + pd.to_timedelta(minute, unit="min")
        return pd.DatetimeIndex(local).tz_localize(self.time_zone).tz_convert("UTC")


@dataclass(frozen=True)
class Sold:
    """The transactions table, the clean lines behind it (with `day` and `customer` numbers), and the dirt in it."""

    transactions: pd.DataFrame
    clean: pd.DataFrame
    n_returns: int
    n_duplicates: int


def transactions_table(
    rng: np.random.Generator, lines: Lines, people: People, goods: Goods, calendar: Calendar
) -> Sold:
    """Return the lines as a retailer gives them: UTC times, returns as negative quantities, some lines twice."""
    n = len(lines.customer)
    day = people.trip_day[lines.customer, lines.trip]
    minute = people.trip_minute[lines.customer, lines.trip]
    full = goods.price[lines.product] * lines.quantity
    discount = np.round(np.where(rng.random(n) < DISCOUNTED, DISCOUNT * full, 0.0), 2)
    order = pd.Series([f"o{c:05d}-{t:03d}" for c, t in zip(lines.customer, lines.trip, strict=True)])
    clean = pd.DataFrame(
        {
            "customer_id": [people.ids[i] for i in lines.customer],
            "order_id": order,
            "line_id": order + "-" + order.groupby(order).cumcount().astype(str),
            "product_id": [goods.ids[i] for i in lines.product],
            "ordered_at": calendar.to_utc(day, minute),
            "quantity": lines.quantity.astype(float),
            "amount": np.round(full - discount, 2),
            "discount": discount,
            "store_id": [f"s{i}" for i in people.store[lines.customer]],
            "channel": np.where(rng.random(n) < 0.1, "web", "store"),
            "day": day,
            "customer": lines.customer,
        }
    )
    returns = _returns(rng, clean, int(people.last_day.max()))
    copies = clean.sample(n=max(1, int(DUPLICATED * n)), random_state=rng)
    table = pd.concat([clean, returns, copies], ignore_index=True).drop(columns=["day", "customer"])
    return Sold(table, clean, len(returns), len(copies))


def _returns(rng: np.random.Generator, clean: pd.DataFrame, last_day: int) -> pd.DataFrame:
    """Return lines that bring back some earlier ones 1 to 9 days later, half of them under a new order number."""
    back = clean.sample(frac=RETURNED, random_state=rng)
    later = rng.integers(1, 10, len(back))
    own_number = rng.random(len(back)) < 0.5
    back = back.assign(
        ordered_at=back["ordered_at"] + pd.to_timedelta(later, unit="D"),
        quantity=-back["quantity"],
        amount=-back["amount"],
        discount=0.0,
        line_id=back["line_id"] + "-back",
        order_id=np.where(own_number, back["order_id"] + "-back", back["order_id"]),
    )
    return back[(back["day"] + later).to_numpy() <= last_day]


def products_table(goods: Goods) -> pd.DataFrame:
    """Return the products with kind, category, department, brand, price, cost and attributes."""
    n_kinds = len(goods.kinds)
    kind = np.repeat(np.arange(n_kinds), goods.n_brands)
    brand = [BRANDS[i] for i in np.tile(np.arange(goods.n_brands), n_kinds)]
    return pd.DataFrame(
        {
            "product_id": goods.ids,
            "name": [f"{b} {goods.kinds[k]}" for b, k in zip(brand, kind, strict=True)],
            "product_type": [goods.kinds[k] for k in kind],
            "category": [goods.category_of(int(k)) for k in kind],
            "department": [goods.departments[goods.category[k]] for k in kind],
            "brand": brand,
            "price": goods.price,
            "cost": goods.cost,
            "attributes": [_attributes(goods.kinds[k], b) for b, k in zip(brand, kind, strict=True)],
        }
    )


def _attributes(kind: str, brand: str) -> str | None:
    """Return what is known of a product as JSON; None where nothing is."""
    held = {"healthy": kind in HEALTHY, "private_label": brand == PRIVATE_LABEL}
    return json.dumps({name: True for name, holds in held.items() if holds}) if any(held.values()) else None


def customers_table(rng: np.random.Generator, people: People, first: date) -> pd.DataFrame:
    """Return the customers; one in five has no consent on record, one in twenty wants nothing personal."""
    n = len(people.ids)
    given = [
        {"personalize": bool(rng.random() > 0.05), "email": bool(rng.random() < 0.6), "sms": bool(rng.random() < 0.2)}
        for _ in range(n)
    ]
    silent = rng.random(n) < 0.2
    return pd.DataFrame(
        {
            "customer_id": people.ids,
            "joined_at": [(first + timedelta(days=int(d))).isoformat() for d in people.first_day],
            "consent": [None if quiet else json.dumps(each) for quiet, each in zip(silent, given, strict=True)],
        }
    )


def identities_table(people: People) -> pd.DataFrame:
    """Return one loyalty card for each customer."""
    cards = [f"card-{9_000_000 + i}" for i in range(len(people.ids))]
    return pd.DataFrame({"customer_id": people.ids, "kind": "loyalty_card", "value": cards})


def stores_table(time_zone: str) -> pd.DataFrame:
    """Return the stores."""
    numbers = np.arange(N_STORES)
    return pd.DataFrame(
        {
            "store_id": [f"s{i}" for i in numbers],
            "latitude": 52.5 + 0.02 * numbers,
            "longitude": 13.4 + 0.03 * numbers,
            "time_zone": time_zone,
            "opens": "07:00",
            "closes": "22:00",
        }
    )


def stock_table(goods: Goods) -> pd.DataFrame:
    """Return which products are there: every fortieth is gone everywhere, the rest are in stock."""
    gone = np.arange(len(goods.ids)) % 40 == 39
    return pd.DataFrame({"product_id": goods.ids, "available": np.where(gone, "0", "25")})


def campaign_tables(
    rng: np.random.Generator, people: People, goods: Goods, sold: Sold, calendar: Calendar
) -> tuple[pd.DataFrame, pd.DataFrame, frozenset[str]]:
    """Return offers, events (sent, opened, redeemed, some purchases) and the ids of those who respond to coupons."""
    last_day = int(people.last_day.max())
    starts = np.arange(CAMPAIGN_EVERY_DAYS, last_day - CAMPAIGN_DAYS, CAMPAIGN_EVERY_DAYS)
    chosen = [goods.categories[(5 * i) % len(goods.categories)] for i in range(len(starts))]
    offers = pd.DataFrame(
        {
            "offer_id": [f"offer-{i:02d}" for i in range(len(starts))],
            "kind": "discount",
            "category": chosen,
            "value": COUPON_VALUE,
            "cost": COUPON_VALUE,
            "starts_at": calendar.to_utc(starts, np.zeros_like(starts)),
            "ends_at": calendar.to_utc(starts + CAMPAIGN_DAYS, np.zeros_like(starts)),
            "channels": json.dumps(["email", "app"]),
        }
    )
    orders = sold.clean.drop_duplicates("order_id")
    parts = [
        _campaign_events(rng, people, orders, (offer, int(start)), calendar)
        for offer, start in zip(offers["offer_id"], starts, strict=True)
    ]
    parts.append(_told_twice(rng, sold.clean))
    events = pd.concat(parts, ignore_index=True).sort_values("at", kind="stable", ignore_index=True)
    events.insert(0, "event_id", [f"e{i:06d}" for i in range(len(events))])
    return offers, events, frozenset(people.ids[i] for i in np.flatnonzero(people.responds))


def _campaign_events(
    rng: np.random.Generator,
    people: People,
    orders: pd.DataFrame,
    campaign: tuple[str, int],
    calendar: Calendar,
) -> pd.DataFrame:
    """Return one campaign's events: sent to half of the customers, redeemed on the next order within its days."""
    offer_id, start = campaign
    n = len(people.ids)
    is_sent = (rng.random(n) < 0.5) & (people.first_day <= start)
    redeems = is_sent & (rng.random(n) < np.where(people.responds, 0.6, 0.06))
    opens = is_sent & ((rng.random(n) < 0.3) | redeems)
    sent_at = calendar.to_utc(np.array([start, start]), np.array([540, 660]))
    parts = [
        pd.DataFrame({"customer_id": [people.ids[i] for i in np.flatnonzero(mask)], "type": kind, "at": at})
        for mask, kind, at in ((is_sent, "send", sent_at[0]), (opens, "open", sent_at[1]))
    ]
    within = orders[(orders["day"] > start) & (orders["day"] < start + CAMPAIGN_DAYS)]
    used = within[redeems[within["customer"].to_numpy()]].drop_duplicates("customer_id")
    used = used[["customer_id", "order_id", "ordered_at", "store_id"]].rename(columns={"ordered_at": "at"})
    parts.append(used.assign(type="redeem"))
    return pd.concat(parts, ignore_index=True).assign(offer_id=offer_id, channel="email")


def _told_twice(rng: np.random.Generator, clean: pd.DataFrame) -> pd.DataFrame:
    """Return purchase events of lines that stand in transactions as well: they count once."""
    told = clean.sample(n=min(EVENTS_ALSO_IN_TRANSACTIONS, len(clean)), random_state=rng)
    columns = ["customer_id", "order_id", "product_id", "ordered_at", "quantity", "amount", "discount", "store_id"]
    return told[columns].rename(columns={"ordered_at": "at"}).assign(type="purchase", channel="web")
