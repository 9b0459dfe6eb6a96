"""What is shown instead of the best, at random and with known odds, so that other policies can be valued from the log.

Epsilon-greedy over the best few: with probability ``1 - share`` the best option stands, else one of the best `among`
is drawn, each as likely as the other. So no option that may be drawn is rarer than ``share / among``, and no weight of
an inverse-propensity estimate exceeds its inverse. What a draw costs is ``share`` times how far the mean of those
options stands below the best one (`expected_cost`); docs/experiments.md has what that comes to.

Pure: the decision's id, 128 bits that nobody can guess, is the randomness. So the same decision, asked for again, draws
the same, in whatever order and on whatever machine, and two slots of one decision draw independently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from typing import NamedTuple

from serving.state.known import Draw, Odds, Trace

STRETCH, FIRST_OFFER = "stretch", "first_offer"
"""The slots that are drawn: a challenge's third item, and the offer that stands first."""


class Option(NamedTuple):
    """Something that the rules left; `weight` is what it is ranked by (the more, the better)."""

    id: str
    weight: float


@dataclass(frozen=True, slots=True)
class Lots:
    """Draws the slots of one decision: `share` of the time among the best `among`, by the decision's id `seed`.

    What is drawn is noted in `trace`. Where that says which option is wanted (a decision made anew for a comparison),
    that one is taken, at its own odds.
    """

    share: float
    among: int
    seed: str
    trace: Trace

    def place(self, slot: str, options: Sequence[Option]) -> int:
        """Return which of the options to take: they come best first, and there is at least one."""
        draw = drawn(options[: self.among], self.share, slot=slot, seed=self.seed)
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


def odds(n: int, share: float) -> tuple[float, ...]:
    """Return the probability of each of `n` options, best first: they add up to 1.

    >>> odds(4, 0.2)
    (0.85, 0.05, 0.05, 0.05)
    >>> odds(1, 0.2), odds(3, 0.0)
    ((1.0,), (1.0, 0.0, 0.0))
    """
    if n == 1:
        return (1.0,)
    each = share / n
    return (1.0 - (n - 1) * each, *[each] * (n - 1))


def drawn(options: Sequence[Option], share: float, *, slot: str, seed: str) -> Draw:
    """Return what is drawn among the options, best first and at least one, with the odds of each."""
    chances = odds(len(options), share)
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

    >>> expected_cost(drawn([Option("a", 1.0), Option("b", 0.5)], 0.2, slot="s", seed="d"))
    0.05
    """
    best = max(each.weight for each in draw.among)
    return sum(each.probability * (best - each.weight) for each in draw.among)
