"""The checks before a policy is valued, each with a line that says what to do."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from serving.decisioning.policy_exploration import ExplorationPolicy
from serving.state.known import Draw, Odds
from tests.training.test_off_policy_outcomes import looked_at, nothing_bought
from training.errors import ValueRefused
from training.off_policy import DR, IPS
from training.off_policy_choices import Looked
from training.off_policy_outcomes import choices_of
from training.off_policy_value import (
    check_arm,
    check_drawn,
    check_odds,
    exploring_cost,
    is_inside,
    outside_share,
    overlap_of,
    slot_value,
)

POLICY = ExplorationPolicy(0.5, 0.5, among=2, caution=1.0, min_effective=20, max_outside=0.05)


def drawn(n: int, n_best: int) -> list[Looked]:
    """Return decisions of as many customers, of which so many fell on the best of two (0.8 to 0.2)."""
    return [looked_at(f"c{i}", chosen="a" if i < n_best else "b") for i in range(n)]


def test_without_draws_it_says_what_to_switch_on_or_why_they_are_lost() -> None:
    check_drawn(3, drawn(1, 1), Counter())
    with pytest.raises(ValueRefused, match=r"^propensities: none of the 1,234 decisions .* set stretch_share"):
        check_drawn(1234, [], Counter())
    with pytest.raises(ValueRefused, match=r"^propensities: no challenge and no offers answer of that time is kept"):
        check_drawn(0, [], Counter())
    with pytest.raises(ValueRefused, match=r"^propensities: no decision .* looked at again: 2: the bundle is gone"):
        check_drawn(3, [], Counter({"the bundle is gone": 2}))


def test_one_arm_at_a_time() -> None:
    check_arm(Counter({"x/a": 3}), None)
    check_arm(Counter({"x/a": 3, "x/b": 1}), "x/b")
    check_arm(Counter(), "x/b")
    with pytest.raises(ValueRefused, match=r"^arms: .* mixed: none \(1\), x/a \(3\); name one with --arm"):
        check_arm(Counter({"x/a": 3, "none": 1}), None)
    with pytest.raises(ValueRefused, match=r"^arms: no decision of 'y' was drawn; there are x/a \(3\)"):
        check_arm(Counter({"x/a": 3}), "y")


def test_frequencies_that_the_odds_do_not_allow_are_refused() -> None:
    check_odds(drawn(200, 160))
    check_odds(drawn(200, 170))
    with pytest.raises(ValueRefused, match=r"^odds: the best option came 199 times, and by the logged odds 160"):
        check_odds(drawn(200, 199))
    sure = replace(drawn(1, 1)[0], draw=Draw("stretch", "a", 1.0, (Odds("a", 1.0, 1.0),)), target=(1.0,))
    check_odds([sure] * 50)


def test_what_the_log_never_shows_is_counted_and_too_much_of_it_refused() -> None:
    few = [*drawn(19, 15), looked_at("x", target=(0.0, 0.0), outside=1.0)]
    assert outside_share(few, POLICY) == pytest.approx(1 / 20)
    assert [is_inside(each) for each in few] == [True] * 19 + [False]
    with pytest.raises(
        ValueRefused,
        match=r"^overlap: 9.5% of what that policy would show .* \(0.0% as other habits.* at most 5.0% may be",
    ):
        outside_share([*few, few[-1]], POLICY)


def test_a_small_effective_sample_is_refused_with_its_size() -> None:
    many, few = drawn(100, 80), drawn(40, 32)
    choices = choices_of(many, nothing_bought(), 7)
    # Always b: 20 decisions of weight 5.
    overlap = overlap_of(choices, 0.01, POLICY)
    assert (overlap.n, overlap.n_customers, overlap.outside) == (100, 100, 0.01)
    assert (overlap.effective, overlap.max_weight, overlap.heaviest) == pytest.approx((20.0, 5.0, 0.5))
    with pytest.raises(ValueRefused, match=r"^effective sample: 40 decisions tell as much .* as 8 of its own, 20 are"):
        overlap_of(choices_of(few, nothing_bought(), 7), 0.0, POLICY)


def test_a_slot_has_every_outcome_by_every_estimate_and_what_exploring_cost() -> None:
    looked = drawn(100, 80)
    choices = choices_of(looked, nothing_bought(), 7)
    bought_b = np.array([float(each.draw.chosen == "b") for each in looked])
    overlap = overlap_of(choices, 0.0, POLICY)
    cost = exploring_cost(looked)
    assert cost == pytest.approx(0.2 * (1.0 - 0.5) / 1.0)
    slot = slot_value("stretch", overlap, choices, {"taken": bought_b}, cost=cost, seed=1)
    assert slot.logged == {"taken": pytest.approx(0.2)}
    assert slot.found["taken"][IPS].value.value == pytest.approx(1.0)
    assert slot.found["taken"][DR].value.value == pytest.approx(1.0, abs=0.05)
