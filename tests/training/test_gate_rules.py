"""The gate's rules: which challengers replace a champion, and what keeps the others out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serving.decisioning.policy import default_policy
from tests.training.gate_judgements import judgement
from training.gate_rules import NOT_COMPARABLE, NOTHING_JUDGED, Decision, Outcome, Role, decide, decide_alone
from training.judge import Judgement

BOUNDS = default_policy().gate
CHAMPION = judgement()


def outcome(challenger: Judgement) -> Outcome:
    return decide(challenger, CHAMPION, BOUNDS).outcome


def broken(challenger: Judgement) -> list[str]:
    found = decide(challenger, CHAMPION, BOUNDS)
    assert found.outcome is Outcome.STAYS
    return [row.metric for row in found.rows if not row.holds]


def test_a_better_challenger_and_an_equal_one_replace_the_champion() -> None:
    assert outcome(judgement(recall=0.05)) is Outcome.PROMOTED
    assert outcome(judgement()) is Outcome.PROMOTED


def test_a_worse_challenger_stays_out_and_the_figures_say_why() -> None:
    found = decide(judgement(recall=-0.05), CHAMPION, BOUNDS)
    assert found.outcome is Outcome.STAYS
    (row,) = (row for row in found.rows if row.role is Role.DECIDES)
    assert (row.difference, row.low, row.high) == pytest.approx((-0.05, -0.05, -0.05))
    assert f"recall@10 {row.challenger:.4f} against the champion's {row.theirs:.4f}" in found.why
    assert "-0.0500 [-0.0500, -0.0500]" in found.why


def test_within_epsilon_is_as_good_and_beyond_it_is_not() -> None:
    bound = BOUNDS.epsilon * CHAMPION.rows[0].ours
    assert outcome(judgement(recall=-0.9 * bound)) is Outcome.PROMOTED
    assert outcome(judgement(recall=-1.1 * bound)) is Outcome.STAYS


def test_a_challenger_that_might_be_worse_stays_out_though_it_looks_better() -> None:
    found = decide(judgement(recall=0.01, noise=0.5), CHAMPION, BOUNDS)
    (row,) = (row for row in found.rows if row.role is Role.DECIDES)
    assert row.low < -row.bound < 0
    assert found.outcome is Outcome.STAYS


def test_what_must_not_be_spoilt_keeps_a_better_challenger_out() -> None:
    assert broken(judgement(recall=0.1, coverage=0.3)) == ["coverage"]
    assert broken(judgement(recall=0.1, top=0.3)) == ["top-10 share"]
    assert broken(judgement(recall=0.1, ece=0.02)) == ["ECE"]
    assert outcome(judgement(recall=0.1, coverage=0.37, top=0.21, ece=0.012)) is Outcome.PROMOTED


def test_a_calibration_error_that_chance_explains_is_none() -> None:
    champion = judgement(ece=0.001)
    assert decide(judgement(ece=0.0079), champion, BOUNDS).outcome is Outcome.PROMOTED
    assert decide(judgement(ece=0.0081), champion, BOUNDS).outcome is Outcome.STAYS


def test_a_recall_that_does_not_decide_is_guarded() -> None:
    def with_second(value: Judgement) -> Judgement:
        return replace(CHAMPION, rows=(*CHAMPION.rows, replace(value.rows[0], metric="recall@20", is_primary=False)))

    champion = with_second(judgement())
    assert decide(with_second(judgement(recall=-0.02)), champion, BOUNDS).outcome is Outcome.PROMOTED
    assert decide(with_second(judgement(recall=-0.04)), champion, BOUNDS).outcome is Outcome.STAYS


def test_a_loss_is_better_when_it_is_smaller() -> None:
    def as_loss(value: Judgement) -> Judgement:
        return replace(value, rows=(replace(value.rows[0], metric="mae", higher_is_better=False),))

    assert decide(as_loss(judgement(recall=-0.1)), as_loss(CHAMPION), BOUNDS).outcome is Outcome.PROMOTED
    assert decide(as_loss(judgement(recall=0.1)), as_loss(CHAMPION), BOUNDS).outcome is Outcome.STAYS


def test_the_bound_of_an_auc_counts_from_one_half() -> None:
    def as_auc(value: Judgement) -> Judgement:
        return replace(value, rows=(replace(value.rows[0], metric="auc"),))

    found = decide(as_auc(judgement(recall=0.3)), as_auc(judgement(recall=0.3)), BOUNDS)
    (row,) = (row for row in found.rows if row.role is Role.DECIDES)
    assert row.bound == pytest.approx(BOUNDS.epsilon * (row.theirs - 0.5))


def test_a_challenger_must_be_ahead_of_its_baseline() -> None:
    assert broken(judgement(recall=0.05, ahead=-0.001)) == ["recall@10"]


def test_where_nothing_is_primary_everything_decides() -> None:
    def without_primary(value: Judgement) -> Judgement:
        return replace(value, rows=tuple(replace(row, is_primary=False) for row in value.rows))

    worse, champion = without_primary(judgement(recall=-0.1)), without_primary(CHAMPION)
    assert decide(worse, champion, BOUNDS).outcome is Outcome.STAYS
    assert decide(without_primary(judgement(recall=0.1)), champion, BOUNDS).outcome is Outcome.PROMOTED


def test_without_numbers_the_champion_stays() -> None:
    nothing = Judgement("habit", (), ())
    assert decide(nothing, nothing, BOUNDS).why == NOTHING_JUDGED
    assert decide(judgement(), nothing, BOUNDS).why == NOT_COMPARABLE
    other_days = replace(CHAMPION, cutoffs=("2017-12-04",))
    assert decide(judgement(), other_days, BOUNDS).why == NOT_COMPARABLE


def test_a_first_one_is_kept_out_only_by_a_baseline_that_is_proven_better() -> None:
    assert not decide_alone(judgement()).behind
    assert decide_alone(judgement(ahead=-0.1)).behind
    level = decide_alone(judgement(ahead=-0.005))
    assert not level.behind
    assert level.undecided


def test_the_champions_own_recipe_is_not_held_back_by_a_baseline() -> None:
    same = decide(judgement(ahead=-0.1), CHAMPION, BOUNDS, is_same=True)
    assert same.outcome is Outcome.SAME
    assert not same.behind
    assert same.undecided


def test_a_decision_comes_back_from_its_plain_values() -> None:
    found = decide(judgement(recall=-0.05), CHAMPION, BOUNDS)
    assert Decision.from_dict(found.as_dict()) == found
