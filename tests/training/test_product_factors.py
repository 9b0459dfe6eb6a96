"""Factors of products, and that serving folds customers in as implicit would."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from features.asof import Moment, local_midnight
from serving.bundle import Bundle
from serving.bundle_format import N_FACTORS, Factors
from serving.fold_in import FoldIn
from tests.serving.conftest import tiny_bundle as tiny_bundle
from tests.serving.conftest import tiny_folder as tiny_folder
from training.history import History
from training.product_factors import FoldInConfig, fold_in_config, no_factors, product_factors


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_fold_in_equals_implicits_recalculate_user(tiny_bundle: Bundle, weight: float) -> None:
    n_products = len(tiny_bundle.products.id)
    rng = np.random.default_rng(5)
    owned = sp.csr_matrix((rng.random((200, n_products)) < 0.3).astype(np.float32))
    with threadpool_limits(limits=1, user_api="blas"):
        model = AlternatingLeastSquares(
            factors=N_FACTORS, regularization=0.7, alpha=5.0, iterations=3, num_threads=1, random_state=1
        )
        model.fit(owned, show_progress=False)
        item = np.asarray(model.item_factors, dtype=np.float32)
        numbers = replace(tiny_bundle.numbers, fold_in={"regularization": 0.7, "confidence": 5.0, "strength": 1.0})
        factors = Factors(item, item.astype(np.float64).T @ item)
        fold_in = FoldIn(replace(tiny_bundle, factors=factors), numbers)
        for products in ([3], [0, 5, 9], [1, 2, 7, 11, 14]):
            row = sp.csr_matrix((np.full(len(products), weight), ([0] * len(products), products)), (1, n_products))
            theirs = model.recalculate_user(0, row)
            ours = fold_in.vector(dict.fromkeys(products, weight))
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_products_that_few_bought_have_no_factors(shop_history: History, shop_cutoff: Moment) -> None:
    n_products = len(shop_history.tables.read("products", ["product_row"]))
    bought = shop_history.features("customer_products", shop_cutoff, ["customer_row", "product_row"])
    n_buyers = np.bincount(bought["product_row"], minlength=n_products)
    config = FoldInConfig(min_buyers=20, factors=replace(fold_in_config().factors, n_threads=1))
    factors = product_factors(shop_history, shop_cutoff, n_products, config)
    assert (factors.item.any(axis=1) == (n_buyers >= 20)).all()
    item = factors.item.astype(np.float64)
    np.testing.assert_allclose(factors.gram, item.T @ item)
    few = product_factors(shop_history, shop_cutoff, n_products, replace(config, max_products=7))
    assert few.item.any(axis=1).sum() == 7


def test_a_shop_without_purchases_has_zeros(new_history: History) -> None:
    moment = local_midnight(new_history.tables.first_day, new_history.tables.time_zone)
    factors = product_factors(new_history, moment, 4, fold_in_config())
    assert not factors.item.any()
    assert factors.item.shape == no_factors(4).item.shape == (4, N_FACTORS)


def test_serving_folds_in_by_the_numbers_that_were_learned_with() -> None:
    config = fold_in_config()
    assert config.factors.n_factors == N_FACTORS
    assert config.numbers == {
        "regularization": config.factors.regularization,
        "confidence": config.factors.confidence,
        "strength": config.strength,
    }
