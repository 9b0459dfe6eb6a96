"""The gate's table: what a person reads, and what MLflow shows."""

from __future__ import annotations

from dataclasses import replace

from serving.decisioning.policy import default_policy
from tests.training.gate_judgements import judgement
from training.gate_rules import Outcome, decide, decide_alone
from training.gate_table import gate_frame, gate_text, outcome_lines, summary_lines

BOUNDS = default_policy().gate
STAYS = decide(judgement(recall=-0.05), judgement(), BOUNDS)
SAME = decide(judgement(), judgement(), BOUNDS, is_same=True)


def test_the_table_has_a_line_a_number_and_says_what_became_of_each_model() -> None:
    lines = gate_text([STAYS]).splitlines()
    assert lines[0].split()[:5] == ["model", "metric", "champion", "challenger", "difference"]
    deciding = next(line for line in lines if "recall@10 *" in line)
    assert deciding.endswith("-0.0049  worse")
    assert "-0.0500 [-0.0500, -0.0500]" in deciding
    assert any("beside personal top frequency" in line and line.endswith("ahead") for line in lines)
    assert lines[-1].startswith("habit: the champion stays: habit, next basket: recall@10 ")


def test_no_decision_makes_an_empty_table() -> None:
    assert gate_frame([]).empty
    assert outcome_lines([]) == []


def test_mlflow_gets_a_row_a_number() -> None:
    frame = gate_frame([STAYS, SAME])
    assert len(frame) == len(STAYS.rows) + len(SAME.rows)
    assert set(frame["outcome"]) == {str(Outcome.STAYS), str(Outcome.SAME)}


def test_the_summary_names_models_by_outcome_and_explains_only_what_needs_it() -> None:
    first, *rest = summary_lines([SAME, STAYS])
    assert first == "same habit; stays habit"
    assert rest == outcome_lines([STAYS])


def test_the_same_reason_for_several_models_is_said_once() -> None:
    alone = [replace(decide_alone(judgement()), model=name, why="the champion can't be read") for name in "ab"]
    assert summary_lines(alone) == [
        "first a, b",
        "a, b: first: there is no champion to compare with: the champion can't be read",
    ]
