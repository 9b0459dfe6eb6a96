"""An experiment measured: the checks that it must pass first, its effects, by tier, and as they looked day by day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from serving.experiments import LiftPolicy
from training.errors import LiftRefused
from training.intervals import Interval
from training.lift_estimates import Effect, effect, sample_ratio_chance
from training.lift_exposures import Exposures, Question
from training.lift_outcomes import CONVERSION, DAY_US, METRICS, VALUE, BoolArray, Outcomes


@dataclass(frozen=True)
class Look:
    """The always-valid interval of an arm's effect on `value`, as it stood at the end of a day."""

    at_us: int
    n: int
    interval: Interval


@dataclass(frozen=True)
class ArmLift:
    """What one arm brought against the control: by metric, of `value` by tier (those large enough), and by day."""

    arm: str
    effects: Mapping[str, Effect]
    by_tier: Mapping[str, Effect]
    looks: tuple[Look, ...]


@dataclass(frozen=True)
class Lift:
    """An experiment measured up to `until_us`. `counts`: exposed, by arm; `measured`: those whose days are over."""

    question: Question
    policy: LiftPolicy
    currency: str
    counts: Mapping[str, int]
    measured: Mapping[str, int]
    sample_ratio: float
    until_us: int
    n_forgotten: int
    arms: tuple[ArmLift, ...]


def check_sample_ratio(exposures: Exposures, policy: LiftPolicy) -> float:
    """Return how likely arms of these sizes are; LiftRefused where they can't be what their shares say."""
    counts = exposures.counts()
    chance = sample_ratio_chance(list(counts.values()), list(exposures.shares.values()))
    if chance < policy.sample_ratio_p:
        total, whole = sum(counts.values()), sum(exposures.shares.values())
        sizes = ", ".join(
            f"{arm} {n:,} ({total * exposures.shares[arm] / whole:,.0f} expected)" for arm, n in counts.items()
        )
        raise LiftRefused(
            f"sample ratio: {sizes}: as uneven as that with a chance of {chance:.2g}, less than "
            f"{policy.sample_ratio_p:g}; something but the draw decides who is in which arm, so nothing can be said"
        )
    return chance


def check_enough(outcomes: Outcomes, arms: tuple[str, ...], policy: LiftPolicy) -> dict[str, int]:
    """Return how many customers of each arm were measured; LiftRefused where that is too little to say anything."""
    members = {arm: outcomes.arm == arm for arm in arms}
    counts = {arm: int(mask.sum()) for arm, mask in members.items()}
    if min(counts.values()) < policy.min_customers:
        raise LiftRefused(
            f"customers: {_listed(counts)} were exposed at least {policy.days} days ago, {policy.min_customers:,} "
            f"an arm are needed ({outcomes.n_waiting:,} more wait for their {policy.days} days to be over)"
        )
    buyers = {arm: int(outcomes.outcomes[CONVERSION][mask].sum()) for arm, mask in members.items()}
    if min(buyers.values()) < policy.min_buyers:
        raise LiftRefused(f"buyers: {_listed(buyers)} bought anything, {policy.min_buyers:,} an arm are needed")
    return counts


def measure(question: Question, outcomes: Outcomes, policy: LiftPolicy) -> tuple[ArmLift, ...]:
    """Return what each arm but the control brought."""
    return tuple(_arm_lift(question, arm, outcomes, policy) for arm in question.arms[1:])


def _arm_lift(question: Question, arm: str, outcomes: Outcomes, policy: LiftPolicy) -> ArmLift:
    everybody = np.ones(len(outcomes.arm), dtype=bool)
    compared = _Compared(question, arm, outcomes, policy)
    tiers = sorted({str(each) for each in outcomes.tier})
    by_tier = {tier: outcomes.tier == tier for tier in tiers} if len(tiers) > 1 else {}
    return ArmLift(
        arm,
        {metric: compared.effect(metric, everybody) for metric in METRICS},
        {tier: compared.effect(VALUE, mask) for tier, mask in by_tier.items() if compared.is_enough(mask)},
        tuple(_looks(compared, outcomes, policy)),
    )


def _looks(compared: _Compared, outcomes: Outcomes, policy: LiftPolicy) -> Iterator[Look]:
    """Yield what one would have seen day by day, from when there was enough to say anything."""
    over_us = outcomes.exposed_us + policy.days * DAY_US
    for at_us in np.unique(-(-over_us // DAY_US) * DAY_US):
        mask = over_us <= at_us
        if compared.is_enough(mask):
            yield Look(int(at_us), int(mask.sum()), compared.effect(VALUE, mask).always)


@dataclass(frozen=True)
class _Compared:
    """An arm beside the control."""

    question: Question
    arm: str
    outcomes: Outcomes
    policy: LiftPolicy

    def effect(self, metric: str, mask: BoolArray) -> Effect:
        """Return the effect among the customers of a mask."""
        treated, control = self._arms(mask)
        return effect(
            self.outcomes.sample(metric, treated),
            self.outcomes.sample(metric, control),
            planned=self.policy.planned_customers,
            n_comparisons=len(self.question.arms) - 1,
        )

    def is_enough(self, mask: BoolArray) -> bool:
        """Say whether either arm has enough customers, and buyers, among those of a mask."""
        bought = self.outcomes.outcomes[CONVERSION]
        return all(
            arm.sum() >= self.policy.min_customers and bought[arm].sum() >= self.policy.min_buyers
            for arm in self._arms(mask)
        )

    def _arms(self, mask: BoolArray) -> tuple[BoolArray, BoolArray]:
        return mask & (self.outcomes.arm == self.arm), mask & (self.outcomes.arm == self.question.control)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} of {arm!r}" for arm, n in counts.items())
