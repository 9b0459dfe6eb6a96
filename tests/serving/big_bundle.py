"""A seeded bundle of any number of customers and offers, made without training: for lists, their time and memory.

``python -m tests.serving.big_bundle HOME CUSTOMERS OFFERS`` makes a home whose champion it is.
"""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from features.ids import IdIndex, hash_ids
from serving import bundle_format as fmt
from serving import bundle_offers as offers_fmt
from serving.bundle import BundleContents, write_bundle
from serving.champion import write_champion
from serving.channels import CHANNELS, Channel
from serving.strings import StringTable
from tests.serving.tiny import AS_OF_DAY, CATEGORIES, TYPES, tiny_contents
from tests.serving.tiny_offers import AS_OF_US, DAY_US

_STORE_TEXTS = ("id", "time_zone")
N_PRODUCTS = 400
N_HABITS = 6
SEGMENTS, TIERS = ("Weekly", "Now and then", "New"), ("high", "medium", "low", "silent")

Rng = np.random.Generator


def big_contents(n_customers: int, n_offers: int, seed: int = 1, **changes: Any) -> BundleContents:
    """Return the contents of a shop of 400 products; a third of the offers have a budget for some of the customers."""
    rng = np.random.default_rng(seed)
    base = tiny_contents({"consent.email": True, "offers.min_customer_value": 0.0, "offers.min_relevance": 0.0})
    products = _products(rng)
    groups = {
        "products": products,
        **_by_product(products),
        **_customers(rng, n_customers, products),
        **offers_of(rng, n_offers, n_customers, products),
        **messages_of(rng, n_customers),
        "segments": StringTable.of(SEGMENTS),
        "tiers": StringTable.of(TIERS),
        "channels": StringTable.of(["app", "email", "push", "sms", "store", "web"]),
        "stores": one_store(base.stores),
        "store_popular": fmt.StorePopular(np.zeros(2, dtype="<i8"), np.zeros(0, dtype="<i4")),
    }
    return replace(base, **{**groups, **changes})


def make_home(home: Path, n_customers: int, n_offers: int, seed: int = 1) -> str:
    """Return the version of the bundle that is the champion of a new home."""
    version = write_bundle(big_contents(n_customers, n_offers, seed), home / "bundles")
    write_champion(home, version)
    return version


def one_store(stores: fmt.Stores) -> fmt.Stores:
    """Return the first store of some."""
    parts: dict[str, Any] = {each.name: getattr(stores, each.name)[:1] for each in fields(fmt.Stores)}
    parts |= {name: StringTable.of(parts[name]) for name in _STORE_TEXTS}
    return fmt.Stores(**parts)


def _products(rng: Rng) -> fmt.Products:
    ids = IdIndex.of([f"p{i:04d}" for i in range(N_PRODUCTS)])
    kinds = list(TYPES)
    kind = rng.integers(0, len(kinds), N_PRODUCTS)
    price = np.round(rng.uniform(1.0, 12.0, N_PRODUCTS), 2)
    return fmt.Products(
        id=StringTable.of(ids.ids),
        hash=ids.hashes,
        name=StringTable.of([f"{kinds[k]} {i}" for i, k in enumerate(kind)]),
        brand=StringTable.of([""] * N_PRODUCTS),
        type=kind.astype("<i4"),
        category=np.array([CATEGORIES.index(TYPES[kinds[k]]) for k in kind], dtype="<i4"),
        price=price.astype("<f4"),
        margin=(price * rng.uniform(0.1, 0.5, N_PRODUCTS)).astype("<f4"),
        flags=np.full(N_PRODUCTS, fmt.RECOMMENDABLE, dtype="<u2"),
        p7=rng.uniform(0.001, 0.1, N_PRODUCTS).astype("<f4"),
        launched_us=np.zeros(N_PRODUCTS, dtype="<i8"),
    )


