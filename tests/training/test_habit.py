from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.asof import Moment, local_midnight
from features.build import FeatureStore
from features.tables import TableSet
from tests.features.tiny import at, line, write_tables
from training.boosting import BoostedTrees, BoostingConfig
from training.config import load_config, load_search
from training.errors import ConfigError, EmbargoError
from training.habit import FittedHabit, HabitConfig, HabitModel, judge
from training.habit_features import CandidateRules
from training.history import History
from training.trip_hazard import HazardConfig

SMALL = HabitConfig(
    n_cutoffs=6,
    n_held_out=2,
    candidates=CandidateRules(max_items=20),
    trees=BoostingConfig(n_trees=40, n_leaves=7, min_rows_per_leaf=50, feature_share=0.6, n_threads=1),
    shop=HazardConfig(n_cutoffs=6, n_held_out=2, trees=BoostingConfig(n_trees=30, n_leaves=7, n_threads=1)),
)


@pytest.fixture(scope="module")
def history(shop_tables: TableSet, shop_home: Path) -> History:
    end = local_midnight(shop_tables.last_day + 1, shop_tables.time_zone)
    return History(FeatureStore(shop_tables, shop_home / "features" / "groups"), end)


@pytest.fixture(scope="module")
def cutoff(history: History) -> Moment:
    return history.known_until.plus_days(-28, history.tables.time_zone)


@pytest.fixture(scope="module")
def fitted(history: History, cutoff: Moment) -> FittedHabit:
    return HabitModel(SMALL).fit(history.until(cutoff))


@pytest.fixture(scope="module")
def predicted(fitted: FittedHabit, history: History, cutoff: Moment) -> pd.DataFrame:
    return fitted.predict(history.until(cutoff), cutoff)


def test_chances_are_by_customer_best_first_and_each_pair_once(predicted: pd.DataFrame) -> None:
    chances = predicted["p7"].to_numpy()
    same = predicted["customer_row"].to_numpy()[1:] == predicted["customer_row"].to_numpy()[:-1]
    assert predicted["customer_row"].is_monotonic_increasing
    assert (np.diff(chances)[same] <= 0).all()
    assert not predicted.duplicated(["customer_row", "type_row"]).any()
    assert ((chances > 0) & (chances < 1)).all()


def test_predicting_in_blocks_changes_nothing(
    fitted: FittedHabit, predicted: pd.DataFrame, history: History, cutoff: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.habit._BLOCK_ROWS", 1000)
    pd.testing.assert_frame_equal(fitted.predict(history.until(cutoff), cutoff), predicted)


def test_beats_its_baselines_and_is_calibrated_on_later_weeks(
    fitted: FittedHabit, history: History, cutoff: Moment
) -> None:
    earlier = cutoff.plus_days(-28, history.tables.time_zone)
    judgement = judge({earlier: HabitModel(SMALL).fit(history.until(earlier)), cutoff: fitted}, history)
    assert judgement.beats_baselines
    everyone = next(each for each in judgement.calibration if each.task == "all pairs")
    assert everyone.expected_over_observed == pytest.approx(1, abs=0.1)  # of two weeks: one of 300 customers is noisy
    assert everyone.brier_skill > 0.3


def test_windows_rise_to_the_seven_day_chance(fitted: FittedHabit) -> None:
    assert len(fitted.windows) == 7
    assert fitted.windows[-1] == (0.0, 1.0)


def test_artifacts_hold_the_model(fitted: FittedHabit) -> None:
    texts = fitted.artifacts()
    assert BoostedTrees.from_text(texts["trees.txt"]).feature_names == fitted.feature_names
    assert json.loads(texts["habit.json"])["level"] == "type"
    assert sum(fitted.importance.values()) == pytest.approx(1)


def test_the_same_history_gives_the_same_model(fitted: FittedHabit, history: History, cutoff: Moment) -> None:
    again = HabitModel(SMALL).fit(history.until(cutoff))
    assert again.artifacts() == fitted.artifacts()


def test_the_future_may_not_be_asked(fitted: FittedHabit, history: History, cutoff: Moment) -> None:
    with pytest.raises(EmbargoError):
        fitted.predict(history.until(cutoff), cutoff.plus_days(1, history.tables.time_zone))


@pytest.mark.parametrize("level", ["type", "product", "category"])
def test_three_customers_and_two_weeks_are_enough_for_an_answer(tmp_path: Path, level: str) -> None:
    lines = [
        line(10 * who + on, on, product=who, customer_row=who, amount=None)
        for who in range(3)
        for on in range(0, 14, 3)
    ]
    lines.append(line(99, 1, product=5, amount=None))
    history = History(FeatureStore(write_tables(tmp_path / "tables", lines), tmp_path / "features"), at(14))
    fitted = HabitModel(HabitConfig(level=level)).fit(history)  # type: ignore[arg-type]  # one of the three
    predicted = fitted.predict(history, at(14))
    assert fitted.trees is None
    assert any("stand in" in note for note in fitted.notes)
    assert len(predicted) == 4
    often, once = (predicted.loc[predicted[f"{level}_row"] == item, "p7"].iloc[0] for item in (0, 5))
    assert 0 < once < often < 1
    assert set(fitted.artifacts()) == {"habit.json", "calibration.json"}


def test_before_the_first_line_there_is_nothing_to_say(tmp_path: Path) -> None:
    history = History(FeatureStore(write_tables(tmp_path / "tables", [line(0, 5)]), tmp_path / "features"), at(14))
    fitted = HabitModel(HabitConfig()).fit(history.until(at(4)))
    assert len(fitted.predict(history.until(at(4)), at(4))) == 0


@pytest.mark.parametrize("name", ["habit_type", "habit_product"])
@pytest.mark.parametrize("is_quick", [True, False])
def test_shipped_configs_load(name: str, is_quick: bool) -> None:
    config = load_config(HabitConfig, name, is_quick=is_quick)
    assert config.level == name.removeprefix("habit_")
    assert load_search(HabitConfig, name)


def test_weeks_held_out_of_habit_and_hazard_must_be_the_same() -> None:
    with pytest.raises(ConfigError, match="same weeks"):
        replace(SMALL, shop=HazardConfig(n_cutoffs=6, n_held_out=3))


def test_at_most_half_of_the_weeks_are_held_out() -> None:
    with pytest.raises(ConfigError, match="n_held_out"):
        HabitConfig(n_cutoffs=6)


def test_trees_that_rank_no_better_than_frequency_are_not_taken(
    history: History, cutoff: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.habit.ranks_better", lambda *_, **__: False)
    fitted = HabitModel(SMALL).fit(history.until(cutoff))
    assert fitted.trees is None
    assert "rank no better" in fitted.notes[-1]
