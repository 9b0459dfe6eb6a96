"""What sets an audience apart from everybody: means of scores, shares of labels, and categories by lift."""

from __future__ import annotations

from typing import get_args

import numpy as np
import numpy.typing as npt

from serving.api_audiences import LabelName, NumberName, Profile, ProfileCategory, ProfileScore, ProfileShare
from serving.audience_likeness import Likeness
from serving.bundle_format import BundleArrays

IntArray = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_N_CATEGORIES = 10
_ONE_POINT = 0.01  # added to both chances of a lift, so that a category that hardly anybody buys has none


class Profiles:
    """Makes the profiles of audiences of one bundle; everybody are the customers of the mask `among`."""

    def __init__(self, bundle: BundleArrays, among: Mask, likeness: Likeness) -> None:
        customers = bundle.customers
        self._categories = bundle.categories.name
        self._likeness = likeness
        self._numbers = dict(
            zip(get_args(NumberName), (customers.churn, customers.value, customers.score), strict=True)
        )
        self._labels = dict(
            zip(
                get_args(LabelName),
                (
                    (customers.segment, bundle.segments),
                    (customers.tier, bundle.tiers),
                    (customers.channel, bundle.channels),
                ),
                strict=True,
            )
        )
        everyone = np.flatnonzero(among)
        self._means = {name: _mean_and_spread(values[everyone]) for name, values in self._numbers.items()}
        self._shares = {name: _shares(rows[everyone], len(labels)) for name, (rows, labels) in self._labels.items()}

    def profile(self, rows: IntArray) -> Profile:
        """Return the profile of customers, by their rows; empty lists for nobody."""
        if len(rows) == 0:
            return {"scores": [], "shares": [], "categories": []}
        return {
            "scores": sorted(
                (self._score(name, rows) for name in self._numbers), key=lambda each: -abs(each["difference"])
            ),
            "shares": [each for name in self._labels for each in self._shares_of(name, rows)],
            "categories": self._by_lift(rows),
        }

    def _score(self, name: NumberName, rows: IntArray) -> ProfileScore:
        mean = float(self._numbers[name][rows].mean(dtype=np.float64))
        everyone, spread = self._means[name]
        return {
            "score": name,
            "mean": round(mean, 6),
            "everyone": round(everyone, 6),
            "difference": round((mean - everyone) / spread, 4) if spread > 0 else 0.0,
        }

    def _shares_of(self, name: LabelName, rows: IntArray) -> list[ProfileShare]:
        codes, labels = self._labels[name]
        own, everyone = _shares(codes[rows], len(labels)), self._shares[name]
        order = np.argsort(-np.abs(own - everyone), kind="stable")
        return [
            {
                "score": name,
                "value": labels[row],
                "share": round(float(own[row]), 6),
                "everyone": round(float(everyone[row]), 6),
            }
            for row in order.tolist()
        ]

    def _by_lift(self, rows: IntArray) -> list[ProfileCategory]:
        own, everyone = self._likeness.category_means_of(rows), self._likeness.category_means
        lift = (own + _ONE_POINT) / (everyone + _ONE_POINT)
        return [
            {
                "category": self._categories[row],
                "probability": round(float(own[row]), 6),
                "everyone": round(float(everyone[row]), 6),
                "lift": round(float(lift[row]), 4),
            }
            for row in np.argsort(-lift, kind="stable")[:_N_CATEGORIES].tolist()
        ]


def _mean_and_spread(values: npt.NDArray[np.float32]) -> tuple[float, float]:
    if len(values) == 0:
        return 0.0, 0.0
    return float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))


def _shares(codes: npt.NDArray[np.integer], n_labels: int) -> npt.NDArray[np.float64]:
    """Return the share of each label; those without one count among all, too."""
    counts = np.bincount(codes[codes >= 0], minlength=n_labels)
    shares: npt.NDArray[np.float64] = counts / max(len(codes), 1)
    return shares
