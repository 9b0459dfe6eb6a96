from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from features.asof import local_midnight
from features.build import FeatureStore
from features.tables import TableSet
from tests.features.tiny import at, line, write_tables
from training import metrics
from training.config import load_config
from training.habit import HabitConfig
from training.history import History
from training.learners import HABIT_PRODUCT, HABIT_TYPE
from training.next_purchase import NextPurchaseConfig
from training.next_purchase_rows import days_examples, hazard_examples, trip_examples, trip_rates, weekday_shares
from training.trip_hazard import P_SHOP, HazardConfig, fit_hazard


@pytest.fixture
def tiny(tmp_path: Path) -> History:
    """Customer 0 comes on Mondays and on day 16, a Wednesday; customer 1 came once."""
    lines = [line(0, 0), line(1, 7), line(2, 16), line(3, 1, customer_row=1)]
    return History(FeatureStore(write_tables(tmp_path / "tables", lines), tmp_path / "features"), at(100))


@pytest.fixture(scope="module")
def shop_history(shop_tables: TableSet, shop_home: Path) -> History:
    end = local_midnight(shop_tables.last_day + 1, shop_tables.time_zone)
    return History(FeatureStore(shop_tables, shop_home / "features" / "groups"), end)


def test_a_customer_is_at_risk_each_day_until_the_trip(tiny: History) -> None:
    examples = hazard_examples(tiny, at(14))
    at_risk = examples.features[["customer_row", "day_ahead"]].assign(came=examples.labels)
    mine = at_risk[at_risk["customer_row"] == 0]
    assert mine["day_ahead"].tolist() == [0, 1, 2]
    assert mine["came"].tolist() == [0, 0, 1]
    assert (at_risk["customer_row"] == 1).sum() == 7
    assert examples.n_positive == 1


def test_a_day_knows_its_weekday_and_day_of_the_month(tiny: History) -> None:
    examples = hazard_examples(tiny, at(14))  # 2024-01-15, a Monday
    rows = examples.features[examples.features["customer_row"] == 1]
    assert rows["weekday"].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert rows["month_day"].tolist() == [15, 16, 17, 18, 19, 20, 21]
    assert rows["day_recency_days"].tolist() == [13, 14, 15, 16, 17, 18, 19]


def test_weekday_shares_are_shrunk_and_add_up(tiny: History) -> None:
    shares = weekday_shares(tiny, at(14))
    assert shares.loc[0, 0] == pytest.approx((2 + 3 / 7) / (2 + 3))
    assert shares.sum(axis=1).tolist() == pytest.approx([1, 1])


def test_days_to_the_next_trip_are_counted_from_the_moment_and_capped(tiny: History) -> None:
    assert days_examples(tiny, at(14), 28).labels.tolist() == [2.5, 28.0]


def test_a_trip_within_the_week_is_told(tiny: History) -> None:
    assert trip_examples(tiny, at(14)).labels.tolist() == [1, 0]
    assert trip_examples(tiny, at(8)).labels.tolist() == [0, 0]


def test_rates_fall_when_a_customer_stays_away(tiny: History) -> None:
    soon, late = (trip_rates(trip_examples(tiny, at(day)).features) for day in (8, 60))
    assert (late < soon).all()


def test_thin_data_fall_back_on_rates_and_say_so(tiny: History) -> None:
    hazard = fit_hazard(tiny.until(at(30)), HazardConfig())
    chances = hazard.chances(tiny, at(30))
    assert hazard.trees is None
    assert "fewer than" in hazard.notes[0]
    assert chances["customer_row"].tolist() == [0, 1]
    assert (np.diff(chances[list(P_SHOP)].to_numpy(), axis=1) > 0).all()


def test_no_weeks_at_all_are_no_error(tiny: History) -> None:
    hazard = fit_hazard(tiny.until(at(3)), HazardConfig())
    assert len(hazard.chances(tiny, at(3))) == 2
    assert len(hazard.chances(tiny, at(0))) == 0


def test_learned_chances_are_calibrated_and_beat_rates_in_the_shop(shop_history: History) -> None:
    zone = shop_history.tables.time_zone
    cutoff = shop_history.known_until.plus_days(-28, zone)
    hazard = fit_hazard(shop_history.until(cutoff), HazardConfig(n_cutoffs=8))
    seen = trip_examples(shop_history, cutoff)
    ours = hazard.chances(shop_history, cutoff)[P_SHOP[-1]].to_numpy()
    rates = 1 - np.exp(-7 * trip_rates(seen.features))
    assert metrics.log_loss(ours, seen.labels) < metrics.log_loss(rates, seen.labels)
    assert metrics.expected_over_observed(ours, seen.labels) == pytest.approx(1, abs=0.1)


def test_a_source_without_times_has_even_weeks(tmp_path: Path) -> None:
    lines = [line(on, on, hour=None) for on in range(0, 28, 2)]
    history = History(FeatureStore(write_tables(tmp_path / "tables", lines), tmp_path / "features"), at(28))
    rows = hazard_examples(history, at(14)).features
    assert rows["weekday_share"].between(0, 1).all()
    assert len(fit_hazard(history, HazardConfig()).chances(history, at(28))) == 1


@pytest.mark.parametrize("is_quick", [True, False])
def test_habits_and_the_next_purchase_rest_on_one_hazard(is_quick: bool) -> None:
    habits = [load_config(HabitConfig, name, is_quick=is_quick).shop for name in (HABIT_TYPE, HABIT_PRODUCT)]

    assert habits == [load_config(NextPurchaseConfig, "next_purchase", is_quick=is_quick).hazard] * 2


def test_a_hazard_is_learned_once_for_each_history_and_config(tiny: History) -> None:
    first = fit_hazard(tiny.until(at(30)), HazardConfig())

    assert fit_hazard(tiny.until(at(30)), HazardConfig()) is first
    assert fit_hazard(tiny.until(at(29)), HazardConfig()) is not first
    assert fit_hazard(tiny.until(at(30)), HazardConfig(seed=1)) is not first
