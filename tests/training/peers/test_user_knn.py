from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse as sp

from training.errors import ConfigError
from training.peers import user_knn
from training.peers.user_knn import UserKnnConfig, fit


def slow_scores(matrix: list[list[float]], row: list[float], config: UserKnnConfig) -> list[float]:
    """The definition, written out."""
    n_rows, n_items = len(matrix), len(row)
    holders = [sum(1 for each in matrix if each[item] > 0) for item in range(n_items)]
    rarity = [(max(count, 1) / n_rows) ** -config.popularity_power for count in holders]
    asked = [value * rarity[item] for item, value in enumerate(row)]
    likeness = []
    for each in matrix:
        known = [value * rarity[item] for item, value in enumerate(each)]
        product = sum(a * b for a, b in zip(asked, known, strict=True))
        length = math.sqrt(sum(a * a for a in asked)) * math.sqrt(sum(b * b for b in known))
        likeness.append(product / (length + config.shrink) if product > 0 else 0.0)
    nearest = sorted(range(n_rows), key=lambda i: (-likeness[i], i))[: config.n_neighbours]
    return [
        sum(likeness[i] ** config.sharpness * matrix[i][item] for i in nearest if likeness[i] > 0)
        for item in range(n_items)
    ]


@pytest.mark.parametrize("dense_items", [0, 100])
@pytest.mark.parametrize(
    "config",
    [
        UserKnnConfig(n_neighbours=3, shrink=0.5, popularity_power=0.0, sharpness=1.0),
        UserKnnConfig(n_neighbours=5, shrink=2.0, popularity_power=0.5, sharpness=2.0),
        UserKnnConfig(n_neighbours=100, shrink=1.0, popularity_power=0.25, sharpness=0.0),
    ],
)
def test_scores_are_those_of_the_slow_version(
    config: UserKnnConfig, dense_items: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_knn, "_AT_ONCE", 4)
    monkeypatch.setattr(user_knn, "_DENSE_ITEMS", dense_items)
    rng = np.random.default_rng(3)
    matrix = np.where(rng.random((25, 8)) < 0.35, rng.uniform(0.5, 2.0, (25, 8)), 0.0)  # no two rows equally alike
    matrix[9] = 0.0
    scores = fit(sp.csr_array(matrix), config).scores(sp.csr_array(matrix))
    for i in range(25):
        assert np.allclose(scores[i], slow_scores(matrix.tolist(), matrix[i].tolist(), config))


def test_a_row_that_nobody_is_like_has_no_scores() -> None:
    matrix = sp.csr_array(np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert (
        fit(matrix, UserKnnConfig()).scores(sp.csr_array(np.array([[0.0, 1.0], [0.0, 0.0]]))).tolist()
        == [[0.0] * 2] * 2
    )


def test_a_tie_is_settled_the_same_way_again() -> None:
    matrix = sp.csr_array((np.random.default_rng(5).random((40, 6)) < 0.5).astype(np.float64))
    config = UserKnnConfig(n_neighbours=3)
    assert np.array_equal(fit(matrix, config).scores(matrix), fit(matrix, config).scores(matrix))


def test_nothing_known_and_nothing_asked_are_no_reason_to_fail() -> None:
    assert fit(sp.csr_array((0, 3)), UserKnnConfig()).scores(sp.csr_array((2, 3))).shape == (2, 3)
    assert fit(sp.csr_array((2, 3)), UserKnnConfig()).scores(sp.csr_array((0, 3))).shape == (0, 3)


def test_settings_without_a_meaning_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least one neighbour"):
        UserKnnConfig(n_neighbours=0)
