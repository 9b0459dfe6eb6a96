from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from training.collaborative import CollaborativeConfig, Past, learn
from training.item_to_item import FactorConfig
from training.peers import ease

CONFIG = CollaborativeConfig(
    ridge=20.0,
    ridge_counts=20.0,
    ridge_ever=20.0,
    factors=FactorConfig(n_factors=2, regularization=1.0),
    factors_counts=FactorConfig(n_factors=2, regularization=1.0),
    factors_ever=FactorConfig(n_factors=2, regularization=1.0),
)


def two_tastes(n: int = 200) -> Past:
    """Half of the customers choose among items 0 to 4, half among 5 to 9; of all that they had a part is recent."""
    rng = np.random.default_rng(11)
    ever = np.zeros((n, 10))
    ever[: n // 2, :5] = rng.random((n // 2, 5)) < 0.7
    ever[n // 2 :, 5:] = rng.random((n // 2, 5)) < 0.7
    recent = ever * (rng.random(ever.shape) < 0.8)
    latest = recent * (rng.random(ever.shape) < 0.6)
    counts = recent * rng.integers(1, 9, ever.shape)
    fading = np.where(recent > 0, 1.0, 0.4) * ever
    return Past(*(sp.csr_array(each) for each in (recent, latest, ever, counts, fading)))


def empty(n: int, m: int) -> Past:
    return Past(*(sp.csr_array((n, m)) for _ in range(5)))


def test_every_score_prefers_the_customers_own_taste() -> None:
    past = two_tastes()
    scores = learn(past, CONFIG).scores(0, 100)
    is_new = past.ever[:100].toarray() == 0
    for name, table in scores.items():
        known = np.where(is_new, table, np.nan)
        assert np.nanmean(known[:, :5]) > np.nanmean(known[:, 5:]), name


def test_what_is_new_is_scored_without_itself() -> None:
    past = two_tastes()
    scores = learn(past, CONFIG).scores(0, 200)
    direct = past.recent @ ease.ease_weights(past.recent, 20.0)
    assert np.allclose(scores["score_ease"], direct)
    assert np.allclose(scores["score_ease_ever"], past.fading @ ease.ease_weights(past.ever, 20.0))


def test_blocks_have_the_scores_of_the_whole() -> None:
    learned = learn(two_tastes(), CONFIG)
    whole, part = learned.scores(0, 200), learned.scores(50, 60)
    for name, table in part.items():
        assert np.allclose(table, whole[name][50:60]), name


def test_neighbours_are_looked_for_among_so_many_at_most() -> None:
    config = CollaborativeConfig(n_known=30)
    assert learn(two_tastes(), config).neighbours.matrix.shape == (30, 10)
    assert (learn(two_tastes(), config).neighbours.matrix != learn(two_tastes(), config).neighbours.matrix).nnz == 0


@pytest.mark.parametrize("shape", [(3, 4), (0, 4), (3, 0)])
def test_nothing_owned_is_no_reason_to_fail(shape: tuple[int, int]) -> None:
    scores = learn(empty(*shape), CollaborativeConfig()).scores(0, shape[0])
    assert all(table.shape == shape and (table == 0).all() for table in scores.values())
