from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from features.asof import Moment
from features.sources.synthetic import Truth
from training.baskets import Baskets
from training.config import load_config, load_search
from training.history import History
from training.substitutes import FittedSubstitutes, SubstitutesConfig, SubstitutesModel, substitutes

FEW = SubstitutesConfig(
    prior=0.5, basket_weight=1.0, popularity_weight=0.0, min_customers=1, min_households=1, n_threads=1
)


def shop() -> Baskets:
    """Ten customers: all change between products 0 and 1, and take 2 with 3."""
    baskets, customers = [], []
    for customer in range(10):
        baskets += [[0, 2, 3], [1], [0], [1, 2, 3], [4]]
        customers += [customer] * 5
    matrix = np.zeros((len(baskets), 5))
    for row, products in enumerate(baskets):
        matrix[row, products] = 1
    return Baskets(sp.csr_array(matrix), np.array(customers))


def scores(frame: pd.DataFrame) -> dict[tuple[int, int], float]:
    pairs = zip(frame["product_row"].tolist(), frame["other_row"].tolist(), strict=True)
    return dict(zip(pairs, frame["score"].tolist(), strict=True))


def test_together_in_the_household_but_not_in_the_basket_is_a_substitute() -> None:
    found = scores(substitutes(shop(), np.zeros(5, dtype=np.int64), FEW))
    assert found[0, 1] == pytest.approx(np.log((10 + 0.5) / (0 + 0.5)))


def test_baskets_with_both_take_off_as_much_as_they_weigh() -> None:
    half = scores(substitutes(shop(), np.zeros(5, dtype=np.int64), replace(FEW, basket_weight=0.5)))
    assert half[0, 1] == pytest.approx(np.log(10 + 0.5) - 0.5 * np.log(0 + 0.5))


def test_what_is_taken_at_once_is_none() -> None:
    assert (2, 3) not in scores(substitutes(shop(), np.zeros(5, dtype=np.int64), FEW))


def test_pairs_stay_within_a_category() -> None:
    found = scores(substitutes(shop(), np.array([0, 1, 0, 0, 1]), FEW))
    assert {frozenset(pair) for pair in found} == {frozenset([1, 4])}


def test_without_categories_the_nearest_by_household_are_tried() -> None:
    found = scores(substitutes(shop(), np.zeros(5, dtype=np.int64), FEW, has_categories=False))
    assert found == pytest.approx(scores(substitutes(shop(), np.zeros(5, dtype=np.int64), FEW)))


def test_of_equal_signals_the_more_popular_comes_first() -> None:
    fond = replace(FEW, popularity_weight=0.3)
    found = scores(substitutes(shop(), np.zeros(5, dtype=np.int64), fond))
    plain = scores(substitutes(shop(), np.zeros(5, dtype=np.int64), FEW))
    assert found[0, 1] == pytest.approx(plain[0, 1] + 0.3 * np.log1p(20))
    assert found[0, 4] == pytest.approx(plain[0, 4] + 0.3 * np.log1p(10))


@pytest.fixture(scope="module")
def fitted(shop_history: History, shop_cutoff: Moment) -> FittedSubstitutes:
    return SubstitutesModel(SubstitutesConfig(n_threads=1)).fit(shop_history.until(shop_cutoff))


def test_planted_substitutes_are_found(
    fitted: FittedSubstitutes, shop_history: History, shop_cutoff: Moment, truth: Truth
) -> None:
    rows = shop_history.tables.read("products").set_index("product_id")["product_row"]
    predicted = fitted.predict(shop_history, shop_cutoff)
    shown = set(zip(predicted["product_row"], predicted["other_row"], strict=True))
    planted = [(rows[one], rows[other]) for one, other in truth.substitutes]
    assert np.mean([pair in shown for pair in planted]) >= 0.8
    assert (predicted["score"] > 0).all()


def test_a_thin_shop_has_none_and_says_so(new_history: History) -> None:
    fitted = SubstitutesModel(SubstitutesConfig()).fit(new_history)
    assert fitted.predict(new_history, new_history.known_until).empty
    assert "enough households" in fitted.notes[0]
    assert json.loads(fitted.artifacts()["substitutes.json"])["n_pairs"] == 0


def test_the_shipped_config_is_read() -> None:
    assert load_config(SubstitutesConfig, SubstitutesModel.name).n_neighbours == 20
    assert load_search(SubstitutesConfig, SubstitutesModel.name)
