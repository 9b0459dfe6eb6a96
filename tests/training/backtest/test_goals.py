"""Goals: met or missed by how much, and files that say what they mean."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources

import numpy as np
import pytest

from training.backtest.goals import Goal, goals_of, parse_goals, unmeasured, verdict_of, verdict_of_fact, verdicts_of
from training.backtest.observation import OURS, Fact, Observation
from training.backtest.statistics import Measured, TaskResult, measure
from training.errors import BacktestError
from training.metrics import EceFloor


def measured(value: float) -> Measured:
    return measure({"2017-12-04": Observation("t", "m", {OURS: np.full(3, value)}, np.arange(3))})


def test_a_goal_is_met_at_its_bound_and_missed_by_what_lacks() -> None:
    goal = Goal("t", "m", at_least=0.25)
    assert verdict_of(goal, measured(0.25)).text() == "met"
    missed = verdict_of(goal, measured(0.125))
    assert (missed.is_met, missed.missed_by, missed.text()) == (False, 0.125, "missed by 0.125")
    assert verdict_of(Goal("t", "m", at_most=0.25), measured(0.5)).missed_by == 0.25


def test_an_ece_within_what_a_perfect_model_shows_is_met_and_says_so() -> None:
    goal, found = Goal("t", "m", at_most=0.01), measured(0.015)
    assert not verdict_of(goal, found).is_met
    within = verdict_of(goal, replace(found, floor=EceFloor(0.012, 0.02)))
    assert within.is_met
    assert within.text() == "met (a perfect model shows no less)"
    assert not verdict_of(goal, replace(found, floor=EceFloor(0.012, 0.014))).is_met


def test_a_bound_of_the_lower_end_counts_as_well() -> None:
    goal = Goal("t", "m", at_least=1.3, low_at_least=1.05)
    found = measured(1.4)
    assert verdict_of(goal, found).is_met
    unsure = replace(found, values={OURS: replace(found.ours, low=1.0)})
    assert verdict_of(goal, unsure).missed_by == pytest.approx(0.05)


def test_what_is_not_a_number_meets_nothing() -> None:
    assert not verdict_of(Goal("t", "m", at_most=1.0), measured(float("nan"))).is_met


def test_a_fact_can_have_a_goal() -> None:
    goal = Goal("t", "top-10 share", at_most=0.32)
    assert verdict_of_fact(goal, Fact("t", "top-10 share", {OURS: 0.3})).is_met
    assert not verdict_of_fact(goal, Fact("t", "top-10 share", {"peer": 0.3})).is_met


def test_verdicts_are_of_what_was_measured_and_the_rest_is_named() -> None:
    goals = {("t", "m"): Goal("t", "m", at_least=1.0), ("t", "x"): Goal("t", "x", at_least=1.0)}
    result = TaskResult("t", "Scores", ("2017-12-04",), (measured(1.0),))
    verdicts = verdicts_of([result], goals)
    assert list(verdicts) == [("t", "m")]
    assert unmeasured(goals, verdicts) == [goals["t", "x"]]


def test_a_goal_needs_one_bound() -> None:
    with pytest.raises(BacktestError, match="either"):
        Goal("t", "m")
    with pytest.raises(BacktestError, match="either"):
        Goal("t", "m", at_least=1.0, at_most=2.0)


def test_a_file_is_for_its_source_and_unknown_keys_are_errors() -> None:
    text = 'source = "shop"\n[[goal]]\ntask = "t"\nmetric = "m"\nat_least = 0.5\n'
    assert parse_goals(text, "shop", where="f") == {("t", "m"): Goal("t", "m", at_least=0.5)}
    assert parse_goals(text, "other", where="f") == {}
    with pytest.raises(BacktestError, match="f: says no source"):
        parse_goals("", "shop", where="f")
    with pytest.raises(BacktestError, match="f: a goal has no atleast"):
        parse_goals(text.replace("at_least", "atleast"), "shop", where="f")


def test_only_the_known_source_has_goals() -> None:
    assert goals_of("synthetic") == {}
    found = goals_of("complete-journey")
    assert len(found) > 10
    files = [
        each for each in resources.files("training.backtest").joinpath("goals").iterdir() if each.name.endswith(".toml")
    ]
    n_written = sum(each.read_text(encoding="utf-8").count("[[goal]]") for each in files)
    assert n_written == len(found), "two goals of one metric"
