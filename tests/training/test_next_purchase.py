from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.asof import Moment, local_midnight
from features.build import FeatureStore
from features.tables import TableSet
from tests.features.tiny import at, line, write_tables
from training.boosting import BoostingConfig
from training.config import load_config, load_search
from training.errors import ConfigError
from training.history import History
from training.next_purchase import P_SHOP, NextPurchaseConfig, NextPurchaseModel, figures, judge
from training.next_purchase_judging import mean_gap_left, weibull_median
from training.trip_hazard import HazardConfig

SMALL = NextPurchaseConfig(
    n_cutoffs=4,
    hazard=HazardConfig(n_cutoffs=6, n_held_out=2, trees=BoostingConfig(n_trees=40, n_leaves=7, n_threads=1)),
    days=BoostingConfig(objective="regression_l1", n_trees=60, n_leaves=7, min_rows_per_leaf=20, n_threads=1),
)


@pytest.fixture(scope="module")
def history(shop_tables: TableSet, shop_home: Path) -> History:
    end = local_midnight(shop_tables.last_day + 1, shop_tables.time_zone)
    return History(FeatureStore(shop_tables, shop_home / "features" / "groups"), end)


@pytest.fixture(scope="module")
def cutoff(history: History) -> Moment:
    return history.known_until.plus_days(-28, history.tables.time_zone)


def test_chances_rise_with_days_and_the_shop_is_understood(history: History, cutoff: Moment) -> None:
    fitted = NextPurchaseModel(SMALL).fit(history.until(cutoff))
    predicted = fitted.predict(history.until(cutoff), cutoff)
    chances = predicted[list(P_SHOP)].to_numpy()
    assert (np.diff(chances, axis=1) >= 0).all()
    assert predicted["expected_days"].between(0, 28).all()
    judgement = judge({cutoff: fitted}, history)
    better = {(row.metric, row.baseline): row.gain for row in judgement.rows}
    assert better["brier", "recency-frequency"] > 0
    assert better["mae_days", "own mean gap"] > 0
    assert set(figures({cutoff: fitted}, history)) >= {"importance.png", "calibration.png"}


def test_thin_data_fall_back_on_rates_and_say_so(tmp_path: Path) -> None:
    lines = [line(on, on) for on in range(0, 14, 3)] + [line(20, 2, customer_row=1)]
    history = History(FeatureStore(write_tables(tmp_path / "tables", lines), tmp_path / "features"), at(14))
    fitted = NextPurchaseModel(NextPurchaseConfig()).fit(history)
    predicted = fitted.predict(history, at(14))
    assert len(fitted.notes) == 2
    assert predicted["expected_days"].iloc[0] < predicted["expected_days"].iloc[1] <= 28
    assert predicted["p_shop_7"].iloc[0] > predicted["p_shop_7"].iloc[1]
    assert set(fitted.artifacts()) == {"calibration.json", "notes.json"}


def test_without_a_shape_the_weibull_median_forgets_what_has_passed() -> None:
    customers = pd.DataFrame({"recency_days": [0, 20], "tenure_days": [36, 36], "n_baskets": [5, 5]})
    assert weibull_median(customers, 1.0) == pytest.approx([10 * math.log(2)] * 2)
    waited, _ = weibull_median(customers.iloc[[1, 0]], 0.7)
    assert waited > weibull_median(customers, 0.7)[0]


def test_what_is_left_of_the_mean_gap_is_at_least_half_a_day() -> None:
    customers = pd.DataFrame({"recency_days": [3, 9, 4], "gap_mean_days": [7.0, 7.0, np.nan]})
    assert mean_gap_left(customers).tolist() == [4.0, 0.5, 28.0]


def test_the_shipped_config_loads_and_its_hazard_is_the_default_one() -> None:
    config = load_config(NextPurchaseConfig, "next_purchase")
    assert config.hazard == HazardConfig()
    assert load_config(NextPurchaseConfig, "next_purchase", is_quick=True).hazard.n_cutoffs == 8
    assert load_search(NextPurchaseConfig, "next_purchase")


def test_an_objective_that_gives_no_median_is_refused() -> None:
    with pytest.raises(ConfigError, match="median"):
        NextPurchaseConfig(days=BoostingConfig(objective="regression"))
