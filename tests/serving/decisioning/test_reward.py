from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from serving.decisioning.policy import default_policy
from serving.decisioning.reward import Stake, reward_for

POLICY = replace(
    default_policy().reward, share_of_extra_margin=0.5, step=0.5, min_value=0.5, max_value=5.0, cost_rate=1.0
)
STAKES = st.lists(
    st.builds(Stake, st.floats(0, 1), st.none() | st.floats(-5, 100), st.floats(0, 1)), min_size=3, max_size=3
)


@given(STAKES, st.floats(1e-6, 1), st.floats(0, 1), st.floats(0, 1))
def test_expected_cost_stays_within_the_share_of_the_extra_margin(
    stakes: list[Stake], completion: float, share: float, cost_rate: float
) -> None:
    policy = replace(POLICY, share_of_extra_margin=share, cost_rate=cost_rate)
    offered = reward_for(stakes, completion, policy)
    extra = sum(each.chance * max(each.margin or 0, 0) * each.extra_share for each in stakes)
    assert completion * offered.cost <= share * extra + 1e-6
    assert offered.expected_value >= -1e-6
    assert offered.value == 0 or policy.min_value <= offered.value <= policy.max_value
    assert abs(offered.value / policy.step - round(offered.value / policy.step)) < 1e-6


def test_a_reward_is_half_of_the_extra_margin_over_the_chance_rounded_down() -> None:
    # Extra margin .1 x 4 = .4; half of it over a chance of .15 is 1.33, in steps of .5: 1.
    offered = reward_for([Stake(0.1, 4.0, 1.0)], 0.15, POLICY)
    assert (offered.value, offered.cost) == (1.0, 1.0)
    assert offered.expected_value == round(0.4 - 0.15, 6)


def test_whole_steps_are_not_lost_to_floating_point() -> None:
    # Half of .3 over .1 is 1.5 exactly, in arithmetic if not in floating point.
    assert reward_for([Stake(0.1, 3.0, 1.0)], 0.1, POLICY).value == 1.5


def test_no_price_no_reward() -> None:
    offered = reward_for([Stake(0.5, None, 1.0)] * 3, 0.1, POLICY)
    assert (offered.value, offered.cost, offered.expected_value) == (0.0, 0.0, 0.0)


def test_too_small_a_reward_is_not_offered_and_a_large_one_is_cut() -> None:
    assert reward_for([Stake(0.1, 1.0, 1.0)], 0.5, POLICY).value == 0.0
    assert reward_for([Stake(1.0, 100.0, 1.0)], 0.01, POLICY).value == 5.0


def test_a_reward_that_costs_nothing_is_the_largest() -> None:
    offered = reward_for([Stake(0.1, 1.0, 1.0)], 0.5, replace(POLICY, cost_rate=0.0))
    assert (offered.value, offered.cost) == (5.0, 0.0)
