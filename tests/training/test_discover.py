from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest

from features.asof import Moment
from training.boosting import BoostedTrees, BoostingConfig
from training.config import load_config, load_search
from training.discover import NO_BETTER, DiscoverConfig, DiscoverModel, FittedDiscover, figures, judge
from training.discover_grid import DiscoverRules, discover_grid
from training.history import History

SMALL = DiscoverConfig(
    n_cutoffs=3,
    n_customers=150,
    max_per_customer=15,
    rules=DiscoverRules(n_candidates=30),
    trees=BoostingConfig(n_trees=40, learning_rate=0.08, n_leaves=7, min_rows_per_leaf=60, n_threads=1),
)


@pytest.fixture(scope="module")
def fitted(shop_history: History, shop_cutoff: Moment) -> FittedDiscover:
    return DiscoverModel(SMALL).fit(shop_history.until(shop_cutoff))


@pytest.fixture(scope="module")
def predicted(fitted: FittedDiscover, shop_history: History, shop_cutoff: Moment) -> pd.DataFrame:
    return fitted.predict(shop_history.until(shop_cutoff), shop_cutoff)


def test_nothing_that_was_ever_bought_is_a_discovery(
    predicted: pd.DataFrame, shop_history: History, shop_cutoff: Moment
) -> None:
    own = shop_history.features("customer_products", shop_cutoff)[["customer_row", "product_row"]]
    assert len(predicted) > 0
    assert predicted.merge(own, on=["customer_row", "product_row"]).empty


def test_predictions_are_by_customer_best_first_and_each_pair_once(predicted: pd.DataFrame) -> None:
    ordered = predicted.sort_values(["customer_row", "p28"], ascending=[True, False])
    assert predicted["p28"].tolist() == ordered["p28"].tolist()
    assert not predicted.duplicated(["customer_row", "product_row"]).any()
    assert predicted.groupby("customer_row").size().max() <= SMALL.max_per_customer
    assert ((predicted["p7"] > 0) & (predicted["p7"] < predicted["p28"]) & (predicted["p28"] < 1)).all()


def test_only_merchandise_is_discovered(predicted: pd.DataFrame, shop_history: History) -> None:
    products = shop_history.tables.read("products").set_index("product_row")
    assert products.loc[predicted["product_row"], "is_merchandise"].all()


def test_chances_are_near_what_happens(fitted: FittedDiscover, shop_history: History, shop_cutoff: Moment) -> None:
    judgement = judge({shop_cutoff: fitted}, shop_history)
    assert [row.metric for row in judgement.rows] == ["recall@10", "recall@10"]
    assert 0.6 < judgement.calibration[0].expected_over_observed < 1.6
    assert set(figures({shop_cutoff: fitted}, shop_history)) == {"importance.png", "calibration.png", "gains.png"}


def test_portions_of_customers_change_nothing(
    fitted: FittedDiscover, predicted: pd.DataFrame, shop_history: History, shop_cutoff: Moment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("training.discover_grid.CUSTOMERS_AT_ONCE", 70)
    again = fitted.predict(shop_history.until(shop_cutoff), shop_cutoff)
    pd.testing.assert_frame_equal(again, predicted)


def test_the_best_products_are_of_the_category_and_ranked_from_one(
    fitted: FittedDiscover, shop_history: History, shop_cutoff: Moment
) -> None:
    products = shop_history.tables.read("products").set_index("product_row")
    stretches = pd.DataFrame({"customer_row": [0, 0, 2], "category_row": [1, 3, 1], "p28": [0.1, 0.2, 0.3]})
    best = fitted.best_products(shop_history, shop_cutoff, stretches)
    assert set(zip(best["customer_row"], best["category_row"], strict=True)) <= {(0, 1), (0, 3), (2, 1)}
    assert (products.loc[best["product_row"], "category_row"].to_numpy() == best["category_row"]).all()
    assert (
        best.groupby(["customer_row", "category_row"])["rank"]
        .apply(list)
        .map(lambda r: r == [*range(1, len(r) + 1)])
        .all()
    )
    assert best["rank"].max() <= 3


def test_only_the_most_likely_stretches_get_products(
    fitted: FittedDiscover, shop_history: History, shop_cutoff: Moment
) -> None:
    narrow = replace(fitted, config=replace(SMALL, n_stretches=1))
    stretches = pd.DataFrame({"customer_row": [0, 0], "category_row": [1, 3], "p28": [0.1, 0.2]})
    assert set(narrow.best_products(shop_history, shop_cutoff, stretches)["category_row"]) <= {3}
    assert narrow.best_products(shop_history, shop_cutoff, stretches.iloc[:0]).empty


def test_candidates_are_new_products_each_once(shop_history: History, shop_cutoff: Moment) -> None:
    grid = discover_grid(shop_history, shop_cutoff, SMALL.rules)
    who = next(grid.blocks(grid.is_active.nonzero()[0]))
    block = grid.block(who)
    cells = block.candidates()
    row, column = cells // grid.width, cells % grid.width
    assert len(set(cells.tolist())) == len(cells)
    assert not (grid.owned[row, column] != 0).any()
    assert len(block.features(cells)) == len(cells)


def test_the_whole_model_is_text(fitted: FittedDiscover) -> None:
    artifacts = fitted.artifacts()
    assert BoostedTrees.from_text(artifacts["trees.txt"]).feature_names == fitted.feature_names
    assert "first_week" in json.loads(artifacts["chances.json"])


def test_thin_data_fall_back_on_what_is_expected(thin_history: History, new_history: History) -> None:
    for history in (thin_history, new_history):
        fitted = DiscoverModel(replace(SMALL, n_cutoffs=1)).fit(history)
        predicted = fitted.predict(history, history.known_until)
        assert "stands in" in fitted.notes[0]
        assert ((predicted["p28"] >= 0) & (predicted["p28"] <= 1)).all()


def test_the_shipped_configs_are_read() -> None:
    assert load_config(DiscoverConfig, "discover").max_per_customer == 100
    assert load_config(DiscoverConfig, "discover", is_quick=True).n_customers < 700
    assert load_search(DiscoverConfig, "discover")


def test_trees_that_rank_no_better_than_popularity_are_not_taken(
    shop_history: History, shop_cutoff: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.discover.ranks_better", lambda *_, **__: False)
    fitted = DiscoverModel(SMALL).fit(shop_history.until(shop_cutoff))
    assert (fitted.trees, fitted.notes) == (None, (NO_BETTER,))
