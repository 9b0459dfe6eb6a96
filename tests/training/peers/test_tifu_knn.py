"""TIFU-KNN against a slow and obvious version."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse as sp

from tests.training.peers.bought import N_ITEMS, TODAY, baskets_by_customer, purchases
from training.errors import ConfigError
from training.peers.past_baskets import baskets_in_time, first_items
from training.peers.tifu_knn import TifuConfig, fit, nearest

CONFIG = TifuConfig(n_groups=3, basket_decay=0.9, group_decay=0.7, own_weight=0.4, n_neighbours=2)


def slow_vector(baskets: list[set[int]], config: TifuConfig) -> np.ndarray:
    """One customer's vector by the definition: `baskets` are in order of time."""
    n = len(baskets)
    n_groups = min(n, config.n_groups)
    groups: list[list[np.ndarray]] = [[] for _ in range(n_groups)]
    for after, basket in enumerate(reversed(baskets)):
        counted = np.zeros(N_ITEMS)
        counted[list(basket)] = config.basket_decay**after
        groups[math.floor(after * n_groups / n)].append(counted)
    means = [config.group_decay**place * np.mean(group, axis=0) for place, group in enumerate(groups)]
    vector: np.ndarray = np.mean(means, axis=0)
    return vector


def slow_scores(customers: dict[int, list[set[int]]], config: TifuConfig) -> dict[int, np.ndarray]:
    vectors = {name: slow_vector(baskets, config) for name, baskets in customers.items()}
    scores = {}
    for name, vector in vectors.items():
        others = sorted((float(np.sum((vector - v) ** 2)), other) for other, v in vectors.items() if other != name)
        lent = np.mean([vectors[other] for _, other in others[: config.n_neighbours]], axis=0)
        scores[name] = config.own_weight * vector + (1 - config.own_weight) * lent
    return scores


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_the_slow_version(seed: int) -> None:
    bought = purchases(np.random.default_rng(seed))
    past = baskets_in_time(bought, "type_row", TODAY)
    truth = slow_scores(baskets_by_customer(bought), CONFIG)
    rows = np.arange(len(past.customers))

    scores = fit(past, CONFIG).scores(rows).toarray()

    assert scores == pytest.approx(np.array([truth[int(customer)] for customer in past.customers]))
    firsts = first_items(past, fit(past, CONFIG), rows, 4).best
    for row, items in zip(scores, firsts, strict=True):
        known = [item for item in items if item >= 0]
        assert (np.diff(row[known]) <= 0).all()
        assert min(row[known]) >= max(np.delete(row, known))


def test_neighbours_come_from_the_pool_and_are_never_the_customer() -> None:
    vectors = sp.csr_array(np.eye(5) + 1.0)

    near = nearest(vectors, np.asarray([1, 3]), 4)

    assert near.toarray()[1].tolist() == [0, 0, 0, 1.0, 0]
    assert near.toarray()[0].sum() == 1.0
    assert set(near.tocoo().col) == {1, 3}


def test_a_lone_customer_has_nobody_to_ask() -> None:
    assert nearest(sp.csr_array(np.ones((1, 3))), np.asarray([0]), 5).nnz == 0


def test_settings_without_a_meaning_are_refused() -> None:
    with pytest.raises(ConfigError, match="tifu_knn"):
        TifuConfig(own_weight=1.5)
    with pytest.raises(ConfigError, match="tifu_knn"):
        TifuConfig(n_groups=0)
