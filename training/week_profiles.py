"""Kinds of weeks: a few typical distributions of trips over the week, and how much of each every customer is.

A mixture of multinomials, fitted by expectation maximisation (Dempster, Laird and Rubin, JRSS B 39, 1977). Trips of one
customer are more alike than independent draws: each counts for half a trip where it says which kind somebody is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

EVIDENCE = 0.5
"""How much a trip counts for in saying which kind of week a customer has."""

_SHOP_TRIPS = 20.0  # trips of the shop's own week that each kind starts from
_ROUNDS = 40


@dataclass(frozen=True)
class WeekProfiles:
    """Shares of the buckets by kind ``(n_kinds, n_buckets)``, and of customers ``(n_kinds,)``."""

    kinds: FloatArray
    shares: FloatArray

    def expected(self, counts: FloatArray) -> FloatArray:
        """Return each customer's chances of the buckets by the kinds that they may be, both ``(n, n_buckets)``."""
        return np.asarray(_belongs(counts, self.kinds, self.shares) @ self.kinds, dtype=np.float64)


def fit_profiles(counts: FloatArray, n_kinds: int, seed: int) -> WeekProfiles:
    """Return the kinds of weeks in customers' trips by bucket, ``(n_customers, n_buckets)``; without trips one even."""
    shop = (counts.sum(axis=0) + 0.5) / (counts.sum(axis=0) + 0.5).sum()
    if counts.sum() == 0:
        return WeekProfiles(shop[None, :], np.ones(1))
    belongs = np.random.default_rng(seed).dirichlet(np.ones(n_kinds), len(counts))
    kinds, shares = _learned(counts, shop, belongs)
    for _ in range(_ROUNDS):
        kinds, shares = _learned(counts, shop, _belongs(counts, kinds, shares))
    return WeekProfiles(kinds, shares)


def _learned(counts: FloatArray, shop: FloatArray, belongs: FloatArray) -> tuple[FloatArray, FloatArray]:
    kinds = belongs.T @ counts + _SHOP_TRIPS * shop
    return kinds / kinds.sum(axis=1, keepdims=True), belongs.mean(axis=0)


def _belongs(counts: FloatArray, kinds: FloatArray, shares: FloatArray) -> FloatArray:
    """Return the chance that each customer is of each kind, ``(n, n_kinds)``."""
    fit = EVIDENCE * (counts @ np.log(kinds).T) + np.log(np.maximum(shares, 1e-12))
    chance = np.exp(fit - fit.max(axis=1, keepdims=True))
    return np.asarray(chance / chance.sum(axis=1, keepdims=True), dtype=np.float64)
