"""A hand-made shop of 16 products and 6 customers, small enough to reason about, as the contents of a bundle.

`anna` is the rich one, `ben` has refused personalisation, `cleo` has one habit only, `dora` has none, `emil` buys
wine, `fay` has just bought everything she buys. Its offers, and what was sent to whom, are in `tiny_offers.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from features.ids import IdIndex
from serving import bundle_format as fmt
from serving.bundle import BundleContents
from serving.bundle_columns import I64
from serving.decisioning.policy import default_policy_text, with_values
from serving.manifest import Available, BundleMeta
from serving.named_products import NamedProducts, places_among
from serving.numbers import Numbers
from serving.shares import DAY_STEPS, LIFT_STEPS, Shares, in_steps
from serving.strings import StringTable
from tests.serving.tiny_offers import LEAVING, offer_groups

AS_OF = datetime(2018, 1, 1, 5, tzinfo=UTC)  # Monday 00:00 in New York
AS_OF_DAY = 17532  # 2018-01-01
STORED = 2e-5  # what storing a chance in two bytes may change (serving/shares.py)
STORES = {"s-ny": "America/New_York", "s-berlin": "Europe/Berlin", "s-plain": ""}
# store: latitude, longitude, minutes of the day at which it opens and closes
PLACES = {"s-ny": (40.75, -73.99, 420, 1320), "s-berlin": (52.52, 13.4, 1080, 120), "s-plain": (np.nan, np.nan, -1, -1)}
_PLACE_TYPES = ("<f4", "<f4", "<i2", "<i2")
LAUNCHED = {"milk-2": 10, "brie-1": 5, "wine-2": 3}  # product: days before the as-of
CATEGORIES = ("Dairy", "Bakery", "Produce", "Coffee and Tea", "Snacks", "Wine", "Feminine Hygiene", "Cheese Counter")
TYPES = {
    "Milk": "Dairy",
    "Yogurt": "Dairy",
    "Bread": "Bakery",
    "Bananas": "Produce",
    "Salad": "Produce",
    "Ground Coffee": "Coffee and Tea",
    "Crisps": "Snacks",
    "Red Wine": "Wine",
    "Tampons": "Feminine Hygiene",
    "Brie": "Cheese Counter",
}
# product_id: (name, type, price, margin, chance of the population within 7 days)
PRODUCTS: dict[str, tuple[str, str, float, float, float]] = {
    "milk-1": ("Whole Milk", "Milk", 2.0, 0.4, 0.30),
    "milk-2": ("Oat Milk", "Milk", 3.0, 0.9, 0.05),
    "yogurt-1": ("Plain Yogurt", "Yogurt", 1.0, 0.2, 0.12),
    "bread-1": ("Rye Bread", "Bread", 3.5, 1.0, 0.20),
    "bread-2": ("White Bread", "Bread", 2.5, np.nan, 0.22),
    "banana-1": ("Bananas", "Bananas", 1.5, 0.5, 0.25),
    "salad-1": ("Mixed Salad", "Salad", 4.0, 1.5, 0.08),
    "coffee-1": ("House Coffee", "Ground Coffee", 8.0, 3.0, 0.06),
    "coffee-2": ("Shop Brand Coffee", "Ground Coffee", 6.0, np.nan, 0.05),
    "crisps-1": ("Sea Salt Crisps", "Crisps", 2.2, 0.8, 0.09),
    "crisps-2": ("Tin of Crisps", "Crisps", np.nan, np.nan, 0.02),
    "wine-1": ("Merlot", "Red Wine", 12.0, 4.0, 0.07),
    "wine-2": ("Shiraz", "Red Wine", 11.0, 4.0, 0.03),
    "tampons-1": ("Tampons 20", "Tampons", 5.0, 2.0, 0.05),
    "brie-1": ("Brie de Meaux", "Brie", 9.0, 3.5, 0.04),
    "gone-1": ("Sold Out Brie", "Brie", 9.5, 3.5, 0.05),
}
CUSTOMERS = ("anna", "ben", "cleo", "dora", "emil", "fay")
# customer: (type, product, p7, due in days from as_of, last bought days before as_of, gap, quantity, baskets)
HABITS: dict[str, list[tuple[str, str, float, float, int, float, int, int]]] = {
    "anna": [
        ("Milk", "milk-1", 0.80, 1.0, 8, 9.0, 2, 12),
        ("Yogurt", "yogurt-1", 0.60, 2.0, 5, 7.0, 1, 9),
        ("Bread", "bread-1", 0.50, 0.5, 6, 6.5, 1, 14),
        ("Bananas", "banana-1", 0.70, 5.0, 1, 6.0, 1, 20),
        ("Tampons", "tampons-1", 0.65, 1.0, 27, 28.0, 1, 5),
        ("Crisps", "crisps-1", 0.10, 30.0, 12, np.nan, 1, 1),
    ],
    "ben": [("Milk", "milk-1", 0.70, 1.0, 8, 9.0, 1, 12), ("Bread", "bread-1", 0.5, 1.0, 8, 9.0, 1, 5)],
    "cleo": [("Milk", "milk-2", 0.40, 20.0, 4, 24.0, 1, 3)],
    "emil": [("Red Wine", "wine-1", 0.9, 1.0, 7, 8.0, 1, 30), ("Bread", "bread-2", 0.3, 2.0, 5, 7.0, 1, 4)],
    "fay": [("Milk", "milk-1", 0.6, 6.0, 1, 7.0, 1, 8), ("Bread", "bread-1", 0.6, 6.0, 1, 7.0, 1, 8)],
}
# customer: (category, p7, best products, source category, lift)
STRETCHES: dict[str, list[tuple[str, float, tuple[str, ...], str, float]]] = {
    "anna": [
        ("Wine", 0.09, ("wine-1", "wine-2"), "Bakery", 2.0),
        ("Coffee and Tea", 0.05, ("coffee-1", "coffee-2"), "Bakery", 1.8),
        ("Cheese Counter", 0.04, ("gone-1", "brie-1"), "", np.nan),
        ("Snacks", 0.03, ("crisps-2", "crisps-1"), "", np.nan),
    ],
    "ben": [("Coffee and Tea", 0.05, ("coffee-1",), "Bakery", 1.8)],
    "cleo": [
        ("Cheese Counter", 0.04, ("brie-1",), "", np.nan),
        ("Coffee and Tea", 0.02, ("coffee-2", "coffee-1"), "Dairy", 1.05),
    ],
    "emil": [("Feminine Hygiene", 0.1, ("tampons-1",), "", np.nan), ("Produce", 0.05, ("salad-1",), "", 1.0)],
    "fay": [("Coffee and Tea", 0.05, ("coffee-1",), "Dairy", 1.5)],
}
# customer: (product, p7)
DISCOVER = {
    "anna": [("coffee-1", 0.055), ("brie-1", 0.045), ("salad-1", 0.03), ("wine-1", 0.02)],
    "cleo": [("banana-1", 0.2), ("bread-2", 0.1)],
}
ALSO = {
    "milk-1": [("bread-1", 0.5, 2.0, 40), ("coffee-1", 0.4, 1.8, 20), ("banana-1", 0.2, 1.1, 60)],
    "bread-1": [
        ("milk-1", 0.5, 2.0, 40),
        ("brie-1", 0.45, 3.0, 12),
        ("gone-1", 0.44, 2.5, 11),
        ("coffee-1", 0.1, 1.2, 9),
    ],
    "coffee-1": [("milk-1", 0.3, 1.8, 20)],
}
SUBSTITUTES = {
    "milk-1": [("milk-2", 2.0), ("yogurt-1", 1.0)],
    "bread-1": [("bread-2", 2.5)],
    "coffee-1": [("crisps-2", 1.6), ("coffee-2", 1.5), ("wine-1", 1.4), ("tampons-1", 1.3)],
    "wine-2": [("wine-1", 3.0), ("tampons-1", 0.5)],
    "tampons-1": [("salad-1", 0.5)],
    "brie-1": [("gone-1", 3.0)],
}


def ragged(lists: Sequence[Sequence[Any]]) -> tuple[I64, list[Any]]:
    """Return the offsets and the flat entries of lists, one list a row."""
    offsets = np.zeros(len(lists) + 1, dtype=np.int64)
    np.cumsum([len(each) for each in lists], out=offsets[1:])
    return offsets, [entry for each in lists for entry in each]


def column(entries: Sequence[Any], place: int, dtype: str) -> Any:
    return np.array([entry[place] for entry in entries], dtype=dtype)


class Rows:
    """The rows of the tiny shop's ids and names."""

    def __init__(self) -> None:
        self.customers = IdIndex.of(CUSTOMERS)
        self.products = IdIndex.of(PRODUCTS)
        self.stores = IdIndex.of(STORES)
        self.types = {name: i for i, name in enumerate(TYPES)}
        self.categories = {name: i for i, name in enumerate(CATEGORIES)} | {"": -1}

    def product(self, product_id: str) -> int:
        return self.products.row_of(product_id) if product_id else -1


