"""Rows to learn from, gathered over several cutoffs; each row's features are as of its own cutoff."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

NOT_FEATURES = frozenset(
    {
        *(c.CUSTOMER_ROW, c.PRODUCT_ROW, c.TYPE_ROW, c.CATEGORY_ROW, c.STORE_ROW, c.ORDER_ROW, c.OTHER_ROW),
        *(c.OFFER_ROW, c.MAIN_STORE_ROW, c.FIRST_DAY, c.LAST_DAY),
    }
)
"""Keys and calendar days: a model that learned them would know single customers, or the year."""


GROWING_TOTALS = frozenset(
    {
        *(c.TENURE_DAYS, c.N_BASKETS, c.N_BASKETS_H112, c.N_DAYS, c.N_LINES, c.SPEND, c.N_PRODUCTS, c.N_TYPES),
        *(c.N_CATEGORIES, c.N_STORES, c.N_RETURNS, c.N_SENT, c.N_OPENED, c.N_CLICKED, c.N_REDEEMED),
    }
)
"""Customer features that grow with the age of the source: learned when they were small, they mislead later."""


@dataclass(frozen=True)
class Examples:
    """Features with their labels, shape ``(n_rows, …)``; `customers` are customer rows, for intervals by customer."""

    features: pd.DataFrame
    labels: FloatArray
    customers: IntArray

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)

    @property
    def n_positive(self) -> int:
        """Return how many labels are above 0."""
        return int((self.labels > 0).sum())

    def only(self, keep: npt.NDArray[np.bool_]) -> Examples:
        """Return the rows where `keep` holds."""
        return Examples(self.features[keep].reset_index(drop=True), self.labels[keep], self.customers[keep])


def gather(cutoffs: Iterable[Moment], at: Callable[[Moment], Examples]) -> Examples:
    """Return the examples of all the cutoffs, in their order; no cutoff gives no rows."""
    parts = [part for part in map(at, cutoffs) if len(part)]
    if not parts:
        return Examples(pd.DataFrame(), np.zeros(0), np.zeros(0, dtype=np.int64))
    return Examples(
        pd.concat([part.features for part in parts], ignore_index=True),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.customers for part in parts]),
    )


def feature_columns(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return the numeric and boolean columns that a model may learn from, in the order of `frame`.

    A column that is empty throughout is left out: the source doesn't have what it is made of.
    """
    return tuple(name for name in numeric_columns(frame) if frame[name].notna().any())


def steady_columns(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return the feature columns of customers without the totals that only ever grow."""
    return tuple(name for name in feature_columns(frame) if name not in GROWING_TOTALS)


def numeric_columns(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return the numeric and boolean columns that are neither keys nor calendar days, in the order of `frame`."""
    numeric = frame.select_dtypes(include=["number", "bool"]).columns
    return tuple(str(name) for name in numeric if name not in NOT_FEATURES)


def sampled(examples: Examples, n_rows: int, seed: int) -> Examples:
    """Return at most `n_rows` examples drawn evenly, in their old order: shares stay, so probabilities stay true."""
    if len(examples) <= n_rows:
        return examples
    keep = np.zeros(len(examples), dtype=np.bool_)
    keep[np.random.default_rng(seed).choice(len(examples), n_rows, replace=False)] = True
    return examples.only(keep)
