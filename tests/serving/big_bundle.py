"""A seeded bundle of any number of customers and offers, made without training: for lists, their time and memory.

``python -m tests.serving.big_bundle HOME CUSTOMERS OFFERS`` makes a home whose champion it is.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from features.ids import IdIndex
from serving import bundle_format as fmt
from serving.bundle import BundleContents, write_bundle
from serving.champion import write_champion
from serving.named_products import NamedProducts
from serving.shares import DAY_STEPS, LIFT_STEPS, Shares, in_steps
from serving.strings import StringTable
from tests.serving.drawn import LABELS, Rng, customers_of, messages_of, offers_of, offsets_of, one_store
from tests.serving.tiny import AS_OF_DAY, CATEGORIES, TYPES, tiny_contents

N_PRODUCTS = 400
N_HABITS = 6


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
        **LABELS,
        "stores": one_store(base.stores),
        "store_popular": fmt.StorePopular(np.zeros(2, dtype="<i8"), np.zeros(0, dtype="<i4")),
    }
    return replace(base, **{**groups, **changes})


def make_home(home: Path, n_customers: int, n_offers: int, seed: int = 1) -> str:
    """Return the version of the bundle that is the champion of a new home."""
    version = write_bundle(big_contents(n_customers, n_offers, seed), home / "bundles")
    write_champion(home, version)
    return version


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
    consent = np.where(rng.random((n, 6)) < 0.6, fmt.CONSENT_YES, fmt.CONSENT_NO).astype("|u1")
    consent[:, 0] = fmt.CONSENT_YES
    none, nothing = np.zeros(0, dtype="<i4"), np.zeros(n + 1, dtype="<i8")
    return {
        "customers": replace(customers_of(rng, n), consent=consent),
        **_habits(rng, n, products),
        "novelty": fmt.Novelties(np.zeros(len(CATEGORIES) + 1, dtype="<i8"), none),
        "stretch": fmt.Stretches(
            nothing, none, Shares.of([]), np.zeros((0, 3), dtype="<i4"), none, in_steps([], LIFT_STEPS)
        ),
        "discover": fmt.Discoveries.of(nothing, none, []),
        "propensity": fmt.Propensities.of(nothing, none, []),
        "recent": fmt.RecentCategories(nothing, none),
    }


def _habits(rng: Rng, n: int, products: fmt.Products) -> dict[str, Any]:
    """Return habits of distinct types, and the same by product, most probable first."""
    kinds = np.argsort(rng.random((n, len(TYPES))), axis=1)[:, :N_HABITS].astype("<i4")
    product = _one_of_each_type(products)[kinds].reshape(-1)
    p7 = np.sort(rng.uniform(0.02, 0.9, (n, N_HABITS)), axis=1)[:, ::-1].reshape(-1)
    last = rng.integers(1, 30, n * N_HABITS)
    gap = rng.integers(4, 30, n * N_HABITS)
    shared = {
        "offsets": np.arange(n + 1, dtype="<i8") * N_HABITS,
        "p7": Shares.of(p7),
        "wait": in_steps(gap, DAY_STEPS),
        "last_day": (AS_OF_DAY - last).astype("<i4"),
        "gap": in_steps(gap, DAY_STEPS),
        "quantity": np.ones(n * N_HABITS, dtype="<i2"),
        "n": rng.integers(2, 20, n * N_HABITS).astype("<i4"),
    }
    usual = NamedProducts.of(products.type, len(TYPES), [product])
    return {
        "usual": fmt.UsualProducts(usual.offsets, usual.product),
        "habit": fmt.Habits(**shared, type=kinds.reshape(-1), place=usual.places(product)),
        "again": fmt.Again(**shared, product=product.astype("<i4")),
    }


def _one_of_each_type(products: fmt.Products) -> npt.NDArray[np.int64]:
    return np.array([int(np.flatnonzero(products.type == kind)[0]) for kind in range(len(TYPES))])


if __name__ == "__main__":
    make_home(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
