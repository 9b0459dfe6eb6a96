"""What is in a bundle: every array with its type, its shape and what its values may be (docs/architecture.md, part 5).

A group is a frozen dataclass whose fields are annotated with a `Column`; the reader, the writer and the checks walk
these annotations, so that a field written here is written, mapped and checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, get_args, get_type_hints

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
    count_column,
    day_column,
    number_column,
    offsets_column,
    row_column,
    share_column,
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
from serving.strings import StringTable

SCHEMA_VERSION = 3

N_FACTORS = 32
"""How many factors a product has; a small shop leaves some of them 0."""

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
    p_shop: Annotated[F32, share_column("customers", width=7)]
    segment: Annotated[I16, Column("<i2", "customers", refers_to="segments", may_be_unknown=True)]
    tier: Annotated[I16, Column("<i2", "customers", refers_to="tiers", may_be_unknown=True)]
    channel: Annotated[I16, Column("<i2", "customers", refers_to="channels", may_be_unknown=True)]
    hour: Annotated[I8, Column("|i1", "customers", low=-1, high=23)]
    n_baskets: Annotated[I32, count_column("<i4", "customers")]


@dataclass(frozen=True)
class Habits:
    """What each customer buys again, by product type, the most probable first; `product` is their usual one."""

    offsets: Annotated[I64, offsets_column("customers")]
    type: Annotated[I32, row_column("habit", "types")]
    p7: Annotated[F32, share_column("habit")]
    due_day: Annotated[F32, number_column("habit")]
    last_day: Annotated[I32, day_column("habit")]
    gap_days: Annotated[F32, number_column("habit", unknown=True, low=0)]
    quantity: Annotated[I16, Column("<i2", "habit", low=1)]
    product: Annotated[I32, row_column("habit", "products")]
    n: Annotated[I32, count_column("<i4", "habit")]


@dataclass(frozen=True)
class Again:
    """What each customer buys again, by product, the most probable first."""

    offsets: Annotated[I64, offsets_column("customers")]
    product: Annotated[I32, row_column("again", "products")]
    p7: Annotated[F32, share_column("again")]
    due_day: Annotated[F32, number_column("again")]
    last_day: Annotated[I32, day_column("again")]
    gap_days: Annotated[F32, number_column("again", unknown=True, low=0)]
    quantity: Annotated[I16, Column("<i2", "again", low=1)]
    n: Annotated[I32, count_column("<i4", "again")]


@dataclass(frozen=True)
class Stretches:
    """Categories that are new to each customer, the most probable first, with the best products there (-1 pads)."""

    offsets: Annotated[I64, offsets_column("customers")]
    category: Annotated[I32, row_column("stretch", "categories")]
    p7: Annotated[F32, share_column("stretch")]
    p28: Annotated[F32, share_column("stretch")]
    product: Annotated[I32, row_column("stretch", "products", unknown=True, width=3)]
    source: Annotated[I32, row_column("stretch", "categories", unknown=True)]
    lift: Annotated[F32, number_column("stretch", unknown=True, low=0)]


@dataclass(frozen=True)
class Discoveries:
    """Products that each customer never bought, the most probable first."""

    offsets: Annotated[I64, offsets_column("customers")]
    product: Annotated[I32, row_column("discover", "products")]
    p28: Annotated[F32, share_column("discover")]
    p7: Annotated[F32, share_column("discover")]


@dataclass(frozen=True)
class Propensities:
    """Chances that each customer buys in a category within 28 days, the most probable first."""

    offsets: Annotated[I64, offsets_column("customers")]
    category: Annotated[I32, row_column("propensity", "categories")]
    p28: Annotated[F32, share_column("propensity")]


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
    habit: Habits
    again: Again
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


@cache
def columns_of(group: type) -> dict[str, Column]:
    """Return the columns of a group's own fields, by field name; fields that are groups themselves are left out."""
    hints = get_type_hints(group, include_extras=True)
    found = {}
    for each in fields(group):
        columns = [extra for extra in get_args(hints[each.name])[1:] if isinstance(extra, Column)]
        if columns:
            found[each.name] = columns[0]
    return found


@cache
def groups() -> dict[str, type]:
    """Return the groups of a bundle, by name."""
    hints = get_type_hints(BundleArrays, include_extras=True)
    return {each.name: hints[each.name] for each in fields(BundleArrays) if isinstance(hints[each.name], type)}


def all_columns() -> dict[str, Column]:
    """Return every column of a bundle by its full name, such as ``customers.churn`` or ``segments``."""
    named = dict(columns_of(BundleArrays))
    for group, kind in groups().items():
        named.update({f"{group}.{field}": column for field, column in columns_of(kind).items()})
    return named


def flatten(arrays: BundleArrays) -> Iterator[tuple[str, npt.NDArray[Any] | StringTable]]:
    """Yield every column's full name and values, in the order of the format."""
    for name in columns_of(BundleArrays):
        yield name, getattr(arrays, name)
    for group, kind in groups().items():
        for field in columns_of(kind):
            yield f"{group}.{field}", getattr(getattr(arrays, group), field)


def assemble(columns: dict[str, npt.NDArray[Any] | StringTable]) -> dict[str, Any]:
    """Return the keyword arguments of `BundleArrays` from every column by its full name; the inverse of `flatten`."""
    parts: dict[str, Any] = {name: columns[name] for name in columns_of(BundleArrays)}
    for group, kind in groups().items():
        parts[group] = kind(**{field: columns[f"{group}.{field}"] for field in columns_of(kind)})
    return parts
