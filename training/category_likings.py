"""How much a customer's categories speak for each other category: EASE scores of what they bought, two ways.

Of customers with the same past of a category, and above all of those with none, who buys it next is told by what else
they buy. An item's weight on itself is 0 (`peers.ease`), so that a score knows nothing of the category's own purchases.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from features import columns as c
from features.asof import Moment
from training.history import History
from training.peers.ease import ease_weights

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BY_BOUGHT, BY_COUNTS = "pair_liking_bought", "pair_liking_counts"

_RIDGE_BOUGHT, _RIDGE_COUNTS = 300.0, 100.0
_LEAST_ROWS = 30  # customers with fewer than this of all say nothing of what goes with what


@dataclass(frozen=True)
class Likings:
    """What customers bought and what it speaks for.

    Attributes
    ----------
    customers
        Rows of the customers, rising, ``(n,)``.
    bought, counts
        1 for a category bought in 26 weeks; ln(1 + its baskets, halved every 56 days): ``(n, n_known)``.
    of_bought, of_counts
        From each known category to each of the asked ones, ``(n_known, n_asked)``.
    """

    customers: IntArray
    bought: sp.csr_array
    counts: sp.csr_array
    of_bought: FloatArray
    of_counts: FloatArray

    def features(self, customers: IntArray, asked: IntArray) -> pd.DataFrame:
        """Return both scores for pairs of a customer row and a place among the asked categories; 0 for a stranger."""
        unique, place = np.unique(customers, return_inverse=True)
        found = np.minimum(np.searchsorted(self.customers, unique), max(len(self.customers) - 1, 0))
        is_known = self.customers[found] == unique if len(self.customers) else np.zeros(len(unique), dtype=np.bool_)
        columns = {BY_BOUGHT: (self.bought, self.of_bought), BY_COUNTS: (self.counts, self.of_counts)}
        scores = {}
        for name, (rows, weights) in columns.items():
            spoken = np.zeros((len(unique), weights.shape[1]))
            spoken[is_known] = rows[found[is_known]] @ weights
            scores[name] = spoken[place, asked]
        return pd.DataFrame(scores)


def likings(history: History, moment: Moment, asked: IntArray, most: int) -> Likings:
    """Return what is known at `moment` of the asked category rows, from the `most` categories that most customers buy.

    Cost: most³, and customers × the square of the categories that each buys.
    """
    names = [c.CUSTOMER_ROW, c.CATEGORY_ROW, c.N_BASKETS_26W, c.N_BASKETS_H56]
    own = history.features("customer_categories", moment, names)
    sizes = own.groupby(c.CATEGORY_ROW).size().sort_values(ascending=False, kind="stable")
    known = np.unique(np.concatenate([asked, sizes.index[:most].to_numpy(dtype=np.int64)]))
    own = own[own[c.CATEGORY_ROW].isin(known)]
    customers, row = np.unique(own[c.CUSTOMER_ROW].to_numpy(dtype=np.int64), return_inverse=True)
    column = np.searchsorted(known, own[c.CATEGORY_ROW].to_numpy(dtype=np.int64))
    shape = (len(customers), len(known))
    values = {
        BY_BOUGHT: (own[c.N_BASKETS_26W] > 0).to_numpy(dtype=np.float64),
        BY_COUNTS: np.log1p(own[c.N_BASKETS_H56].to_numpy(dtype=np.float64)),
    }
    bought, counts = (sp.csr_array((each, (row, column)), shape=shape) for each in values.values())
    places = np.searchsorted(known, asked)
    weights = (_weights(bought, _RIDGE_BOUGHT)[:, places], _weights(counts, _RIDGE_COUNTS)[:, places])
    return Likings(customers, bought, counts, *weights)


def _weights(matrix: sp.csr_array, ridge: float) -> FloatArray:
    if matrix.shape[0] < _LEAST_ROWS or matrix.shape[1] == 0:
        return np.zeros((matrix.shape[1], matrix.shape[1]))
    return ease_weights(matrix, ridge)
