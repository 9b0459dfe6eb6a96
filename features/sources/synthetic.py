"""A seeded synthetic shop whose truth is known: tables as a retailer would give them, and what was planted in them.

For tests, for the notebooks in CI and for a first look without anybody's data. Everything follows from the seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from features.errors import SourceError
from features.sources.base import ROW, RawTable, RejectedRow
from features.sources.synthetic_goods import Goods, make_goods
from features.sources.synthetic_offers import late_offers_table, message_events
from features.sources.synthetic_people import Habits, People, make_habits, make_people
from features.sources.synthetic_tables import (
    Calendar,
    campaign_tables,
    customers_table,
    identities_table,
    products_table,
    stock_table,
    stores_table,
    transactions_table,
)

LAST_DAY = date(2025, 6, 29)  # a Sunday; 40 weeks before it span both changes of the clock
TIME_ZONE = "Europe/Berlin"
CURRENCY = "EUR"
SKIPPED = 0.06  # chance that a due habit is not bought on a trip
OTHER_BRAND = 0.08  # chance that a habit is met by another brand than the usual one
EXTRAS_PER_TRIP = 2.0  # unplanned products, mean of a Poisson
_MESSAGES = 4  # the stream of random numbers that messages and late offers are drawn from
PAIR_PULL = 0.6  # chance that the first product of a pair brings the second along

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ShopConfig:
    """How large a shop: at least 20 customers, and 8 weeks that end on ``LAST_DAY``."""

    customers: int = 300
    weeks: int = 40
    seed: int = 7


@dataclass(frozen=True)
class Truth:
    """What was planted, by the tables' own ids.

    ``habits``: customer_id, product_type, product_id (the usual one), gap_days (bought on the first trip after it).
    ``pairs``: the first product pulls the second into six baskets of ten. ``substitutes``: buyers change between the
    two. ``churned``: the last local day on which a customer shopped who then stayed away for good. ``stretch_links``:
    buyers of the first category often come to the second; ``adopted``: customer_id, category, adopted_on.
    ``best_hour``: the local hour of seven trips in ten. ``responders`` redeem six coupons of ten, others hardly any.
    """

    habits: pd.DataFrame
    pairs: tuple[tuple[str, str], ...]
    substitutes: tuple[tuple[str, str], ...]
    churned: Mapping[str, date]
    stretch_links: tuple[tuple[str, str], ...]
    adopted: pd.DataFrame
    best_hour: Mapping[str, int]
    responders: frozenset[str]
    private_label_lovers: frozenset[str]
    n_returns: int
    n_duplicates: int


@dataclass(frozen=True)
class Shop:
    """The tables of contracts.md part 1 by name, and the truth behind them."""

    tables: Mapping[str, pd.DataFrame]
    truth: Truth
    time_zone: str = TIME_ZONE
    currency: str = CURRENCY


@dataclass(frozen=True)
class Lines:
    """Bought lines before they become a table; all have shape ``(n_lines,)``; `trip` counts within the customer."""

    customer: Ints
    trip: Ints
    product: Ints
    quantity: Ints


def parse_config(source: str) -> ShopConfig:
    """Return the config of ``synthetic`` or ``synthetic:customers=300,weeks=40,seed=7``, else raise `SourceError`.

    Examples
    --------
    >>> parse_config("synthetic:weeks=30")
    ShopConfig(customers=300, weeks=30, seed=7)
    """
    _, _, options = source.partition(":")
    known = {field.name for field in fields(ShopConfig)}
    given: dict[str, int] = {}
    for option in filter(None, options.split(",")):
        name, _, value = option.partition("=")
        if name not in known or not value.isdigit():
            raise SourceError(f"synthetic: {option!r} is not one of {', '.join(sorted(known))} with a whole number")
        given[name] = int(value)
    config = ShopConfig(**given)
    if config.customers < 20 or config.weeks < 8:
        raise SourceError("synthetic: expected customers=20 or more and weeks=8 or more")
    return config


def make_shop(config: ShopConfig) -> Shop:
    """Return a shop's tables and their truth; the same config gives the same rows."""
    rng = np.random.default_rng(config.seed)
    n_days = 7 * config.weeks
    goods = make_goods(rng)
    people = make_people(rng, config.customers, n_days)
    habits = make_habits(rng, people, goods)
    lines = _add_pairs(rng, _add_extras(rng, _buy_habits(rng, people, habits, goods), people, goods), goods)
    first = LAST_DAY - timedelta(days=n_days - 1)
    calendar = Calendar(first, TIME_ZONE)
    sold = transactions_table(rng, lines, people, goods, calendar)
    offers, events, responders = campaign_tables(rng, people, goods, sold, calendar)
    messages = message_events(np.random.default_rng([config.seed, _MESSAGES]), people, sold, calendar, n_days)
    tables = {
        "transactions": sold.transactions,
        "products": products_table(goods),
        "customers": customers_table(rng, people, first),
        "identities": identities_table(people),
        "stores": stores_table(TIME_ZONE),
        "stock": stock_table(goods),
        "offers": pd.concat([offers, late_offers_table(goods, calendar, n_days)], ignore_index=True),
        "events": pd.concat([events, messages], ignore_index=True),
    }
    truth = _truth(people, habits, goods, first, responders, (sold.n_returns, sold.n_duplicates))
    return Shop(tables, truth)


