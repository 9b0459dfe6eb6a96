"""Neighbours of products: which lie in the same baskets, more often than their popularity explains.

score(j | i) = (P(j | i) · kin ÷ (baskets of j + offset) ** popularity_power) ** sum_power, where

- P(j | i) = (W_ij + strength · P(j | type of i)) ÷ (W_i + strength): the chance of j in a basket with i. W_ij is the
  weight of the baskets with both, W_i of those with i; a basket of n products weighs n ** −size_power, since what lies
  in a large basket says less about each pair;
- P(j | type of i) is the same over all products of that type but j itself, drawn with `strength` to P(j), j's share of
  all baskets. So a product that was sold twice has the neighbours of its kind, and one that was sold a
  thousand times has its own.

- kin is `same_category` where i and j are of one category, else 1: who takes a second kind of yoghurt takes several,
  more often than the pair alone could show;
- `sum_power` leaves each product's order as it is. Above 1 it lets the strong pairs of a basket speak louder than many
  weak ones, when scores of several products are added up.

lift is P(j | i) ÷ P(j), with `strength` added to the baskets of j: nothing is certain of a product that was sold twice.

implicit finds the candidates (W_ij with the popularity of j divided out); each type adds its own best. Scores of
several products add up: see docs/architecture.md, part 5, `also`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from features import columns as c
from training.baskets import Baskets, entries_at
from training.item_to_item import nearest_items
from training.topk import run_starts, top_of_each

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

SPARE = 10
"""Neighbours kept beyond `n_neighbours`, for those that are no merchandise."""

_CANDIDATE_PAIRS = 12_000_000  # candidates of all products together: bounds memory at about 500 MB
_BLOCK_PAIRS = 2_000_000  # pairs scored at once: bounds memory at about 200 MB
_BLOCK_ENTRIES = 20_000_000  # entries of a block of co-occurrence counts, at most: 250 MB


@dataclass(frozen=True)
class AlsoBoughtConfig:
    """Settings of also-bought; `strength` and `popularity_offset` are in (weighted) baskets.

    `n_best_sellers` of the shop are candidates of every product: 0 where baskets say enough.
    """

    size_power: float = 0.6
    popularity_power: float = 0.38
    popularity_offset: float = 300.0
    strength: float = 5.0
    same_category: float = 1.5
    sum_power: float = 1.5
    n_candidates: int = 200
    n_type_candidates: int = 100
    n_best_sellers: int = 0
    n_neighbours: int = 60
    max_basket_products: int = 250
    n_threads: int = 2


@dataclass(frozen=True)
class Kinds:
    """Each product's type row and category row; a product without one has one of its own."""

    types: IntArray
    categories: IntArray


def also_bought(baskets: Baskets, kinds: Kinds, config: AlsoBoughtConfig) -> pd.DataFrame:
    """Return the best neighbours of every product: product_row, other_row, score, lift, support.

    Beside `n_neighbours` there are a few more, for those that may not be shown.
    Cost: about the sum of squared basket sizes; baskets above `max_basket_products` are left out.
    """
    kept = baskets.only((baskets.sizes > 1) & (baskets.sizes <= config.max_basket_products))
    shop = _Shop.of(baskets, kept, kinds, config)
    blocks = [shop.best(block) for block in shop.blocks()]
    if not blocks:
        empty = {
            c.PRODUCT_ROW: "int32",
            c.OTHER_ROW: "int32",
            c.SCORE: "float64",
            c.LIFT: "float64",
            c.SUPPORT: "int32",
        }
        return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in empty.items()})
    pairs = pd.concat(blocks, ignore_index=True)
    pairs = pairs.take(np.argsort(pairs[c.PRODUCT_ROW].to_numpy(), kind="stable")).reset_index(drop=True)
    support = pair_counts(kept.matrix, pairs[c.PRODUCT_ROW].to_numpy(), pairs[c.OTHER_ROW].to_numpy())
    return pairs.assign(**{c.SUPPORT: support.astype(np.int32)})


