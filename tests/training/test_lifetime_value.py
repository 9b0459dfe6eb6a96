"""Lifetime value: mean and median of later spend, off without amounts; the customer score is a percentile."""

from __future__ import annotations

import pandas as pd
import pytest

from features.asof import Moment
from training.boosting import BoostingConfig
from training.config import load_config, load_search
from training.history import History
from training.lifetime_value import (
    NO_AMOUNTS,
    FittedLifetimeValue,
    LifetimeValueConfig,
    LifetimeValueModel,
    customer_scores,
    examples_at,
    figures,
    judge,
)

TREES = BoostingConfig(
    objective="regression", n_trees=40, n_leaves=5, min_rows_per_leaf=40, learning_rate=0.05, n_threads=1
)
SMALL = LifetimeValueConfig(
    horizon_days=56,
    n_cutoffs=2,
    mean_trees=TREES,
    median_trees=TREES,
)


@pytest.fixture(scope="module")
def cutoff(shop_history: History) -> Moment:
    return shop_history.known_until.plus_days(-56, shop_history.tables.time_zone)


@pytest.fixture(scope="module")
def fitted(shop_history: History, cutoff: Moment) -> FittedLifetimeValue:
    return LifetimeValueModel(SMALL).fit(shop_history.until(cutoff))


def test_those_told_to_spend_more_do(fitted: FittedLifetimeValue, shop_history: History, cutoff: Moment) -> None:
    predicted = fitted.predict(shop_history, cutoff)
    spent = shop_history.purchases_after(cutoff, 56).groupby("customer_row")["amount"].sum()
    later = predicted["customer_row"].map(spent).fillna(0.0)
    assert later.corr(predicted["value_mean"], method="spearman") > 0.5
    assert predicted["value_mean"].sum() == pytest.approx(later.sum(), rel=0.3)
    assert (predicted[["value_mean", "value_median"]] >= 0).all(axis=None)
    assert predicted["customer_row"].is_unique


def test_it_is_judged_by_both_errors(fitted: FittedLifetimeValue, shop_history: History, cutoff: Moment) -> None:
    judgement = judge({cutoff: fitted}, shop_history)
    decides = {(row.metric, row.baseline) for row in judgement.primary}
    assert decides == {("mae", "linear, by median"), ("mse", "linear, by mean")}
    assert len(judgement.rows) == 4
    assert set(figures({cutoff: fitted}, shop_history)) == {"importance.png", "lift.png", "gains.png"}


def test_labels_are_what_was_spent_in_the_days_after(shop_history: History, cutoff: Moment) -> None:
    examples = examples_at(shop_history, cutoff, SMALL)
    lines = shop_history.purchases_after(cutoff, 56)
    known = lines["customer_row"].isin(examples.customers)
    assert examples.labels.sum() == pytest.approx(lines.loc[known, "amount"].sum())


def test_without_amounts_it_is_off_and_the_score_goes_by_trips(thin_history: History) -> None:
    moment = thin_history.known_until
    fitted = LifetimeValueModel(SMALL).fit(thin_history)
    values = fitted.predict(thin_history, moment)
    assert fitted.notes == (NO_AMOUNTS,)
    assert values["value_mean"].isna().all()
    assert judge({moment: fitted}, thin_history).rows == ()
    assert figures({moment: fitted}, thin_history) == {}
    churn = values[["customer_row"]].assign(churn_probability=[0.1, 0.2, 0.3])
    scores = customer_scores(values, churn, thin_history.features("customers", moment))
    assert scores["customer_score"].tolist() == pytest.approx([100 * 2.5 / 3, 100 * 1.5 / 3, 100 * 0.5 / 3])


def test_few_examples_give_the_line_alone_and_say_so(shop_history: History) -> None:
    early = shop_history.known_until.plus_days(-190, shop_history.tables.time_zone)
    fitted = LifetimeValueModel(LifetimeValueConfig(horizon_days=56, n_cutoffs=1)).fit(shop_history.until(early))
    assert fitted.mean is not None
    assert fitted.mean.trees is None
    assert "lines of past spend" in fitted.notes[0] or "last 12 weeks" in fitted.notes[0]


def test_a_score_is_the_share_that_lies_lower_plus_half_of_equals() -> None:
    customers = pd.DataFrame({"customer_row": [0, 1, 2, 3], "n_baskets_26w": 1})
    values = pd.DataFrame({"customer_row": [0, 1, 2, 3], "value_mean": [10.0, 20.0, 10.0, 40.0]})
    churn = pd.DataFrame({"customer_row": [0, 1, 2, 3], "churn_probability": [0.0, 0.5, 0.0, 0.0]})
    scores = customer_scores(values, churn, customers)  # worth 10, 10, 10, 40
    assert scores["customer_score"].tolist() == [50 * 3 / 4, 50 * 3 / 4, 50 * 3 / 4, 100 * (3 + 0.5) / 4]


def test_the_shipped_config_is_read() -> None:
    assert load_config(LifetimeValueConfig, "lifetime_value").horizon_days == 84
    assert "mean_trees.n_trees" in {each.name for each in load_search(LifetimeValueConfig, "lifetime_value")}
