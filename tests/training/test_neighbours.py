from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from training import neighbours
from training.baskets import Baskets
from training.neighbours import AlsoBoughtConfig, Kinds, also_bought, pair_counts

PLAIN = AlsoBoughtConfig(popularity_power=0.0, same_category=1.0, sum_power=1.0)
ALONE = replace(PLAIN, size_power=0.0, strength=0.0)


def baskets(*contents: list[int], n: int = 6) -> Baskets:
    matrix = np.zeros((len(contents), n))
    for row, products in enumerate(contents):
        matrix[row, products] = 1
    return Baskets(sp.csr_array(matrix), np.arange(len(contents)))


def own(n: int = 6) -> Kinds:
    return Kinds(np.arange(n), np.arange(n))


def of_types(*types: int) -> Kinds:
    return Kinds(np.array(types), np.arange(len(types)))


def pair(frame: pd.DataFrame, one: int, other: int) -> pd.Series:
    found = frame[(frame["product_row"] == one) & (frame["other_row"] == other)]
    assert len(found) == 1
    return found.iloc[0]


def test_without_weights_the_score_is_the_share_of_baskets() -> None:
    frame = also_bought(baskets([0, 1], [0, 1], [0, 2], [1, 2]), own(), ALONE)
    found = pair(frame, 0, 1)
    assert found["score"] == pytest.approx(2 / 3)
    assert found["support"] == 2
    assert found["lift"] == pytest.approx((2 / 3) / (3 / 4))


def test_a_large_basket_says_less_about_each_pair() -> None:
    frame = also_bought(baskets([0, 1], [0, 2, 3, 4, 5]), own(), replace(PLAIN, strength=0.0))
    assert pair(frame, 0, 1)["score"] / pair(frame, 0, 2)["score"] == pytest.approx((5 / 2) ** 0.6)


def test_popularity_is_divided_out() -> None:
    popular = baskets([0, 1], [0, 2], [1, 3], [1, 4], [1, 5])
    frame = also_bought(popular, own(), replace(ALONE, popularity_power=0.5, popularity_offset=0.0, size_power=0.6))
    assert pair(frame, 0, 2)["score"] / pair(frame, 0, 1)["score"] == pytest.approx(2.0)


def test_a_pair_of_one_category_counts_for_more() -> None:
    kinds = Kinds(np.arange(6), np.array([0, 0, 1, 1, 1, 1]))
    frame = also_bought(baskets([0, 1], [0, 2]), kinds, replace(ALONE, same_category=3.0))
    assert pair(frame, 0, 1)["score"] / pair(frame, 0, 2)["score"] == pytest.approx(3.0)
    assert pair(frame, 0, 1)["lift"] == pytest.approx(pair(frame, 0, 2)["lift"])


def test_a_power_for_sums_leaves_the_order_of_each_product() -> None:
    rng = np.random.default_rng(8)
    shop = Baskets(sp.csr_array((rng.random((90, 6)) < 0.4).astype(float)), np.arange(90))
    plain, raised = (also_bought(shop, own(), replace(PLAIN, sum_power=power)) for power in (1.0, 1.7))
    assert raised["other_row"].tolist() == plain["other_row"].tolist()
    np.testing.assert_allclose(raised["score"], plain["score"] ** 1.7)


def test_a_rare_product_has_the_neighbours_of_its_type() -> None:
    types = of_types(0, 0, 2, 3, 4, 5)
    shop = baskets([0, 3], [0, 3], [0, 3], [1, 2], [4, 5])
    alone = also_bought(shop, types, ALONE)
    shrunk = also_bought(shop, types, replace(PLAIN, strength=5.0))
    assert alone[(alone["product_row"] == 1) & (alone["other_row"] == 3)].empty
    assert (
        pair(shrunk, 1, 3)["score"] > pair(shrunk, 1, 4)["score"]
        if len(shrunk[(shrunk["product_row"] == 1) & (shrunk["other_row"] == 4)])
        else pair(shrunk, 1, 3)["score"] > 0
    )
    assert pair(shrunk, 1, 3)["support"] == 0


def test_nothing_is_its_own_neighbour_and_each_pair_stands_once() -> None:
    rng = np.random.default_rng(5)
    shop = Baskets(sp.csr_array((rng.random((200, 6)) < 0.4).astype(float)), np.arange(200))
    frame = also_bought(shop, of_types(0, 0, 0, 1, 1, 2), AlsoBoughtConfig())
    assert (frame["product_row"] != frame["other_row"]).all()
    assert not frame.duplicated(["product_row", "other_row"]).any()


def test_neighbours_come_by_product_and_falling_score() -> None:
    rng = np.random.default_rng(5)
    shop = Baskets(sp.csr_array((rng.random((200, 6)) < 0.4).astype(float)), np.arange(200))
    frame = also_bought(shop, of_types(2, 0, 2, 1, 1, 0), AlsoBoughtConfig())
    ordered = frame.sort_values(["product_row", "score"], ascending=[True, False])
    assert frame["score"].tolist() == ordered["score"].tolist()
    assert frame["product_row"].is_monotonic_increasing


def test_a_larger_basket_than_allowed_counts_for_nothing() -> None:
    frame = also_bought(baskets([0, 1], [2, 3, 4]), own(), AlsoBoughtConfig(max_basket_products=2))
    assert set(frame["product_row"]) == {0, 1}


def test_baskets_of_one_product_have_no_pairs() -> None:
    frame = also_bought(baskets([0], [1]), own(), AlsoBoughtConfig())
    assert frame.empty
    assert list(frame.columns) == ["product_row", "other_row", "score", "lift", "support"]


def test_counts_are_the_same_in_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    matrix = sp.csr_array((rng.random((80, 9)) < 0.3).astype(float))
    one, other = np.divmod(np.arange(81), 9)
    whole = (matrix.T @ matrix).toarray().ravel()
    assert pair_counts(matrix, one, other).tolist() == whole.tolist()
    monkeypatch.setattr(neighbours, "_BLOCK_ENTRIES", 30)
    assert pair_counts(matrix, one, other).tolist() == whole.tolist()


def test_scores_are_the_same_in_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    shop = Baskets(sp.csr_array((rng.random((200, 6)) < 0.4).astype(float)), np.arange(200))
    whole = also_bought(shop, of_types(0, 0, 1, 1, 2, 3), AlsoBoughtConfig())
    monkeypatch.setattr(neighbours, "_BLOCK_PAIRS", 4)
    pd.testing.assert_frame_equal(also_bought(shop, of_types(0, 0, 1, 1, 2, 3), AlsoBoughtConfig()), whole)