def _by_product(products: fmt.Products) -> dict[str, Any]:
    n = len(products.id)
    none, offsets = np.zeros(0, dtype="<i4"), np.zeros(n + 1, dtype="<i8")
    floats = np.zeros(0, dtype="<f4")
    order = np.argsort(-products.p7, kind="stable").astype("<i4")
    by_category = order[np.argsort(products.category[order], kind="stable")]
    n_each = np.bincount(products.category, minlength=len(CATEGORIES))
    item = np.zeros((n, fmt.N_FACTORS), dtype="<f4")
    return {
        "popular": fmt.Popular(order),
        "category_top": fmt.CategoryTop(offsets_of(n_each), by_category.astype("<i4")),
        "also": fmt.AlsoBought(offsets, none, floats, floats, none),
        "substitute": fmt.Substitutes(offsets, none, floats),
        "factors": fmt.Factors(item, item.astype("<f8").T @ item),
    }


def _customers(rng: Rng, n: int, products: fmt.Products) -> dict[str, Any]:
    ids = [f"c{i:07d}" for i in range(n)]
    hashes = hash_ids(ids)
    order = np.argsort(hashes, kind="stable")
    consent = np.where(rng.random((n, 6)) < 0.6, fmt.CONSENT_YES, fmt.CONSENT_NO).astype("|u1")
    consent[:, 0] = fmt.CONSENT_YES
    share = rng.uniform(0.05, 0.9, n).astype("<f4")
    customers = fmt.Customers(
        id=StringTable.of([ids[i] for i in order]),
        hash=hashes[order],
        store=np.zeros(n, dtype="<i4"),
        consent=consent,
        churn=share,
        next_days=(share * 14).astype("<f4"),
        value=rng.gamma(2.0, 60.0, n).astype("<f4"),
        score=(share * 100).astype("<f4"),
        usual_price=np.full(n, 3.0, dtype="<f4"),
        private_label=share,
        healthy=np.full(n, np.nan, dtype="<f4"),
        p_shop=np.tile(np.linspace(0.2, 0.9, 7, dtype="<f4"), (n, 1)),
        segment=rng.integers(0, len(SEGMENTS), n).astype("<i2"),
        tier=rng.integers(0, len(TIERS), n).astype("<i2"),
        channel=rng.integers(-1, 6, n).astype("<i2"),
        hour=rng.integers(8, 21, n).astype("|i1"),
        n_baskets=rng.integers(1, 60, n).astype("<i4"),
    )
    none, nothing, floats = np.zeros(0, dtype="<i4"), np.zeros(n + 1, dtype="<i8"), np.zeros(0, dtype="<f4")
    return {
        "customers": customers,
        **_habits(rng, n, products),
        "stretch": fmt.Stretches(nothing, none, floats, floats, np.zeros((0, 3), dtype="<i4"), none, floats),
        "discover": fmt.Discoveries(nothing, none, floats, floats),
        "propensity": fmt.Propensities(nothing, none, floats),
        "recent": fmt.RecentCategories(nothing, none),
    }


def _habits(rng: Rng, n: int, products: fmt.Products) -> dict[str, Any]:
    """Return habits of distinct types, and the same by product, most probable first."""
    kinds = np.argsort(rng.random((n, len(TYPES))), axis=1)[:, :N_HABITS].astype("<i4")
    product = _one_of_each_type(products)[kinds].reshape(-1)
    p7 = np.sort(rng.uniform(0.02, 0.9, (n, N_HABITS)), axis=1)[:, ::-1].reshape(-1).astype("<f4")
    last = rng.integers(1, 30, n * N_HABITS)
    gap = rng.integers(4, 30, n * N_HABITS)
    shared = {
        "offsets": np.arange(n + 1, dtype="<i8") * N_HABITS,
        "product": product.astype("<i4"),
        "p7": p7,
        "due_day": (AS_OF_DAY - last + gap).astype("<f4"),
        "last_day": (AS_OF_DAY - last).astype("<i4"),
        "gap_days": gap.astype("<f4"),
        "quantity": np.ones(n * N_HABITS, dtype="<i2"),
        "n": rng.integers(2, 20, n * N_HABITS).astype("<i4"),
    }
    return {"habit": fmt.Habits(**shared, type=kinds.reshape(-1)), "again": fmt.Again(**shared)}