def _products(rows: Rows) -> fmt.Products:
    known = [PRODUCTS[each] for each in rows.products.ids]
    flags = []
    for product_id, (_, kind, *_rest) in zip(rows.products.ids, known, strict=True):
        bits = fmt.RECOMMENDABLE
        bits |= fmt.RESTRICTED if kind == "Red Wine" else 0
        bits |= fmt.INTIMATE if kind == "Tampons" else 0
        bits |= fmt.PRIVATE_LABEL if product_id == "coffee-2" else 0
        bits |= fmt.OUT_OF_STOCK if product_id == "gone-1" else 0
        flags.append(bits)
    return fmt.Products(
        id=StringTable.of(rows.products.ids),
        hash=rows.products.hashes,
        name=StringTable.of(each[0] for each in known),
        brand=StringTable.of("" for _ in known),
        type=np.array([rows.types[each[1]] for each in known], dtype="<i4"),
        category=np.array([rows.categories[TYPES[each[1]]] for each in known], dtype="<i4"),
        price=column(known, 2, "<f4"),
        margin=column(known, 3, "<f4"),
        flags=np.array(flags, dtype="<u2"),
        p7=column(known, 4, "<f4"),
        launched_us=np.array([launched_us(each) for each in rows.products.ids], dtype="<i8"),
    )


