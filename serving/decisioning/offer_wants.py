"""What somebody wants of each offer: which of its products they are likely to buy, how surely, and whether it is time.

Chances are of seven days, as the bundle has them; `within` carries them to any other time, at a constant pace.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
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
        return max(self.found, key=_voice, default=None)


NO_WANTS = Wants()
Found = defaultdict[int, Wants]


def _voice(want: Want) -> tuple[float, int]:
    return want.p7 * want.moment, -want.product


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

    def find(self, asked: Wanting, mask: int = -1) -> dict[int, Wants]:
        """Return what they want by the offer's row; an offer of which they want nothing in particular is missing.

        Only of offers whose bits are set in `mask`. Cost: linear in their habits and candidates, times the offers that
        are for each.
        """
        found: defaultdict[int, Wants] = defaultdict(Wants)
        habits = list(asked.taste.habits())
        just_bought = {each.type for each in habits if self._pace.is_just_bought(each, asked.today)}
        self._add_own(found, asked, just_bought, mask)
        self._add_types(found, asked, habits, just_bought, mask)
        self._add_products(found, asked, just_bought, mask)
        self._add_categories(found, asked, just_bought, mask)
        for category, p7 in asked.favourites:
            for part in self._offers.of_category.get(category, ()):
                if mask >> part.offer & 1:
                    wants = found[part.offer]
                    wants.favourite = max(wants.favourite, (p7 * part.share, category))
        return found

    def _add_own(self, found: Found, asked: Wanting, just_bought: Collection[int], mask: int) -> None:
        """Add what they buy again, by product."""
        for habit in self._own(asked.taste, mask):
            if habit.product in asked.closed:
                continue
            offers = self._offers.of_product(habit.product, mask)
            if habit.type in just_bought or self._pace.is_just_bought(habit, asked.today):
                for offer in offers:
                    found[offer].n_just_bought += 1
                continue
            want = self._of_habit(asked, habit, habit.product, habit.p7)
            is_due = not want.is_defended and self._pace.is_due(habit, asked.end_day)
            for offer in offers:
                wants = found[offer]
                wants.add(want)
                if is_due:
                    wants.none_due *= 1.0 - habit.p7

    def _own(self, taste: Taste, mask: int) -> Iterable[Habit]:
        """Return what they buy again that any of the offers is for."""
        masks = self._offers.masks
        if taste.is_live:
            return [each for each in taste.again() if masks[each.product] & mask]
        covered = [each for each in taste.again_products() if masks[each] & mask]
        return [each for each in taste.again_of(covered) if each is not None]

    def _add_types(
        self, found: Found, asked: Wanting, habits: list[Habit], just_bought: Collection[int], mask: int
    ) -> None:
        """Add what they buy again by type, as far as the offer has what sells of that type."""
        of_type, offers = self._offers.of_type, self._offers.offers
        for habit in habits:
            for part in of_type.get(habit.type, ()):
                if not mask >> part.offer & 1:
                    continue
                wants = found[part.offer]
                if habit.type in just_bought:
                    wants.n_just_bought += 1
                    continue
                p7 = habit.p7 * part.share
                product = habit.product if habit.product in offers[part.offer].products else part.product
                if product not in asked.closed and wants.none.get(habit.type, 1.0) > 1.0 - p7:
                    wants.raise_to(self._of_habit(asked, habit, product, p7, is_type=True))

    def _add_products(self, found: Found, asked: Wanting, just_bought: Collection[int], mask: int) -> None:
        """Add products that they never bought and may take to."""
        shelf, masks = self._shelf, self._offers.masks
        for each in asked.taste.discoveries():
            product = each.product
            if not masks[product] & mask or product in asked.closed:
                continue
            kind = shelf.type[product]
            if kind in just_bought or shelf.flags[product] & UNASKED:
                continue
            want = Want(product, kind, each.p7, self._moment_of_sign(each, asked.today), discovery=each)
            for offer in self._offers.of_product(product, mask):
                found[offer].add(want)

    def _add_categories(self, found: Found, asked: Wanting, just_bought: Collection[int], mask: int) -> None:
        """Add categories that are new to them."""
        shelf, neutral = self._shelf, self._policy.neutral_timeliness
        for stretch in asked.taste.stretches():
            for part in self._offers.of_category.get(stretch.category, ()):
                if not mask >> part.offer & 1:
                    continue
                product, share = _best_there(stretch, self._offers.offers[part.offer], part)
                kind = shelf.type[product]
                if product not in asked.closed and kind not in just_bought and not shelf.flags[product] & UNASKED:
                    found[part.offer].raise_to(Want(product, kind, stretch.p7 * share, neutral, stretch=stretch))

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
