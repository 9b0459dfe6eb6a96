"""The peers that compare items, each against a slow and obvious version written from its formula."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
import scipy.sparse as sp

from training.errors import ConfigError
from training.peers import item_scorer, rp3beta, swing
from training.peers.item_knn import Bm25Config, CosineConfig, fit_bm25, fit_cosine
from training.peers.item_scorer import SimilarItems
from training.peers.rp3beta import Rp3BetaConfig
from training.peers.swing import SwingConfig

N_ITEMS = 9
Fit = Callable[[sp.csr_array], SimilarItems]
Slow = Callable[[np.ndarray, int, int], float]

FITS: dict[str, Fit] = {
    "cosine": lambda matrix: fit_cosine(matrix, CosineConfig(shrink=3.0, n_neighbours=N_ITEMS)),
    "bm25": lambda matrix: fit_bm25(matrix, Bm25Config(k1=1.5, b=0.4, n_neighbours=N_ITEMS)),
    "rp3beta": lambda matrix: rp3beta.fit(matrix, Rp3BetaConfig(alpha=0.7, beta=0.3, n_neighbours=N_ITEMS)),
    "swing": lambda matrix: swing.fit(matrix, SwingConfig(alpha=2.0, n_neighbours=N_ITEMS)),
}


def slow_cosine(x: np.ndarray, i: int, j: int) -> float:
    return float(x[:, i] @ x[:, j] / (np.linalg.norm(x[:, i]) * np.linalg.norm(x[:, j]) + 3.0))


def slow_bm25(x: np.ndarray, i: int, j: int) -> float:
    mean = x.sum() / x.shape[1]

    def weight(row: int, item: int) -> float:
        length = 1 - 0.4 + 0.4 * x[:, item].sum() / mean
        frequency = x[row, item] * 2.5 / (1.5 * length + x[row, item]) if x[row, item] else 0.0
        return float(frequency * (np.log(x.shape[1]) - np.log1p((x[row] > 0).sum())))

    return sum(weight(row, i) * weight(row, j) for row in range(x.shape[0]))


def slow_rp3beta(x: np.ndarray, i: int, j: int) -> float:
    chance = 0.0
    for row in range(x.shape[0]):
        if x[row, i] and x[row, j]:
            chance += (x[row, i] / x[:, i].sum()) ** 0.7 * (x[row, j] / x[row].sum()) ** 0.7
    return float(chance / x[:, j].sum() ** 0.3)


def slow_swing(x: np.ndarray, i: int, j: int) -> float:
    total = 0.0
    for u, v in combinations(range(x.shape[0]), 2):
        if x[u, i] and x[u, j] and x[v, i] and x[v, j]:
            shared = ((x[u] > 0) & (x[v] > 0)).sum()
            total += (x[u] > 0).sum() ** -0.5 * (x[v] > 0).sum() ** -0.5 / (2.0 + shared)
    return float(total)


SLOW: dict[str, Slow] = {"cosine": slow_cosine, "bm25": slow_bm25, "rp3beta": slow_rp3beta, "swing": slow_swing}


def random_table(seed: int) -> np.ndarray:
    """Counts of 0 to 3, with an item that nobody has and a row without any."""
    rng = np.random.default_rng(seed)
    table = rng.integers(1, 4, (30, N_ITEMS)) * (rng.random((30, N_ITEMS)) < 0.35)
    table[:, 4] = 0
    table[7] = 0
    return np.asarray(table, dtype=np.float64)


@pytest.mark.parametrize("peer", FITS)
@pytest.mark.parametrize("seed", range(3))
def test_similarities_are_those_of_the_formula(peer: str, seed: int) -> None:
    table = random_table(seed)
    similar = FITS[peer](sp.csr_array(table)).similar.toarray()
    expected = np.zeros((N_ITEMS, N_ITEMS))
    for i in range(N_ITEMS):
        for j in range(N_ITEMS):
            if i != j and table[:, i].any() and table[:, j].any():
                expected[i, j] = SLOW[peer](table, i, j)
    np.testing.assert_allclose(similar, np.maximum(expected, 0.0), atol=1e-12)


@pytest.mark.parametrize("peer", FITS)
def test_scores_add_up_over_what_a_row_has(peer: str) -> None:
    fitted = FITS[peer](sp.csr_array(random_table(5)))
    rows = sp.csr_array([[2.0, 0, 1, 0, 0, 0, 0, 0, 0], [0.0] * N_ITEMS])
    scores = fitted.scores(rows)
    expected = 2 * fitted.similar[[0]].toarray() + fitted.similar[[2]].toarray()
    np.testing.assert_allclose(scores, np.vstack([expected, np.zeros((1, N_ITEMS))]))


@pytest.mark.parametrize("peer", FITS)
@pytest.mark.parametrize("shape", [(0, 5), (3, 5), (1, 1), (0, 0)])
def test_a_matrix_without_pairs_has_no_neighbours(peer: str, shape: tuple[int, int]) -> None:
    matrix = sp.csr_array(np.eye(*shape))
    fitted = FITS[peer](matrix)
    assert fitted.similar.shape == (shape[1], shape[1])
    assert fitted.similar.nnz == 0
    assert fitted.scores(matrix).shape == shape


def test_only_the_best_neighbours_are_kept_and_ties_go_to_the_lower_item() -> None:
    matrix = sp.csr_array([[1.0, 1, 1, 1], [1, 0, 0, 1]])
    similar = fit_cosine(matrix, CosineConfig(shrink=0.0, n_neighbours=2)).similar
    assert similar.indices[similar.indptr[0] : similar.indptr[1]].tolist() == [1, 3]  # 2 is as near as 1
    assert similar[0, 3] == pytest.approx(1.0)


@pytest.mark.parametrize("peer", ["cosine", "rp3beta"])
def test_blocks_change_nothing(peer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = sp.csr_array(random_table(6))
    whole = FITS[peer](matrix).similar.toarray()
    monkeypatch.setattr(item_scorer, "_BLOCK_ENTRIES", 20)
    np.testing.assert_allclose(FITS[peer](matrix).similar.toarray(), whole)


def test_swing_by_blocks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = sp.csr_array(random_table(6))
    whole = FITS["swing"](matrix).similar.toarray()
    monkeypatch.setattr(swing, "_BLOCK_PAIRS", 50)
    np.testing.assert_allclose(FITS["swing"](matrix).similar.toarray(), whole)


def test_a_row_of_many_items_may_weigh_less() -> None:
    pairs = sp.csr_array([[1.0, 1, 0, 0, 0], [0, 1, 1, 1, 1]])
    similar = fit_cosine(pairs, CosineConfig(shrink=0.0, size_power=1.0)).similar
    assert similar[0, 1] == pytest.approx((1 / 2) / np.sqrt(1 / 2 * (1 / 2 + 1 / 4)))
    assert similar[1, 2] == pytest.approx((1 / 4) / np.sqrt((1 / 2 + 1 / 4) * 1 / 4))


def test_swing_looks_at_some_rows_and_scales_up() -> None:
    everyone = sp.csr_array(np.ones((40, 2)))  # all pairs of rows are the same: a sample of them says it all
    whole = swing.fit(everyone, SwingConfig(max_rows=40)).similar
    sampled = swing.fit(everyone, SwingConfig(max_rows=7)).similar
    assert whole[0, 1] == pytest.approx(40 * 39 / 2 / 2 / (1 + 2))
    assert sampled[0, 1] == pytest.approx(whole[0, 1])


@pytest.mark.parametrize(
    "broken",
    [
        lambda: CosineConfig(shrink=-1.0),
        lambda: Bm25Config(b=1.5),
        lambda: Bm25Config(k1=0.0),
        lambda: Rp3BetaConfig(n_neighbours=0),
        lambda: SwingConfig(max_rows=1),
    ],
)
def test_settings_without_meaning_are_refused(broken: Callable[[], object]) -> None:
    with pytest.raises(ConfigError):
        broken()