def launched_us(product_id: str) -> int:
    """Return when a product was launched, 0 where that is not known."""
    days = LAUNCHED.get(product_id)
    return 0 if days is None else int((AS_OF.timestamp() - days * 86_400) * 1e6)


def _customers(rows: Rows) -> fmt.Customers:
    n = len(CUSTOMERS)
    consent = np.zeros((n, 6), dtype=np.uint8)
    consent[rows.customers.row_of("ben"), 0] = fmt.CONSENT_NO
    consent[rows.customers.row_of("anna"), 0] = fmt.CONSENT_YES
    number = np.linspace(0.1, 0.6, n, dtype="<f4")
    store = np.full(n, rows.stores.row_of("s-ny"), dtype="<i4")
    store[rows.customers.row_of("dora")] = -1
    return fmt.Customers(
        id=StringTable.of(rows.customers.ids),
        hash=rows.customers.hashes,
        store=store,
        consent=consent,
        churn=number,
        next_days=number * 10,
        value=number * 1000,
        score=number * 100,
        usual_price=np.where(np.array(rows.customers.ids) == "dora", np.nan, 2.5).astype("<f4"),
        private_label=np.where(np.array(rows.customers.ids) == "cleo", 0.9, 0.1).astype("<f4"),
        healthy=np.full(n, np.nan, dtype="<f4"),
        p_shop=Shares.of(np.tile([0.2, 0.4, 0.55, 0.65, 0.75, 0.8, 0.85], (n, 1))),
        segment=np.zeros(n, dtype="<i2"),
        tier=np.zeros(n, dtype="<i2"),
        channel=np.full(n, -1, dtype="<i2"),
        hour=np.full(n, 17, dtype="|i1"),
        n_baskets=np.full(n, 30, dtype="<i4"),
    )