def _one_of_each_type(products: fmt.Products) -> npt.NDArray[np.int64]:
    return np.array([int(np.flatnonzero(products.type == kind)[0]) for kind in range(len(TYPES))])


def offers_of(rng: Rng, n_offers: int, n_customers: int, products: fmt.Products) -> dict[str, Any]:
    n_products = len(products.id)
    is_for = np.sort(np.argsort(rng.random((n_offers, n_products)), axis=1)[:, :12], axis=1)
    pairs = is_for.reshape(-1).astype("<i4")
    owner = np.repeat(np.arange(n_offers), 12)
    order = np.lexsort((owner, pairs))
    value = np.round(rng.uniform(0.2, 1.0, n_offers), 2).astype("<f4")
    budget = np.where(np.arange(n_offers) % 3 == 0, value * np.maximum(n_customers // 20, 1), np.nan).astype("<f4")
    chance = rng.uniform(0.02, 0.3, n_offers).astype("<f4")
    p = rng.beta(2.0, 8.0, (n_customers, n_offers)).astype("<f4")
    return {
        "offers": offers_fmt.Offers(
            id=StringTable.of([f"offer-{i:03d}" for i in range(n_offers)]),
            kind=StringTable.of(["discount"] * n_offers),
            value=value,
            cost=value,
            budget=budget,
            starts_us=np.full(n_offers, AS_OF_US - DAY_US, dtype="<i8"),
            ends_us=np.full(n_offers, AS_OF_US + 14 * DAY_US, dtype="<i8"),
            channels=np.full(n_offers, offers_fmt.ALL_CHANNELS, dtype="|u1"),
            chance=chance,
        ),
        "offer_products": offers_fmt.OfferProducts(np.arange(n_offers + 1, dtype="<i8") * 12, pairs),
        "product_offers": offers_fmt.ProductOffers(
            offsets_of(np.bincount(pairs, minlength=n_products)), owner[order].astype("<i4")
        ),
        "response": offers_fmt.Responses(
            np.arange(n_customers + 1, dtype="<i8") * n_offers,
            np.tile(np.arange(n_offers, dtype="<i4"), n_customers),
            p.reshape(-1),
        ),
    }


def messages_of(rng: Rng, n: int) -> dict[str, Any]:
    n_each = rng.poisson(1.0, n)
    total = int(n_each.sum())
    days = rng.uniform(1.0, 27.0, total)
    owner = np.repeat(np.arange(n), n_each)
    days = days[np.lexsort((-days, owner))]
    sent = rng.poisson(3.0, (n, len(CHANNELS))).astype("<i4")
    answered = (sent * rng.random((n, len(CHANNELS))) * 0.6).astype("<i4")
    share = rng.uniform(0.0, 0.4, n).astype("<f4")
    return {
        "redeemed": offers_fmt.Redeemed(np.zeros(n + 1, dtype="<i8"), np.zeros(0, dtype="<i4")),
        "sends": offers_fmt.Sends(
            offsets_of(n_each),
            np.full(total, CHANNELS.index(Channel.EMAIL), dtype="|i1"),
            (AS_OF_US - days * DAY_US).astype("<i8"),
            np.full(total, offers_fmt.NO_OFFER, dtype="<i4"),
            (rng.random(total) < 0.3).astype("|u1"),
        ),
        "contacts": offers_fmt.Contacts(
            sent=sent,
            answered=answered,
            left=np.zeros((n, len(CHANNELS)), dtype="<i4"),
            n_sent=sent.sum(axis=1, dtype="<i4"),
            n_answered=answered.sum(axis=1, dtype="<i4"),
            redeemed=rng.poisson(1.0, n).astype("<i4"),
            return_share=share,
            discount_share=share,
            discounted_lines=share,
        ),
    }


def offsets_of(lengths: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
    offsets = np.zeros(len(lengths) + 1, dtype="<i8")
    np.cumsum(lengths, out=offsets[1:])
    return offsets


if __name__ == "__main__":
    make_home(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
