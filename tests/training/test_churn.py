"""Churn: it finds those who left, beats recency and frequency, and survives thin data."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from features.asof import Moment
from features.sources.synthetic import Truth
from training.blend import Blend, BlendConfig
from training.boosting import BoostingConfig
from training.churn import ChurnConfig, ChurnModel, FittedChurn, examples_at, figures, judge
from training.config import load_config, load_search
from training.errors import ConfigError, EmbargoError
from training.history import History

SMALL = ChurnConfig(
    n_cutoffs=4, blend=BlendConfig(trees=BoostingConfig(n_trees=60, n_leaves=7, min_rows_per_leaf=40, n_threads=1))
)
EPOCH = date(1970, 1, 1)


@pytest.fixture(scope="module")
def fitted(shop_history: History, shop_cutoff: Moment) -> FittedChurn:
    return ChurnModel(SMALL).fit(shop_history.until(shop_cutoff))


@pytest.fixture(scope="module")
def predicted(fitted: FittedChurn, shop_history: History, shop_cutoff: Moment) -> pd.DataFrame:
    return fitted.predict(shop_history.until(shop_cutoff), shop_cutoff)


def test_those_who_left_are_likelier_to_have_left(
    predicted: pd.DataFrame, shop_history: History, shop_cutoff: Moment, truth: Truth
) -> None:
    ids = shop_history.tables.read("customers").set_index("customer_row")["customer_id"]
    left = {customer for customer, day in truth.churned.items() if (day - EPOCH).days < shop_cutoff.day}
    is_left = predicted["customer_row"].map(ids).isin(left)
    assert 0 < is_left.sum() < len(predicted)
    assert predicted.loc[is_left, "churn_probability"].median() > 0.5
    assert predicted.loc[~is_left, "churn_probability"].median() < 0.2


def test_everyone_who_ever_bought_has_one_chance(predicted: pd.DataFrame, shop_history: History) -> None:
    lines = shop_history.tables.read("lines", ["customer_row"])
    assert set(predicted["customer_row"]) <= set(lines["customer_row"])
    assert predicted["customer_row"].is_unique
    assert predicted["churn_probability"].between(0, 1).all()


def test_a_label_is_no_line_at_all_in_the_days_after(shop_history: History, shop_cutoff: Moment) -> None:
    examples = examples_at(shop_history, shop_cutoff, SMALL)
    later = set(shop_history.purchases_after(shop_cutoff, 28)["customer_row"])
    assert [customer not in later for customer in examples.customers] == (examples.labels > 0).tolist()
    assert (examples.features["recency_days"] <= 56).all()


def test_it_is_judged_beside_recency_and_frequency(
    fitted: FittedChurn, shop_history: History, shop_cutoff: Moment
) -> None:
    judgement = judge({shop_cutoff: fitted}, shop_history)
    assert {row.baseline for row in judgement.primary} == {"recency-frequency logistic", "recency alone"}
    assert all(row.ours > 0.7 for row in judgement.primary)
    assert judgement.calibration[0].n == len(examples_at(shop_history, shop_cutoff, SMALL))
    assert set(figures({shop_cutoff: fitted}, shop_history)) == {
        "importance.png", "calibration.png", "lift.png", "gains.png",
    }  # fmt: skip


def test_labels_beyond_the_history_are_refused(shop_history: History, shop_cutoff: Moment) -> None:
    with pytest.raises(EmbargoError):
        examples_at(shop_history.until(shop_cutoff), shop_cutoff, SMALL)


def test_what_happens_later_changes_nothing(fitted: FittedChurn, shop_history: History, shop_cutoff: Moment) -> None:
    told = fitted.predict(shop_history, shop_cutoff)
    assert told.equals(fitted.predict(shop_history.until(shop_cutoff), shop_cutoff))


def test_the_texts_hold_the_whole_model(fitted: FittedChurn, shop_history: History, shop_cutoff: Moment) -> None:
    customers = shop_history.features("customers", shop_cutoff)
    again = Blend.from_artifacts(fitted.artifacts())
    assert np.allclose(again.predict(customers), fitted.blend.predict(customers), atol=1e-12)


def test_nobody_leaving_gives_the_plain_model_and_says_so(thin_history: History) -> None:
    fitted = ChurnModel(SMALL).fit(thin_history)
    predicted = fitted.predict(thin_history, thin_history.known_until)
    assert "recency-frequency" in fitted.notes[0]
    assert (predicted["churn_probability"] < 0.1).all()


def test_nothing_to_learn_from_is_no_error(new_history: History) -> None:
    fitted = ChurnModel(SMALL).fit(new_history)
    assert fitted.predict(new_history, new_history.known_until)["churn_probability"].tolist() == [0.5]


def test_the_shipped_config_is_read_and_its_search_space_names_its_fields() -> None:
    assert load_config(ChurnConfig, "churn").horizon_days == 28
    assert load_config(ChurnConfig, "churn", is_quick=True).n_cutoffs < load_config(ChurnConfig, "churn").n_cutoffs
    assert {each.name for each in load_search(ChurnConfig, "churn")} >= {"blend.trees.n_leaves"}
    with pytest.raises(ConfigError):
        load_config(BlendConfig, "churn")
