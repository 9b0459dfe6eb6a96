"""The factorised histogram: bucket by bucket as its formula says; nobody's own trips mean the shop's."""

from __future__ import annotations

import numpy as np
import pytest

from training.errors import ConfigError
from training.peers.factorised_week import FactorisedConfig, chances


def slow_chance(trips: list[tuple[int, int]], shop: np.ndarray, day: int, part: int, strength: float) -> float:
    """The formula for one customer, whose trips are weekdays and parts of the day."""
    on_day = sum(each[0] == day for each in trips) + strength * sum(shop[day, other] for other in range(6))
    in_part = sum(each[1] == part for each in trips) + strength * sum(shop[other, part] for other in range(7))
    return on_day / (len(trips) + strength) * in_part / (len(trips) + strength)


@pytest.mark.parametrize("strength", [0.5, 20.0])
def test_chances_are_those_of_the_formula(strength: float) -> None:
    rng = np.random.default_rng(4)
    shop = rng.dirichlet(np.ones(42)).reshape(7, 6)
    trips = [[(int(rng.integers(7)), int(rng.integers(6))) for _ in range(n)] for n in (0, 1, 12)]
    counts = np.zeros((3, 7, 6))
    for customer, theirs in enumerate(trips):
        for day, part in theirs:
            counts[customer, day, part] += 1
    found = chances(counts, shop, FactorisedConfig(strength))
    for customer, theirs in enumerate(trips):
        slow = [[slow_chance(theirs, shop, day, part, strength) for part in range(6)] for day in range(7)]
        np.testing.assert_allclose(found[customer], slow)
    assert found.sum(axis=(1, 2)) == pytest.approx(np.ones(3))


def test_without_trips_both_are_the_shops_own() -> None:
    shop = np.full((7, 6), 1 / 42)
    assert np.allclose(chances(np.zeros((1, 7, 6)), shop, FactorisedConfig()), 1 / 42)


def test_a_week_in_which_nothing_may_happen_is_refused() -> None:
    with pytest.raises(ConfigError, match="strength"):
        FactorisedConfig(strength=0.0)
