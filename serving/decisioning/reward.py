"""The reward of a challenge: as much as the expected extra margin allows, within the policy's share of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from serving.candidates import made
from serving.decisioning.policy import RewardPolicy

_SLACK = 1e-9  # floating point: 1.5 / 0.5 must count as three whole steps


class Stake(NamedTuple):
    """What one item brings: its chance within the window, its margin (money or None), and what share of it is extra."""

    chance: float
    margin: float | None
    extra_share: float


class Offered(NamedTuple):
    """What is granted when all three are done; `value` 0 means no reward. Money, in the shop's currency."""

    value: float
    cost: float
    expected_value: float


NO_REWARD = Offered(0.0, 0.0, 0.0)
stake_of: Callable[[tuple[float, float | None, float]], Stake] = partial(made, Stake)


def reward_for(stakes: Sequence[Stake], completion: float, policy: RewardPolicy) -> Offered:
    """Return the largest reward whose expected cost stays within the policy's share of the expected extra margin.

    The extra margin is the sum over the items of chance x margin x extra share; an unknown margin counts as none. The
    expected cost is `completion` x cost. The value is a whole number of steps from `min_value` to `max_value`, or 0.
    `expected_value` is the extra margin less the expected cost.
    """
    known = [chance * margin * share for chance, margin, share in stakes if margin is not None and margin > 0.0]
    extra = sum(known, 0.0)
    unit_cost = completion * policy.cost_rate
    affordable = policy.share_of_extra_margin * extra
    limit = policy.max_value if unit_cost <= 0.0 else min(affordable / unit_cost, policy.max_value)
    value = round(math.floor(limit / policy.step + _SLACK) * policy.step, 6)
    if extra <= 0.0 or value < policy.min_value or unit_cost * value > affordable + _SLACK:
        return Offered(0.0, 0.0, round(extra, 6))
    return Offered(value, round(value * policy.cost_rate, 6), round(extra - unit_cost * value, 6))
