from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from training.discover_scores import EASE, FACTORS, RANK_EASE, SellerConfig, Sellers
from training.item_to_item import FactorConfig

CONFIG = SellerConfig(n_products=6, ridge=5.0, factors=FactorConfig(n_factors=2, regularization=1.0))


@pytest.fixture(scope="module")
def recent() -> sp.csr_array:
    """Forty customers, nine products of falling popularity."""
    return sp.csr_array((np.random.default_rng(2).random((40, 9)) < np.linspace(0.8, 0.1, 9)).astype(np.float64))


def test_only_the_best_sellers_are_scored(recent: sp.csr_array) -> None:
    sellers = Sellers.of(recent, CONFIG)
    buyers = recent.toarray().sum(axis=0)
    assert len(sellers.columns) == 6
    assert buyers[sellers.columns].min() >= np.delete(buyers, sellers.columns).max()
    (stranger, *_) = sorted(set(range(9)) - set(sellers.columns.tolist()))
    found = sellers.at(np.arange(3), np.array([0, 1]), np.array([stranger, stranger]))
    assert all(np.isnan(values).all() for values in found.values())


def test_a_score_is_that_of_the_ridge_regression_on_what_was_bought(recent: sp.csr_array) -> None:
    sellers = Sellers.of(recent, CONFIG)
    held = recent.toarray()[:, sellers.columns]
    for customer in range(40):
        for place, product in enumerate(sellers.columns):
            others = np.delete(held, place, axis=1)
            weights = np.linalg.solve(others.T @ others + 5.0 * np.eye(5), others.T @ held[:, place])
            found = sellers.at(np.array([customer]), np.array([0]), np.array([product]))
            if held[customer, place]:
                assert np.isnan(found[EASE][0])
            else:
                assert found[EASE][0] == pytest.approx(np.delete(held[customer], place) @ weights)


def test_the_highest_score_has_the_first_rank(recent: sp.csr_array) -> None:
    sellers = Sellers.of(recent, CONFIG)
    pairs = [(local, product) for local in range(40) for product in sellers.columns]
    local, products = (np.array(each) for each in zip(*pairs, strict=True))
    found = sellers.at(np.arange(40), local, products)
    for customer in range(40):
        mine = (local == customer) & np.isfinite(found[EASE])
        order = np.argsort(-found[EASE][mine], kind="stable")
        assert found[RANK_EASE][mine][order].tolist() == list(range(1, mine.sum() + 1))


def test_factors_are_those_of_the_customer_and_the_product(recent: sp.csr_array) -> None:
    sellers = Sellers.of(recent, CONFIG)
    found = sellers.at(np.array([7, 9]), np.array([1, 0]), sellers.columns[[2, 3]])
    rows, items = sellers.factors.rows, sellers.factors.items
    expected = [rows[9] @ items[2], rows[7] @ items[3]]
    is_new = np.isfinite(found[FACTORS])
    assert np.allclose(found[FACTORS][is_new], np.array(expected)[is_new])


def test_nothing_bought_is_no_reason_to_fail() -> None:
    for shape in ((3, 4), (0, 4), (3, 0)):
        sellers = Sellers.of(sp.csr_array(shape), CONFIG)
        assert sellers.ease(np.arange(shape[0])).shape == shape
        nothing = np.zeros(0, dtype=np.int64)
        assert len(sellers.at(np.arange(shape[0]), nothing, nothing)[EASE]) == 0
