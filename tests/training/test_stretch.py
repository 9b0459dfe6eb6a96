from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from features.asof import Moment
from features.sources.synthetic import Truth
from training.boosting import BoostedTrees, BoostingConfig
from training.calibration import MarginCalibration
from training.config import load_config, load_search
from training.history import History
from training.stretch import (
    NO_BETTER,
    TOO_FEW,
    FittedStretch,
    StretchConfig,
    StretchModel,
    _Shown,
    _within_28,
    figures,
    judge,
)

SMALL = StretchConfig(
    n_cutoffs=6,
    n_rows=20_000,
    max_per_customer=20,
    trees=BoostingConfig(n_trees=60, learning_rate=0.08, n_leaves=7, min_rows_per_leaf=40, n_threads=1),
)


@pytest.fixture(scope="module")
def fitted(shop_history: History, shop_cutoff: Moment) -> FittedStretch:
    return StretchModel(SMALL).fit(shop_history.until(shop_cutoff))


@pytest.fixture(scope="module")
def predicted(fitted: FittedStretch, shop_history: History, shop_cutoff: Moment) -> pd.DataFrame:
    return fitted.predict(shop_history.until(shop_cutoff), shop_cutoff)


def test_only_categories_not_bought_in_26_weeks_are_new(
    predicted: pd.DataFrame, shop_history: History, shop_cutoff: Moment
) -> None:
    owned = shop_history.features("customer_categories", shop_cutoff)
    recent = owned[owned["recency_days"] <= 182]
    both = predicted.merge(recent[["customer_row", "category_row"]], on=["customer_row", "category_row"])
    assert both.empty


def test_predictions_are_by_customer_best_first_and_each_pair_once(predicted: pd.DataFrame) -> None:
    ordered = predicted.sort_values(["customer_row", "p28"], ascending=[True, False])
    assert predicted["p28"].tolist() == ordered["p28"].tolist()
    assert not predicted.duplicated(["customer_row", "category_row"]).any()
    assert predicted.groupby("customer_row").size().max() <= SMALL.max_per_customer


def test_a_week_has_less_of_a_chance_than_four(predicted: pd.DataFrame) -> None:
    assert ((predicted["p7"] > 0) & (predicted["p7"] < predicted["p28"]) & (predicted["p28"] < 1)).all()


def test_everyone_for_whom_anything_is_new_gets_stretches(
    predicted: pd.DataFrame, shop_history: History, shop_cutoff: Moment
) -> None:
    customers = shop_history.features("customers", shop_cutoff)["customer_row"]
    owned = shop_history.features("customer_categories", shop_cutoff)
    n_recent = owned[owned["recency_days"] <= 182].groupby("customer_row").size().reindex(customers, fill_value=0)
    n_categories = len(shop_history.features("categories", shop_cutoff))
    assert set(n_recent[n_recent < n_categories].index) == set(predicted["customer_row"])


def test_planted_links_lead_to_the_planted_category(
    predicted: pd.DataFrame, truth: Truth, shop_history: History
) -> None:
    rows = shop_history.tables.read("categories").set_index("category")["category_row"]
    for source, target in truth.stretch_links:
        reached = predicted[predicted["category_row"] == rows[target]]
        others = predicted[predicted["category_row"] != rows[target]]
        if len(reached):
            assert (reached["source_category_row"] == rows[source]).mean() > (
                others["source_category_row"] == rows[source]
            ).mean()
    assert predicted.loc[predicted["source_category_row"] >= 0, "lift"].min() >= 1.1
    assert predicted.loc[predicted["source_category_row"] < 0, "lift"].isna().all()


def test_buyers_of_the_linked_category_have_the_higher_chance(
    predicted: pd.DataFrame, truth: Truth, shop_history: History, shop_cutoff: Moment
) -> None:
    rows = shop_history.tables.read("categories").set_index("category")["category_row"]
    owned = shop_history.features("customer_categories", shop_cutoff)
    owned = owned[owned["n_baskets_26w"] >= 3]
    gains = []
    for source, target in truth.stretch_links:
        reached = predicted[predicted["category_row"] == rows[target]]
        is_buyer = reached["customer_row"].isin(owned.loc[owned["category_row"] == rows[source], "customer_row"])
        gains.append(reached.loc[is_buyer, "p28"].mean() - reached.loc[~is_buyer, "p28"].mean())
    assert np.nanmean(gains) > 0


