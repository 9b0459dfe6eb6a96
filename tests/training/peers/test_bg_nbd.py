"""BG/NBD: its likelihood against an integral, its answers against simulated customers, its parameters found again."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import betaln, gammaln
from scipy.stats import beta, gamma

from training.errors import ConfigError
from training.peers.bg_nbd import BgNbd, BgNbdConfig, Trips, fit, log_likelihood

TRUE = BgNbd(r=1.2, alpha=6.0, a=0.8, b=2.5)


def simulated(n: int, days: float, later: float, seed: int) -> tuple[Trips, np.ndarray, np.ndarray]:
    """Play customers one after the other: a rate and a chance to leave of their own. Also who is left, and comes."""
    rng = np.random.default_rng(seed)
    repeats, latest, is_alive, more = np.zeros(n), np.zeros(n), np.ones(n), np.zeros(n)
    rates = rng.gamma(TRUE.r, 1 / TRUE.alpha, n)
    chances = rng.beta(TRUE.a, TRUE.b, n)
    for i in range(n):
        at = 0.0
        while True:
            at += rng.exponential(1 / rates[i])
            if at > days + later:
                break
            if at <= days:
                repeats[i], latest[i] = repeats[i] + 1, at
            else:
                more[i] += 1
            if rng.random() < chances[i]:
                is_alive[i] = 0.0 if at <= days else is_alive[i]
                break
    return Trips(repeats, latest, np.full(n, days)), is_alive, more


@pytest.mark.parametrize(("x", "latest", "age"), [(0, 0.0, 20.0), (2, 11.0, 20.0), (5, 19.0, 20.0)])
def test_the_likelihood_is_the_integral_over_rates_and_chances(x: int, latest: float, age: float) -> None:
    middles = (np.arange(800) + 0.5) / 800
    rate = gamma.ppf(middles, TRUE.r, scale=1 / TRUE.alpha)[:, None]
    chance = beta.ppf(middles, TRUE.a, TRUE.b)[None, :]
    stayed = (1 - chance) ** x * rate**x * np.exp(-rate * age)
    left = chance * (1 - chance) ** (x - 1) * rate**x * np.exp(-rate * latest) if x > 0 else 0.0
    slow = float((stayed + left).mean())
    trips = Trips(np.array([float(x)]), np.array([latest]), np.array([age]))
    assert float(np.exp(log_likelihood(TRUE, trips)[0])) == pytest.approx(slow, rel=5e-3)


def test_it_finds_its_parameters_again_and_answers_as_simulated_customers_do() -> None:
    trips, is_alive, more = simulated(6000, 60.0, 30.0, seed=5)
    found = fit(trips, BgNbdConfig(penalty=0.0))
    assert found.r / found.alpha == pytest.approx(TRUE.r / TRUE.alpha, rel=0.1)
    assert found.a / (found.a + found.b) == pytest.approx(TRUE.a / (TRUE.a + TRUE.b), rel=0.15)
    assert found.alive(trips).mean() == pytest.approx(is_alive.mean(), abs=0.03)
    assert found.expected(trips, 30.0).mean() == pytest.approx(more.mean(), rel=0.05)
    assert np.corrcoef(found.expected(trips, 30.0), more)[0, 1] > 0.6


def test_its_parameters_are_those_of_a_slow_search_without_gradients() -> None:
    trips, _, _ = simulated(400, 60.0, 30.0, seed=9)

    def slow(at: np.ndarray) -> float:
        """Minus the log-likelihood as a product of gamma functions, customer by customer (the paper's equation 6)."""
        r, alpha, a, b = np.exp(at)
        total = 0.0
        for x, latest, age in zip(trips.repeats, trips.latest, trips.age, strict=True):
            common = betaln(a, b + x) - betaln(a, b) + gammaln(r + x) - gammaln(r) + r * np.log(alpha)
            stayed = (alpha + age) ** -(r + x)
            left = a / (b + x - 1) * (alpha + latest) ** -(r + x) if x > 0 else 0.0
            total -= common + np.log(stayed + left)
        return float(total)

    options = {"xatol": 1e-3, "fatol": 1e-5, "maxiter": 600, "maxfev": 600}
    start = np.log([TRUE.r, TRUE.alpha, TRUE.a, TRUE.b])
    best = minimize(slow, start, method="Nelder-Mead", options=options)
    found = fit(trips, BgNbdConfig(penalty=0.0))
    assert -log_likelihood(found, trips).sum() == pytest.approx(best.fun, abs=2e-3)
    assert [found.r, found.alpha, found.a, found.b] == pytest.approx(np.exp(best.x).tolist(), rel=0.05)


@pytest.mark.parametrize("penalty", [0.0, 0.1])
def test_days_or_weeks_make_the_same_customers(penalty: float) -> None:
    days, _, _ = simulated(500, 60.0, 30.0, seed=3)
    weeks = Trips(days.repeats, days.latest / 7, days.age / 7)
    config = BgNbdConfig(penalty)
    assert fit(weeks, config).alive(weeks) == pytest.approx(fit(days, config).alive(days), abs=0.01)


def test_a_strong_penalty_leaves_the_plain_guess() -> None:
    trips, _, _ = simulated(50, 60.0, 30.0, seed=3)
    found = fit(trips, BgNbdConfig(penalty=1e6))
    assert [found.r, found.alpha, found.a, found.b] == pytest.approx([1.0, 15.0, 0.5, 2.0], rel=0.01)


def test_its_answer_at_the_published_parameters_is_the_published_one() -> None:
    cdnow = BgNbd(r=0.2426, alpha=4.4135, a=0.7929, b=2.4258)
    customer = Trips(np.array([2.0]), np.array([30.43]), np.array([38.86]))
    assert cdnow.expected(customer, 39.0)[0] == pytest.approx(1.226, abs=5e-4)


def test_who_never_came_back_has_not_left_and_who_waits_long_has_rather() -> None:
    trips = Trips(np.array([0.0, 9.0, 9.0]), np.array([0.0, 59.0, 20.0]), np.full(3, 60.0))
    alive = TRUE.alive(trips)
    assert alive[0] == 1.0
    assert alive[1] > 0.8 > 0.1 > alive[2]


def test_a_chance_to_leave_round_one_still_has_an_expectation() -> None:
    trips = Trips(np.array([2.0]), np.array([20.0]), np.array([30.0]))
    near = [BgNbd(1.2, 6.0, a, 2.5).expected(trips, 30.0)[0] for a in (0.999, 1.0, 1.001)]
    assert near == pytest.approx([near[0]] * 3, rel=0.01)


def test_customers_become_repeats_and_ages_and_nobody_is_no_error() -> None:
    frame = pd.DataFrame({"n_days": [1, 4], "tenure_days": [30, 50], "recency_days": [30, 8]})
    trips = Trips.of(frame)
    assert trips.repeats.tolist() == [0, 3]
    assert trips.latest.tolist() == [0, 42]
    assert fit(Trips.of(frame.head(0)), BgNbdConfig()) == BgNbd(1.0, 1.0, 1.0, 1.0)


def test_a_penalty_below_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="penalty"):
        BgNbdConfig(penalty=-1.0)
