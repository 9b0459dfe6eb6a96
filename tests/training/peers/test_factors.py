from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from training.item_to_item import FactorConfig, PairwiseConfig
from training.peers.factors import AlsConfig, BprConfig, fit_als, fit_bpr


def two_tastes(n: int = 120) -> sp.csr_array:
    """Half of the customers choose among items 0 to 4, half among 5 to 9."""
    rng = np.random.default_rng(11)
    owned = np.zeros((n, 10))
    owned[: n // 2, :5] = rng.random((n // 2, 5)) < 0.6
    owned[n // 2 :, 5:] = rng.random((n // 2, 5)) < 0.6
    return sp.csr_array(owned)


def slow_row(items: np.ndarray, row: np.ndarray, config: FactorConfig) -> np.ndarray:
    """Hu et al.: x minimises Σ over all items of c (p − x·y)² + regularization |x|², as one large least squares."""
    confidence = np.where(row > 0, config.confidence * row, 1.0)
    wanted = (row > 0).astype(np.float64)
    design = np.vstack([items * np.sqrt(confidence)[:, None], np.sqrt(config.regularization) * np.eye(items.shape[1])])
    target = np.concatenate([wanted * np.sqrt(confidence), np.zeros(items.shape[1])])
    return np.linalg.lstsq(design, target, rcond=None)[0]


def test_a_row_is_folded_in_by_its_own_least_squares() -> None:
    config = AlsConfig(FactorConfig(n_factors=4, regularization=0.7, confidence=3.0))
    scorer = fit_als(two_tastes(), config)
    rows = np.array([[1.0, 0, 0, 2.0, 0, 0, 0, 0, 0, 1.0], [0.0] * 10])
    scores = scorer.scores(sp.csr_array(rows))
    assert np.allclose(scores[0], scorer.items @ slow_row(scorer.items, rows[0], config.factors))
    assert scores[1].tolist() == [0.0] * 10


def slow_als(owned: np.ndarray, config: FactorConfig, n_rounds: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and items in turn, each by its own least squares, until nothing moves."""
    rng = np.random.default_rng(seed)
    items = rng.normal(0.0, 0.3, (owned.shape[1], config.n_factors))
    for _ in range(n_rounds):
        rows = np.array([slow_row(items, row, config) for row in owned])
        items = np.array([slow_row(rows, column, config) for column in owned.T])
    return rows, items


def als_loss(owned: np.ndarray, rows: np.ndarray, items: np.ndarray, config: FactorConfig) -> float:
    """Hu et al.'s equation 3."""
    confidence = np.where(owned > 0, config.confidence * owned, 1.0)
    missed = confidence * ((owned > 0) - rows @ items.T) ** 2
    return float(missed.sum() + config.regularization * ((rows**2).sum() + (items**2).sum()))


def test_als_comes_as_far_down_as_slow_least_squares_in_turn() -> None:
    owned = two_tastes(40)
    config = FactorConfig(n_factors=2, regularization=0.5, confidence=3.0, n_iterations=40)
    scorer = fit_als(owned, AlsConfig(config))
    ours = als_loss(owned.toarray(), scorer.folded_in(owned), scorer.items, config)
    slow = [als_loss(owned.toarray(), *slow_als(owned.toarray(), config, 30, seed), config) for seed in range(2)]
    assert ours == pytest.approx(min(slow), rel=1e-3)


def test_bpr_puts_what_a_row_has_before_what_it_has_not_better_than_popularity_does() -> None:
    owned = two_tastes()
    held = owned.toarray() > 0

    def share_in_order(scores: np.ndarray) -> float:
        right = [row[own][:, None] > row[~own][None, :] for row, own in zip(scores, held, strict=True)]
        return float(np.concatenate([each.ravel() for each in right]).mean())

    popularity = np.tile(held.mean(axis=0), (len(held), 1))
    assert share_in_order(fit_bpr(owned, BprConfig()).scores(owned)) > 0.95 > 0.8 > share_in_order(popularity)


@pytest.mark.parametrize("name", ["als", "bpr"])
def test_scores_prefer_the_rows_own_taste(name: str) -> None:
    owned = two_tastes()
    scorer = (
        fit_als(owned, AlsConfig(FactorConfig(n_factors=2, regularization=1.0)))
        if name == "als"
        else fit_bpr(owned, BprConfig())
    )
    scores = np.where(owned.toarray() == 0, scorer.scores(owned), np.nan)
    assert np.nanmean(scores[:60, :5]) > np.nanmean(scores[:60, 5:])
    assert np.nanmean(scores[60:, :5]) < np.nanmean(scores[60:, 5:])


def test_bpr_gives_the_same_scores_again() -> None:
    owned, config = two_tastes(), BprConfig(PairwiseConfig(n_iterations=10))
    assert np.array_equal(fit_bpr(owned, config).scores(owned), fit_bpr(owned, config).scores(owned))


def test_bpr_knows_a_row_by_what_it_holds_wherever_it_stands() -> None:
    owned = two_tastes()
    scorer = fit_bpr(owned, BprConfig(PairwiseConfig(n_iterations=10)))
    assert np.array_equal(scorer.scores(sp.csr_array(owned[80:100])), scorer.scores(owned)[80:100])


def test_bpr_scores_a_row_that_it_does_not_know_by_the_items_biases() -> None:
    scorer = fit_bpr(two_tastes(), BprConfig(PairwiseConfig(n_iterations=10)))
    stranger = sp.csr_array(np.array([[1.0] * 10]))
    assert np.array_equal(scorer.scores(stranger)[0], scorer.biases)


def test_nothing_bought_is_no_reason_to_fail() -> None:
    empty = sp.csr_array((3, 4))
    assert (fit_als(empty, AlsConfig()).scores(empty) == 0).all()
    assert (fit_bpr(empty, BprConfig()).scores(empty) == 0).all()
