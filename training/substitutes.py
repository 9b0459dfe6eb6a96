"""Substitutes: what meets the same need. Households buy both over time, but not in the same basket.

Of products of one category, those are substitutes that more households have changed between than baskets ever held
both. (What goes together in baskets is said by also-bought: `also.lift`.) They rank by

    ln(households with both + prior) − basket_weight · ln(baskets with both + prior)
        + popularity_weight · ln(baskets + 1)

The households say what is likely to be taken instead, for what many buy has many; the more `basket_weight`, the purer
the change, and the rarer what is shown. Where the source has no categories, implicit's nearest products by household
stand in for the category.

Judged in training/substitutes_judging.py by what households buy while a product is gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from features import columns as c
from features.asof import Moment
from training.baskets import Baskets, baskets_of, entries_at, known_lines
from training.history import History
from training.item_to_item import nearest_items
from training.topk import place_in_run

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SubstitutesConfig:
    """Settings of the substitutes; only products with `min_customers` customers have any."""

    prior: float = 1.0
    basket_weight: float = 1.0
    popularity_weight: float = 0.15
    min_customers: int = 5
    min_households: int = 3
    n_neighbours: int = 20
    max_category_products: int = 3000
    max_household_products: int = 300
    n_threads: int = 2


@dataclass(frozen=True)
class FittedSubstitutes:
    """`pairs` has product_row, other_row and score, by product and falling score.

    `groups` has each product's category row, `popularity` in how many baskets it was.
    """

    config: SubstitutesConfig
    pairs: pd.DataFrame
    groups: IntArray
    popularity: FloatArray
    notes: tuple[str, ...] = ()
    feature_names: ClassVar[tuple[str, ...]] = ()

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:  # noqa: ARG002  # the models' common form
        """Return product_row, other_row and score (> 0) of at most `n_neighbours` substitutes of each product."""
        place = place_in_run(self.pairs[c.PRODUCT_ROW].to_numpy())
        return self.pairs[place < self.config.n_neighbours].reset_index(drop=True)

    @property
    def importance(self) -> dict[str, float]:
        """Return nothing: the score has no learned weights."""
        return {}

    def artifacts(self) -> dict[str, str]:
        """Return the settings; the pairs themselves are arrays of the bundle."""
        summary = {"config": asdict(self.config), "n_pairs": len(self.pairs), "notes": list(self.notes)}
        return {"substitutes.json": json.dumps(summary, indent=1)}


class SubstitutesModel:
    """Learns from all lines of merchandise that the history knows."""

    name: ClassVar[str] = "substitutes"

    def __init__(self, config: SubstitutesConfig) -> None:
        self.config = config

    def fit(self, history: History) -> FittedSubstitutes:
        """Return the pairs; where nothing is known of any, a note says so."""
        products = history.tables.read("products", [c.PRODUCT_ROW, c.CATEGORY_ROW]).sort_values(c.PRODUCT_ROW)
        groups = products[c.CATEGORY_ROW].to_numpy(dtype=np.int64)
        lines = known_lines(history)
        baskets = baskets_of(lines[lines[c.IS_PURCHASE]], len(products))
        if not history.tables.has_categories:
            groups = np.zeros(len(products), dtype=np.int64)
        pairs = substitutes(baskets, groups, self.config, has_categories=history.tables.has_categories)
        notes = () if len(pairs) else ("substitutes: no two products of a category have enough households in common",)
        return FittedSubstitutes(self.config, pairs, groups, baskets.popularity, notes)


def substitutes(
    baskets: Baskets, groups: IntArray, config: SubstitutesConfig, *, has_categories: bool = True
) -> pd.DataFrame:
    """Return product_row, other_row and score (> 0) of pairs within a group that households change between.

    `groups` has each product's category. Sorted by product, then falling score.
    """
    households = baskets.by_customer()
    n_customers = np.bincount(households.indices, minlength=len(groups))
    if has_categories:
        counted = _pairs_in_groups(
            households, baskets.matrix, np.where(n_customers >= config.min_customers, groups, -1), config
        )
    else:
        counted = iter([_nearest_pairs(households, baskets, n_customers >= config.min_customers, config)])
    parts = [_scored(pairs, baskets.popularity, config) for pairs in counted]
    frame = pd.concat([_empty(), *parts], ignore_index=True)
    order = np.lexsort((frame[c.OTHER_ROW], -frame[c.SCORE], frame[c.PRODUCT_ROW]))
    return frame.iloc[order].reset_index(drop=True)


@dataclass(frozen=True)
class _Pairs:
    """Pairs of products with the number of households and of baskets that have both."""

    one: IntArray
    other: IntArray
    n_households: FloatArray
    n_baskets: FloatArray


def _pairs_in_groups(
    households: sp.csr_array, baskets: sp.csr_array, groups: IntArray, config: SubstitutesConfig
) -> Iterator[_Pairs]:
    """Yield the pairs of each group; of very large groups only those of the products with most households."""
    by_household, by_basket = sp.csc_array(households), sp.csc_array(baskets)
    members = np.argsort(groups, kind="stable")
    members = members[groups[members] >= 0]
    n_customers = np.diff(by_household.indptr)
    for group in np.split(members, np.flatnonzero(np.diff(groups[members])) + 1):
        if len(group) < 2:
            continue
        best = group[np.argsort(-n_customers[group], kind="stable")[: config.max_category_products]]
        chosen = np.sort(best)
        both = sp.csr_array(by_household[:, chosen].T @ by_household[:, chosen]).tocoo()
        kept = (both.row != both.col) & (both.data >= config.min_households)
        row, column = both.row[kept], both.col[kept]
        together = sp.csr_array(by_basket[:, chosen].T @ by_basket[:, chosen])
        yield _Pairs(chosen[row], chosen[column], both.data[kept], entries_at(together, row, column))


def _nearest_pairs(
    households: sp.csr_array, baskets: Baskets, is_known: npt.NDArray[np.bool_], config: SubstitutesConfig
) -> _Pairs:
    """Return each product's nearest ones by household, with their counts."""
    n_items = households.shape[1]
    small = np.flatnonzero(np.diff(households.indptr) <= config.max_household_products)
    kept = sp.csr_array(households[small] @ sp.diags_array(is_known.astype(np.float64)))
    kept.eliminate_zeros()
    popularity = np.maximum(np.bincount(kept.indices, minlength=n_items), 1.0)
    scaled = sp.csr_array(kept @ sp.diags_array(popularity**-0.5))
    near = nearest_items(scaled, n_items, k=3 * config.n_neighbours, n_threads=config.n_threads).tocoo()
    both = np.rint(near.data * np.sqrt(popularity[near.row] * popularity[near.col]))
    enough = both >= config.min_households
    one, other = near.row[enough].astype(np.int64), near.col[enough].astype(np.int64)
    together = _together(baskets.matrix, one, other)
    return _Pairs(one, other, both[enough], together)


