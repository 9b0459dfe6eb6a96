"""Whether those who ask are those whom the bundle was made for: their scores and features beside the expected ones.

Each of them is cut into tenths of the customers that the bundle expects to shop within a week (each counts by that
chance). Those who ask are counted by tenth; where the shares move apart the population stability index grows. It is
computed from the metrics (`operating/rules.yml`); 0.1 is usually read as a small and 0.25 as a large move
(N. Siddiqi, "Credit Risk Scorecards", 2006).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from functools import lru_cache, partial
from math import isfinite
from typing import Final

import numpy as np
import numpy.typing as npt

from features.ids import UNKNOWN_ROW, find_row
from serving.bundle_format import BundleArrays
from serving.http_metrics import Metrics

N_BINS = 10
SAMPLED = 4
"""One in so many decisions is looked at: a look-up of the customer costs as much as a small part of an answer."""

_MOST_LOOKED_AT = 100_000
_CUSTOMERS_REMEMBERED = 4096

SCORES: Final = ("churn", "value", "next_days", "score")
FEATURES: Final = ("n_baskets", "usual_price")
"""What the scores are made of and the bundle keeps: how often they came, and the price they usually pay."""

WATCHED: Final = (*SCORES, *FEATURES)

FloatArray = npt.NDArray[np.float64]


class ScoreBins:
    """The tenths of a bundle's scores among the customers that it expects, and what share of them is in each."""

    def __init__(self, bundle: BundleArrays) -> None:
        customers = bundle.customers
        self._row_of = lru_cache(_CUSTOMERS_REMEMBERED)(partial(find_row, customers.hash, customers.id))
        scores = {name: getattr(customers, name) for name in WATCHED}
        self._scores = {name: column.data for name, column in scores.items()}
        step = max(1, len(customers.hash) // _MOST_LOOKED_AT)  # rows are in the order of hashes: every n-th is a sample
        chances = np.nan_to_num(np.asarray(customers.p_shop[::step, -1], dtype=np.float64))
        self._edges: dict[str, list[float]] = {}
        self.shares: dict[str, FloatArray] = {}
        for name, column in scores.items():
            values = np.asarray(column[::step], dtype=np.float64)
            known = np.isfinite(values) & (chances > 0)
            if known.any():
                edges = _edges(values[known], chances[known])
                bins = np.searchsorted(edges, values[known], side="right")
                counted = np.bincount(bins, weights=chances[known], minlength=N_BINS)
                self._edges[name], self.shares[name] = edges.tolist(), counted / counted.sum()

    def bins_of(self, customer_id: str) -> dict[str, int]:
        """Return the customer's tenth of each score, from 0; nothing for somebody whom the bundle does not know."""
        row = self._row_of(customer_id)
        if row == UNKNOWN_ROW:
            return {}
        values = {name: float(self._scores[name][row]) for name in self._edges}
        return {name: bisect_right(self._edges[name], value) for name, value in values.items() if isfinite(value)}


def _edges(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the nine inner edges of tenths by weight, ascending; between equal ones nobody is."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    places = np.searchsorted(reached, np.arange(1, N_BINS) / N_BINS)
    return np.asarray(values[order][np.minimum(places, len(values) - 1)], dtype=np.float64)


class Drift:
    """Counts those who ask by the tenths of their scores."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._bins: ScoreBins | None = None
        self._asked = 0
        self._counts: Counter[tuple[str, int]] = Counter()

    def obey(self, bins: ScoreBins) -> None:
        """Count by the tenths of another bundle from now on."""
        self.flush()
        self._bins = bins
        for name, shares in bins.shares.items():
            for place, share in enumerate(shares):
                self._metrics.tell_share(name, place, float(share))
                self._metrics.count_score(name, place, 0)  # a tenth that nobody is in counts in the index as well

    def note(self, customer_id: str) -> None:
        """Count one who asks, now and then."""
        self._asked += 1
        if self._bins is not None and self._asked % SAMPLED == 0:
            self._counts.update(self._bins.bins_of(customer_id).items())

    def flush(self) -> None:
        """Carry the counts over to the metrics, and begin anew."""
        for (name, place), n in self._counts.items():
            self._metrics.count_score(name, place, n)
        self._counts.clear()