def pair_counts(matrix: sp.csr_array, one: npt.NDArray[np.integer], other: npt.NDArray[np.integer]) -> FloatArray:
    """Return for each pair of columns how many rows have both; `one` must rise. Memory is bounded by blocks."""
    by_item = sp.csr_array(matrix.T)
    sizes = np.diff(matrix.indptr)
    work = np.concatenate([[0.0], np.cumsum(np.asarray(by_item @ sizes, dtype=np.float64))])
    counts, start = np.zeros(len(one)), 0
    while start < matrix.shape[1]:
        stop = max(start + 1, int(np.searchsorted(work, work[start] + _BLOCK_ENTRIES, side="right")) - 1)
        low, high = np.searchsorted(one, [start, stop])
        if high > low:
            block = sp.csr_array(by_item[start:stop] @ matrix)
            counts[low:high] = entries_at(block, one[low:high] - start, other[low:high])
        start = stop
    return counts


@dataclass(frozen=True)
class _Shop:
    """What the scores are made of; `near` are implicit's candidates with W_ij, `prior` is P(product | type)."""

    config: AlsoBoughtConfig
    near: sp.csr_array
    weight: FloatArray
    share: FloatArray
    prior_share: float
    damping: FloatArray
    kinds: Kinds
    prior_excess: sp.csr_array
    prior_floor: FloatArray
    type_best: sp.csr_array

    @classmethod
    def of(cls, baskets: Baskets, kept: Baskets, kinds: Kinds, config: AlsoBoughtConfig) -> _Shop:
        matrix, n_items = kept.matrix, kept.matrix.shape[1]
        basket_weight = np.maximum(kept.sizes, 1.0) ** -config.size_power
        weight = np.asarray(matrix.T @ basket_weight, dtype=np.float64)
        popularity = np.maximum(baskets.popularity, 1.0)
        damping = (popularity + config.popularity_offset) ** -config.popularity_power
        scaled = sp.diags_array(np.sqrt(basket_weight)) @ matrix @ sp.diags_array(damping)
        k = min(config.n_candidates, max(config.n_neighbours, _CANDIDATE_PAIRS // max(n_items, 1)))
        near = nearest_items(sp.csr_array(scaled), n_items, k=k, n_threads=config.n_threads)
        near = sp.csr_array(sp.diags_array(1 / damping) @ near @ sp.diags_array(1 / damping))
        total = max(float(basket_weight.sum()), 1e-12)
        share = weight / total
        excess, floor = _type_prior(matrix, basket_weight, kinds.types, config.strength)
        best = _type_best(excess, floor, share, damping, config.n_type_candidates)
        best = _with_best_sellers(best, share, config.n_best_sellers)
        return cls(config, near, weight, share, config.strength / total, damping, kinds, excess, floor, best)

    def blocks(self) -> Iterator[IntArray]:
        """Yield the products that were sold in blocks, in order of their types."""
        sold = np.flatnonzero(self.weight > 0)
        sold = sold[np.argsort(self.kinds.types[sold], kind="stable")]
        pairs = np.diff(self.near.indptr)[sold] + np.diff(self.type_best.indptr)[self.kinds.types[sold]]
        block = np.cumsum(pairs) // _BLOCK_PAIRS
        yield from (sold[start:stop] for start, stop in _runs(block))

    def best(self, products: IntArray) -> pd.DataFrame:
        """Return the best neighbours of products that stand in order of their types."""
        place, other, together = self._candidates(products)
        one = products[place]
        prior = self._prior(self.kinds.types[one], other)
        strength = self.config.strength
        chance = (together + strength * prior) / (self.weight[one] + strength)
        categories = self.kinds.categories
        kin = np.where(categories[one] == categories[other], self.config.same_category, 1.0)
        score = (chance * kin * self.damping[other]) ** self.config.sum_power
        order = top_of_each(place, score, self.config.n_neighbours + SPARE)
        order = order[score[order] > 0]
        return pd.DataFrame(
            {
                c.PRODUCT_ROW: one[order].astype(np.int32),
                c.OTHER_ROW: other[order].astype(np.int32),
                c.SCORE: score[order],
                c.LIFT: chance[order] / (self.share[other[order]] + self.prior_share),
            }
        )

    def _candidates(self, products: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
        """Return place in `products`, other product and W_ij of each pair once, in order of place and other."""
        near, of_type = self.near[products], self.type_best[self.kinds.types[products]]
        places = [np.repeat(np.arange(len(products)), np.diff(m.indptr)) for m in (near, of_type)]
        place = np.concatenate(places).astype(np.int64)
        other = np.concatenate([near.indices, of_type.indices]).astype(np.int64)
        together = np.concatenate([near.data, np.zeros(of_type.nnz)])
        n_items = len(self.weight)
        _, first = np.unique(place * n_items + other, return_index=True)  # the first of equals has its W_ij
        first = first[other[first] != products[place[first]]]
        return place[first], other[first], together[first]

    def _prior(self, types: IntArray, other: IntArray) -> FloatArray:
        """Return P(other | type) for pairs whose types stand in runs."""
        prior = self.prior_floor[types] * self.share[other]
        row = np.zeros(len(self.weight))
        excess = self.prior_excess
        for start, stop in _runs(types):
            held = slice(excess.indptr[types[start]], excess.indptr[types[start] + 1])
            row[excess.indices[held]] = excess.data[held]
            prior[start:stop] += row[other[start:stop]]
            row[excess.indices[held]] = 0.0
        return prior


def _type_prior(
    matrix: sp.csr_array, basket_weight: FloatArray, types: IntArray, strength: float
) -> tuple[sp.csr_array, FloatArray]:
    """Return P(product | type) as a sparse part ``(n_types, n_products)`` and each type's share of P(product).

    A type of a single product says no more than the product does: its prior is P(product) alone.
    """
    n_types = int(types.max(initial=-1)) + 1
    is_shared = np.bincount(types, minlength=n_types) > 1
    members = np.flatnonzero(is_shared[types]) if len(types) else np.zeros(0, dtype=np.int64)
    shape = (matrix.shape[1], n_types)
    kind = sp.csr_array((np.ones(len(members)), (members, types[members])), shape=shape)
    counts = sp.csr_array(matrix @ kind)
    weighted = sp.csr_array(sp.diags_array(basket_weight) @ matrix)
    # Σ over the type's products of W_ij: a product is no neighbour of its own
    itself = sp.csr_array((np.asarray(weighted.sum(axis=0))[members], (types[members], members)), shape=shape[::-1])
    together = sp.csr_array(counts.T @ weighted)
    scale = 1.0 / np.maximum(np.asarray(counts.T @ basket_weight) + strength, 1e-12)
    excess = sp.csr_array(sp.diags_array(scale) @ (together - itself))
    excess.data = np.maximum(excess.data, 0.0)
    excess.eliminate_zeros()
    return excess, scale * strength


def _type_best(excess: sp.csr_array, floor: FloatArray, share: FloatArray, damping: FloatArray, k: int) -> sp.csr_array:
    """Return the `k` best products of each type, as a matrix ``(n_types, n_products)`` of their scores."""
    rows = np.repeat(np.arange(excess.shape[0]), np.diff(excess.indptr))
    score = (excess.data + floor[rows] * share[excess.indices]) * damping[excess.indices]
    kept = top_of_each(rows, score, k)
    return sp.csr_array((score[kept], (rows[kept], excess.indices[kept])), shape=excess.shape)


def _with_best_sellers(type_best: sp.csr_array, share: FloatArray, n: int) -> sp.csr_array:
    """Return the candidates of each type with the shop's `n` best sellers among them."""
    if n == 0:
        return type_best
    best = np.argsort(-share, kind="stable")[:n]
    types = np.repeat(np.arange(type_best.shape[0]), len(best))
    sellers = sp.csr_array((np.ones(len(types)), (types, np.tile(best, type_best.shape[0]))), shape=type_best.shape)
    return sp.csr_array(type_best + sellers)


def _runs(values: npt.NDArray[np.integer]) -> Iterator[tuple[int, int]]:
    """Yield start and stop of each run of equal values."""
    starts = run_starts(values)
    yield from zip(starts.tolist(), np.append(starts, len(values))[1:].tolist(), strict=True)
