"""Kinds of weeks: planted kinds are found, chances add up, nobody is no error."""

from __future__ import annotations

import numpy as np
import pytest

from training.week_profiles import fit_profiles


def planted(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Half shop in the first buckets, half in the last, with twelve trips each."""
    rng = np.random.default_rng(seed)
    kinds = np.array([[0.45, 0.45, 0.05, 0.05], [0.05, 0.05, 0.45, 0.45]])
    which = rng.integers(0, 2, n)
    return np.array([rng.multinomial(12, kinds[each]) for each in which]).astype(float), kinds[which]


def test_who_shops_like_a_kind_is_expected_to_go_on_so() -> None:
    counts, true = planted(400, 3)
    expected = fit_profiles(counts, 2, seed=1).expected(counts)
    assert np.abs(expected - true).mean() < 0.05
    assert expected.sum(axis=1) == pytest.approx(np.ones(400))


def test_without_trips_somebody_is_a_mixture_of_all() -> None:
    counts, _ = planted(400, 3)
    profiles = fit_profiles(counts, 2, seed=1)
    assert profiles.expected(np.zeros((1, 4)))[0] == pytest.approx(profiles.shares @ profiles.kinds)


def test_the_same_seed_gives_the_same_kinds() -> None:
    counts, _ = planted(50, 4)
    assert (fit_profiles(counts, 3, seed=5).kinds == fit_profiles(counts, 3, seed=5).kinds).all()


def test_nobody_gives_an_even_week() -> None:
    assert fit_profiles(np.zeros((0, 4)), 3, seed=1).expected(np.zeros((1, 4))).tolist() == [[0.25] * 4]
