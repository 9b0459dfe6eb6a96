"""From which of their habits a customer reaches a new category: breakfast leads to lunch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from features import columns as c
from features.asof import Moment
from training.baskets import entries_at
from training.history import History
from training.topk import run_starts

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

NONE = -1
_HABIT_BASKETS = 3  # in 26 weeks: fewer is no habit to speak of
_MIN_LIFT = 1.1  # below this a link says nothing that chance does not
_PRIOR = 10.0  # expected pairs that the lift of a rare pair is drawn to 1 by
_HABITS_AT_ONCE = 2_000_000  # of all pairs looked at together: bounds memory at about 100 MB


def links(pairs: pd.DataFrame, history: History, moment: Moment) -> pd.DataFrame:
    """Return the pairs (customer_row, category_row, …) with source_category_row and lift.

    The source is the category that the customer bought in at least 3 baskets of the last 26 weeks with the highest lift
    towards the new one; −1, with a lift of NaN, when none is above 1.1.
    """
    categories = history.features("categories", moment, [c.CATEGORY_ROW, c.N_BASKETS])
    known = np.sort(categories[c.CATEGORY_ROW].to_numpy(dtype=np.int64))
    lifts = category_lifts(history, moment, known)
    owned = history.features("customer_categories", moment, [c.CUSTOMER_ROW, c.CATEGORY_ROW, c.N_BASKETS_26W])
    owned = owned[owned[c.N_BASKETS_26W] >= _HABIT_BASKETS]
    n_customers = int(
        max(owned[c.CUSTOMER_ROW].max() if len(owned) else 0, pairs[c.CUSTOMER_ROW].max() if len(pairs) else 0)
    )
    place = pd.Index(known).get_indexer(pd.Index(owned[c.CATEGORY_ROW]))
    habits = sp.csr_array(
        (np.ones(len(owned)), (owned[c.CUSTOMER_ROW].to_numpy(dtype=np.int64), place)),
        shape=(n_customers + 1, len(known)),
    )
    best, source = _strongest(pairs, habits, lifts, known)
    is_link = best >= _MIN_LIFT
    return pairs.assign(
        **{
            c.SOURCE_CATEGORY_ROW: np.where(is_link, source, NONE).astype(np.int32),
            c.LIFT: np.where(is_link, best, np.nan),
        }
    )


@dataclass(frozen=True)
class CategoryLifts:
    """How much likelier the second category is with the first than at large; 1 without evidence.

    Together in a basket or in the customer's next, against what the two's popularity gives, over the average of that
    for all pairs: larger baskets make every pair likelier. Only pairs that were seen take memory: where no product has
    a category, each is its own, and there may be hundreds of thousands.

    Attributes
    ----------
    seen
        How often each pair was seen together, ``(n, n)``.
    counts, scale
        Baskets with each category, ``(n,)``; ``scale × counts × counts`` of a pair are expected together.
    """

    seen: sp.csr_array
    counts: FloatArray
    scale: float

    def at(self, one: IntArray, other: IntArray) -> FloatArray:
        """Return the lift of each pair of places, of one from itself 0."""
        expected = self.scale * self.counts[one] * self.counts[other]
        lift = (entries_at(self.seen, one, other) + _PRIOR) / (expected + _PRIOR)
        return np.where(one == other, 0.0, lift)


def category_lifts(history: History, moment: Moment, categories: IntArray) -> CategoryLifts:
    """Return the lifts between `categories`, by their places there."""
    n = len(categories)
    pairs = history.features("category_pairs", moment, [c.CATEGORY_ROW, c.OTHER_ROW, c.N_BOTH, c.N_NEXT])
    baskets = history.features("categories", moment, [c.CATEGORY_ROW, c.N_BASKETS]).set_index(c.CATEGORY_ROW)
    counts = baskets[c.N_BASKETS].reindex(categories).fillna(0.0).to_numpy(dtype=np.float64)
    index = pd.Index(categories)
    one, other = index.get_indexer(pd.Index(pairs[c.CATEGORY_ROW])), index.get_indexer(pd.Index(pairs[c.OTHER_ROW]))
    is_known = (one >= 0) & (other >= 0)
    together = (pairs[c.N_BOTH] + pairs[c.N_NEXT]).to_numpy(dtype=np.float64)[is_known]
    seen = sp.csr_array((together, (one[is_known], other[is_known])), shape=(n, n))
    of_all_pairs = float(counts.sum() ** 2 - np.square(counts).sum())
    scale = float(together.sum()) / of_all_pairs if of_all_pairs > 0 and together.sum() > 0 else 1.0
    return CategoryLifts(seen, counts, scale)


class Lifts(Protocol):
    """What says how strongly one place leads to another."""

    def at(self, one: IntArray, other: IntArray) -> FloatArray:
        """Return the lift of each pair of places."""


def _strongest(
    pairs: pd.DataFrame, habits: sp.csr_array, lifts: Lifts, categories: IntArray
) -> tuple[FloatArray, IntArray]:
    """Return for each pair the highest lift from one of the customer's habits, and that habit's category row."""
    target = pd.Index(categories).get_indexer(pd.Index(pairs[c.CATEGORY_ROW]))
    who = pairs[c.CUSTOMER_ROW].to_numpy(dtype=np.int64)
    best, source = np.zeros(len(pairs)), np.full(len(pairs), NONE, dtype=np.int64)
    habits.sort_indices()
    n_held = np.diff(habits.indptr)[who]
    for low, high in _blocks(n_held):
        rows = np.flatnonzero(n_held[low:high]) + low
        if len(rows) == 0:
            continue
        sizes = n_held[rows]
        starts = np.cumsum(sizes) - sizes
        owner = np.repeat(np.arange(len(rows)), sizes)
        held = habits.indices[np.arange(len(owner)) - starts[owner] + habits.indptr[who[rows]][owner]]
        reach = lifts.at(held.astype(np.int64), target[rows][owner])
        best[rows] = np.maximum.reduceat(reach, starts)
        is_best = np.flatnonzero(reach == best[rows][owner])
        first = is_best[np.unique(owner[is_best], return_index=True)[1]]  # of equals, the lowest category row
        source[rows] = categories[held[first]]
    return best, source


def _blocks(sizes: IntArray) -> Iterator[tuple[int, int]]:
    """Yield ranges of pairs whose habits together are few enough to be held in memory."""
    block = np.cumsum(sizes) // _HABITS_AT_ONCE
    starts = run_starts(block)
    yield from zip(starts.tolist(), np.append(starts, len(sizes))[1:].tolist(), strict=True)
