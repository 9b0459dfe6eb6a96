"""Gamma-Gamma: its density adds up to 1, its expectation is that of an integral, its parameters are found again."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import gamma, invgamma

from training.peers.gamma_gamma import GammaGamma, fit, log_likelihood

TRUE = GammaGamma(p=3.0, q=5.0, v=40.0)


def test_the_density_is_the_integral_over_customers_own_means() -> None:
    # Given nu ~ gamma(q, rate v), each trip is gamma(p, rate nu); the mean of n of them is gamma(p n, rate nu n).
    def density(nu: float, mean: float, n: int) -> float:
        return float(gamma.pdf(mean, TRUE.p * n, scale=1 / (nu * n)) * gamma.pdf(nu, TRUE.q, scale=1 / TRUE.v))

    for mean, n in ((20.0, 1), (35.0, 4)):
        slow, _ = quad(lambda nu, m=mean, k=n: density(nu, m, k), 0, 3)
        found = log_likelihood(TRUE, np.array([mean]), np.array([float(n)]))[0]
        assert float(np.exp(found)) == pytest.approx(slow, rel=1e-4)


def test_the_expectation_is_the_integral_over_what_a_customers_own_mean_may_be() -> None:
    mean, n = 35.0, 4.0  # given nu the mean worth of a trip is p / nu

    def weight(nu: float) -> float:
        return float(gamma.pdf(mean, TRUE.p * n, scale=1 / (nu * n)) * gamma.pdf(nu, TRUE.q, scale=1 / TRUE.v))

    slow = quad(lambda nu: TRUE.p / nu * weight(nu), 1e-9, 3)[0] / quad(weight, 1e-9, 3)[0]
    assert TRUE.expected(np.array([mean]), np.array([n]))[0] == pytest.approx(slow, rel=1e-4)


def test_few_trips_are_drawn_to_all_customers_and_many_stand_for_themselves() -> None:
    everyone = TRUE.v * TRUE.p / (TRUE.q - 1.0)
    expected = TRUE.expected(np.array([90.0, 90.0, 90.0]), np.array([0.0, 1.0, 10_000.0]))
    assert expected[0] == pytest.approx(everyone)
    assert everyone < expected[1] < expected[2]
    assert expected[2] == pytest.approx(90.0, rel=0.001)


def test_it_finds_its_expectations_again() -> None:
    rng = np.random.default_rng(6)
    n = rng.integers(1, 12, 5000).astype(float)
    nu = 1 / invgamma.rvs(TRUE.q, scale=TRUE.v, size=5000, random_state=6)
    mean = rng.gamma(TRUE.p * n, 1 / (nu * n))
    found = fit(mean, n)
    assert found.expected(mean, n) == pytest.approx(TRUE.expected(mean, n), rel=0.1)


def test_who_never_spent_says_nothing() -> None:
    assert fit(np.zeros(3), np.ones(3)).expected(np.zeros(1), np.zeros(1)) == pytest.approx([0.0], abs=1e-9)
