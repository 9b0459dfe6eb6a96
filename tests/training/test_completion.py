from __future__ import annotations

import numpy as np
import pytest

from serving.decisioning.completion import completion_probability
from training import metrics
from training.completion import fit_completion, predict_completion


def challenges(n: int = 20_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three items that are only independent given a trip."""
    rng = np.random.default_rng(4)
    shops = rng.uniform(0.2, 0.95, n)
    given_trip = rng.uniform(0.1, 0.6, (n, 3))
    came = rng.random(n) < shops
    done = (rng.random((n, 3)) < given_trip).all(axis=1) & came
    return given_trip * shops[:, None], shops, done


def test_a_shared_trip_makes_more_than_the_product() -> None:
    chances, shops, completed = challenges()
    said = predict_completion(chances, shops, fit_completion(chances, shops, completed))
    product = chances.prod(axis=1)
    assert metrics.expected_over_observed(product, completed) < 0.8
    assert metrics.expected_over_observed(said, completed) == pytest.approx(1, abs=0.05)
    assert metrics.log_loss(said, completed) < metrics.log_loss(product, completed)


def test_nothing_seen_takes_the_three_for_independent_given_a_trip() -> None:
    coefficients = fit_completion(np.zeros((0, 3)), [], [])
    shops = np.array([0.5, 0.7, 0.9])
    items = np.outer(shops, [0.3, 0.2, 0.1])
    said = predict_completion(items, shops, coefficients)
    assert said == pytest.approx(items.prod(axis=1) / shops**2, rel=0.2)
    assert fit_completion([], [], []) == coefficients


def test_before_anything_is_seen_that_is_nearer_than_the_product() -> None:
    chances, shops, completed = challenges()
    said = predict_completion(chances, shops, fit_completion([], [], []))
    assert metrics.expected_over_observed(said, completed) == pytest.approx(1, abs=0.15)
    assert metrics.log_loss(said, completed) < metrics.log_loss(chances.prod(axis=1), completed)


def test_never_above_the_least_of_the_three() -> None:
    sure = {"intercept": 9.0, "log_joint": 0.0, "logit_shop": 0.0}
    assert predict_completion([[0.2, 0.05, 0.4]], [0.9], sure).tolist() == [0.05]


def test_serving_says_the_same() -> None:
    chances, shops, completed = challenges(500)
    coefficients = fit_completion(chances, shops, completed)
    ours = predict_completion(chances, shops, coefficients)
    for row in range(20):
        assert completion_probability(chances[row].tolist(), float(shops[row]), coefficients) == pytest.approx(
            ours[row]
        )


def test_no_challenges_give_no_chances() -> None:
    nothing = predict_completion(np.zeros((0, 3)), [], {"intercept": 0.0, "log_joint": 1.0, "logit_shop": 0.0})
    assert nothing.shape == (0,)
