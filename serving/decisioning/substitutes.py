"""Substitutes of a product: what meets the same need and may be shown, in the order that suits who asks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from serving.api_answers import Reason
from serving.bundle_format import INTIMATE, RESTRICTED
from serving.candidates import Candidates, Habit
from serving.decisioning.policy import SubstitutePolicy
from serving.decisioning.reasons import Reasons
from serving.decisioning.rules import Screen
from serving.shelf import Shelf
from serving.taste import Shopper


class Substitute(NamedTuple):
    """One line of the answer: `habit` is what is known of the customer's own purchases of it."""

    product: int
    score: float
    reason: Reason
    habit: Habit | None


class SubstituteMaker:
    """Ranks the substitutes of an open bundle for one call."""

    def __init__(self, shelf: Shelf, candidates: Candidates, policy: SubstitutePolicy, reasons: Reasons) -> None:
        self._shelf = shelf
        self._candidates = candidates
        self._policy = policy
        self._reasons = reasons

    def forbidden_flags(self, asked: int) -> int:
        """Return what may not stand in for a product: the restricted and the intimate, unless it is such itself."""
        return (RESTRICTED | INTIMATE) & ~self._shelf.flags[asked]

    def found(
        self, asked: int, shopper: Shopper, screen: Screen, today: int, step: Callable[[int], float]
    ) -> list[Substitute]:
        """Return all that may stand in for the product row `asked`, the best first; ties go to the better signal.

        `step` is what the merchants' rules add to a product's score for its place, not for what is shown.

        One who may be known is shown sooner what they have bought before and what suits their leanings, and later what
        is dearer than the product and than what they usually pay.
        """
        others = self._candidates.substitutes(asked)
        listed = [each for each in others if each[0] != asked and screen.withheld(each[0]) is None]
        products = [product for product, _ in listed]
        known: Sequence[Habit | None] = [None] * len(products)
        leanings: Sequence[tuple[int, float]] = ()
        if shopper.is_personal:
            known, leanings = shopper.taste.again_of(products), shopper.taste.leanings()
        made = []
        for (product, score), habit in zip(listed, known, strict=True):
            score += self._policy.own_weight if habit is not None else 0.0
            score += self._leaning(product, leanings) - self._dearness(product, asked, shopper)
            leaning = next((flag for flag, share in leanings if self._shelf.flags[product] & flag and share > 1 / 2), 0)
            reason = self._reasons.substitute(asked, habit=habit, today=today, leaning=leaning)
            made.append(Substitute(product, score, reason, habit))
        return sorted(made, key=lambda each: -each.score - step(each.product))

    def _leaning(self, product: int, leanings: Sequence[tuple[int, float]]) -> float:
        """Return what the customer's leanings add: the share of what they buy that is like it (or unlike, as it is)."""
        flags = self._shelf.flags[product]
        return self._policy.leaning_weight * sum(share if flags & flag else 1.0 - share for flag, share in leanings)

    def _dearness(self, product: int, asked: int, shopper: Shopper) -> float:
        """Return what the price takes off: by each doubling of the dearer of the asked price and their usual one."""
        usual = shopper.taste.usual_price() if shopper.is_personal else None
        price, asked_price = self._shelf.price(product), self._shelf.price(asked)
        if not usual or not price or not asked_price:
            return 0.0
        return self._policy.price_weight * max(math.log2(price / max(asked_price, usual)), 0.0)