def _together(matrix: sp.csr_array, one: IntArray, other: IntArray) -> FloatArray:
    """Return how many rows have both of each pair, a thousand pairs at a time."""
    by_item = sp.csc_array(matrix)
    parts = [
        np.asarray(by_item[:, one[i : i + 1000]].multiply(by_item[:, other[i : i + 1000]]).sum(axis=0)).ravel()
        for i in range(0, len(one), 1000)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def _scored(pairs: _Pairs, popularity: FloatArray, config: SubstitutesConfig) -> pd.DataFrame:
    is_kept = pairs.n_households > pairs.n_baskets
    changed = np.log(pairs.n_households[is_kept] + config.prior)
    together = config.basket_weight * np.log(pairs.n_baskets[is_kept] + config.prior)
    likely = config.popularity_weight * np.log1p(popularity[pairs.other[is_kept]])
    return pd.DataFrame(
        {
            c.PRODUCT_ROW: pairs.one[is_kept].astype(np.int32),
            c.OTHER_ROW: pairs.other[is_kept].astype(np.int32),
            c.SCORE: changed - together + likely,
        }
    )


def _empty() -> pd.DataFrame:
    rows = np.zeros(0, dtype=np.int32)
    return pd.DataFrame({c.PRODUCT_ROW: rows, c.OTHER_ROW: rows, c.SCORE: np.zeros(0)})