def _habits(rows: Rows) -> dict[str, Any]:
    by_row = [sorted(HABITS.get(each, []), key=lambda habit: -habit[2]) for each in rows.customers.ids]
    offsets, flat = ragged(by_row)
    shared = {
        "offsets": offsets,
        "wait": in_steps(column(flat, 3, "<f8") + column(flat, 4, "<f8"), DAY_STEPS, is_floor=True),
        "last_day": (AS_OF_DAY - column(flat, 4, "<i4")).astype("<i4"),
        "gap": in_steps(column(flat, 5, "<f8"), DAY_STEPS),
        "quantity": column(flat, 6, "<i2"),
        "n": column(flat, 7, "<i4"),
    }
    types = np.array([rows.types[each[0]] for each in flat], dtype="<i4")
    p7 = column(flat, 2, "<f8")
    product = np.array([rows.product(each[1]) for each in flat], dtype="<i4")
    usual = NamedProducts.of(_products(rows).type, len(TYPES), [product])
    return {
        "usual": fmt.UsualProducts(usual.offsets, usual.product),
        "habit": fmt.Habits(**shared, p7=Shares.of(p7), type=types, place=usual.places(product)),
        "again": fmt.Again(**shared, p7=Shares.of(p7 * 0.9), product=product),
    }


def _new(rows: Rows, recent: fmt.RecentCategories) -> dict[str, Any]:
    offsets, flat = ragged([STRETCHES.get(each, []) for each in rows.customers.ids])
    names = [[rows.product(each) for each in (*entry[2], "", "", "")[:3]] for entry in flat]
    best = np.array(names, dtype="<i4").reshape(-1, 3)
    discover_offsets, discover = ragged([DISCOVER.get(each, []) for each in rows.customers.ids])
    found = np.array([rows.product(each[0]) for each in discover], dtype="<i4")
    source = np.array([rows.categories[each[3]] for each in flat], dtype="<i4")
    owner = np.repeat(np.arange(len(rows.customers.ids)), np.diff(offsets))
    novel = NamedProducts.of(_products(rows).category, len(CATEGORIES), [found, best])
    return {
        "novelty": fmt.Novelties(novel.offsets, novel.product),
        "stretch": fmt.Stretches(
            offsets=offsets,
            category=np.array([rows.categories[each[0]] for each in flat], dtype="<i4"),
            p7=Shares.of(column(flat, 1, "<f8")),
            place=novel.places(best),
            source=places_among(recent.offsets, recent.category, owner, source),
            lift=in_steps(column(flat, 4, "<f8"), LIFT_STEPS),
        ),
        "discover": fmt.Discoveries.of(discover_offsets, novel.rows(found), column(discover, 1, "<f8")),
    }


def _by_customer(rows: Rows) -> dict[str, Any]:
    bought = [
        sorted({rows.categories[TYPES[each[0]]] for each in HABITS.get(customer, [])})
        for customer in rows.customers.ids
    ]
    recent_offsets, recent = ragged(bought)
    lately = fmt.RecentCategories(recent_offsets, np.array(recent, dtype="<i4"))
    share = np.linspace(0.9, 0.1, len(recent), dtype="<f4")
    return {
        "customers": _customers(rows),
        **_habits(rows),
        **_new(rows, lately),
        "recent": lately,
        "propensity": fmt.Propensities.of(recent_offsets, np.array(recent, dtype="<i4"), share),
    }


def _factors(rows: Rows) -> fmt.Factors:
    """Two tastes: what goes with milk (factor 0), and what goes with brie (factor 1)."""
    item = np.zeros((len(PRODUCTS), fmt.N_FACTORS), dtype="<f4")
    for place, product_ids in enumerate((("milk-1", "bread-1", "banana-1"), ("brie-1", "coffee-1", "salad-1"))):
        for strength, product_id in zip((1.0, 0.9, 0.8), product_ids, strict=True):
            item[rows.product(product_id), place] = strength
    return fmt.Factors(item, item.astype("<f8").T @ item)


