"""Which stretches are worth the most, to a customer and to the shop, and which product stands for each.

A stretch is ranked by its chance x the root of what a piece of its category usually brings: of the category, as any of
its products counts, and the root, as a challenge pays only when all three are bought (docs/adr/0011). Most are never
looked at: a chance within days rises with that within a week, so a stretch that is less likely than one before it, and
can gain less, does not come before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from operator import itemgetter
from typing import NamedTuple

from serving.api_codes import Level
from serving.candidates import Stretch, by_chance, chance_codes, made
from serving.decisioning.challenge_parts import Draft
from serving.decisioning.completion import Windows
from serving.decisioning.policy import StretchPolicy
from serving.decisioning.reasons import Reasons
from serving.numbers import Numbers
from serving.shares import SHARE
from serving.shelf import Shelf

# Seen again and again without an answer, a product falls below this, and is no stretch for a while.
_LEAST_WORTH = -1.0
_ROUNDING = 1.0 + 1e-9  # what floating point may do to the order of two chances is far less


class Worthy(NamedTuple):
    """A stretch that may be shown: `value` is what it is ranked by, ties by `chance`, then by place in the list."""

    value: float
    chance: float
    earliness: int
    product: int
    stretch: Stretch


_worthy_of: Callable[[tuple[float, float, int, int, Stretch]], Worthy] = partial(made, Worthy)
_rank: Callable[[Worthy], tuple[float, float, int]] = itemgetter(0, 1, 2)


class StretchRanking:
    """What ranks stretches, the same for every customer of a bundle."""

    def __init__(self, shelf: Shelf, numbers: Numbers, policy: StretchPolicy, reasons: Reasons) -> None:
        self.shelf = shelf
        self.windows = Windows(numbers.stretch_window)
        self.policy = policy
        self.reasons = reasons
        self.link_factor = 1.0 + policy.link_bonus
        self.worth = [math.sqrt(gain) for gain in shelf.category_gain]
        # What the chance of a stretch is multiplied by at most to rank it.
        self.most_worth = [each * self.link_factor * _ROUNDING for each in self.worth]
        self.may_be_named = [reasons.can_name_category(row) for row in range(len(shelf.category_names))]

    def is_linked(self, stretch: Stretch) -> bool:
        """Return whether one of the customer's habits leads to the category, and may be named."""
        is_strong = stretch.source >= 0 and stretch.lift >= self.policy.link_min_lift
        return is_strong and self.may_be_named[stretch.source]


class StretchChoice:
    """The stretches of one challenge, of categories that are not `closed`.

    Their products cost more than `floor`, money, where one is given; an unknown price (NaN) never does. `leanings` are
    the customer's.
    """

    def __init__(self, ranking: StretchRanking, draft: Draft, closed: set[int], floor: float | None) -> None:
        self._ranking = ranking
        self._draft = draft
        self._closed = closed
        self._floor = floor
        self._within = ranking.windows.of(draft.window.n_days)
        self.leanings = draft.taste.leanings()
        # What leanings can add at most to a product's worth; where events or boosts add as well, nobody knows.
        is_known = not draft.taste.is_live and not draft.display.has_boosts
        most = 0.0
        for _, share in self.leanings:
            most += ranking.policy.leaning_weight * max(share, 1.0 - share)
        self._most_added = most * _ROUNDING if is_known else math.inf

    def best(self) -> Worthy | None:
        """Return the first of `ranked`, without looking at all of them."""
        if self._draft.display.has_boosts or not self._within.is_rising:
            return next(iter(self.ranked()), None)
        worth, most_worth = self._ranking.worth, self._ranking.most_worth
        closed, may_be_named, within = self._closed, self._ranking.may_be_named, self._within
        is_linked, link_factor = self._ranking.is_linked, self._ranking.link_factor
        stretches = self._draft.taste.stretches()
        codes = chance_codes(stretches)
        best: Worthy | None = None
        value, ceiling = -math.inf, 1.0
        for place, category in by_chance(stretches):
            most = most_worth[category]
            if ceiling * most < value or category in closed or not may_be_named[category]:
                continue
            ceiling = within(stretches[place].p7 if codes is None else codes[place] * codes[place] / SHARE)
            if ceiling * most < value:
                continue
            stretch = stretches[place]
            linked = ceiling * link_factor if is_linked(stretch) else ceiling
            found = linked * worth[category]
            if found < value or (best is not None and (found, linked, -place) < best):
                continue
            product = self._product_of(stretch)
            if product >= 0:
                best, value = _worthy_of((found, linked, -place, product, stretch)), found
        return best

    def ranked(self) -> list[Worthy]:
        """Return all that may be shown, the highest chance x √margin first; a link with a habit counts extra."""
        stretches = enumerate(self._draft.taste.stretches())
        looked_at = (
            self._worthy(each, i, self._linked(each, self._within(each.p7)))
            for i, each in stretches
            if self._is_open(each.category)
        )
        return sorted((each for each in looked_at if each is not None), key=_rank, reverse=True)

    def _is_open(self, category: int) -> bool:
        return category not in self._closed and self._ranking.may_be_named[category]

    def _worthy(self, stretch: Stretch, place: int, linked: float) -> Worthy | None:
        product = self._product_of(stretch)
        if product < 0:
            return None
        ranked = self._draft.display.boosted(linked, product)
        return Worthy(ranked * self._ranking.worth[stretch.category], ranked, -place, product, stretch)

    def _linked(self, stretch: Stretch, chance: float) -> float:
        return chance * self._ranking.link_factor if self._ranking.is_linked(stretch) else chance

    def _product_of(self, stretch: Stretch) -> int:
        """Return the best product of a stretch category to show, by place, interest and leanings; -1 for none."""
        draft, shelf, policy, floor = self._draft, self._ranking.shelf, self._ranking.policy, self._floor
        prices, rank_step, most_added = shelf.known_price, policy.rank_step, self._most_added
        best, found = -math.inf, -1
        score = 1.0 + rank_step
        for product in stretch.products:
            score -= rank_step
            if best >= score + most_added:
                break
            if product < 0 or not (floor is None or prices[product] > floor):
                continue
            if draft.screen.withheld(product) is not None:
                continue
            worth = score + (draft.taste.shift(Level.PRODUCT, product) if draft.taste.is_live else 0.0)
            for flag, share in self.leanings:
                agreement = share if shelf.flags[product] & flag else 1.0 - share
                worth += policy.leaning_weight * agreement
            ranked = worth + draft.display.step(product) if draft.display.has_boosts else worth
            if worth > _LEAST_WORTH and ranked > best:
                best, found = ranked, product
        return found
