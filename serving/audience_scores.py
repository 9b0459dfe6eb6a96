"""The scores of all customers of a bundle as columns, for rules, likeness and profiles; nothing is copied up front."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt

from serving.bundle import Bundle
from serving.live import epoch_us

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

DAY_US = 86_400_000_000
_FARTHEST_DAYS = 3650.0  # as in the answers of /v1/scores


class ScoreColumns:
    """The scores of every customer of the bundle, as told at the moment `at`."""

    def __init__(self, bundle: Bundle, at: datetime) -> None:
        self._bundle = bundle
        self._at_us = epoch_us(at)
        self._as_of_us = epoch_us(bundle.manifest.as_of)
        customers = bundle.customers
        self._numbers = {
            "churn_probability": customers.churn,
            "lifetime_value": customers.value,
            "customer_score": customers.score,
        }
        self._labels = {
            "segment": (customers.segment, bundle.segments),
            "engagement_tier": (customers.tier, bundle.tiers),
            "best_channel": (customers.channel, bundle.channels),
        }

    def numbers(self, field: str) -> npt.NDArray[np.floating]:
        """Return the numbers of a field, NaN where not known; moments are epoch microseconds."""
        if field == "next_purchase_at":
            days = np.minimum(self._bundle.customers.next_days, np.float32(_FARTHEST_DAYS)).astype(np.float64)
            return np.maximum(self._as_of_us + days * DAY_US, float(self._at_us))
        if field == "best_hour":
            hour = self._bundle.customers.hour.astype(np.float32)
            return np.where(hour < 0, np.float32(np.nan), hour)
        return self._numbers[field]

    def labels(self, field: str) -> tuple[npt.NDArray[np.integer], Sequence[str]]:
        """Return each customer's row in the labels of a field, -1 where not known, and the labels."""
        return self._labels[field]

    def category(self, name: str) -> F32 | None:
        """Return the chances of a purchase in a category (0 where it is not among a customer's best); None: no such."""
        wanted = name.casefold()
        rows = [row for row, each in enumerate(self._bundle.categories.name) if each.casefold() == wanted]
        if not rows:
            return None
        propensity = self._bundle.propensity
        entries = np.flatnonzero(np.isin(propensity.category, rows))
        found = np.zeros(len(self._bundle.customers.id), dtype=np.float32)
        owners = np.searchsorted(propensity.offsets, entries, side="right") - 1
        np.maximum.at(found, owners, propensity.p28.read(owners, entries))
        return found
