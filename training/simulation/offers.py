"""The offers of a simulated shop: one category each, of different depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.simulation.arrays import Bools, Floats, Ints
from training.simulation.population import Population
from training.simulation.truth import Truth

DEPTHS = (0.1, 0.2, 0.3, 0.5, 0.8)
"""Values, as shares of the category's usual price: the deepest cost more than any margin."""

SMALLEST = 0.1


@dataclass(frozen=True)
class Offers:
    """Offers, shape ``(n,)``; `is_for` has shape ``(n, n_types)``; days count as the world's do."""

    offer_ids: tuple[str, ...]
    category: Ints
    value: Floats
    depth: Floats
    starts_day: Ints
    ends_day: Ints
    is_for: Bools

    @property
    def n(self) -> int:
        """Return how many offers there are."""
        return len(self.offer_ids)

    def runs(self, day: int) -> Bools:
        """Return which offers run on a day."""
        return (self.starts_day <= day) & (day < self.ends_day)

    def pull(self, offer: int, truth: Truth) -> float:
        """Return how much more an offer's depth lifts than the usual one does."""
        return float((self.depth[offer] / truth.usual_depth) ** truth.depth_weight)


def make_offers(population: Population, starts: Ints, days: int, seed: int, prefix: str) -> Offers:
    """Return an offer for each start, for `days`: depths at random."""
    rng = np.random.default_rng([seed, 4])
    goods = population.shop.goods
    usual = _usual_prices(population)
    category = _spread_categories(population, len(starts), usual, rng)
    depth = rng.choice(DEPTHS, len(starts))
    return Offers(
        tuple(f"{prefix}-{number:03d}" for number in range(len(starts))),
        category,
        np.maximum(np.round(depth * usual[category], 1), SMALLEST),
        depth,
        starts,
        starts + days,
        goods.category[None, :] == category[:, None],
    )


def _spread_categories(population: Population, n: int, usual: Floats, rng: np.random.Generator) -> Ints:
    """Return categories of those that many buy and that cost more than most, each as rarely twice as can be."""
    goods = population.shop.goods
    buyers = np.bincount(goods.category, weights=population.is_habit.sum(axis=0), minlength=len(goods.categories))
    ranked = np.argsort(-buyers, kind="stable")[: max(16, len(buyers) // 2)]
    bought = ranked[~goods.is_delicate[ranked]]
    dear = bought[usual[bought] >= np.median(usual[bought])]
    rounds = [rng.permutation(dear) for _ in range(-(-n // len(dear)))]
    chosen: Ints = np.concatenate(rounds)[:n]
    return chosen


def _usual_prices(population: Population) -> Floats:
    """Return the median price of each category's products; 0 of one that has none."""
    goods = population.shop.goods
    of_product = goods.category[goods.product_type]
    prices = [goods.price[of_product == each] for each in range(len(goods.categories))]
    return np.array([np.median(each) if len(each) else 0.0 for each in prices])
