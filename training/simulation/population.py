"""Simulated customers, drawn from those that were learned from, and the draws that decide what they do.

Draws are made by seed and day alone, never by what happened before: so two worlds with the same seed differ in nothing
but what messages do in them, and the difference of a customer's outcomes is the true effect on that customer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from training.simulation.arrays import Bools, Floats, Ints
from training.simulation.fitting import FittedShop

MARGIN_RATES = (0.2, 0.45)
CONSENT_EMAIL = 0.85
OWN_HOUR = 0.75
EMAIL = "email"


@dataclass(frozen=True)
class Population:
    """Customers of a simulated shop; shapes are ``(n,)`` and ``(n, n_types)``.

    `need_gap` is days, also for types that are no habit yet; `is_habit` says which are at first; `extra_rate` is the
    chance of an unplanned purchase on a trip; `sticks`: an unplanned purchase makes it a habit. `receptiveness` is 0 to
    1; `hour`, 0 to 1, is when they usually come within the hours of the shop. `product` is the one that they take of a
    type, `cost` of a product is money.
    """

    shop: FittedShop
    customer_ids: tuple[str, ...]
    trip_gap: Floats
    need_gap: Floats
    pieces: Ints
    is_habit: Bools
    sticks: Bools
    extra_rate: Floats
    product: Ints
    discount_share: Floats
    receptiveness: Floats
    hour: Floats
    agrees: Bools
    cost: Floats

    @property
    def n(self) -> int:
        """Return how many customers there are."""
        return len(self.customer_ids)

    @property
    def shape(self) -> tuple[int, int]:
        """Return customers × types."""
        return self.n, self.shop.goods.n_types

    def of(self, rows: Ints) -> Population:
        """Return some of the customers, in that order."""
        arrays = {name: getattr(self, name)[rows] for name in _OF_CUSTOMERS}
        return replace(self, customer_ids=tuple(self.customer_ids[row] for row in rows), **arrays)


_OF_CUSTOMERS = (
    *("trip_gap", "need_gap", "pieces", "is_habit", "sticks", "extra_rate", "product", "discount_share"),
    *("receptiveness", "hour", "agrees"),
)


@dataclass(frozen=True)
class Draws:
    """What chance brings on one day, uniform in [0, 1): to each customer, ``(n,)``; `buy` has ``(n, n_types)``."""

    trip: Floats
    hour: Floats
    buy: Floats
    cut: Floats
    clip: Floats
    leave: Floats
    opens: Floats


def draw_population(shop: FittedShop, n: int, seed: int, spread: float) -> Population:
    """Return `n` customers, each with the ways of one who was learned from; `spread` as in `Truth`."""
    rng = np.random.default_rng([seed, 1])
    known = len(shop.trip_gap)
    row = rng.permutation(known)[:n] if n <= known else rng.integers(0, known, n)
    goods = shop.goods
    is_habit = np.isfinite(shop.need_gap[row])
    lean = shop.discount_share[row]
    rank = np.argsort(np.argsort(lean, kind="stable"), kind="stable") / max(n - 1, 1)
    lead = np.searchsorted(goods.product_type, np.arange(goods.n_types))
    n_products = np.bincount(goods.product_type, minlength=goods.n_types)
    rates = rng.uniform(*MARGIN_RATES, goods.n_types)[goods.product_type]
    return Population(
        shop,
        tuple(f"s{seed}-{each:05d}" for each in range(n)),
        shop.trip_gap[row],
        np.where(is_habit, shop.need_gap[row], shop.type_gap[None, :]),
        np.floor(shop.pieces[row] + rng.random(is_habit.shape)).astype(np.int64),
        is_habit,
        rng.random(is_habit.shape) < shop.stick_share,
        _extra_rates(shop, row, is_habit),
        lead + (rng.random(is_habit.shape) < 0.3) * (n_products > 1),
        lean,
        (1.0 - spread) * rank + spread * rng.random(n),
        rng.random(n),
        rng.random(n) < CONSENT_EMAIL,
        np.round(goods.price * (1.0 - rates), 2),
    )


def draws_of(population: Population, seed: int, day: int) -> Draws:
    """Return the draws of a day: always the same for a seed and a day, whatever happened before."""
    rng = np.random.default_rng([seed, 2, day])
    n, shape = population.n, population.shape
    trip, hour, cut, clip, leave, opens = rng.random((6, n))
    hour = OWN_HOUR * population.hour + (1.0 - OWN_HOUR) * hour
    return Draws(trip, hour, rng.random(shape, dtype=np.float32), cut, clip, leave, opens)


def _extra_rates(shop: FittedShop, row: Ints, is_habit: Bools) -> Floats:
    """Return the chance of each unplanned type on a trip, by popularity and by affinity with what is bought already."""
    goods = shop.goods
    owns = np.zeros((len(row), len(goods.categories)))
    np.maximum.at(owns.T, goods.category, is_habit.T.astype(np.float64))
    likes = (owns @ goods.affinity + 1.0) / (owns.sum(axis=1, keepdims=True) + 1.0)
    weight = np.where(is_habit, 0.0, shop.extra_share[None, :] * likes[:, goods.category])
    share = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)
    rate: Floats = 1.0 - np.exp(-shop.extras[row, None] * share)
    return rate
