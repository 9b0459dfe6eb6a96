"""Values of a policy from the log of another: right by hand, right on average, and honest about how sure they are."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace

import numpy as np
import pytest

from serving.decisioning.exploring import odds
from serving.decisioning.policy_exploration import ExplorationPolicy
from training.off_policy import (
    DR,
    IPS,
    SNIPS,
    Choices,
    FloatArray,
    IntArray,
    doubly_robust,
    effective_sample,
    estimates,
    expected_outcomes,
)

POLICY = ExplorationPolicy(0.5, 0.0, among=4, caution=4.0, min_effective=20, max_outside=0.1)
N_OPTIONS = 4


def by_hand() -> Choices:
    """Two customers with two options each, shown one after the other: a (0.8), then d (0.25)."""
    return Choices(
        customer=np.array([0, 1]),
        start=np.array([0, 2, 4]),
        chosen=np.array([0, 3]),
        logged=np.array([0.8, 0.2, 0.75, 0.25]),
        target=np.array([0.4, 0.6, 0.0, 1.0]),
        features=np.zeros((4, 0)),
    )


def test_weights_and_the_effective_sample_are_those_of_the_definitions() -> None:
    choices = by_hand()
    assert choices.weights.tolist() == [0.4 / 0.8, 1.0 / 0.25]
    assert effective_sample(choices.weights) == pytest.approx(4.5**2 / (0.5**2 + 4.0**2))
    assert effective_sample(np.ones(7)) == 7.0


def test_values_by_hand() -> None:
    outcome = np.array([10.0, 2.0])
    found = estimates(by_hand(), outcome, np.random.default_rng(1))
    values = {name: each.value.value for name, each in found.items()}
    assert values[IPS] == pytest.approx((0.5 * 10 + 4.0 * 2) / 2)
    assert values[SNIPS] == pytest.approx((0.5 * 10 + 4.0 * 2) / 4.5)
    # Without features the model of the outcome is its mean, 6.
    assert values[DR] == pytest.approx(((6 + 0.5 * (10 - 6)) + (6 + 4.0 * (2 - 6))) / 2)
    for name, each in found.items():
        assert each.gain.value == pytest.approx(values[name] - 6)


# A shop whose truth is known


@dataclass(frozen=True)
class World:
    """Decisions with the outcome that every option would have had."""

    choices: Choices
    outcome: FloatArray
    truth: float
    old: float


def world(rng: np.random.Generator, n_customers: int = 700, *, noise: float = 1.0) -> World:
    """Return two decisions a customer; the other policy goes by what the shop's own weights leave out.

    `truth` and `old` are what the other policy and the one of the log bring on average in all such worlds.
    """
    customer = np.repeat(np.arange(n_customers), 2)
    n = len(customer)
    weight = -np.sort(-rng.uniform(0.2, 1.0, (n, N_OPTIONS)), axis=1)
    taste = rng.uniform(0.0, 1.0, (n, N_OPTIONS))
    logged = np.array([odds(row, POLICY.stretch_share, POLICY) for row in weight])
    target = np.zeros((n, N_OPTIONS))
    target[np.arange(n), np.argmax(weight + taste, axis=1)] = 0.9
    target += 0.1 / N_OPTIONS
    expected = 1.0 + 2.0 * weight + 3.0 * taste
    chosen = (rng.random((n, 1)) > np.cumsum(logged, axis=1)).sum(axis=1).clip(0, N_OPTIONS - 1)
    mood = rng.normal(0.0, noise, n_customers)[customer]
    seen = expected[np.arange(n), chosen] + mood + rng.normal(0.0, noise, n)
    start: IntArray = np.arange(0, n * N_OPTIONS + 1, N_OPTIONS)
    features = np.column_stack([weight.ravel(), taste.ravel()])
    choices = Choices(customer, start, start[:-1] + chosen, logged.ravel(), target.ravel(), features)
    return World(choices, seen, float((target * expected).sum() / n), float((logged * expected).sum() / n))


@pytest.fixture(scope="module")
def truth() -> World:
    return world(np.random.default_rng(0), 60_000)


def test_the_policy_of_the_log_is_worth_the_mean_outcome() -> None:
    found = world(np.random.default_rng(2))
    own = replace(found.choices, target=found.choices.logged)
    values = estimates(own, found.outcome, np.random.default_rng(3))
    for name in (IPS, SNIPS):
        assert values[name].value.value == pytest.approx(found.outcome.mean())
        assert astuple(values[name].gain) == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)
    assert values[DR].value.low <= found.outcome.mean() <= values[DR].value.high


def test_a_constant_outcome_is_valued_exactly_by_all_but_plain_weights() -> None:
    found = world(np.random.default_rng(4))
    values = estimates(found.choices, np.full(len(found.outcome), 3.0), np.random.default_rng(3))
    assert [values[name].value.value for name in (SNIPS, DR)] == pytest.approx([3.0, 3.0])
    assert values[IPS].value.value == pytest.approx(3.0 * found.choices.weights.mean())


def test_intervals_cover_the_truth_and_a_model_makes_them_narrower(truth: World) -> None:
    rng, n = np.random.default_rng(5), 200
    names = (IPS, SNIPS, DR)
    covered, covered_gain = (dict.fromkeys(names, 0) for _ in range(2))
    values: dict[str, list[float]] = {each: [] for each in names}
    for _ in range(n):
        found = world(rng)
        for name, each in estimates(found.choices, found.outcome, rng).items():
            covered[name] += each.value.low <= truth.truth <= each.value.high
            covered_gain[name] += each.gain.low <= truth.truth - truth.old <= each.gain.high
            values[name].append(each.value.value)
    assert min(*covered.values(), *covered_gain.values()) >= 0.92 * n, (covered, covered_gain)
    for found_values in values.values():
        assert np.mean(found_values) == pytest.approx(truth.truth, abs=4 * np.std(found_values) / n**0.5)
    assert np.var(values[DR]) < np.var(values[SNIPS]) < np.var(values[IPS])


def test_the_model_of_the_outcome_never_saw_the_customer_it_speaks_of() -> None:
    found = world(np.random.default_rng(6), 40)
    outcome = np.zeros(len(found.outcome))
    outcome[found.choices.customer == 7] = 100.0
    expected = expected_outcomes(found.choices, outcome, np.random.default_rng(1))
    rows = np.repeat(found.choices.customer, N_OPTIONS)
    assert expected[rows == 7].max() == 0.0
    assert expected[rows != 7].max() > 0.0


def test_weights_stay_within_what_the_odds_allow(truth: World) -> None:
    assert truth.choices.weights.max() <= POLICY.among * (1 + POLICY.caution) / POLICY.stretch_share


def test_one_customer_has_a_value_and_no_interval() -> None:
    alone = replace(by_hand(), customer=np.array([5, 5]))
    found = estimates(alone, np.array([1.0, 2.0]), np.random.default_rng(1))
    assert np.isnan(found[IPS].value.low)
    assert doubly_robust(alone, np.array([1.0, 2.0]), np.random.default_rng(1)).shape == (2,)
