"""`tercet replay --value`: what another policy would have brought, from the decisions that were drawn at random.

The checks come first: nothing is valued that the log can't tell.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from serving.decisioning.exploring import expected_cost
from serving.decisioning.policy_exploration import ExplorationPolicy
from training.errors import ValueRefused
from training.off_policy import Choices, Estimate, FloatArray, effective_sample, estimates
from training.off_policy_choices import Looked

N_WEIGHED = 10
"""How many of the heaviest decisions are looked at together."""

_UNLIKELY = 0.0001
_SURELY_OUTSIDE = 1.0 - 1e-9


@dataclass(frozen=True)
class Overlap:
    """How far the log speaks of the other policy.

    `outside`: the share of what it would show that the log never shows. `heaviest`: the share of all weight that the
    ten heaviest decisions carry.
    """

    n: int
    n_customers: int
    outside: float
    effective: float
    max_weight: float
    heaviest: float


@dataclass(frozen=True)
class SlotValue:
    """One kind of draw valued: what the log brought by outcome, and the other policy by outcome and estimate.

    `cost` is what exploring gave up, as a share of what the best options are ranked by.
    """

    slot: str
    overlap: Overlap
    cost: float
    logged: Mapping[str, float]
    found: Mapping[str, Mapping[str, Estimate]]


@dataclass(frozen=True)
class Valuation:
    """A policy valued by decisions made in [from_us, to_us], each with the `days` that count.

    `refused` has the kinds of draws that can't be valued, with the reason; `left_out` decisions that can't be looked at
    again, and `n_waiting` those whose days are not over.
    """

    name: str
    from_us: int
    to_us: int
    currency: str
    days: int
    slots: tuple[SlotValue, ...]
    refused: Mapping[str, str]
    left_out: Mapping[str, int]
    n_waiting: int


def check_drawn(n_decisions: int, looked: Sequence[Looked], left_out: Counter[str]) -> None:
    """Raise ValueRefused where there is nothing to value by, and say why."""
    if looked:
        return
    if left_out:
        reasons = "; ".join(f"{n:,}: {why}" for why, n in left_out.most_common())
        raise ValueRefused(f"propensities: no decision that was drawn at random can be looked at again: {reasons}")
    if not n_decisions:
        raise ValueRefused("propensities: no challenge and no offers answer of that time is kept")
    raise ValueRefused(
        f"propensities: none of the {n_decisions:,} decisions of that time was drawn at random; set stretch_share or "
        "offer_share of [exploration] in policy.toml, bring it into force (tercet promote --policy), and come back "
        "when some weeks have been logged"
    )


def check_arm(labels: Counter[str], arm: str | None) -> None:
    """Raise ValueRefused where drawn decisions of several arms are mixed, or none is of the arm that is asked for."""
    listed = ", ".join(f"{label} ({n:,})" for label, n in sorted(labels.items()))
    if arm is None and len(labels) > 1:
        raise ValueRefused(f"arms: drawn decisions of several arms are mixed: {listed}; name one with --arm")
    if arm is not None and labels and arm not in labels:
        raise ValueRefused(f"arms: no decision of {arm!r} was drawn; there are {listed}")


def check_odds(looked: Sequence[Looked]) -> None:
    """Raise ValueRefused where the best options came more or less often than the logged odds allow."""
    best = np.array([each.draw.among[0].probability for each in looked])
    came = np.array([each.draw.chosen == each.draw.among[0].id for each in looked], dtype=np.float64)
    spread = math.sqrt(float((best * (1 - best)).sum()))
    if spread == 0.0:
        return
    chance = 2 * float(norm.sf(abs(float((came - best).sum())) / spread))
    if chance < _UNLIKELY:
        raise ValueRefused(
            f"odds: the best option came {int(came.sum()):,} times, and by the logged odds {best.sum():,.0f}: a chance "
            f"of {chance:.2g}; something but the draw decides which decisions are logged, so nothing can be said"
        )


def outside_share(looked: Sequence[Looked], policy: ExplorationPolicy) -> float:
    """Return the share of what the other policy would show that is outside of the log; ValueRefused if it is large."""
    outside = float(np.mean([each.outside for each in looked]))
    if outside > policy.max_outside:
        otherwise = float(np.mean([each.comes_otherwise for each in looked]))
        raise ValueRefused(
            f"overlap: {outside:.1%} of what that policy would show is nothing that the log may show ({otherwise:.1%} "
            "as other habits, rewards or offers come with it), at most "
            f"{policy.max_outside:.1%} may be (max_outside of [exploration]); value a policy that is nearer, explore "
            "more widely (among), or compare the two in an experiment (tercet lift)"
        )
    return outside


def is_inside(looked: Looked) -> bool:
    """Say whether the other policy may show something that the log may show."""
    return looked.outside < _SURELY_OUTSIDE


def overlap_of(choices: Choices, outside: float, policy: ExplorationPolicy) -> Overlap:
    """Return how far the log speaks of the other policy; ValueRefused where the effective sample is too small."""
    weights = choices.weights
    effective = effective_sample(weights)
    if effective < policy.min_effective:
        raise ValueRefused(
            f"effective sample: {len(weights):,} decisions tell as much of that policy as {effective:,.0f} of its "
            f"own, {policy.min_effective:,} are needed (min_effective of [exploration]); take a longer time (--from), "
            "explore more (stretch_share, offer_share), or value a policy that is nearer"
        )
    heaviest = np.sort(weights)[::-1][:N_WEIGHED].sum() / weights.sum()
    n_customers = len(np.unique(choices.customer))
    return Overlap(len(weights), n_customers, outside, effective, float(weights.max()), float(heaviest))


def exploring_cost(looked: Sequence[Looked]) -> float:
    """Return the share of what the best options are ranked by that drawing others gives up, as the engine expects."""
    best = sum(max(option.weight for option in each.draw.among) for each in looked)
    return sum(expected_cost(each.draw) for each in looked) / best if best > 0 else 0.0


def slot_value(
    slot: str,
    overlap: Overlap,
    choices: Choices,
    outcomes: Mapping[str, FloatArray],
    *,
    cost: float,
    seed: int,
) -> SlotValue:
    """Return the value of one kind of draw; `cost` is what exploring gave up, as a share.

    By the `seed` all outcomes go by the same folds.
    """
    return SlotValue(
        slot,
        overlap,
        cost,
        {name: float(values.mean()) for name, values in outcomes.items()},
        {name: estimates(choices, values, np.random.default_rng(seed)) for name, values in outcomes.items()},
    )
