"""What is in a bundle: every array with its type, its shape and what its values may be (docs/architecture.md, part 5).

A group is a frozen dataclass whose fields are annotated with a `Column`; the reader, the writer and the checks walk
these annotations (`bundle_fields.py`), so that a field written here is written, mapped and checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy.typing as npt

from serving.bundle_columns import (
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U64,
    Column,
    chance_column,
    count_column,
    day_column,
    number_column,
    offsets_column,
    row_column,
    share_column,
    steps_column,
)
from serving.bundle_offers import (
    Contacts,
    OfferProducts,
    Offers,
    ProductOffers,
    Redeemed,
    Responses,
    Sends,
)
from serving.shares import Falling, Shares, falling
from serving.strings import StringTable

SCHEMA_VERSION = 4

N_FACTORS = 32
"""How many factors a product has; a small shop leaves some of them 0."""

MAX_HABITS, MAX_AGAIN, MAX_STRETCHES, MAX_DISCOVERIES, MAX_PROPENSITIES = 40, 100, 24, 72, 64
"""How many entries training gives each list of a customer at most (docs/adr/0013)."""

N_STRETCH_PRODUCTS = 3
"""How many products of its category a stretch names."""

# Bits of products.flags and categories.flags.
RECOMMENDABLE, RESTRICTED, INTIMATE, PRICE_LEARNED = 1, 2, 4, 8
OWN_TYPE, OWN_CATEGORY, PRIVATE_LABEL, OUT_OF_STOCK = 16, 32, 64, 128
HEALTHY = 256

# Columns of customers.consent, and what stands in them.
CONSENT_KEYS = ("personalize", "email", "sms", "push", "location", "unused")
CONSENT_UNKNOWN, CONSENT_NO, CONSENT_YES = 0, 1, 2


@dataclass(frozen=True)
class Customers:
    """One entry a customer, in hash order. `next_days`: expected days from as_of to the next trip; `score` 0 to 100.

    `private_label` and `healthy` are the shares of these in what they buy, NaN where the source doesn't say.
    """

    id: Annotated[StringTable, Column("str", "customers")]
    hash: Annotated[U64, Column("<u8", "customers")]
    store: Annotated[I32, row_column("customers", "stores", unknown=True)]
    consent: Annotated[U8, Column("|u1", "customers", width=6, low=0, high=2)]
    churn: Annotated[F32, share_column("customers")]
    next_days: Annotated[F32, number_column("customers", low=0)]
    value: Annotated[F32, number_column("customers")]
    score: Annotated[F32, Column("<f4", "customers", low=0, high=100)]
    usual_price: Annotated[F32, number_column("customers", unknown=True, low=0)]
    private_label: Annotated[F32, Column("<f4", "customers", may_be_unknown=True, low=0, high=1)]
    healthy: Annotated[F32, Column("<f4", "customers", may_be_unknown=True, low=0, high=1)]
    p_shop: Annotated[Shares, chance_column("customers", width=7)]
    segment: Annotated[I16, Column("<i2", "customers", refers_to="segments", may_be_unknown=True)]
    tier: Annotated[I16, Column("<i2", "customers", refers_to="tiers", may_be_unknown=True)]
    channel: Annotated[I16, Column("<i2", "customers", refers_to="channels", may_be_unknown=True)]
    hour: Annotated[I8, Column("|i1", "customers", low=-1, high=23)]
    n_baskets: Annotated[I32, count_column("<i4", "customers")]


@dataclass(frozen=True)
class UsualProducts:
    """The products that habits name, ascending within each type."""

    offsets: Annotated[I64, offsets_column("types")]
    product: Annotated[I32, row_column("usual", "products")]


@dataclass(frozen=True)
class Habits:
    """What each customer buys again, by product type, the most probable first.

    `place` is that of their usual product among the type's `usual` ones. `wait` is from the last purchase to when the
    next is expected, rounded down, and `gap` the mean between two, both in 32nds of a day.
    """

    offsets: Annotated[I64, offsets_column("customers")]
    type: Annotated[I32, row_column("habit", "types")]
    p7: Annotated[Shares, chance_column("habit")]
    wait: Annotated[U16, steps_column("habit")]
    last_day: Annotated[I32, day_column("habit")]
    gap: Annotated[U16, steps_column("habit")]
    quantity: Annotated[I16, Column("<i2", "habit", low=1)]
    place: Annotated[I32, count_column("<i4", "habit")]
    n: Annotated[I32, count_column("<i4", "habit")]


@dataclass(frozen=True)
class Again:
    """What each customer buys again, by product, the most probable first."""

    offsets: Annotated[I64, offsets_column("customers")]
    product: Annotated[I32, row_column("again", "products")]
    p7: Annotated[Shares, chance_column("again")]
    wait: Annotated[U16, steps_column("again")]
    last_day: Annotated[I32, day_column("again")]
    gap: Annotated[U16, steps_column("again")]
    quantity: Annotated[I16, Column("<i2", "again", low=1)]
    n: Annotated[I32, count_column("<i4", "again")]


@dataclass(frozen=True)
class Novelties:
    """What can be new to somebody: the products that discoveries and stretches name, ascending within each category."""

    offsets: Annotated[I64, offsets_column("categories")]
    product: Annotated[I32, row_column("novelty", "products")]


@dataclass(frozen=True)
class Stretches:
    """Categories that are new to each customer, the most probable first, with the best products there.

    `place` tells these by their place among the category's novelties (-1 pads). `source` is the category that one is
    reached from, counted from 1 among the customer's `recent` ones; 0 for none. `lift` is in 512ths.
    """

    offsets: Annotated[I64, offsets_column("customers")]
    category: Annotated[I32, row_column("stretch", "categories")]
    p7: Annotated[Shares, chance_column("stretch")]
    place: Annotated[I32, Column("<i4", "stretch", width=N_STRETCH_PRODUCTS, low=-1)]
    source: Annotated[I32, count_column("<i4", "stretch")]
    lift: Annotated[U16, steps_column("stretch")]


@dataclass(frozen=True)
class Discoveries:
    """Products that each customer never bought, the most probable first; `novelty` is a row of the novelties.

    `top` and `fall` are the chances within seven days (`shares.Falling`).
    """

    offsets: Annotated[I64, offsets_column("customers")]
    novelty: Annotated[I32, row_column("discover", "novelty")]
    top: Annotated[Shares, chance_column("customers")]
    fall: Annotated[U8, Column("|u1", "discover")]

    @classmethod
    def of(cls, offsets: I64, novelty: I32, p7: npt.ArrayLike) -> Discoveries:
        """Return the discoveries with these chances."""
        return cls(offsets, novelty, *falling(p7, offsets))

    @property
    def p7(self) -> Falling:
        """The chances within seven days."""
        return Falling(self.top, self.fall)


@dataclass(frozen=True)
class Propensities:
    """Chances that each customer buys in a category within 28 days, the most probable first (`shares.Falling`)."""

    offsets: Annotated[I64, offsets_column("customers")]
    category: Annotated[I32, row_column("propensity", "categories")]
    top: Annotated[Shares, chance_column("customers")]
    fall: Annotated[U8, Column("|u1", "propensity")]

    @classmethod
    def of(cls, offsets: I64, category: I32, p28: npt.ArrayLike) -> Propensities:
        """Return the propensities with these chances."""
        return cls(offsets, category, *falling(p28, offsets))

    @property
    def p28(self) -> Falling:
        """The chances within 28 days."""
        return Falling(self.top, self.fall)


@dataclass(frozen=True)
class RecentCategories:
    """The categories that each customer bought in the last 26 weeks, ascending."""

    offsets: Annotated[I64, offsets_column("customers")]
    category: Annotated[I32, row_column("recent", "categories")]


@dataclass(frozen=True)
class Products:
    """One entry a product, in hash order. `price` and `margin` are money a unit; `p7` is the population's chance.

    `launched_us` is when it was first sold, epoch µs, 0 where the source doesn't say.
    """

    id: Annotated[StringTable, Column("str", "products")]
    hash: Annotated[U64, Column("<u8", "products")]
    name: Annotated[StringTable, Column("str", "products")]
    brand: Annotated[StringTable, Column("str", "products")]
    type: Annotated[I32, row_column("products", "types")]
    category: Annotated[I32, row_column("products", "categories")]
    price: Annotated[F32, number_column("products", unknown=True, low=0)]
    margin: Annotated[F32, number_column("products", unknown=True)]
    flags: Annotated[U16, Column("<u2", "products")]
    p7: Annotated[F32, share_column("products")]
    launched_us: Annotated[I64, count_column("<i8", "products")]


@dataclass(frozen=True)
class Types:
    """One entry a product type."""

    name: Annotated[StringTable, Column("str", "types")]
    category: Annotated[I32, row_column("types", "categories")]
    p7: Annotated[F32, share_column("types")]


@dataclass(frozen=True)
class Categories:
    """One entry a category; `price` is the mean unit price there."""

    name: Annotated[StringTable, Column("str", "categories")]
    department: Annotated[StringTable, Column("str", "categories")]
    p7: Annotated[F32, share_column("categories")]
    price: Annotated[F32, number_column("categories", unknown=True, low=0)]
    flags: Annotated[U16, Column("<u2", "categories")]


@dataclass(frozen=True)
class CategoryTop:
    """The best sellers of each category, best first."""

    offsets: Annotated[I64, offsets_column("categories")]
    product: Annotated[I32, row_column("category_top", "products")]


@dataclass(frozen=True)
class Popular:
    """Recommendable products by in-season popularity, best first."""

    product: Annotated[I32, row_column("popular", "products")]


@dataclass(frozen=True)
class StorePopular:
    """The same in each store."""

    offsets: Annotated[I64, offsets_column("stores")]
    product: Annotated[I32, row_column("store_popular", "products")]


@dataclass(frozen=True)
class Stores:
    """One entry a store, in hash order; an empty time zone is the policy's.

    `latitude` and `longitude` are degrees, NaN unknown; `opens` and `closes` local minutes of every day, -1 unknown.
    """

    id: Annotated[StringTable, Column("str", "stores")]
    hash: Annotated[U64, Column("<u8", "stores")]
    time_zone: Annotated[StringTable, Column("str", "stores")]
    latitude: Annotated[F32, Column("<f4", "stores", may_be_unknown=True, low=-90, high=90)]
    longitude: Annotated[F32, Column("<f4", "stores", may_be_unknown=True, low=-180, high=180)]
    opens: Annotated[I16, Column("<i2", "stores", low=-1, high=1440)]
    closes: Annotated[I16, Column("<i2", "stores", low=-1, high=1440)]


@dataclass(frozen=True)
class AlsoBought:
    """The neighbours of each product in baskets, the best first; `support` is in baskets."""

    offsets: Annotated[I64, offsets_column("products")]
    product: Annotated[I32, row_column("also", "products")]
    score: Annotated[F32, number_column("also")]
    lift: Annotated[F32, number_column("also", low=0)]
    support: Annotated[I32, count_column("<i4", "also")]


@dataclass(frozen=True)
class Substitutes:
    """The products that meet the same need as each product, the best first."""

    offsets: Annotated[I64, offsets_column("products")]
    product: Annotated[I32, row_column("substitute", "products")]
    score: Annotated[F32, number_column("substitute")]


@dataclass(frozen=True)
class Factors:
    """What products have in common by who buys them, for customers whom no bundle knows: `gram` is itemᵀ · item.

    A product that too few have bought has zeros only.
    """

    item: Annotated[F32, Column("<f4", "products", width=N_FACTORS)]
    gram: Annotated[F64, Column("<f8", "factors", width=N_FACTORS)]


@dataclass(frozen=True, kw_only=True)
class BundleArrays:
    """Every array of a bundle, in its groups."""

    customers: Customers
    segments: Annotated[StringTable, Column("str", "segments")]
    tiers: Annotated[StringTable, Column("str", "tiers")]
    channels: Annotated[StringTable, Column("str", "channels")]
    usual: UsualProducts
    habit: Habits
    again: Again
    novelty: Novelties
    stretch: Stretches
    discover: Discoveries
    propensity: Propensities
    recent: RecentCategories
    products: Products
    types: Types
    categories: Categories
    category_top: CategoryTop
    popular: Popular
    store_popular: StorePopular
    stores: Stores
    also: AlsoBought
    substitute: Substitutes
    factors: Factors
    offers: Offers
    offer_products: OfferProducts
    product_offers: ProductOffers
    response: Responses
    redeemed: Redeemed
    sends: Sends
    contacts: Contacts
