"""TIFU-KNN: what a customer buys again by the decayed frequency of items, theirs and that of their nearest neighbours.

The method of Hu, He, Gao and Zhang (SIGIR 2020), with groups as their code has them: a customer's baskets, in order of
time, form `n_groups` groups of about the same size (each its own where there are fewer baskets). An item counts more
the later its basket, and the later its group. Customers with a like vector lend theirs.

    vector = mean over groups of group_decay^(groups after it) · mean of its baskets, each basket_decay^(those after it)
    score  = own_weight · vector + (1 − own_weight) · mean vector of the k nearest customers (Euclidean)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from features import columns as c
from features.asof import Moment
from training import metrics
from training.baskets import entries_at, known_lines
from training.errors import ConfigError
from training.history import History
from training.levels import Level

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_WEIGHT = "weight"
_BLOCK_CELLS = 20_000_000  # entries of one block, at most: 240 MB


@dataclass(frozen=True)
class TifuConfig:
    """Settings of TIFU-KNN; neighbours are sought among `max_customers` with the latest baskets.

    The defaults were tuned on the next basket by product type, Complete Journey, cutoffs 2017-07-17, 08-14 and 09-11.
    """

    n_groups: int = 7
    basket_decay: float = 0.98
    group_decay: float = 0.85
    own_weight: float = 0.5
    n_neighbours: int = 100
    max_customers: int = 20_000

    def __post_init__(self) -> None:
        """Refuse settings that have no meaning."""
        shares = (self.basket_decay, self.group_decay, self.own_weight)
        if min(self.n_groups, self.n_neighbours, self.max_customers) < 1 or not all(0 <= each <= 1 for each in shares):
            raise ConfigError("tifu_knn: sizes start at 1, decays and weights lie in 0 to 1")


@dataclass(frozen=True)
class Scored:
    """Frames of `customer_row`, the item's row and `score`; `best` has `rank` from 1, ties by item row.

    `own` has everything that each customer has bought.
    """

    own: pd.DataFrame
    best: pd.DataFrame


@dataclass(frozen=True)
class TifuKnn:
    """Customers' vectors ``(n_customers, n_items)`` with their rows in the tables.

    `lenders` ``(n_customers, n_customers)`` holds 1 ÷ k for each of a customer's k neighbours.
    """

    customers: IntArray
    vectors: sp.csr_array
    lenders: sp.csr_array
    config: TifuConfig

    def scored(self, level: Level, k: int) -> Scored:
        """Return what each customer has bought with its score, and their `k` best items, bought before or not."""
        own, best = [], []
        for start, vectors, lent in self._blocks():
            held = vectors.tocoo()
            mine = self.config.own_weight * held.data
            theirs = (1.0 - self.config.own_weight) * entries_at(lent, held.row, held.col)
            own.append(np.column_stack([self.customers[start + held.row], held.col, mine + theirs]))
            scores = sp.csr_array(self.config.own_weight * vectors + (1.0 - self.config.own_weight) * lent)
            best += [_best_of(scores, row, self.customers[start + row], k) for row in range(scores.shape[0])]
        bought, first = (_frame(np.concatenate([np.zeros((0, 3)), *parts]), level) for parts in (own, best))
        ranked = metrics.rank_within(first[first[c.SCORE] > 0], [c.CUSTOMER_ROW], c.SCORE, tie=level.item)
        return Scored(bought, ranked)

    def _blocks(self) -> Iterator[tuple[int, sp.csr_array, sp.csr_array]]:
        """Yield customers' own vectors and their neighbours' mean, a block after the other, with its first row."""
        n, n_items = self.vectors.shape
        step = max(1, _BLOCK_CELLS // max(n_items, 1))
        for start in range(0, n, step):
            yield (
                start,
                self.vectors[start : start + step],
                sp.csr_array(self.lenders[start : start + step] @ self.vectors),
            )


def learn(history: History, moment: Moment, level: Level, config: TifuConfig) -> TifuKnn:
    """Return what all purchases before `moment` say; cost: customers × `max_customers` products of sparse vectors."""
    lines = known_lines(history.until(moment))
    bought = lines[lines[c.IS_PURCHASE]]
    customers, vectors = vectors_of(bought, level, config)
    latest = bought.groupby(c.CUSTOMER_ROW)[c.ORDERED_US].max().reindex(customers).to_numpy()
    pool = np.sort(np.argsort(-latest, kind="stable")[: config.max_customers])
    return TifuKnn(customers, vectors, nearest(vectors, pool, config.n_neighbours), config)


def vectors_of(bought: pd.DataFrame, level: Level, config: TifuConfig) -> tuple[IntArray, sp.csr_array]:
    """Return the rows of customers with a purchase, rising, and their vectors, ``(n_customers, n_items)``.

    `bought` has customer_row, order_row, ordered_us and the item's row; an item counts once a basket.
    """
    unique = bought.drop_duplicates([c.CUSTOMER_ROW, c.ORDER_ROW, level.item])
    baskets = unique.drop_duplicates([c.CUSTOMER_ROW, c.ORDER_ROW])[[c.CUSTOMER_ROW, c.ORDER_ROW, c.ORDERED_US]]
    baskets = baskets.sort_values([c.CUSTOMER_ROW, c.ORDERED_US, c.ORDER_ROW], ascending=[True, False, False])
    by_customer = baskets.groupby(c.CUSTOMER_ROW, sort=False)
    after = by_customer.cumcount().to_numpy()
    n_baskets = by_customer[c.ORDER_ROW].transform("size").to_numpy()
    n_groups = np.minimum(n_baskets, config.n_groups)
    group = after * n_groups // n_baskets
    size = -(-(group + 1) * n_baskets // n_groups) - -(-group * n_baskets // n_groups)
    weight = config.basket_decay**after / size * config.group_decay**group / n_groups
    weighted = baskets[[c.CUSTOMER_ROW, c.ORDER_ROW]].assign(**{_WEIGHT: weight})
    rows = unique[[c.CUSTOMER_ROW, c.ORDER_ROW, level.item]].merge(weighted, on=[c.CUSTOMER_ROW, c.ORDER_ROW])
    customers, row = np.unique(rows[c.CUSTOMER_ROW].to_numpy(dtype=np.int64), return_inverse=True)
    items = rows[level.item].to_numpy(dtype=np.int64)
    shape = (len(customers), int(items.max(initial=-1)) + 1)
    matrix = sp.csr_array((rows[_WEIGHT].to_numpy(dtype=np.float64), (row, items)), shape=shape)
    matrix.sum_duplicates()
    return customers, matrix


def nearest(vectors: sp.csr_array, pool: IntArray, k: int) -> sp.csr_array:
    """Return 1 ÷ k at each row's k nearest rows of the pool, itself left out; fewer where the pool has fewer."""
    n = vectors.shape[0]
    lengths = np.asarray(vectors.multiply(vectors).sum(axis=1), dtype=np.float64).ravel()
    others, k = vectors[pool], min(k, len(pool) - 1)
    if k < 1:
        return sp.csr_array((n, n))
    rows, columns = [], []
    step = max(1, _BLOCK_CELLS // len(pool))
    for start in range(0, n, step):
        stop = min(start + step, n)
        apart = lengths[pool][None, :] - 2.0 * (vectors[start:stop] @ others.T).toarray()  # + the row's own, the same
        apart[pool[None, :] == np.arange(start, stop)[:, None]] = np.inf
        near = np.argpartition(apart, k - 1, axis=1)[:, :k]
        rows.append(np.repeat(np.arange(start, stop), k))
        columns.append(pool[near].ravel())
    row, column = np.concatenate(rows), np.concatenate(columns)
    return sp.csr_array((np.full(len(row), 1.0 / k), (row, column)), shape=(n, n))


def _best_of(scores: sp.csr_array, row: int, customer: int, k: int) -> FloatArray:
    """Return (customer, item, score) of a row's k greatest entries, in any order, ``(≤ k, 3)``."""
    entries = slice(scores.indptr[row], scores.indptr[row + 1])
    items, values = scores.indices[entries], scores.data[entries]
    if len(values) > k:
        greatest = np.argpartition(values, -k)[-k:]
        items, values = items[greatest], values[greatest]
    return np.column_stack([np.full(len(items), customer), items, values])


def _frame(rows: FloatArray, level: Level) -> pd.DataFrame:
    customers, items = (rows[:, i].astype(np.int32) for i in (0, 1))
    return pd.DataFrame({c.CUSTOMER_ROW: customers, level.item: items, c.SCORE: rows[:, 2]})
