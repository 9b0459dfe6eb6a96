"""A simulated shop's past, and as the tables that a retailer would give: what `tercet train` learns from.

Past campaigns went to customers at random, as a shop sends that wants to learn whom they reach.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from features import columns as c
from serving.state.events import EventType
from training.simulation.arrays import Ints
from training.simulation.logbook import Log, Logbook
from training.simulation.offers import Offers, make_offers
from training.simulation.population import EMAIL, Population, draws_of
from training.simulation.truth import Truth
from training.simulation.world import World

CAMPAIGN_EVERY_DAYS = 7
CAMPAIGN_DAYS = 14
SENT_SHARE = 0.25
DISCOUNT_KIND = "discount"
STORE_CHANNEL = "store"


@dataclass(frozen=True)
class Past:
    """A shop up to `end_day`: the world as it stands then, what happened, and the offers of that time."""

    world: World
    log: Log
    offers: Offers
    end_day: int

    @property
    def population(self) -> Population:
        """Return the customers."""
        return self.world.population

    def of(self, rows: Ints) -> Past:
        """Return the past of some of the customers, in that order."""
        place = np.full(self.population.n, -1)
        place[rows] = np.arange(len(rows))
        world = self.world.copy(self.offers, self.world.truth, rows)
        return Past(world, self.log.of(place), self.offers, self.end_day)


def live_through(population: Population, truth: Truth, weeks: int, end_day: int, seed: int) -> Past:
    """Return a shop's last weeks before `end_day`; each week an offer goes to a share of the customers, at random."""
    first = end_day - 7 * weeks
    starts = np.arange(first + 4 * CAMPAIGN_EVERY_DAYS, end_day - CAMPAIGN_DAYS, CAMPAIGN_EVERY_DAYS)
    offers = make_offers(population, starts, CAMPAIGN_DAYS, seed, f"past{seed}")
    world = World(population, offers, truth, first, seed)
    logbook, rng = Logbook(population.shop.time_zone), np.random.default_rng([seed, 5])
    for day in range(first, end_day):
        draws = draws_of(population, seed, day)
        for offer in np.flatnonzero(starts == day):
            to = np.flatnonzero(rng.random(population.n) < SENT_SHARE)
            logbook.sent(day, world.send(day, draws, to, np.full(len(to), offer)))
        logbook.bought(day, world.step(day, draws), draws.hour)
    return Past(world, logbook.log(), offers, end_day)


def write_tables(past: Past, coming: Offers, folder: Path) -> None:
    """Write the past as tables of contracts.md part 1, with the offers that are still to come, as Parquet."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        "transactions": _transactions(past),
        "products": _products(past.population),
        "customers": _customers(past),
        "offers": pd.concat([_offers(past, past.offers), _offers(past, coming)], ignore_index=True),
        "events": _events(past),
    }
    for name, frame in tables.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)


def order_ids(population: Population, customer: Ints | list[int], day: Ints | list[int]) -> list[str]:
    """Return the order that a customer's lines of a day belong to."""
    return [f"{population.customer_ids[who]}-{when}" for who, when in zip(customer, day, strict=True)]


def _transactions(past: Past) -> pd.DataFrame:
    lines, population = past.log.lines, past.population
    orders = order_ids(population, lines.customer, past.log.lines_day)
    return pd.DataFrame(
        {
            c.CUSTOMER_ID: _named(population.customer_ids, lines.customer),
            c.ORDER_ID: orders,
            c.PRODUCT_ID: _named(population.shop.goods.product_ids, lines.product),
            c.ORDERED_AT: pd.to_datetime(past.log.lines_us, unit="us", utc=True),
            c.QUANTITY: lines.quantity.astype(np.float64),
            c.AMOUNT: lines.amount,
            c.DISCOUNT: lines.discount + lines.off,
            c.CHANNEL: STORE_CHANNEL,
        }
    )


def _products(population: Population) -> pd.DataFrame:
    goods = population.shop.goods
    category = goods.category[goods.product_type]
    return pd.DataFrame(
        {
            c.PRODUCT_ID: goods.product_ids,
            c.NAME: goods.product_names,
            c.PRODUCT_TYPE: _named(goods.types, goods.product_type),
            c.CATEGORY: _named(goods.categories, category),
            c.DEPARTMENT: _named(goods.departments, category),
            c.PRICE: goods.price,
            c.COST: population.cost,
        }
    )


def _customers(past: Past) -> pd.DataFrame:
    quiet = {"sms": False, "push": False, "location": False}
    consent = [json.dumps({"personalize": True, EMAIL: bool(each), **quiet}) for each in past.world.is_reached]
    return pd.DataFrame({c.CUSTOMER_ID: past.population.customer_ids, c.CONSENT: consent})


def _offers(past: Past, offers: Offers) -> pd.DataFrame:
    goods, clock = past.population.shop.goods, Logbook(past.population.shop.time_zone)
    starts, ends = ([clock.midnight_us(int(day)) for day in days] for days in (offers.starts_day, offers.ends_day))
    return pd.DataFrame(
        {
            c.OFFER_ID: offers.offer_ids,
            c.KIND: DISCOUNT_KIND,
            c.CATEGORY: _named(goods.categories, offers.category),
            c.VALUE: offers.value,
            c.COST: offers.value,
            c.STARTS_AT: pd.to_datetime(starts, unit="us", utc=True),
            c.ENDS_AT: pd.to_datetime(ends, unit="us", utc=True),
            c.CHANNELS: json.dumps([EMAIL]),
        }
    )


def _events(past: Past) -> pd.DataFrame:
    log, lines, sent = past.log, past.log.lines, past.log.messages
    used = lines.offer >= 0
    orders = order_ids(past.population, lines.customer[used], log.lines_day[used])
    redeemed = _told(past, EventType.REDEEM, lines.customer[used], lines.offer[used], log.lines_us[used] + 1)
    parts = [redeemed.assign(**{c.ORDER_ID: orders})]
    for kind, mask, after_us in (
        (EventType.SEND, np.ones(len(sent.customer), dtype=bool), 0),
        (EventType.OPEN, sent.is_opened, 1),
        (EventType.UNSUBSCRIBE, sent.leaves, 2),
    ):
        told = _told(past, kind, sent.customer[mask], sent.offer[mask], log.messages_us[mask] + after_us)
        parts.append(told.assign(**{c.CHANNEL: EMAIL}))
    events = pd.concat(parts, ignore_index=True)
    return events.assign(**{c.EVENT_ID: [f"e{number:07d}" for number in range(len(events))]})


def _told(past: Past, kind: EventType, customer: Ints, offer: Ints, at_us: Ints) -> pd.DataFrame:
    return pd.DataFrame(
        {
            c.CUSTOMER_ID: _named(past.population.customer_ids, customer),
            c.TYPE: kind.value,
            c.AT: pd.to_datetime(at_us, unit="us", utc=True),
            c.OFFER_ID: _named(past.offers.offer_ids, offer),
        }
    )


def _named(names: tuple[str, ...], rows: Ints) -> list[str]:
    return [names[row] for row in rows]
