"""A seeded bundle of any number of customers and products, made without training: how size and time grow with both.

Products are bought by their rank, the popular ones by nearly everybody. Customers differ: half of them buy some 18
products again, few a hundred. Stretches, discoveries and chances by category are as many as training publishes for
everyone. ``python -m tests.benchmarks.big_bundle FOLDER CUSTOMERS`` writes one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from features.ids import IdIndex
from serving import bundle_format as fmt
from serving.bundle import BundleContents, write_bundle
from serving.bundle_fields import columns_of
from serving.named_products import NamedProducts
from serving.shares import DAY_STEPS, LIFT_STEPS, Shares, falling, in_steps
from serving.strings import StringTable
from tests.serving.drawn import LABELS, customers_of, messages_of, offers_of, offsets_of, one_store
from tests.serving.tiny import AS_OF_DAY, tiny_contents

N_NOVEL, N_NOVEL_OF_CATEGORY = 5_000, 8
"""What there is to discover (training/configs/discover.toml): the most popular, and the best of each category."""

MEDIAN_AGAIN, SPREAD_AGAIN = 18, 0.8
N_ALSO, N_SUBSTITUTES, N_TOP, N_OFFERS = 30, 10, 20, 5
_CHUNK = 20_000

Rng = np.random.Generator
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scale:
    """How large a shop is."""

    customers: int
    products: int = 100_000
    seed: int = 1

    @property
    def types(self) -> int:
        """Thirty products are of a type."""
        return max(self.products // 30, 40)

    @property
    def categories(self) -> int:
        """A hundred products are of a category."""
        return max(self.products // 100, 100)


@dataclass(frozen=True)
class Shelves:
    """The products by popularity, and which type and category each is of."""

    by_rank: Rows
    type: Rows
    category: Rows
    top: Rows  # of each category the three most popular products, -1 where there are fewer
    novel: NamedProducts
    usual: NamedProducts


def write_big_bundle(scale: Scale, folder: Path) -> str:
    """Return the version of the bundle written to ``<folder>/<version>``: the same scale makes the same one."""
    return write_bundle(big_contents(scale), folder)


def big_contents(scale: Scale) -> BundleContents:
    """Return the contents of a bundle of a scale."""
    rng = np.random.default_rng(scale.seed)
    base = tiny_contents({"consent.email": True})
    shelves, products, fixed = _goods(rng, scale)
    parts = {
        **fixed,
        "products": products,
        "stores": one_store(base.stores),
        "store_popular": fmt.StorePopular(np.array([0, 200], "<i8"), shelves.by_rank[:200].astype("<i4")),
        "customers": customers_of(rng, scale.customers),
        **LABELS,
        **_lists(rng, scale, shelves),
        **offers_of(rng, N_OFFERS, scale.customers, products),
        **messages_of(rng, scale.customers),
    }
    return replace(base, **parts)


def _goods(rng: Rng, scale: Scale) -> tuple[Shelves, fmt.Products, dict[str, Any]]:
    """Return the shelves, the products, and every part of a bundle that is about neither customers nor offers."""
    n, n_types, n_categories = scale.products, scale.types, scale.categories
    type_category = np.arange(n_types) % n_categories
    kind = rng.permutation(np.arange(n) % n_types)
    category = type_category[kind]
    by_rank = rng.permutation(n)
    rank = np.empty(n, dtype=np.int64)
    rank[by_rank] = np.arange(n)
    p7 = (0.15 / (1.0 + rank) ** 0.6).astype("<f4")
    shelves_order = np.lexsort((rank, category))
    top_offsets = offsets_of(np.bincount(category, minlength=n_categories))
    top = np.full((n_categories, 3), -1)
    for place in range(3):
        at = top_offsets[:-1] + place
        has = at < top_offsets[1:]
        top[has, place] = shelves_order[at[has]]
    best = shelves_order[rank_within(top_offsets) < N_NOVEL_OF_CATEGORY]
    novel = NamedProducts.of(category, n_categories, [by_rank[:N_NOVEL], best])
    usual = NamedProducts.of(kind, n_types, [by_rank])
    shelves = Shelves(by_rank, kind, category, top, novel, usual)
    products = _products(rng, scale, shelves, p7)
    parts = {
        "types": fmt.Types(
            StringTable.of([f"type {i}" for i in range(n_types)]),
            type_category.astype("<i4"),
            np.minimum(np.bincount(kind, weights=p7, minlength=n_types), 0.9).astype("<f4"),
        ),
        "categories": fmt.Categories(
            StringTable.of([f"category {i}" for i in range(n_categories)]),
            StringTable.of([f"department {i % 20}" for i in range(n_categories)]),
            np.minimum(np.bincount(category, weights=p7, minlength=n_categories), 0.9).astype("<f4"),
            np.full(n_categories, 4.0, dtype="<f4"),
            np.zeros(n_categories, dtype="<u2"),
        ),
        "category_top": _capped(shelves_order, top_offsets),
        "popular": fmt.Popular(by_rank[:2000].astype("<i4")),
        "novelty": fmt.Novelties(novel.offsets, novel.product),
        "usual": fmt.UsualProducts(usual.offsets, usual.product),
        **_neighbours(rng, n),
    }
    return shelves, products, parts


def rank_within(offsets: Rows) -> Rows:
    """Return the place of each entry within its group."""
    return np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))


def _capped(order: Rows, offsets: Rows) -> fmt.CategoryTop:
    """Return the best of each category."""
    lengths = np.minimum(np.diff(offsets), N_TOP)
    kept = offsets_of(lengths)
    return fmt.CategoryTop(kept, order[np.repeat(offsets[:-1], lengths) + rank_within(kept)].astype("<i4"))


def _products(rng: Rng, scale: Scale, shelves: Shelves, p7: npt.NDArray[np.float32]) -> fmt.Products:
    n = scale.products
    ids = IdIndex.of([f"p{i:07d}" for i in range(n)])
    price = np.round(rng.uniform(1.0, 12.0, n), 2)
    return fmt.Products(
        id=StringTable.of(ids.ids),
        hash=ids.hashes,
        name=StringTable.of([f"product {i} of type {k}" for i, k in enumerate(shelves.type)]),
        brand=StringTable.of([f"brand {i % 500}" for i in range(n)]),
        type=shelves.type.astype("<i4"),
        category=shelves.category.astype("<i4"),
        price=price.astype("<f4"),
        margin=(price * rng.uniform(0.1, 0.5, n)).astype("<f4"),
        flags=np.full(n, fmt.RECOMMENDABLE, dtype="<u2"),
        p7=p7,
        launched_us=np.zeros(n, dtype="<i8"),
    )


def _neighbours(rng: Rng, n: int) -> dict[str, Any]:
    """Return what is bought together and instead, and factors: all drawn."""
    steps = 1 + np.arange(N_ALSO)
    others = ((np.arange(n)[:, None] + steps * 37) % n).astype("<i4").reshape(-1)
    score = np.tile(np.linspace(1.0, 0.1, N_ALSO, dtype="<f4"), n)
    instead = ((np.arange(n)[:, None] + steps[:N_SUBSTITUTES] * 11) % n).astype("<i4").reshape(-1)
    item = rng.normal(0, 0.1, (n, fmt.N_FACTORS)).astype("<f4")
    return {
        "also": fmt.AlsoBought(
            np.arange(n + 1, dtype="<i8") * N_ALSO, others, score, score * 8, np.full(len(others), 9, dtype="<i4")
        ),
        "substitute": fmt.Substitutes(
            np.arange(n + 1, dtype="<i8") * N_SUBSTITUTES,
            instead,
            np.tile(np.linspace(1.0, 0.2, N_SUBSTITUTES, dtype="<f4"), n),
        ),
        "factors": fmt.Factors(item, item.astype("<f8").T @ item.astype("<f8")),
    }


def _lists(rng: Rng, scale: Scale, shelves: Shelves) -> dict[str, Any]:
    """Return the lists of all customers, made some thousands at a time."""
    chunks = [
        _lists_of(rng, min(_CHUNK, scale.customers - start), scale, shelves)
        for start in range(0, scale.customers, _CHUNK)
    ]
    kinds: dict[str, Any] = {
        "habit": fmt.Habits,
        "again": fmt.Again,
        "stretch": fmt.Stretches,
        "discover": fmt.Discoveries,
        "propensity": fmt.Propensities,
        "recent": fmt.RecentCategories,
    }
    found = {}
    for name, kind in kinds.items():
        lengths = np.concatenate([chunk.pop(f"{name}.lengths") for chunk in chunks])
        fields = [each.removeprefix(f"{name}.") for each in chunks[0] if each.startswith(f"{name}.")]
        columns = {field: np.concatenate([chunk.pop(f"{name}.{field}") for chunk in chunks]) for field in fields}
        shares = {field for field, each in columns_of(kind).items() if each.dtype == "share"}
        parts = {field: Shares(values) if field in shares else values for field, values in columns.items()}
        found[name] = kind(offsets=offsets_of(lengths), **parts)
    return found


def _lists_of(rng: Rng, n: int, scale: Scale, shelves: Shelves) -> dict[str, npt.NDArray[Any]]:
    """Return the lists of n customers, by column: `<group>.lengths` and what is in them."""
    again = _drawn(rng, n, fmt.MAX_AGAIN, shelves.by_rank, skew=3.0)
    lengths = np.clip(rng.lognormal(np.log(MEDIAN_AGAIN), SPREAD_AGAIN, n), 1, fmt.MAX_AGAIN).astype(int)
    again = again.up_to(lengths)
    habit = again.first_of(shelves.type).up_to(np.full(n, fmt.MAX_HABITS))
    recent = habit.first_of(shelves.category)
    novel = shelves.by_rank[np.isin(shelves.by_rank, shelves.novel.product)]
    discover = (
        _drawn(rng, n, fmt.MAX_DISCOVERIES * 2, novel, skew=2.0).without(again).up_to(_all(n, fmt.MAX_DISCOVERIES))
    )
    categories = np.arange(scale.categories)
    usual = replace(recent, values=shelves.category[recent.values])
    stretch = (
        _drawn(rng, n, fmt.MAX_STRETCHES * 3, categories, skew=1.0).without(usual).up_to(_all(n, fmt.MAX_STRETCHES))
    )
    propensity = _drawn(rng, n, fmt.MAX_PROPENSITIES * 2, categories, skew=1.0).up_to(_all(n, fmt.MAX_PROPENSITIES))
    return dict(
        [
            *_bought(rng, "again", again),
            ("again.product", again.flat.astype("<i4")),
            *_bought(rng, "habit", habit),
            ("habit.type", shelves.type[habit.flat].astype("<i4")),
            ("habit.place", shelves.usual.places(habit.flat)),
            ("stretch.lengths", stretch.lengths),
            ("stretch.category", stretch.flat.astype("<i4")),
            ("stretch.p7", Shares.of(_falling(rng, stretch, 0.001, 0.1)).codes),
            ("stretch.place", shelves.novel.places(shelves.top[stretch.flat])),
            ("stretch.source", rng.integers(0, np.repeat(usual.lengths, stretch.lengths), endpoint=True).astype("<i4")),
            ("stretch.lift", in_steps(rng.uniform(0.5, 6.0, len(stretch.flat)), LIFT_STEPS)),
            ("discover.novelty", shelves.novel.rows(discover.flat)),
            *_chances(rng, "discover", discover, 0.1),
            ("propensity.category", propensity.flat.astype("<i4")),
            *_chances(rng, "propensity", propensity, 0.9),
            ("recent.lengths", usual.lengths),
            ("recent.category", usual.ascending().astype("<i4")),
        ]
    )


def _all(n: int, each: int) -> Rows:
    return np.full(n, each)


@dataclass(frozen=True)
class Drawn:
    """Some things for each customer, no two alike: matrices (n customers, places), of which those `is_kept` count."""

    values: Rows
    is_kept: npt.NDArray[np.bool_]

    @property
    def lengths(self) -> Rows:
        """How many each customer has."""
        return self.is_kept.sum(axis=1)

    @property
    def flat(self) -> Rows:
        """All of them, customer by customer."""
        return self.values[self.is_kept]

    def up_to(self, lengths: Rows) -> Drawn:
        """Return the first of each customer, as many as `lengths` says."""
        return replace(self, is_kept=self.is_kept & (np.cumsum(self.is_kept, axis=1) <= lengths[:, None]))

    def first_of(self, kind: Rows) -> Drawn:
        """Return the first of each kind of each customer."""
        kinds = np.where(self.is_kept, kind[self.values], -1)
        order = np.argsort(kinds, axis=1, kind="stable")
        ordered = np.take_along_axis(kinds, order, axis=1)
        is_first = np.ones_like(self.is_kept)
        is_first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
        found = np.empty_like(is_first)
        np.put_along_axis(found, order, is_first, axis=1)
        return replace(self, is_kept=self.is_kept & found)

    def without(self, others: Drawn) -> Drawn:
        """Return those that the customer does not have among `others`."""
        most = int(max(self.values.max(), others.values.max())) + 1
        owner = np.arange(len(self.values))[:, None] * most
        taken = np.isin(owner + self.values, (owner + others.values)[others.is_kept])
        return replace(self, is_kept=self.is_kept & ~taken)

    def ascending(self) -> Rows:
        """Return all of them, ascending within each customer."""
        high = np.where(self.is_kept, self.values, np.iinfo(np.int64).max)
        ordered = np.sort(high, axis=1)
        return ordered[ordered < np.iinfo(np.int64).max]


def _drawn(rng: Rng, n: int, most: int, by_rank: Rows, *, skew: float) -> Drawn:
    """Return things drawn by their rank, the best ranked first; where one is drawn twice, it counts once."""
    ranks = np.sort((len(by_rank) * rng.random((n, most)) ** skew).astype(np.int64), axis=1)
    is_kept = np.ones(ranks.shape, dtype=bool)
    is_kept[:, 1:] = ranks[:, 1:] != ranks[:, :-1]
    return Drawn(by_rank[ranks], is_kept)


def _falling(rng: Rng, drawn: Drawn, low: float, high: float) -> npt.NDArray[np.float32]:
    """Return chances that fall within each customer."""
    chances = np.sort(rng.uniform(low, high, drawn.values.shape).astype("<f4"), axis=1)[:, ::-1]
    return chances[drawn.is_kept]


def _bought(rng: Rng, name: str, drawn: Drawn) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    total = int(drawn.is_kept.sum())
    ago, gap = rng.integers(1, 60, total), rng.integers(4, 60, total)
    yield f"{name}.lengths", drawn.lengths
    yield f"{name}.p7", Shares.of(_falling(rng, drawn, 0.01, 0.7)).codes
    yield f"{name}.wait", in_steps(gap, DAY_STEPS)
    yield f"{name}.last_day", (AS_OF_DAY - ago).astype("<i4")
    yield f"{name}.gap", in_steps(gap, DAY_STEPS)
    yield f"{name}.quantity", rng.integers(1, 4, total).astype("<i2")
    yield f"{name}.n", np.clip(rng.lognormal(np.log(8), 0.9, total), 2, 400).astype("<i4")


def _chances(rng: Rng, name: str, drawn: Drawn, high: float) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    chances = falling(_falling(rng, drawn, 0.001, high), offsets_of(drawn.lengths))
    yield f"{name}.lengths", drawn.lengths
    yield f"{name}.top", chances.top.codes
    yield f"{name}.fall", chances.fall


if __name__ == "__main__":
    print(write_big_bundle(Scale(customers=int(sys.argv[2])), Path(sys.argv[1])))  # noqa: T201  # a command's answer