class SyntheticSource:
    """The source ``synthetic``: the shop as raw tables."""

    currency = CURRENCY
    time_zone: str | None = TIME_ZONE

    def __init__(self, config: ShopConfig) -> None:
        self.name = "synthetic:" + ",".join(f"{field.name}={getattr(config, field.name)}" for field in fields(config))
        self._tables = {name: _arrow(frame) for name, frame in make_shop(config).tables.items()}

    def digest(self, work: Path) -> str:
        """Return a digest of all rows."""
        del work
        whole = hashlib.blake2b(digest_size=16)
        for name, table in self._tables.items():
            stream = pa.BufferOutputStream()
            with pa.ipc.new_stream(stream, table.schema) as writer:
                writer.write_table(table)
            whole.update(name.encode())
            whole.update(stream.getvalue())
        return whole.hexdigest()

    def tables(self, connection: duckdb.DuckDBPyConnection) -> list[RawTable]:
        """Return the tables, registered with the connection as Arrow."""
        raw = []
        for name, table in self._tables.items():
            numbered = table.append_column(ROW, pa.array(np.arange(1, len(table) + 1)))
            connection.register(f"synthetic_{name}", numbered)
            described = connection.execute(f"describe from synthetic_{name}").fetchall()
            columns = {column: kind for column, kind, *_ in described if column != ROW}
            raw.append(RawTable(name, f"synthetic {name}", f"select * from synthetic_{name}", columns))
        return raw

    def rejected(self, connection: duckdb.DuckDBPyConnection, table: RawTable) -> list[RejectedRow]:
        """Return nothing: there are no lines to split."""
        del connection, table
        return []


def _arrow(frame: pd.DataFrame) -> pa.Table:
    """Return a frame as Arrow; its UTC times without a zone, which the contract reads as UTC."""
    zoned = frame.select_dtypes("datetimetz").columns
    return pa.Table.from_pandas(
        frame.assign(**{name: frame[name].dt.tz_convert(None) for name in zoned}), preserve_index=False
    )


