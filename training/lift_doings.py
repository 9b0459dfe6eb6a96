"""What customers did, for measuring an experiment: purchases with their margin, channels left, rewards earned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features import columns as c
from features.tables import TableSet
from serving.bundle import Bundle
from serving.state.events import Event, EventType
from serving.state.person import Reward

_LEAVES = (EventType.UNSUBSCRIBE, EventType.NOTIFICATION_BLOCK)
_KEPT = (EventType.REDEEM, *_LEAVES)
_IN_PRICE = ("discount", "free_shipping")
"""Kinds of rewards that lower what is paid: the amounts of purchases have them already."""


@dataclass(frozen=True)
class Doings:
    """What was done, one row each, up to `until_us`: the moment of the latest purchase that is not in the future.

    `purchases` has customer_id, at_us, order_id, quantity, amount and margin; of a return these are negative.
    `events` has customer_id, at_us and type: what was redeemed, and channels left. `rewards` has customer_id, at_us and
    cost, of rewards that do not show in what is paid.
    """

    purchases: pd.DataFrame
    events: pd.DataFrame
    rewards: pd.DataFrame
    until_us: int


def doings_of_log(log: Iterable[Event], rewards: Iterable[tuple[str, Reward]], bundle: Bundle) -> Doings:
    """Return what the shop's own log says; prices and costs are the bundle's where an event has none."""
    purchases, events, until_us = [], [], 0
    for each in log:
        if each.type is EventType.PURCHASE:
            amount = np.nan if each.amount is None else abs(each.amount)
            until_us = max(until_us, min(each.at_us, each.accepted_us))
            purchases.append((each.customer_id, each.at_us, each.order_id, each.product_id, each.quantity, amount))
        elif each.type in _KEPT:
            events.append((each.customer_id, each.at_us, each.type.value))
    names = [c.CUSTOMER_ID, c.AT_US, c.ORDER_ID, c.PRODUCT_ID, c.QUANTITY, c.AMOUNT]
    prices = pd.DataFrame(
        {
            c.PRODUCT_ID: list(bundle.products.id),
            c.PRICE: bundle.products.price.astype(np.float64),
            c.COST: (bundle.products.price - bundle.products.margin).astype(np.float64),
        }
    )
    found = pd.DataFrame(purchases, columns=names).merge(prices, on=c.PRODUCT_ID, how="left")
    return Doings(
        _with_margin(found, bundle.policy.margin.rate_where_unknown),
        pd.DataFrame(events, columns=[c.CUSTOMER_ID, c.AT_US, c.TYPE]),
        _charged(rewards),
        until_us,
    )


def doings_of_tables(tables: TableSet, rewards: Iterable[tuple[str, Reward]], margin_rate: float) -> Doings:
    """Return what the tables of a source say, into which the shop's own log was folded.

    `margin_rate` is the share of what is paid that stands in for the margin where a product's cost is not known.
    """
    customers = tables.read("customers", [c.CUSTOMER_ROW, c.CUSTOMER_ID])
    products = tables.read("products", [c.PRODUCT_ROW, c.PRICE, c.COST])
    kept = [c.CUSTOMER_ROW, c.PRODUCT_ROW, c.QUANTITY, c.AMOUNT]
    lines = tables.read("lines", [*kept, c.ORDERED_US, c.ORDER_ROW])
    lines = lines.rename(columns={c.ORDERED_US: c.AT_US, c.ORDER_ROW: c.ORDER_ID})
    returns = tables.read("returns", [*kept, c.RETURNED_US]).rename(columns={c.RETURNED_US: c.AT_US})
    returns = returns.assign(quantity=-returns[c.QUANTITY])
    rows = pd.concat([lines, returns], ignore_index=True) if len(returns) else lines
    found = rows.merge(products, on=c.PRODUCT_ROW, how="left").merge(customers, on=c.CUSTOMER_ROW)
    events = tables.read("events", [c.CUSTOMER_ROW, c.AT_US, c.TYPE]).merge(customers, on=c.CUSTOMER_ROW)
    return Doings(
        _with_margin(found, margin_rate),
        events.loc[events[c.TYPE].isin([each.value for each in _KEPT]), [c.CUSTOMER_ID, c.AT_US, c.TYPE]],
        _charged(rewards),
        int(found[c.AT_US].max()) if len(found) else 0,
    )


def _with_margin(rows: pd.DataFrame, margin_rate: float) -> pd.DataFrame:
    """Return purchases with the signed amount and margin: what is not known of an amount is its price, else nothing."""
    quantity = rows[c.QUANTITY].to_numpy(np.float64)
    paid, price, cost = (rows[name].to_numpy(np.float64, na_value=np.nan) for name in (c.AMOUNT, c.PRICE, c.COST))
    amount = np.sign(quantity) * np.nan_to_num(np.where(np.isnan(paid), price * np.abs(quantity), paid))
    margin = np.where(np.isnan(cost), margin_rate * amount, amount - cost * quantity)
    found = rows[[c.CUSTOMER_ID, c.AT_US, c.ORDER_ID, c.QUANTITY]]
    return found.assign(**{c.AMOUNT: amount, c.MARGIN: margin})


def _charged(rewards: Iterable[tuple[str, Reward]]) -> pd.DataFrame:
    def rows() -> Iterator[tuple[str, int, float]]:
        for customer_id, reward in rewards:
            if reward.kind not in _IN_PRICE:
                yield customer_id, reward.completed_us, reward.cost

    return pd.DataFrame(list(rows()), columns=[c.CUSTOMER_ID, c.AT_US, c.COST])


def is_leaving(events: pd.DataFrame) -> pd.Series:
    """Return which events leave a message channel."""
    return events[c.TYPE].isin([each.value for each in _LEAVES])
