"""What is built ahead is what training reads: known groups, at the moments that the models learn from."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.build import GROUPS, FeatureStore
from tests.features.tiny import at, line, write_tables
from training.ahead import reads_of_bundle, reads_of_challenges, reads_of_judging
from training.config import load_config
from training.history import History
from training.learners import HABIT_TYPE, Learner, learners
from training.recipe import Recipe

DAYS = 140


@pytest.fixture
def history(tmp_path: Path) -> History:
    tables = write_tables(tmp_path / "t", [line(order, order) for order in range(DAYS)])
    return History(FeatureStore(tables, tmp_path / "f"), at(DAYS))


@pytest.fixture(scope="module")
def chosen() -> tuple[Learner, ...]:
    return learners(is_quick=True)


def test_a_habit_reads_its_weeks_before_the_cutoff_and_the_cutoff(
    history: History, chosen: tuple[Learner, ...]
) -> None:
    only = [learner for learner in chosen if learner.name == HABIT_TYPE]
    recipe = Recipe(n_judged=1, n_challenge_weeks=1)

    reads = [*reads_of_judging(only, history, recipe), *reads_of_challenges(only[0], history, recipe)]

    cutoff = DAYS - 28
    learned = [(moment.day - at(0).day) for group, moment in reads if group == "customer_types"]
    monday = cutoff + -(at(cutoff).day + 3) % 7
    assert learned == [*range(cutoff - 42, cutoff, 7), cutoff, monday]


def test_all_models_read_known_groups_of_the_past(history: History, chosen: tuple[Learner, ...]) -> None:
    recipe = load_config(Recipe, "recipe", is_quick=False)

    reads = [*reads_of_judging(chosen, history, recipe), *reads_of_bundle(chosen, history, recipe)]

    assert {group for group, _ in reads} <= set(GROUPS)
    assert max(moment for _, moment in reads) == history.known_until
    assert {("customers", at(DAYS)), ("category_pairs", at(DAYS))} <= set(reads)


def test_models_that_ship_as_judged_read_today_only(history: History, chosen: tuple[Learner, ...]) -> None:
    reads = reads_of_bundle(chosen, history, Recipe(refits=False))

    assert {moment for _, moment in reads} == {at(DAYS)}


def test_a_shop_too_young_to_judge_reads_nothing(tmp_path: Path, chosen: tuple[Learner, ...]) -> None:
    history = History(FeatureStore(write_tables(tmp_path / "t", [line(0, 0)]), tmp_path / "f"), at(3))

    assert list(reads_of_judging(chosen, history, Recipe())) == []
    assert list(reads_of_challenges(chosen[0], history, Recipe())) == []