def _buy_habits(rng: np.random.Generator, people: People, habits: Habits, goods: Goods) -> Lines:
    """Return what habits bring: each is bought on the first trip after its gap has passed, with few exceptions."""
    last = np.where(habits.starts_day > 0, -np.inf, -rng.uniform(0, 1, habits.kind.shape) * habits.gap_days)
    last = last + people.first_day[:, None] * (habits.starts_day <= 0)
    parts: list[tuple[Ints, ...]] = []
    for trip in range(people.trip_day.shape[1]):
        day = people.trip_day[:, trip, None]
        due = (day - last >= habits.gap_days * rng.uniform(0.85, 1.0, last.shape)) & (day >= habits.starts_day)
        bought = due & people.is_trip[:, trip, None] & (habits.kind >= 0) & (rng.random(last.shape) > SKIPPED)
        last = np.where(bought, day, last)
        customer, slot = np.nonzero(bought)
        product = _product_of(rng, habits, goods, customer, slot)
        parts.append((customer, np.full(len(customer), trip), product, habits.quantity[customer, slot]))
    return Lines(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _product_of(rng: np.random.Generator, habits: Habits, goods: Goods, customer: Ints, slot: Ints) -> Ints:
    """Return which product each purchase takes: the usual brand, seldom another, either one of a substitute pair."""
    kind = habits.kind[customer, slot]
    brand = habits.brand[customer, slot]
    brand = np.where(rng.random(len(kind)) < OTHER_BRAND, rng.integers(0, goods.n_brands, len(kind)), brand)
    either = goods.favourites[kind, rng.integers(0, 2, len(kind))]
    return goods.product_of(kind, np.where(goods.has_substitutes[kind], either, brand))


def _add_extras(rng: np.random.Generator, lines: Lines, people: People, goods: Goods) -> Lines:
    """Return the lines with unplanned products added, popular kinds and brands more often."""
    customer, trip = np.nonzero(people.is_trip)
    n_extras = rng.poisson(EXTRAS_PER_TRIP, len(customer))
    customer, trip = np.repeat(customer, n_extras), np.repeat(trip, n_extras)
    kind = rng.choice(len(goods.kinds), len(customer), p=goods.extra_share)
    rank = rng.choice(goods.n_brands, len(customer), p=goods.brand_share)
    extra = Lines(customer, trip, goods.product_of(kind, goods.favourites[kind, rank]), np.ones_like(customer))
    return _distinct(_together(lines, extra))


def _add_pairs(rng: np.random.Generator, lines: Lines, goods: Goods) -> Lines:
    """Return the lines with the second product of a pair added to most baskets that hold the first."""
    for first, second in goods.pairs:
        pulled = (lines.product == first) & (rng.random(len(lines.product)) < PAIR_PULL)
        n = int(pulled.sum())
        along = Lines(lines.customer[pulled], lines.trip[pulled], np.full(n, second), np.ones(n, dtype=np.int64))
        lines = _distinct(_together(lines, along))
    return lines


def _together(one: Lines, other: Lines) -> Lines:
    """Return the lines of both, in that order."""
    return Lines(*(np.concatenate([getattr(one, f.name), getattr(other, f.name)]) for f in fields(Lines)))


def _distinct(lines: Lines) -> Lines:
    """Return the first line of each product in each basket, by customer and trip."""
    frame = pd.DataFrame({f.name: getattr(lines, f.name) for f in fields(Lines)})
    frame = frame.drop_duplicates(["customer", "trip", "product"]).sort_values(["customer", "trip"], kind="stable")
    return Lines(*(frame[f.name].to_numpy() for f in fields(Lines)))


def _truth(
    people: People, habits: Habits, goods: Goods, first: date, responders: frozenset[str], dirt: tuple[int, int]
) -> Truth:
    """Return what was planted in the tables' own ids; `dirt` counts returns and duplicate lines."""
    customer, slot = np.nonzero((habits.kind >= 0) & (habits.starts_day <= 0))
    kind = habits.kind[customer, slot]
    planted = pd.DataFrame(
        {
            "customer_id": [people.ids[i] for i in customer],
            "product_type": [goods.kinds[k] for k in kind],
            "product_id": [goods.ids[p] for p in goods.product_of(kind, habits.brand[customer, slot])],
            "gap_days": habits.gap_days[customer, slot],
        }
    )
    adopter, later = np.nonzero((habits.kind >= 0) & (habits.starts_day > 0))
    adopted = pd.DataFrame(
        {
            "customer_id": [people.ids[i] for i in adopter],
            "category": [goods.category_of(k) for k in habits.kind[adopter, later]],
            "adopted_on": [first + timedelta(days=int(d)) for d in habits.starts_day[adopter, later]],
        }
    )
    return Truth(
        habits=planted,
        pairs=tuple((goods.ids[a], goods.ids[b]) for a, b in goods.pairs),
        substitutes=tuple((goods.ids[a], goods.ids[b]) for a, b in goods.substitutes),
        churned={people.ids[i]: first + timedelta(days=int(people.last_day[i])) for i in np.flatnonzero(people.churns)},
        stretch_links=goods.stretch_links,
        adopted=adopted,
        best_hour={people.ids[i]: int(hour) for i, hour in enumerate(people.best_hour)},
        responders=responders,
        private_label_lovers=frozenset(people.ids[i] for i in np.flatnonzero(people.loves_private_label)),
        n_returns=dirt[0],
        n_duplicates=dirt[1],
    )
