"""Gamma-Gamma: what a customer's trip is worth on average, drawn to all customers as far as their trips are few.

Fader and Hardie, The Gamma-Gamma Model of Monetary Value (2013): the worth of trips is gamma-distributed round a mean
of the customer's own, that mean inversely gamma-distributed over customers, and neither depends on how often they come.

Tried by hand on the CDNOW sample (946 customers with repeat trips), which is not kept here: p 6.25, q 3.74, v 15.44, as
published.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import gammaln

FloatArray = npt.NDArray[np.float64]

_LEAST_WORTH = 0.01
_WIDEST = (-8.0, 12.0)  # of the logarithms of the parameters


@dataclass(frozen=True)
class GammaGamma:
    """The fitted parameters, all above 0."""

    p: float
    q: float
    v: float

    def expected(self, mean: FloatArray, n: FloatArray) -> FloatArray:
        """Return the worth to expect of a trip, ``(n_customers,)``, from means of `n` trips (equation 5)."""
        return np.asarray((self.v + n * mean) * self.p / (self.p * n + self.q - 1.0), dtype=np.float64)


def fit(mean: FloatArray, n: FloatArray) -> GammaGamma:
    """Return the parameters of greatest likelihood from customers' mean worth of `n` trips, those above 0 only.

    Without such customers every trip is worth nothing.
    """
    known = (mean > _LEAST_WORTH) & (n > 0)
    if not known.any():
        return GammaGamma(1.0, 2.0, 1e-12)
    m, x = mean[known], n[known]
    start = np.log([2.0, 4.0, 2.0 * max(float(m.mean()), 0.1)])
    bounds = [_WIDEST, (np.log(1.05), _WIDEST[1]), _WIDEST]  # a mean exists with q above 1
    found = minimize(
        lambda at: -float(log_likelihood(GammaGamma(*np.exp(at)), m, x).mean()), start, method="L-BFGS-B", bounds=bounds
    )
    return GammaGamma(*(float(each) for each in np.exp(found.x)))


def log_likelihood(model: GammaGamma, mean: FloatArray, n: FloatArray) -> FloatArray:
    """Return the log-density of each customer's mean, ``(n_customers,)`` (equation 1a)."""
    px = model.p * n
    density = gammaln(px + model.q) - gammaln(px) - gammaln(model.q) + model.q * np.log(model.v)
    density += (px - 1.0) * np.log(mean) + px * np.log(n) - (px + model.q) * np.log(model.v + n * mean)
    return np.asarray(density, dtype=np.float64)
