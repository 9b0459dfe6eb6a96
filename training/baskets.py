"""Who bought what together: baskets and customers as sparse matrices over products, as of the end of a history."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from features import columns as c
from training.history import History

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Baskets:
    """Which products lay in which basket: `matrix` is 0 or 1, shape ``(n_baskets, n_products)``.

    Columns are product rows; baskets are in the order of their rows in the tables, and a basket without a line is not
    there. `customers` has each basket's customer row.
    """

    matrix: sp.csr_array
    customers: IntArray

    @property
    def sizes(self) -> FloatArray:
        """Return how many different products each basket has."""
        return np.asarray(np.diff(self.matrix.indptr), dtype=np.float64)

    @property
    def popularity(self) -> FloatArray:
        """Return the number of baskets with each product."""
        return np.bincount(self.matrix.indices, minlength=self.matrix.shape[1]).astype(np.float64)

    def only(self, keep: npt.NDArray[np.bool_]) -> Baskets:
        """Return the baskets where `keep` holds."""
        return Baskets(sp.csr_array(self.matrix[np.flatnonzero(keep)]), self.customers[keep])

    def by_customer(self) -> sp.csr_array:
        """Return which customer ever bought which product, 0 or 1, shape ``(n_buyers, n_products)``."""
        _, buyer = np.unique(self.customers, return_inverse=True)
        rows = np.repeat(buyer, np.diff(self.matrix.indptr))
        return binary_matrix(rows, self.matrix.indices, (int(buyer.max(initial=-1)) + 1, self.matrix.shape[1]))


def known_lines(history: History) -> pd.DataFrame:
    """Return every line from the source's first day to the end of the history: `purchases_after`, and its local day."""
    zone = history.tables.time_zone
    days = max(history.known_until.day - history.tables.first_day, 0) + 1
    start = history.known_until.plus_days(-days, zone)
    if start.plus_days(days, zone) != history.known_until:  # a local time that the clock change of that day left out
        days, start = days + 1, history.known_until.plus_days(-days - 1, zone)
    lines = history.purchases_after(start, days)
    return lines.assign(**{c.ORDERED_DAY: lines[c.DAY_OFFSET] + start.day})


def baskets_of(lines: pd.DataFrame, n_products: int) -> Baskets:
    """Return the baskets of lines (order_row, customer_row, product_row); a product counts once a basket."""
    orders, rows, first = _dense(lines[c.ORDER_ROW].to_numpy(dtype=np.int64))
    columns = lines[c.PRODUCT_ROW].to_numpy(dtype=np.int64)
    customers = lines[c.CUSTOMER_ROW].to_numpy(dtype=np.int64)[first]
    return Baskets(binary_matrix(rows, columns, (len(orders), n_products)), customers)


def binary_matrix(rows: npt.ArrayLike, columns: npt.ArrayLike, shape: tuple[int, int]) -> sp.csr_array:
    """Return a 0/1 matrix with a 1 at each (row, column), however often it is given; indices are sorted."""
    row, column = np.asarray(rows, dtype=np.int64), np.asarray(columns, dtype=np.int64)
    matrix = sp.csr_array((np.ones(len(row)), (row, column)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def entries_at(matrix: sp.csr_array, rows: npt.NDArray[np.integer], columns: npt.NDArray[np.integer]) -> FloatArray:
    """Return the entries at (row, column) pairs, 0 where there is none; cost n_pairs × log n_entries."""
    if matrix.nnz == 0 or len(rows) == 0:
        return np.zeros(len(rows))
    matrix.sort_indices()
    n = matrix.shape[1]
    held = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr)) * n + matrix.indices
    wanted = np.asarray(rows, dtype=np.int64) * n + np.asarray(columns, dtype=np.int64)
    place = np.minimum(np.searchsorted(held, wanted), len(held) - 1)
    return np.where(held[place] == wanted, matrix.data[place], 0.0)


def _dense(values: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    unique, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return unique, inverse.astype(np.int64), first.astype(np.int64)
