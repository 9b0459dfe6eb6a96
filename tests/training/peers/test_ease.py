from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from training.errors import ConfigError
from training.peers.ease import EaseConfig, fit


def some_matrix(seed: int = 11, n_items: int = 10) -> sp.csr_array:
    return sp.csr_array((np.random.default_rng(seed).random((60, n_items)) < 0.3).astype(np.float64))


@pytest.mark.parametrize("ridge", [0.5, 10.0, 400.0])
def test_each_weight_column_is_the_ridge_regression_on_the_other_items(ridge: float) -> None:
    matrix = some_matrix()
    dense, weights = matrix.toarray(), fit(matrix, EaseConfig(ridge)).weights
    for item in range(10):
        others = np.delete(dense, item, axis=1)
        direct = np.linalg.solve(others.T @ others + ridge * np.eye(9), others.T @ dense[:, item])
        assert np.allclose(np.delete(weights[:, item], item), direct)
    assert np.diag(weights).tolist() == [0.0] * 10


def test_a_score_adds_up_the_weights_from_what_is_held() -> None:
    scorer = fit(some_matrix(), EaseConfig(5.0))
    row = sp.csr_array(np.array([[0, 1.0, 0, 0, 2.0, 0, 0, 0, 0, 0]]))
    assert np.allclose(scorer.scores(row)[0], scorer.weights[1] + 2.0 * scorer.weights[4])


def test_an_item_that_nobody_has_gets_no_score() -> None:
    matrix = some_matrix().toarray()
    matrix[:, 3] = 0.0
    scores = fit(sp.csr_array(matrix), EaseConfig(5.0)).scores(sp.csr_array(matrix))
    assert np.allclose(scores[:, 3], 0.0)


def test_no_rows_and_no_items_are_no_reason_to_fail() -> None:
    assert fit(sp.csr_array((0, 4)), EaseConfig()).scores(sp.csr_array((2, 4))).tolist() == [[0.0] * 4] * 2
    assert fit(sp.csr_array((3, 0)), EaseConfig()).scores(sp.csr_array((3, 0))).shape == (3, 0)


def test_a_ridge_of_0_is_refused() -> None:
    with pytest.raises(ConfigError, match="ridge"):
        EaseConfig(0.0)
