"""TIFU-KNN against a slow and obvious version."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from features import columns as c
from features.asof import local_midnight
from training.errors import ConfigError
from training.history import History
from training.levels import TYPE
from training.peers.tifu_knn import TifuConfig, TifuKnn, learn, nearest, vectors_of

CONFIG = TifuConfig(n_groups=3, basket_decay=0.9, group_decay=0.7, own_weight=0.4, n_neighbours=2)


def purchases(rng: np.random.Generator, n_customers: int = 6, n_items: int = 8) -> pd.DataFrame:
    """Baskets of 1 to 9 a customer, with an item twice in some."""
    rows = []
    for customer in range(n_customers):
        for basket in range(int(rng.integers(1, 10))):
            items = rng.integers(0, n_items, size=int(rng.integers(1, 5)))
            rows += [(10 * customer, 100 * customer + basket, 1_000 * basket, int(item)) for item in items]
    table = pd.DataFrame(rows, columns=[c.CUSTOMER_ROW, c.ORDER_ROW, c.ORDERED_US, c.TYPE_ROW])
    return table.sample(frac=1.0, random_state=3)


def slow_vector(baskets: list[set[int]], n_items: int, config: TifuConfig) -> np.ndarray:
    """One customer's vector by the definition: `baskets` are in order of time."""
    n = len(baskets)
    n_groups = min(n, config.n_groups)
    groups: list[list[np.ndarray]] = [[] for _ in range(n_groups)]
    for after, basket in enumerate(reversed(baskets)):
        counted = np.zeros(n_items)
        counted[list(basket)] = config.basket_decay**after
        groups[math.floor(after * n_groups / n)].append(counted)
    means = [config.group_decay**place * np.mean(group, axis=0) for place, group in enumerate(groups)]
    vector: np.ndarray = np.mean(means, axis=0)
    return vector


def slow_scores(bought: pd.DataFrame, n_items: int, config: TifuConfig) -> dict[int, np.ndarray]:
    vectors: dict[int, np.ndarray] = {}
    for customer, own in bought.groupby(c.CUSTOMER_ROW):
        in_time = own.sort_values(c.ORDERED_US).groupby(c.ORDER_ROW, sort=True)[c.TYPE_ROW]
        vectors[int(str(customer))] = slow_vector([set(items) for _, items in in_time], n_items, config)
    scores = {}
    for name, vector in vectors.items():
        others = sorted((float(np.sum((vector - v) ** 2)), other) for other, v in vectors.items() if other != name)
        lent = np.mean([vectors[other] for _, other in others[: config.n_neighbours]], axis=0)
        scores[name] = config.own_weight * vector + (1 - config.own_weight) * lent
    return scores


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_the_slow_version(seed: int) -> None:
    bought = purchases(np.random.default_rng(seed))
    customers, vectors = vectors_of(bought, TYPE, CONFIG)
    pool = np.arange(len(customers))
    model = TifuKnn(customers, vectors, nearest(vectors, pool, CONFIG.n_neighbours), CONFIG)
    truth = slow_scores(bought, 8, CONFIG)

    scored = model.scored(TYPE, 8)
    own, best = scored.own, scored.best

    assert set(zip(own[c.CUSTOMER_ROW], own[c.TYPE_ROW], strict=True)) == set(
        zip(bought[c.CUSTOMER_ROW], bought[c.TYPE_ROW], strict=True)
    )
    assert own[c.SCORE].tolist() == pytest.approx([truth[row[0]][row[1]] for row in own.itertuples(index=False)])
    assert best[c.SCORE].tolist() == pytest.approx([truth[row[0]][row[1]] for row in best.itertuples(index=False)])
    assert best.groupby(c.CUSTOMER_ROW)[c.SCORE].apply(lambda scores: scores.is_monotonic_decreasing).all()


def test_neighbours_come_from_the_pool_and_are_never_the_customer() -> None:
    vectors = sp.csr_array(np.eye(5) + 1.0)

    near = nearest(vectors, np.asarray([1, 3]), 4)

    assert near.toarray()[1].tolist() == [0, 0, 0, 1.0, 0]
    assert near.toarray()[0].sum() == 1.0
    assert set(near.tocoo().col) == {1, 3}


def test_a_lone_customer_has_nobody_to_ask() -> None:
    assert nearest(sp.csr_array(np.ones((1, 3))), np.asarray([0]), 5).nnz == 0


def test_nothing_after_the_moment_counts(shop_history: History) -> None:
    early = local_midnight(shop_history.known_until.day - 28, shop_history.tables.time_zone)

    late = learn(shop_history, shop_history.known_until, TYPE, TifuConfig())
    one, other = (learn(history, early, TYPE, TifuConfig()) for history in (shop_history, shop_history.until(early)))

    assert (one.vectors != other.vectors).nnz == 0
    assert late.vectors.sum() != pytest.approx(one.vectors.sum())


def test_settings_without_a_meaning_are_refused() -> None:
    with pytest.raises(ConfigError, match="tifu_knn"):
        TifuConfig(own_weight=1.5)
    with pytest.raises(ConfigError, match="tifu_knn"):
        TifuConfig(n_groups=0)