def test_it_is_judged_beside_popularity(fitted: FittedStretch, shop_history: History, shop_cutoff: Moment) -> None:
    judgement = judge({shop_cutoff: fitted}, shop_history)
    rows = {row.metric: row for row in judgement.rows}
    assert set(rows) == {"precision@1", "recall@10", "ndcg@10"}
    assert rows["precision@1"].gain_high > 0
    assert [each.task for each in judgement.calibration] == ["the one shown, 28 days", "the one shown, 7 days"]
    assert 0.6 < judgement.calibration[0].expected_over_observed < 1.6
    assert set(figures({shop_cutoff: fitted}, shop_history)) == {
        "importance.png", "calibration.png", "calibration_7.png", "gains.png",
    }  # fmt: skip


def test_the_whole_model_is_text(fitted: FittedStretch) -> None:
    artifacts = fitted.artifacts()
    assert set(artifacts) == {"stretch.json", "chances.json", "trees.txt"}
    assert BoostedTrees.from_text(artifacts["trees.txt"]).feature_names == fitted.feature_names
    assert json.loads(artifacts["stretch.json"])["windows"][6] == [0.0, 1.0]


def test_windows_of_the_week_never_fall(fitted: FittedStretch) -> None:
    at = [1 / (1 + np.exp(-(a + b * np.log(0.05 / 0.95)))) for a, b in fitted.windows]
    assert at == sorted(at)
    assert at[6] == pytest.approx(0.05)


def test_thin_data_fall_back_on_popularity(thin_history: History, new_history: History) -> None:
    for history in (thin_history, new_history):
        fitted = StretchModel(replace(SMALL, n_cutoffs=2)).fit(history)
        predicted = fitted.predict(history, history.known_until)
        assert fitted.notes == (TOO_FEW,)
        assert ((predicted["p28"] >= 0) & (predicted["p28"] <= 1)).all()
        assert "trees.txt" not in fitted.artifacts()


def test_chances_are_as_steep_as_earlier_trees_turned_out_at_the_level_of_all_weeks() -> None:
    said, rng = np.linspace(-6.0, 2.0, 4000), np.random.default_rng(1)
    is_bought = rng.random(len(said)) < 1 / (1 + np.exp(-said / 2))  # half as steep as was said
    seen_by_earlier = _Shown(said, np.where(is_bought, 3.0, np.inf))
    shown = _Shown(said + 0.5, np.full(len(said), np.inf))
    calibration = _within_28(shown, seen_by_earlier)
    low, high = calibration.calibrated_log_odds([-4.0, 0.0])
    assert (high - low) / 4 == pytest.approx(0.5, abs=0.05)
    as_said = 1 / (1 + np.exp(-shown.margin))
    assert calibration.probability(shown.margin).mean() == pytest.approx(as_said.mean(), abs=1e-6)


def test_without_earlier_weeks_the_trees_are_taken_at_their_word(fitted: FittedStretch) -> None:
    assert _within_28(_Shown(np.zeros(3), np.full(3, np.inf)), None) == MarginCalibration()
    assert fitted.chances.within_28 != MarginCalibration()


def test_the_shipped_configs_are_read() -> None:
    assert load_config(StretchConfig, "stretch").rules.new_days == 182
    assert (
        load_config(StretchConfig, "stretch", is_quick=True).n_cutoffs < load_config(StretchConfig, "stretch").n_cutoffs
    )
    assert load_search(StretchConfig, "stretch")


def test_trees_that_rank_no_better_than_popularity_are_not_taken(
    shop_history: History, shop_cutoff: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def no_better(ours: np.ndarray, _simpler: np.ndarray, *, groups: np.ndarray, is_hit: np.ndarray) -> bool:
        asked.append(len(ours))
        assert len(ours) == len(groups) == len(is_hit)
        return False

    monkeypatch.setattr("training.stretch.ranks_better", no_better)
    fitted = StretchModel(SMALL).fit(shop_history.until(shop_cutoff))
    assert asked
    assert (fitted.trees, fitted.notes) == (None, (NO_BETTER,))


def test_many_purchases_are_proof_enough(
    shop_history: History, shop_cutoff: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.stretch.THIN_EVENTS", 0)
    monkeypatch.setattr("training.stretch.ranks_better", lambda *_, **__: False)
    assert StretchModel(SMALL).fit(shop_history.until(shop_cutoff)).trees is not None