def _catalogue(rows: Rows) -> dict[str, Any]:
    products = _products(rows)
    order = np.argsort(-products.p7, kind="stable").astype("<i4")
    by_category = [[int(each) for each in order if products.category[each] == i] for i in range(len(CATEGORIES))]
    top_offsets, top = ragged(by_category)
    in_store = {"s-ny": [int(each) for each in order[::-1]]}
    store_offsets, store_popular = ragged([in_store.get(each, []) for each in rows.stores.ids])
    restricted = np.array([fmt.RESTRICTED * (each == "Wine") for each in CATEGORIES])
    intimate = np.array([fmt.INTIMATE * (each == "Feminine Hygiene") for each in CATEGORIES])
    substitute_offsets, substitute = ragged([SUBSTITUTES.get(each, []) for each in rows.products.ids])
    also_offsets, also = ragged([ALSO.get(each, []) for each in rows.products.ids])
    return {
        "products": products,
        "types": fmt.Types(
            StringTable.of(TYPES),
            np.array([rows.categories[each] for each in TYPES.values()], dtype="<i4"),
            np.full(len(TYPES), 0.2, dtype="<f4"),
        ),
        "categories": fmt.Categories(
            StringTable.of(CATEGORIES),
            StringTable.of("Food" for _ in CATEGORIES),
            np.full(len(CATEGORIES), 0.3, dtype="<f4"),
            np.full(len(CATEGORIES), 4.0, dtype="<f4"),
            (restricted | intimate).astype("<u2"),
        ),
        "category_top": fmt.CategoryTop(top_offsets, np.array(top, dtype="<i4")),
        "popular": fmt.Popular(order),
        "store_popular": fmt.StorePopular(store_offsets, np.array(store_popular, dtype="<i4")),
        "stores": fmt.Stores(
            StringTable.of(rows.stores.ids),
            rows.stores.hashes,
            StringTable.of(STORES[each] for each in rows.stores.ids),
            *(column([PLACES[each] for each in rows.stores.ids], i, dtype) for i, dtype in enumerate(_PLACE_TYPES)),
        ),
        "also": fmt.AlsoBought(
            also_offsets,
            np.array([rows.product(each[0]) for each in also], dtype="<i4"),
            column(also, 1, "<f4"),
            column(also, 2, "<f4"),
            column(also, 3, "<i4"),
        ),
        "substitute": fmt.Substitutes(
            substitute_offsets,
            np.array([rows.product(each[0]) for each in substitute], dtype="<i4"),
            column(substitute, 1, "<f4"),
        ),
        "factors": _factors(rows),
    }


def tiny_contents(policy: Mapping[str, str | float | bool] | None = None, **changes: Any) -> BundleContents:
    """Return the contents of the tiny shop's bundle; `policy` changes values, `changes` replaces whole groups."""
    rows = Rows()
    meta = BundleMeta(
        as_of=AS_OF,
        as_of_day=AS_OF_DAY,
        time_zone="America/New_York",
        currency="USD",
        source_name="tiny shop",
        catalogue_digest="0" * 64,
        created_by="tests",
        has=Available(types=True, categories=True, prices=True, hours=True, amounts=True),
        metrics={"habit": {"auc": 0.9}},
    )
    values = {"shop.time_zone": "America/New_York"} | dict(policy or {})
    contents = BundleContents(
        **_by_customer(rows),
        **_catalogue(rows),
        **offer_groups(rows),
        segments=StringTable.of(["Regulars"]),
        tiers=StringTable.of(["High"]),
        channels=StringTable.of(["email", "store"]),
        meta=meta,
        numbers=replace(
            Numbers.plain(), fold_in={"regularization": 1.0, "confidence": 1.0, "strength": 12.0}, leaving=LEAVING
        ),
        policy_text=with_values(default_policy_text(), values),
        models={"habit.txt": "tree\n"},
    )
    return replace(contents, **changes)
