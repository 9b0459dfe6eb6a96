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
from training.baskets import known_lines
from training.errors import ConfigError
from training.history import History
from training.levels import Level

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_WEIGHT = "weight"
_BLOCK_CELLS = 20_000_000  # numbers of one dense block: 160 MB


@dataclass(frozen=True)
class TifuConfig:
    """Settings of TIFU-KNN; neighbours are sought among `max_customers` with the latest baskets.

    The defaults were tuned on the next basket by product type, Complete Journey, cutoffs 2017-07-17, 08-14 and 09-11.
    """

    n_groups: int = 7
    basket_decay: float = 0.98
    group_decay: float = 0.85
    own_weight: float = 0.5
    n_neighbours: int = 300
    max_customers: int = 20_000

    def __post_init__(self) -> None:
        """Refuse settings that have no meaning."""
        shares = (self.basket_decay, self.group_decay, self.own_weight)
        if min(self.n_groups, self.n_neighbours, self.max_customers) < 1 or not all(0 <= each <= 1 for each in shares):
            raise ConfigError("tifu_knn: sizes start at 1, decays and weights lie in 0 to 1")


@dataclass(frozen=True)
class TifuKnn:
    """Customers' vectors ``(n_customers, n_items)`` with their rows in the tables.

    `lenders` ``(n_customers, n_customers)`` holds 1 ÷ k for each of a customer's k neighbours.
    """

    customers: IntArray
    vectors: sp.csr_array
    lenders: sp.csr_array
    config: TifuConfig

    def own(self, level: Level) -> pd.DataFrame:
        """Return `customer_row`, the item's row and `score` of everything that each customer has bought."""
        parts = []
        for start, block in self._blocks():
            held = self.vectors[start : start + len(block)].tocoo()
            parts.append(np.column_stack([self.customers[start + held.row], held.col, block[held.row, held.col]]))
        rows = np.concatenate([np.zeros((0, 3)), *parts])
        return _frame(rows[:, 0], rows[:, 1], rows[:, 2], level)

    def best(self, level: Level, k: int) -> pd.DataFrame:
        """Return each customer's `k` best items, bought before or not, with `rank` from 1; ties by item row."""
        parts = []
        for start, block in self._blocks():
            items = np.argsort(-block, axis=1, kind="stable")[:, :k]
            scores = np.take_along_axis(block, items, axis=1)
            owners = np.repeat(self.customers[start : start + len(block)], items.shape[1])
            parts.append(np.column_stack([owners, items.ravel(), scores.ravel()]))
        rows = np.concatenate([np.zeros((0, 3)), *parts])
        rows = rows[rows[:, 2] > 0]
        frame = _frame(rows[:, 0], rows[:, 1], rows[:, 2], level)
        return metrics.rank_within(frame, [c.CUSTOMER_ROW], c.SCORE, tie=level.item)

    def _blocks(self) -> Iterator[tuple[int, FloatArray]]:
        """Yield the scores of all items, a block of customers after the other, with the block's first row."""
        n, n_items = self.vectors.shape
        step = max(1, _BLOCK_CELLS // max(n_items, 1))
        weight = self.config.own_weight
        for start in range(0, n, step):
            own = self.vectors[start : start + step].toarray()
            lent = (self.lenders[start : start + step] @ self.vectors).toarray()
            yield start, weight * own + (1.0 - weight) * lent


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


def _frame(customers: npt.ArrayLike, items: npt.ArrayLike, scores: npt.ArrayLike, level: Level) -> pd.DataFrame:
    return pd.DataFrame(
        {
            c.CUSTOMER_ROW: np.asarray(customers, dtype=np.int32),
            level.item: np.asarray(items, dtype=np.int32),
            c.SCORE: np.asarray(scores, dtype=np.float64),
        }
    )
