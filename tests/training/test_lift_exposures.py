"""Who was exposed: once, as assigned first, inside the window; and what makes arms incomparable."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from serving.experiments import HOLDOUT, Arm, Experiment, Experiments
from serving.experiments_toml import default_experiments
from serving.state.decisions import DecisionHead, DecisionPart, DecisionRecord
from tests.serving.state.builders import state_on
from training.errors import LiftError, LiftRefused
from training.lift_exposures import PERSONAL, Exposure, exposures_of, question_of

START = datetime(2018, 1, 1, tzinfo=UTC)
ARMS = (Arm("control", 0.5), Arm("bold", 0.5, {"reward.kind": "points"}))


def plan() -> Experiments:
    return replace(
        default_experiments(), experiments=(Experiment("exp", START, START + timedelta(days=28), ARMS, "exp"),)
    )


def head(
    at_us: int, customer_id: str, arm: str | None, *, name: str = "exp", probability: float = 0.5, n_erased: int = 0
) -> DecisionHead:
    label = None if arm is None else {"name": name, "arm": arm}
    ids = (customer_id,) if customer_id else ()
    return DecisionHead(f"d{at_us}", "challenge", at_us, "v1", label, probability, ids, n_erased)


def test_a_customer_counts_once_from_the_first_decision_in_whatever_order_they_come() -> None:
    decided = [head(30, "anna", "bold"), head(10, "anna", "control"), head(20, "ben", "bold")]
    found = exposures_of(question_of(plan(), "exp"), lambda: decided)
    assert found.found == (Exposure("anna", "control", 10, "v1"), Exposure("ben", "bold", 20, "v1"))
    assert found.counts() == {"control": 1, "bold": 1}
    assert found.shares == {"control": 0.5, "bold": 0.5}


def test_other_experiments_and_decisions_without_one_do_not_count() -> None:
    decided = [head(1, "anna", None), head(2, "ben", "bold", name="other"), head(3, "cleo", "bold")]
    assert [each.customer_id for each in exposures_of(question_of(plan(), "exp"), lambda: decided).found] == ["cleo"]


def test_who_began_before_the_window_is_left_out() -> None:
    decided = [head(5, "anna", "bold"), head(15, "anna", "bold"), head(15, "ben", "bold"), head(20, "cleo", "bold")]
    found = exposures_of(question_of(plan(), "exp", from_us=10, to_us=20), lambda: decided)
    assert [each.customer_id for each in found.found] == ["ben"]


def test_an_arm_that_nobody_is_in_is_counted_as_empty() -> None:
    found = exposures_of(question_of(plan(), "exp"), lambda: [head(1, "anna", "bold")])
    assert found.counts() == {"control": 0, "bold": 1}


def test_decisions_of_the_forgotten_are_counted_without_a_person() -> None:
    decided = [head(1, "anna", "bold"), head(2, "", "bold", n_erased=1), head(3, "", None, n_erased=1)]
    assert exposures_of(question_of(plan(), "exp"), lambda: decided).n_forgotten == 1


def test_a_share_that_changed_is_refused_unless_only_one_is_in_the_window() -> None:
    decided = [head(1, "anna", "bold", probability=0.1), head(20, "ben", "bold"), head(21, "cleo", "control")]
    with pytest.raises(LiftRefused, match=r"shares: arm 'bold' had the shares 0.1 and 0.5 .* --from"):
        exposures_of(question_of(plan(), "exp"), lambda: decided)
    found = exposures_of(question_of(plan(), "exp", from_us=10), lambda: decided)
    assert found.shares == {"control": 0.5, "bold": 0.5}


def test_an_arm_that_the_file_no_longer_has_is_refused() -> None:
    with pytest.raises(
        LiftRefused, match="arms: decisions name an arm 'old', and experiments.toml has only control, bold"
    ):
        exposures_of(question_of(plan(), "exp"), lambda: [head(1, "anna", "old")])


def test_an_experiment_that_nobody_was_in_is_refused() -> None:
    with pytest.raises(LiftRefused, match="exposure: no customer was exposed to 'exp'"):
        exposures_of(question_of(plan(), "exp"), lambda: [head(1, "anna", None)])


def test_an_unknown_experiment_is_named_with_those_there_are() -> None:
    with pytest.raises(LiftError, match="no experiment 'x'; it has holdout, exp"):
        question_of(plan(), "x")


def test_the_holdout_is_compared_with_everybody_else_since_it_began() -> None:
    decided = [
        head(1, "anna", None),
        head(5, "anna", None),
        head(3, "ben", HOLDOUT, name=HOLDOUT, probability=0.1),
        head(4, "cleo", "bold"),
        head(2, "dora", None),
    ]
    found = exposures_of(question_of(plan(), HOLDOUT), lambda: decided)
    assert [(each.customer_id, each.arm, each.at_us) for each in found.found] == [
        ("ben", HOLDOUT, 3),
        ("cleo", PERSONAL, 4),
        ("anna", PERSONAL, 5),
    ]
    assert found.shares == {HOLDOUT: 0.1, PERSONAL: 0.9}


def test_without_a_holdout_there_is_nothing_to_compare_with() -> None:
    with pytest.raises(LiftRefused, match="exposure: nobody was held out yet"):
        exposures_of(question_of(plan(), HOLDOUT), lambda: [head(1, "anna", "bold")])


def test_the_state_gives_every_decision_with_its_arm_and_without_the_forgotten() -> None:
    state = state_on()
    for i, customer_id in enumerate(("anna", "ben", None)):
        label = {"name": "exp", "arm": "bold"}
        parts = (DecisionPart(customer_id),)
        state.record(
            DecisionRecord(f"d{i}", "challenge", 10 + i, "v1", parts, experiment=label, probability=0.5)
        ).result()
    state.forget("ben", 20)
    assert sorted(state.decided(), key=lambda each: each.at_us) == [
        DecisionHead("d0", "challenge", 10, "v1", {"name": "exp", "arm": "bold"}, 0.5, ("anna",), 0),
        DecisionHead("d1", "challenge", 11, "v1", {"name": "exp", "arm": "bold"}, 0.5, (), 1),
        DecisionHead("d2", "challenge", 12, "v1", {"name": "exp", "arm": "bold"}, 0.5, (), 0),
    ]
