"""Who shops in the synthetic shop: when they come, what they buy again and what they come to buy later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.sources.synthetic_goods import (
    BRANDS,
    HEALTHY,
    NEVER_HABITS,
    PAIRED_KINDS,
    PRIVATE_LABEL,
    SUBSTITUTE_KINDS,
    Goods,
)

N_HABITS = 5
N_STORES = 3
TRIP_GAPS_DAYS = (3.5, 5.0, 7.0)
HABIT_GAPS_DAYS = (7.0, 10.0, 14.0, 21.0)
CHURN_SHARE = 0.18
ADOPT_WITH_SOURCE = 0.6
ADOPT_WITHOUT = 0.04
ADOPTED_GAP_DAYS = 9.0
AT_BEST_HOUR = 0.7
LATE_JOINERS = 0.15

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class People:
    """Customers and their trips; days count from the shop's first local day.

    ``trip_day`` (whole days), ``trip_minute`` (of the local day) and ``is_trip`` have shape ``(n, most_trips)``.
    ``last_day`` is the day of the last trip; ``churns`` is true for those who stopped for good before the end.
    """

    ids: tuple[str, ...]
    first_day: Floats
    last_day: Ints
    churns: Bools
    store: Ints
    best_hour: Ints
    loves_private_label: Bools
    lives_healthily: Bools
    responds: Bools
    trip_day: Ints
    trip_minute: Ints
    is_trip: Bools


@dataclass(frozen=True)
class Habits:
    """What customers buy again, shape ``(n, slots)``; ``kind`` is -1 in a free slot.

    ``starts_day`` is 0 for those who always had the habit, else the day on which they come to it (a planted stretch).
    """

    kind: Ints
    brand: Ints
    gap_days: Floats
    quantity: Ints
    starts_day: Floats


def make_people(rng: np.random.Generator, n: int, n_days: int) -> People:
    """Return `n` customers and their trips over `n_days` local days."""
    joins_late = rng.random(n) < LATE_JOINERS
    first_day = np.where(joins_late, rng.uniform(0.2, 0.6, n), rng.uniform(0, 0.05, n)) * n_days
    churns = ~joins_late & (rng.random(n) < CHURN_SHARE)
    ends_day = np.where(churns, rng.uniform(0.3, 0.9, n) * n_days, n_days)
    mean_gap = rng.choice(TRIP_GAPS_DAYS, n)
    most_trips = int(n_days / min(TRIP_GAPS_DAYS) * 1.6) + 5
    gaps = np.maximum(rng.gamma(6.0, mean_gap[:, None] / 6.0, (n, most_trips)), 1.0)
    gaps[:, 0] = first_day
    trip_day = np.floor(np.cumsum(gaps, axis=1)).astype(np.int64)
    is_trip = trip_day < ends_day[:, None]
    best_hour = rng.integers(8, 20, n)
    at_best = rng.random(trip_day.shape) < AT_BEST_HOUR
    hour = np.where(at_best, best_hour[:, None], rng.integers(8, 20, trip_day.shape))
    return People(
        ids=tuple(f"c{i:05d}" for i in range(n)),
        first_day=first_day,
        last_day=np.where(is_trip, trip_day, 0).max(axis=1),
        churns=churns,
        store=rng.integers(0, N_STORES, n),
        best_hour=best_hour,
        loves_private_label=rng.random(n) < 0.25,
        lives_healthily=rng.random(n) < 0.3,
        responds=rng.random(n) < 0.3,
        trip_day=trip_day,
        trip_minute=hour * 60 + rng.integers(0, 60, trip_day.shape),
        is_trip=is_trip,
    )


def make_habits(rng: np.random.Generator, people: People, goods: Goods) -> Habits:
    """Return each customer's habits, from different categories, and the stretch habits that some come to later."""
    n = len(people.ids)
    own = _choose_kinds(rng, people, goods)
    later, starts = _adopt(rng, people, goods, own)
    kind = np.concatenate([own, later], axis=1)
    starts_day = np.concatenate([np.zeros(own.shape), starts], axis=1)
    rank = rng.choice(goods.n_brands, kind.shape, p=goods.brand_share)
    brand = goods.favourites[np.maximum(kind, 0), rank]
    takes_label = people.loves_private_label[:, None] & (rng.random(kind.shape) < 0.8)
    gap_days = np.where(starts_day > 0, ADOPTED_GAP_DAYS, rng.choice(HABIT_GAPS_DAYS, kind.shape))
    return Habits(
        kind=kind,
        brand=np.where(takes_label, BRANDS.index(PRIVATE_LABEL), brand),
        gap_days=gap_days,
        quantity=rng.choice(3, (n, kind.shape[1]), p=(0.7, 0.25, 0.05)) + 1,
        starts_day=starts_day,
    )


def _choose_kinds(rng: np.random.Generator, people: People, goods: Goods) -> Ints:
    """Return ``(n, N_HABITS)`` kinds of distinct categories, drawn without replacement by weight (Gumbel top k)."""
    targets = {target for _, target in goods.stretch_links}
    sources = {source for source, _ in goods.stretch_links}
    in_category = np.array([_category_weight(name, targets, sources) for name in goods.categories])
    with np.errstate(divide="ignore"):
        scores = np.log(in_category) + rng.gumbel(size=(len(people.ids), len(in_category)))
    category = np.argsort(-scores, axis=1)[:, :N_HABITS]
    planted = {first for first, _ in PAIRED_KINDS} | set(SUBSTITUTE_KINDS)
    base = np.array([2.0 if kind in planted else 1.0 for kind in goods.kinds])
    healthy = np.array([kind in HEALTHY for kind in goods.kinds])
    weight = np.where(people.lives_healthily[:, None] & healthy, 3.0, 1.0) * base
    member = goods.category[None, None, :] == category[:, :, None]
    scores = np.where(member, np.log(weight)[:, None, :] + rng.gumbel(size=member.shape), -np.inf)
    kinds: Ints = np.argmax(scores, axis=2)
    return kinds


def _category_weight(name: str, targets: set[str], sources: set[str]) -> float:
    """Return how readily a category becomes a habit from the start; the targets of a stretch never do."""
    if name in targets or name in NEVER_HABITS:
        return 0.0
    return 2.5 if name in sources else 1.0


def _adopt(rng: np.random.Generator, people: People, goods: Goods, own: Ints) -> tuple[Ints, Floats]:
    """Return the kinds that customers come to (-1: none) and the day on which they do, one column a stretch link."""
    n, n_days = len(people.ids), int(people.last_day.max()) + 1
    kinds, days = [], []
    for source, target in goods.stretch_links:
        has_source = (goods.category[own] == goods.categories.index(source)).any(axis=1)
        adopts = rng.random(n) < np.where(has_source, ADOPT_WITH_SOURCE, ADOPT_WITHOUT)
        choices = np.flatnonzero(goods.category == goods.categories.index(target))
        kinds.append(np.where(adopts, rng.choice(choices, n), -1))
        days.append(np.where(adopts, np.maximum(rng.uniform(0.3, 0.98, n) * n_days, people.first_day + 28), 0.0))
    return np.stack(kinds, axis=1), np.stack(days, axis=1)
