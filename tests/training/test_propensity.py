"""Category propensity: better than recency and frequency's neighbours, calibrated, and the best few a customer."""

from __future__ import annotations

import pandas as pd
import pytest

from features.asof import Moment
from training.boosting import BoostingConfig
from training.config import load_config, load_search
from training.history import History
from training.propensity import FittedPropensity, PropensityConfig, PropensityModel, examples_at, figures, judge

SMALL = PropensityConfig(
    n_cutoffs=4,
    n_rows=20_000,
    n_baseline_rows=8_000,
    max_per_customer=5,
    trees=BoostingConfig(n_trees=60, n_leaves=15, min_rows_per_leaf=60, n_threads=1),
)


@pytest.fixture(scope="module")
def fitted(shop_history: History, shop_cutoff: Moment) -> FittedPropensity:
    return PropensityModel(SMALL).fit(shop_history.until(shop_cutoff))


def test_it_beats_popularity_and_is_calibrated(
    fitted: FittedPropensity, shop_history: History, shop_cutoff: Moment
) -> None:
    judgement = judge({shop_cutoff: fitted}, shop_history)
    gains = {(row.metric, row.baseline): row for row in judgement.rows}
    assert gains["log_loss", "popularity"].gain_low > 0
    assert gains["macro_auc", "popularity"].ours > 0.6
    assert judgement.calibration[0].brier_skill > 0
    assert 0.8 < judgement.calibration[0].expected_over_observed < 1.2
    assert "calibration.png" in figures({shop_cutoff: fitted}, shop_history)


def test_predictions_are_the_best_few_of_each_customer(
    fitted: FittedPropensity, shop_history: History, shop_cutoff: Moment
) -> None:
    predicted = fitted.predict(shop_history, shop_cutoff)
    assert predicted.groupby("customer_row").size().max() == SMALL.max_per_customer
    assert not predicted.duplicated(["customer_row", "category_row"]).any()
    assert predicted["p28"].between(0, 1).all()
    falling = predicted.groupby("customer_row")["p28"].apply(lambda p: p.is_monotonic_decreasing)
    assert falling.all()


def test_portions_of_customers_change_nothing(
    fitted: FittedPropensity, shop_history: History, shop_cutoff: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fitted.predict(shop_history, shop_cutoff)
    monkeypatch.setattr("training.propensity.CUSTOMERS_AT_ONCE", 7)
    pd.testing.assert_frame_equal(fitted.predict(shop_history, shop_cutoff), whole)


def test_a_sample_of_pairs_keeps_the_share_of_purchases(shop_history: History, shop_cutoff: Moment) -> None:
    everything = examples_at(shop_history, shop_cutoff, SMALL)
    some = examples_at(shop_history, shop_cutoff, SMALL, n_rows=3_000)
    assert len(some) == 3_000
    assert some.labels.mean() == pytest.approx(everything.labels.mean(), rel=0.2)


def test_thin_data_gives_the_plain_model_and_says_so(thin_history: History) -> None:
    fitted = PropensityModel(SMALL).fit(thin_history)
    predicted = fitted.predict(thin_history, thin_history.known_until)
    assert "recency-frequency" in fitted.notes[0]
    assert len(predicted) == 3 * 3
    cutoff = thin_history.known_until.plus_days(-28, "UTC")
    judge({cutoff: PropensityModel(SMALL).fit(thin_history.until(cutoff))}, thin_history)


def test_nothing_to_learn_from_is_no_error(new_history: History) -> None:
    fitted = PropensityModel(SMALL).fit(new_history)
    assert set(fitted.predict(new_history, new_history.known_until)["p28"]) <= {0.5}


def test_the_shipped_config_is_read() -> None:
    assert load_config(PropensityConfig, "propensity").min_base_rate == 0.01
    assert load_config(PropensityConfig, "propensity", is_quick=True).n_rows == 200_000
    assert "trees.n_leaves" in {each.name for each in load_search(PropensityConfig, "propensity")}
