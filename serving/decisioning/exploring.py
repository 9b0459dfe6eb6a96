"""What is shown instead of the best, at random and with known odds, so that other policies can be valued from the log.

The odds weigh by the gap (Abe and Long, ICML 1999; Foster and Rakhlin, ICML 2020): of the best `among` options, one
that is as good as the best is drawn with ``share / among``; one that is worth nothing is ``1 + caution`` times rarer;
between the two, the farther below, the rarer; and the best one gets all the rest. So nothing that may be drawn is rarer
than ``share / among / (1 + caution)``, whose inverse bounds the weights of an estimate: none has to be clipped.
At the same cost in expected value this gave twice the effective sample of drawing evenly (docs/experiments.md).

Pure: the decision's id, 128 bits that nobody can guess, is the randomness. So the same decision, asked for again, draws
the same, in whatever order and on whatever machine, and two slots of one decision draw independently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from typing import NamedTuple

from serving.decisioning.policy_exploration import ExplorationPolicy
from serving.state.known import Draw, Odds, Trace

STRETCH, FIRST_OFFER = "stretch", "first_offer"
"""The slots that are drawn: a challenge's third item, and the offer that stands first."""


class Option(NamedTuple):
    """Something that the rules left; `weight` is what it is ranked by (the more, the better)."""

    id: str
    weight: float


@dataclass(frozen=True, slots=True)
class Lots:
    """Draws the slots of one decision by its id, the `seed`; `share` is the policy's for this kind of slot.

    What is drawn is noted in `trace`. Where that says which option is wanted (a decision made anew for a comparison),
    that one is taken, at its own odds.
    """

    policy: ExplorationPolicy
    share: float
    seed: str
    trace: Trace

    def place(self, slot: str, options: Sequence[Option]) -> int:
        """Return which of the options to take: they come best first, and there is at least one."""
        best = options[: self.policy.among]
        draw = drawn(best, odds([each.weight for each in best], self.share, self.policy), slot=slot, seed=self.seed)
        wanted = self.trace.wanted.get(slot)
        ids = [each.id for each in options]
        if wanted in ids:
            draw = retaken(draw, wanted)
        self.trace.draw(draw)
        return ids.index(draw.chosen)

    def settle(self, slot: str, option_id: str) -> None:
        """Note what is shown for sure, unless the slot was drawn."""
        if all(each.slot != slot for each in self.trace.draws):
            self.trace.draw(Draw(slot, option_id, 1.0, (Odds(option_id, 1.0, 0.0),)))


def odds(weights: Sequence[float], share: float, policy: ExplorationPolicy) -> tuple[float, ...]:
    """Return the probability of each option by its weight, best first: they add up to 1.

    The gap of an option is how far its weight stands below the best one, as a share of that, at most 1; where the best
    weight is not above 0, all that weigh less have a gap of 1.

    >>> odds([2.0, 2.0, 0.0], 0.75, ExplorationPolicy(0.75, 0.0, 5, 1.0, 20, 0.0))
    (0.625, 0.25, 0.125)
    """
    best, n = weights[0], len(weights)
    others = [share / n / (1.0 + policy.caution * _gap(each, best)) for each in weights[1:]]
    return (1.0 - sum(others), *others)


def drawn(options: Sequence[Option], chances: Sequence[float], *, slot: str, seed: str) -> Draw:
    """Return what is drawn among the options, at least one, by the odds of each."""
    point = uniform(slot, seed)
    place = next((i for i, below in enumerate(accumulate(chances)) if point < below), 0)
    among = tuple(Odds(each.id, chance, each.weight) for each, chance in zip(options, chances, strict=True))
    return Draw(slot, options[place].id, chances[place], among)


def uniform(slot: str, seed: str) -> float:
    """Return the number in [0, 1) that decides a slot of the decision `seed`; as good as random for another seed."""
    digest = blake2b(f"{slot}\0{seed}".encode(), digest_size=8, person=b"tercet.draw").digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


def retaken(draw: Draw, option_id: str) -> Draw:
    """Return the draw as if it had fallen on another option, whose probability is 0 where it was not among them."""
    chance = next((each.probability for each in draw.among if each.id == option_id), 0.0)
    return Draw(draw.slot, option_id, chance, draw.among)


def expected_cost(draw: Draw) -> float:
    """Return how far the expected weight of what is drawn stands below that of the best option.

    >>> expected_cost(drawn([Option("a", 1.0), Option("b", 0.5)], [0.9, 0.1], slot="s", seed="d"))
    0.05
    """
    best = max(each.weight for each in draw.among)
    return sum(each.probability * (best - each.weight) for each in draw.among)


def _gap(weight: float, best: float) -> float:
    if best <= 0.0:
        return 0.0 if weight >= best else 1.0
    return min(max((best - weight) / best, 0.0), 1.0)
