"""What somebody wants of each offer: which of its products they are likely to buy, how surely, and whether it is time.

Chances are of seven days, as the bundle has them; `within` carries them to any other time, at a constant pace.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from serving.bundle_format import INTIMATE, RESTRICTED
from serving.candidates import Discovery, Habit, Stretch
from serving.decisioning.policy_offers import LAPSING, LEAVING, OffersPolicy
from serving.decisioning.rules import Pace
from serving.offer_shelf import Offer, OfferShelf, Part
from serving.shelf import Shelf
from serving.taste import Taste

WEEK_DAYS = 7.0
UNASKED = RESTRICTED | INTIMATE
"""What is offered only to those who buy it already."""


class Want(NamedTuple):
    """A product of an offer that they are likely to buy within seven days, and what speaks for it.

    `moment` says how well the time fits, 0 to 1. `habit` is one of their own, by product or (`is_type`) by type;
    without any, it is new to them.
    """

    product: int
    type: int
    p7: float
    moment: float
    habit: Habit | None = None
    discovery: Discovery | None = None
    stretch: Stretch | None = None
    is_type: bool = False
    is_defended: bool = False


@dataclass(slots=True)
class Wants:
    """What one customer wants of one offer. Each product type counts by its chance; types are as if independent."""

    found: list[Want] = field(default_factory=list)
    none: dict[int, float] = field(default_factory=dict)  # by type: the chance that they buy none of it
    none_due: float = 1.0
    n_just_bought: int = 0
    favourite: tuple[float, int] = (0.0, -1)  # the chance within seven days, and the category that it is of

    def add(self, want: Want) -> None:
        """Count a product for which its own chance is known."""
        self.found.append(want)
        self.none[want.type] = self.none.get(want.type, 1.0) * (1.0 - want.p7)

    def raise_to(self, want: Want) -> None:
        """Count a type whose chance is at least that of the want, whatever is known of its single products."""
        if self.none.get(want.type, 1.0) > 1.0 - want.p7:
            self.none[want.type] = 1.0 - want.p7
            self.found.append(want)

    @property
    def has_own(self) -> bool:
        """Whether some of it is what they buy already."""
        return self.n_just_bought > 0 or any(each.habit is not None for each in self.found)

    @property
    def p7(self) -> float:
        """The chance that they buy any of it within seven days."""
        return max(1.0 - math.prod(self.none.values()), self.favourite[0])

    @property
    def strongest(self) -> Want | None:
        """The want that speaks most for the offer now: by its chance and its moment; ties go to the lower product."""
        return max(self.found, key=lambda each: (each.p7 * each.moment, -each.product), default=None)


NO_WANTS = Wants()


def within(p7: float, days: float) -> float:
    """Return the chance within `days` of a chance within seven, at a constant pace.

    Examples
    --------
    >>> within(0.5, 14.0), within(0.5, 0.0)
    (0.75, 0.0)
    """
    return 1.0 - math.pow(1.0 - p7, days / WEEK_DAYS)


@dataclass(frozen=True, slots=True)
class Wanting:
    """Who wants: their taste as of the local day `today`; what is due before `end_day` would be bought in time.

    `closed` are products that are out of the question: excluded, in the basket or turned away. `favourites` are
    categories with the chance that they buy there within seven days; `may_leave`: they are likely to leave the shop.
    """

    taste: Taste
    today: int
    end_day: int
    closed: Collection[int] = ()
    favourites: Collection[tuple[int, float]] = ()
    may_leave: bool = False


class WantFinder:
    """Matches what customers want with the offers of a bundle."""

    def __init__(self, shelf: Shelf, offers: OfferShelf, policy: OffersPolicy, *, pace: Pace, half_life_days: float):
        """Take the days after which a sign of interest is half as timely."""
        self._shelf = shelf
        self._offers = offers
        self._policy = policy
        self._pace = pace
        self._half_life_days = half_life_days
        self._defended = frozenset(each.casefold() for each in policy.defend_habits)

    def find(self, asked: Wanting) -> dict[int, Wants]:
        """Return what they want by the offer's row; an offer of which they want nothing in particular is missing.

        Cost: linear in their habits and candidates, times the offers that are for each.
        """
        found: dict[int, Wants] = {}
        habits = list(asked.taste.habits())
        just_bought = {each.type for each in habits if self._pace.is_just_bought(each, asked.today)}
        self._add_own(found, asked, just_bought)
        self._add_types(found, asked, habits, just_bought)
        self._add_new(found, asked, just_bought)
        for category, p7 in asked.favourites:
            for part in self._offers.of_category.get(category, ()):
                wants = found.setdefault(part.offer, Wants())
                wants.favourite = max(wants.favourite, (p7 * part.share, category))
        return found

    def _add_own(self, found: dict[int, Wants], asked: Wanting, just_bought: Collection[int]) -> None:
        """Add what they buy again, by product."""
        for habit in asked.taste.again():
            offers = self._offers.of_product(habit.product)
            if not offers or habit.product in asked.closed:
                continue
            if habit.type in just_bought or self._pace.is_just_bought(habit, asked.today):
                for offer in offers:
                    found.setdefault(offer, Wants()).n_just_bought += 1
                continue
            want = self._of_habit(asked, habit, habit.product, habit.p7)
            is_due = not want.is_defended and self._pace.is_due(habit, asked.end_day)
            for offer in offers:
                wants = found.setdefault(offer, Wants())
                wants.add(want)
                wants.none_due *= 1.0 - habit.p7 if is_due else 1.0

    def _add_types(
        self, found: dict[int, Wants], asked: Wanting, habits: list[Habit], just_bought: Collection[int]
    ) -> None:
        """Add what they buy again by type, as far as the offer has what sells of that type."""
        for habit in habits:
            for part in self._offers.of_type.get(habit.type, ()):
                wants = found.setdefault(part.offer, Wants())
                if habit.type in just_bought:
                    wants.n_just_bought += 1
                    continue
                offer = self._offers.offers[part.offer]
                product = habit.product if habit.product in offer.products else part.product
                if product not in asked.closed:
                    wants.raise_to(self._of_habit(asked, habit, product, habit.p7 * part.share, is_type=True))

    def _add_new(self, found: dict[int, Wants], asked: Wanting, just_bought: Collection[int]) -> None:
        """Add what they never bought: products that they may take to, and categories that are new to them."""
        shelf = self._shelf
        for each in asked.taste.discoveries():
            product = each.product
            offers = self._offers.of_product(product)
            kind = shelf.type[product]
            if not offers or product in asked.closed or kind in just_bought or shelf.flags[product] & UNASKED:
                continue
            want = Want(product, kind, each.p7, self._moment_of_sign(each, asked.today), discovery=each)
            for offer in offers:
                found.setdefault(offer, Wants()).add(want)
        for stretch in asked.taste.stretches():
            for part in self._offers.of_category.get(stretch.category, ()):
                product, share = _best_there(stretch, self._offers.offers[part.offer], part)
                kind = shelf.type[product]
                if product in asked.closed or kind in just_bought or shelf.flags[product] & UNASKED:
                    continue
                want = Want(product, kind, stretch.p7 * share, self._policy.neutral_timeliness, stretch=stretch)
                found.setdefault(part.offer, Wants()).raise_to(want)

    def _of_habit(self, asked: Wanting, habit: Habit, product: int, p7: float, *, is_type: bool = False) -> Want:
        moment = self._moment_of_habit(habit, asked.today)
        return Want(
            product,
            habit.type,
            p7,
            moment,
            habit=habit,
            is_type=is_type,
            is_defended=self._is_defended(asked, habit),
        )

    def _is_defended(self, asked: Wanting, habit: Habit) -> bool:
        defended = self._defended
        if not defended:
            return False
        return (
            (LAPSING in defended and self.is_lapsing(habit, asked.today))
            or (LEAVING in defended and asked.may_leave)
            or self._shelf.category_names[self._shelf.type_category[habit.type]].casefold() in defended
        )

    def is_lapsing(self, habit: Habit, today: int) -> bool:
        """Return whether a habit with a pace has not been kept for so many times its usual gap."""
        if habit.gap_days is None:
            return False
        return today - habit.last_day > self._policy.lapsing_ratio * max(habit.gap_days, 1.0)

    def _moment_of_habit(self, habit: Habit, today: int) -> float:
        """Return how well the time fits a habit: 1 from when it is due until it lapses, less before and after."""
        if habit.gap_days is None:
            return self._policy.neutral_timeliness
        gap = max(habit.gap_days, 1.0)
        late = (today - habit.due_day) / gap
        if late < 0.0:
            return max(1.0 + late, 0.0)
        return min(self._policy.lapsing_ratio / (1.0 + late), 1.0)

    def _moment_of_sign(self, found: Discovery, today: int) -> float:
        """Return how well the time fits interest: 1 on its day, halved with each half-life, neutral at the least."""
        neutral = self._policy.neutral_timeliness
        if found.sign is None:
            return neutral
        return max(math.exp2(-max(today - found.sign.day, 0) / self._half_life_days), neutral)


def _best_there(stretch: Stretch, offer: Offer, part: Part) -> tuple[int, float]:
    """Return the product of an offer that a stretch is best made by, and the share of the stretch's chance it has."""
    best = next((each for each in stretch.products if each in offer.products), None)
    return (part.product, part.share) if best is None else (best, 1.0)


def likely_first(wants: Wants, offer: Offer) -> Iterator[int]:
    """Yield the products of an offer, the likeliest for them first, then what sells best; none twice."""
    seen: set[int] = set()
    for each in sorted(wants.found, key=lambda want: (-want.p7, want.product)):
        if each.product not in seen:
            seen.add(each.product)
            yield each.product
    for product in offer.best:
        if product not in seen:
            yield product
