from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from training.collaborative import EASE, FACTORS, NEAREST, CollaborativeConfig, learn


def two_tastes(n: int = 200) -> sp.csr_array:
    """Half of the customers choose among items 0 to 4, half among 5 to 9."""
    rng = np.random.default_rng(11)
    owned = np.zeros((n, 10))
    owned[: n // 2, :5] = rng.random((n // 2, 5)) < 0.6
    owned[n // 2 :, 5:] = rng.random((n // 2, 5)) < 0.6
    return sp.csr_array(owned)


def test_every_score_prefers_the_customers_own_taste() -> None:
    owned = two_tastes()
    scores = learn(owned, CollaborativeConfig(ridge=20.0)).scores(0, 100)
    is_new = owned[:100].toarray() == 0
    for name in (EASE, NEAREST, FACTORS):
        table = np.where(is_new, scores[name], np.nan)
        assert np.nanmean(table[:, :5]) > np.nanmean(table[:, 5:]), name


def test_blocks_have_the_scores_of_the_whole() -> None:
    learned = learn(two_tastes(), CollaborativeConfig())
    whole, part = learned.scores(0, 200), learned.scores(50, 60)
    for name, table in part.items():
        assert np.allclose(table, whole[name][50:60])


def test_nothing_owned_is_no_reason_to_fail() -> None:
    scores = learn(sp.csr_array((3, 4)), CollaborativeConfig()).scores(0, 3)
    assert all((table == 0).all() for table in scores.values())
