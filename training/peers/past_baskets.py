"""Every basket that customers had before a moment, in order of time: what the peers of repeat learn from.

A peer weighs baskets and adds them up by customer (`PastBaskets.vectors`); `ScoresOfRows` is what it then says of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from features import columns as c
from features.asof import Moment
from training.baskets import binary_matrix, entries_at, known_lines
from training.history import History
from training.topk import place_in_run, top_of_each

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

NOTHING = -1
"""Stands in a list where there is nothing more."""

_BLOCK_CELLS = 10_000_000  # cells of one block of scores, at most, if it were full: 120 MB


@dataclass(frozen=True)
class PastBaskets:
    """Baskets with a purchase, by customer, the latest of each first.

    Attributes
    ----------
    customers
        Rows of all who have one, ascending, ``(n_customers,)``.
    matrix
        1 for every item in a basket, however often it was taken, ``(n_baskets, n_items)``.
    owner
        Place in `customers` of each basket, ``(n_baskets,)``, not falling.
    age_days
        Days from each basket to the moment, ``(n_baskets,)``.
    ordered_us
        When each was, ``(n_baskets,)``.
    """

    customers: IntArray
    matrix: sp.csr_array
    owner: IntArray
    age_days: FloatArray
    ordered_us: IntArray

    @property
    def after(self) -> IntArray:
        """Return how many baskets of the same customer came after each, ``(n_baskets,)``."""
        return place_in_run(self.owner)

    @cached_property
    def n_baskets(self) -> IntArray:
        """Return the number of baskets of each customer, ``(n_customers,)``."""
        return np.bincount(self.owner, minlength=len(self.customers)).astype(np.int64)

    @cached_property
    def counts(self) -> sp.csr_array:
        """Return in how many baskets each customer had each item, ``(n_customers, n_items)``."""
        return self.vectors(np.ones(len(self.owner)))

    @cached_property
    def owned(self) -> sp.csr_array:
        """Return 1 for each item that a customer has bought, ``(n_customers, n_items)``."""
        return sp.csr_array(
            (np.ones(self.counts.nnz), self.counts.indices, self.counts.indptr), shape=self.counts.shape
        )

    def vectors(self, weights: FloatArray) -> sp.csr_array:
        """Return Σ over a customer's baskets of weight × what is in it, ``(n_customers, n_items)``, indices sorted."""
        by_customer = sp.csr_array(
            (weights, (self.owner, np.arange(len(self.owner)))), shape=(len(self.customers), len(self.owner))
        )
        summed = sp.csr_array(by_customer @ self.matrix)
        summed.sort_indices()
        return summed


def past_baskets(history: History, moment: Moment, item: str) -> PastBaskets:
    """Return the baskets before `moment` over the items of a column: product_row, type_row or category_row."""
    lines = known_lines(history.until(moment))
    bought = lines[lines[c.IS_PURCHASE]]
    return baskets_in_time(bought, item, moment.day)


def baskets_in_time(bought: pd.DataFrame, item: str, today: int) -> PastBaskets:
    """Return the baskets of lines (customer_row, order_row, ordered_us, ordered_day, `item`) bought before a day."""
    baskets = bought.drop_duplicates([c.CUSTOMER_ROW, c.ORDER_ROW])
    baskets = baskets.sort_values([c.CUSTOMER_ROW, c.ORDERED_US, c.ORDER_ROW], ascending=[True, False, False])
    customers, owner = np.unique(baskets[c.CUSTOMER_ROW].to_numpy(dtype=np.int64), return_inverse=True)
    place = np.zeros(int(bought[c.ORDER_ROW].max()) + 1 if len(bought) else 0, dtype=np.int64)
    place[baskets[c.ORDER_ROW].to_numpy()] = np.arange(len(baskets))
    items = bought[item].to_numpy(dtype=np.int64)
    shape = (len(baskets), int(items.max(initial=-1)) + 1)
    return PastBaskets(
        customers,
        binary_matrix(place[bought[c.ORDER_ROW].to_numpy()], items, shape),
        owner.astype(np.int64),
        today - baskets[c.ORDERED_DAY].to_numpy(dtype=np.float64),
        baskets[c.ORDERED_US].to_numpy(dtype=np.int64),
    )


class ScoresOfRows(Protocol):
    """What a peer says of the customers of `PastBaskets`."""

    def scores(self, rows: IntArray) -> sp.csr_array:
        """Return the scores of customers by their places, ``(n_rows, n_items)``; higher is likelier.

        An item without a score is not suggested, unless the customer has bought it before.
        """


@dataclass(frozen=True)
class FirstItems:
    """The first items of customers by one ranker, ``(n_customers, k)``, best first; `NOTHING` pads short lists.

    `best` are of all items that have a score, `own` only of those that the customer has bought before.
    """

    best: IntArray
    own: IntArray


def first_items(past: PastBaskets, said: ScoresOfRows, rows: IntArray, k: int, *, k_own: int = 2) -> FirstItems:
    """Return the best items of customers (their places) by a peer's scores; ties go to the lower item row."""
    best, own = [np.zeros((0, k), dtype=np.int64)], [np.zeros((0, k_own), dtype=np.int64)]
    step = max(1, _BLOCK_CELLS // max(past.owned.shape[1], 1))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        scores = said.scores(block)
        scores.sort_indices()
        best.append(_first(scores, k))
        own.append(_first(_at_entries_of(sp.csr_array(past.owned[block]), scores), k_own))
    return FirstItems(np.concatenate(best), np.concatenate(own))


def _at_entries_of(held: sp.csr_array, scores: sp.csr_array) -> sp.csr_array:
    """Return the scores at the entries of `held`, 0 where one has none."""
    rows = np.repeat(np.arange(held.shape[0]), np.diff(held.indptr))
    found = entries_at(scores, rows, held.indices)
    return sp.csr_array((found, held.indices, held.indptr), shape=held.shape)


def _first(scores: sp.csr_array, k: int) -> IntArray:
    """Return the columns of the `k` greatest entries of each row, ``(n_rows, k)``."""
    rows = np.repeat(np.arange(scores.shape[0], dtype=np.int64), np.diff(scores.indptr))
    chosen = top_of_each(rows, scores.data, k)
    firsts = np.full((scores.shape[0], k), NOTHING, dtype=np.int64)
    firsts[rows[chosen], place_in_run(rows[chosen])] = scores.indices[chosen]
    return firsts
