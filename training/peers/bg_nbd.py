"""BG/NBD: trips of customers who may have left for good, from three numbers each.

Fader, Hardie and Lee, "Counting Your Customers" the Easy Way (Marketing Science 24, 2005): trips at a customer's own
steady rate (gamma: r, alpha); after each trip the customer leaves with a chance of their own (beta: a, b). A customer
is their repeat trips x, the age t_x at the latest, and the age T now, both in days since the first trip.

Tried by hand on the CDNOW sample (2,357 customers, weeks, no penalty), which is not kept here: r .2426, alpha 4.4138,
a .7929, b 2.4261 with a log-likelihood of −9582.4; published are .2426, 4.4135, .7929, 2.4258 and −9582.4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize
from scipy.special import gammaln, hyp2f1

from features import columns as c
from training.errors import ConfigError

FloatArray = npt.NDArray[np.float64]

_WIDEST = (-8.0, 8.0)  # of the logarithms of the parameters
_AWAY_FROM_ONE = 1e-6  # the expected number of trips has no value at a = 1


@dataclass(frozen=True)
class BgNbdConfig:
    """`penalty`: how strongly the logarithms of the parameters are held to a plain guess, in nats a customer at √2.

    The guess is r 1, a ½, b 2 and an alpha of a quarter of the mean age, so that it means the same in any unit of time.
    """

    penalty: float = 0.001

    def __post_init__(self) -> None:
        """Refuse what would reward great parameters."""
        if self.penalty < 0:
            raise ConfigError(f"bg_nbd: penalty >= 0, found {self.penalty}")


@dataclass(frozen=True)
class Trips:
    """Repeat trips, the age at the latest trip and the age now, each ``(n,)``; ages in days since the first trip."""

    repeats: FloatArray
    latest: FloatArray
    age: FloatArray

    @classmethod
    def of(cls, customers: pd.DataFrame) -> Trips:
        """Return the numbers of customers' features; a second trip on a day counts no more than the first."""
        age = customers[c.TENURE_DAYS].to_numpy(dtype=np.float64)
        latest = age - customers[c.RECENCY_DAYS].to_numpy(dtype=np.float64)
        return cls(np.maximum(customers[c.N_DAYS].to_numpy(dtype=np.float64) - 1.0, 0.0), latest, age)


@dataclass(frozen=True)
class BgNbd:
    """The fitted parameters, all above 0."""

    r: float
    alpha: float
    a: float
    b: float

    def alive(self, trips: Trips) -> FloatArray:
        """Return the chance that each customer has not left, ``(n,)``: 1 for those of one trip."""
        return np.asarray(1.0 / (1.0 + self._odds_of_leaving(trips)), dtype=np.float64)

    def expected(self, trips: Trips, days: float) -> FloatArray:
        """Return the trips to expect in the next `days`, ``(n,)`` (equation 10 of the paper)."""
        a = self.a + _AWAY_FROM_ONE if abs(self.a - 1.0) < _AWAY_FROM_ONE else self.a
        x, later = trips.repeats, self.alpha + trips.age + days
        bent = hyp2f1(self.r + x, self.b + x, a + self.b + x - 1.0, days / later)
        left = ((self.alpha + trips.age) / later) ** (self.r + x) * bent
        whole = (a + self.b + x - 1.0) / (a - 1.0) * (1.0 - left)
        return np.asarray(np.maximum(whole * self.alive(trips), 0.0), dtype=np.float64)

    def _odds_of_leaving(self, trips: Trips) -> FloatArray:
        x = trips.repeats
        waited = (self.alpha + trips.age) / (self.alpha + trips.latest)
        odds = self.a / np.maximum(self.b + x - 1.0, 1e-12) * waited ** (self.r + x)
        return np.asarray(np.where(x > 0, odds, 0.0), dtype=np.float64)


def fit(trips: Trips, config: BgNbdConfig) -> BgNbd:
    """Return the parameters of greatest likelihood, for ages in the unit of `trips`; without customers all are 1."""
    if len(trips.age) == 0:
        return BgNbd(1.0, 1.0, 1.0, 1.0)
    start = np.log([1.0, max(float(trips.age.mean()) / 4, 0.1), 0.5, 2.0])

    def loss(at: FloatArray) -> float:
        moved = at - start
        return -float(log_likelihood(BgNbd(*np.exp(at)), trips).mean()) + 0.5 * config.penalty * float(moved @ moved)

    found = minimize(loss, start, method="L-BFGS-B", bounds=[_WIDEST] * 4)
    return BgNbd(*(float(each) for each in np.exp(found.x)))


def log_likelihood(model: BgNbd, trips: Trips) -> FloatArray:
    """Return the log-likelihood of each customer, ``(n,)`` (equation 6 of the paper)."""
    x, r, alpha, a, b = trips.repeats, model.r, model.alpha, model.a, model.b
    before = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    stayed = gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
    here = -(r + x) * np.log(alpha + trips.age)
    gone = np.log(a) - np.log(np.maximum(b + x - 1.0, 1e-12)) - (r + x) * np.log(alpha + trips.latest)
    return np.asarray(before + stayed + np.where(x > 0, np.logaddexp(here, gone), here), dtype=np.float64)
