"""The three items of a challenge: two habits of different categories, and one stretch from a category that is new.

Where too few qualify, the rules are relaxed in this order, and each pick's reason says what it is:

habits: 1. what was not just bought, the likeliest within the window first; 2. the same by product; 3. what is popular
in the store, then everywhere, of a type that was not just bought.
stretch: 1. worth more than the customer usually pays, by chance and margin (`stretch_ranking`); 2. a popular product of
a new category that is worth more; 3. as 1, whatever its price; 4. as 2, whatever its price; 5. where every category is
known to them, a product that they never bought, or a popular one that isn't among what they buy again, worth more if
there is one.

What the merchants' rules pin goes before 1. where it is worth more and of a new category.

An item is never excluded, in the basket, out of stock, restricted or intimate, and no two share a category.

Where the policy explores, the stretch of 1. or 3. is drawn among the best few (`exploring`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from serving.api_answers import Reason
from serving.api_codes import Level, Role
from serving.candidates import Candidates, Habit, Neighbour, Stretch
from serving.decisioning.challenge_parts import Draft, Pick, pick_of
from serving.decisioning.completion import Windows, shifted
from serving.decisioning.exploring import STRETCH, Option
from serving.decisioning.policy import StretchPolicy
from serving.decisioning.reasons import Reasons
from serving.decisioning.rules import Pace, Withheld
from serving.decisioning.stretch_ranking import StretchChoice, StretchRanking
from serving.numbers import Numbers, between_days
from serving.shelf import Shelf

# Naming a member of an enum by its class takes 60 ns more than by a name of the module.
_HABIT, _STRETCH = Role.HABIT, Role.STRETCH
_PRODUCT, _TYPE, _CATEGORY = Level.PRODUCT, Level.PRODUCT_TYPE, Level.CATEGORY


class ChallengeMaker:
    """Chooses the items of challenges from a bundle's candidates, by the policy."""

    def __init__(
        self,
        shelf: Shelf,
        candidates: Candidates,
        *,
        numbers: Numbers,
        stretch: StretchPolicy,
        reasons: Reasons,
        pace: Pace,
    ) -> None:
        self._shelf = shelf
        self._candidates = candidates
        self._numbers = numbers
        self._policy = stretch
        self._habit_windows = Windows(numbers.habit_window)
        self._ranking = StretchRanking(shelf, numbers, stretch, reasons)
        self._reasons = reasons
        self._pace = pace

    def personal(self, draft: Draft) -> list[Pick]:
        """Return the items for a customer whom the bundle knows: up to three, habits first."""
        self._add_habits(draft)
        if draft.taste.is_cold:
            return self._add_suggestions(draft)
        if len(draft.picks) < draft.n_habits:
            self._add_popular(draft, draft.n_habits - len(draft.picks))
        if len(draft.picks) == draft.n_habits and draft.n_open:
            self._add_stretch(draft)
        return draft.picks

    def _add_suggestions(self, draft: Draft) -> list[Pick]:
        """Fill up for one known from events only: what these lead to, then what is popular; the last one is new."""
        known = draft.taste.recent_categories()
        for found in draft.taste.discoveries():
            if not draft.n_open:
                return draft.picks
            category = self._shelf.category[found.product]
            if len(draft.picks) < draft.n_habits or (category not in known and category not in draft.basket_categories):
                reason = self._reasons.discovery(found, draft.window.first_day)
                self._try_popular(draft, found.product, reason, least=found.p7)
        self._add_popular(draft, draft.n_open)
        return draft.picks

    def popular(self, draft: Draft, neighbours: Iterable[Neighbour]) -> list[Pick]:
        """Return the items for one whom nobody knows: what goes with the basket, then what is popular."""
        for neighbour in neighbours:
            if not draft.n_open:
                return draft.picks
            self._try_popular(draft, neighbour.product, self._reasons.together(neighbour, is_basket=True))
        self._add_popular(draft, draft.n_open)
        return draft.picks

    def _add_habits(self, draft: Draft) -> None:
        if not draft.n_habits:
            return
        for habit in draft.taste.habits():
            if self._pace.is_just_bought(habit, draft.window.first_day):
                draft.closed_types.add(habit.type)
                draft.screen.note(habit.product, Withheld.JUST_BOUGHT)
            elif self._try_habit(draft, habit, is_type=True):
                return
        for habit in draft.taste.again():
            if not self._pace.is_just_bought(habit, draft.window.first_day) and self._try_habit(
                draft, habit, is_type=False
            ):
                return

    def _try_habit(self, draft: Draft, habit: Habit, *, is_type: bool) -> bool:
        """Add the habit if nothing speaks against it; return whether the challenge now has its habits."""
        category = self._shelf.category[habit.product]
        is_open = category not in draft.categories and habit.type not in draft.closed_types
        if is_open and draft.screen.withheld(habit.product) is None:
            is_type = is_type and not self._shelf.stands_for_type(habit.product)
            window = draft.window
            is_of_several = is_type and draft.taste.is_of_several(habit)
            reason = self._reasons.habit(habit, today=window.first_day, end_day=window.end_day, is_type=is_of_several)
            chance = self._habit_windows.of(window.n_days)(habit.p7)
            level = _TYPE if is_type else _PRODUCT
            draft.picks.append(pick_of((habit.product, _HABIT, level, chance, reason, False, habit)))
            draft.categories.add(category)
        return len(draft.picks) >= draft.n_habits

    def _add_popular(self, draft: Draft, n_wanted: int) -> None:
        """Add up to `n_wanted` popular products of further categories."""
        if n_wanted <= 0:
            return
        n_picks = len(draft.picks) + n_wanted
        for product, reason in self._popular(draft):
            if len(draft.picks) >= n_picks:
                return
            self._try_popular(draft, product, reason)

    def _try_popular(self, draft: Draft, product: int, reason: Reason, *, least: float = 0.0) -> None:
        """Add the product if nothing speaks against it; `least` is the least that its chance within 7 days is."""
        category = self._shelf.category[product]
        is_open = category not in draft.categories and self._shelf.type[product] not in draft.closed_types
        if is_open and draft.screen.withheld(product) is None:
            role = draft.roles[len(draft.picks)]
            self._add(draft, self._population_pick(draft, product, role=role, reason=reason, least=least))

    def _population_pick(
        self, draft: Draft, product: int, *, role: Role, reason: Reason, is_new: bool = False, least: float = 0.0
    ) -> Pick:
        """Return a pick with the population's chance of what its role counts, as what they just did has moved it."""
        shelf = self._shelf
        if role is _STRETCH and not shelf.stands_for_category(product):
            level, row = _CATEGORY, shelf.category[product]
            p7 = shelf.category_p7[row]
        elif role is _HABIT and not shelf.stands_for_type(product):
            level, row = _TYPE, shelf.type[product]
            p7 = shelf.type_p7[row]
        else:
            level, row, p7 = _PRODUCT, product, shelf.p7[product]
        chance = max(shifted(p7, draft.taste.shift(level, row)), least) * self._population_share(draft)
        return Pick(product, role, level, chance, reason, is_new)

    def _population_share(self, draft: Draft) -> float:
        return between_days(self._numbers.population_window, draft.window.n_days)

    def _popular(self, draft: Draft) -> Iterator[tuple[int, Reason]]:
        in_store, anywhere = self._reasons.popular(in_store=True), self._reasons.popular(in_store=False)
        ordered, candidates = draft.display.ordered, self._candidates
        return chain(
            (
                (row, in_store)
                for row in ordered(("store", draft.store), lambda: candidates.popular_in_store(draft.store))
            ),
            ((row, anywhere) for row in ordered("popular", candidates.popular)),
        )

    def _add_stretch(self, draft: Draft) -> None:
        closed = draft.taste.recent_categories()
        closed.update(draft.categories, draft.basket_categories)
        usual = draft.taste.usual_price()
        floor = None if usual is None else usual * self._policy.min_worth_ratio
        pinned = self._pinned_stretch(draft, closed, floor) if draft.display.pins else None
        pick = pinned or self._first_stretch(draft, closed, floor)
        if pick is not None:
            if draft.lots is not None:
                draft.lots.settle(STRETCH, self._shelf.ids[pick.product])
            self._add(draft, pick)

    def _first_stretch(self, draft: Draft, closed: set[int], floor: float | None) -> Pick | None:
        """Return what the steps 1 to 5 find first."""
        floors = (None,) if floor is None else (floor, None)
        for worth in floors:
            found = self._best_stretch(draft, closed, worth) or self._popular_stretch(draft, closed, worth)
            if found is not None:
                return found
        for worth in floors:
            found = self._new_product(draft, worth) or self._popular_product(draft, worth)
            if found is not None:
                return found
        return None

    def _pinned_stretch(self, draft: Draft, closed: set[int], floor: float | None) -> Pick | None:
        """Return the first pinned product that is a stretch: of a new category, worth more, and kept out by nothing."""
        stretches = {each.category: each for each in draft.taste.stretches()}
        likely = [product for each in stretches.values() for product in each.products]
        for pin in draft.display.pins:
            for product in (*pin.named, *(each for each in likely if each in pin.covered), *pin.best):
                category = self._shelf.category[product]
                is_worth = floor is None or self._shelf.known_price[product] > floor
                is_open = category not in closed and self._reasons.can_name_category(category)
                if is_open and is_worth and draft.screen.withheld(product) is None:
                    found, reason = stretches.get(category), self._reasons.pinned()
                    if found is not None:
                        pick = self._stretch_pick(draft, found, product, draft.taste.leanings())
                        return pick._replace(reason=reason)
                    return self._population_pick(draft, product, role=_STRETCH, reason=reason, is_new=True)
        return None

    def _best_stretch(self, draft: Draft, closed: set[int], floor: float | None) -> Pick | None:
        """Return the stretch that ranks first, or one drawn among the best; None where there is none."""
        choice = StretchChoice(self._ranking, draft, closed, floor)
        if draft.lots is None:
            best = choice.best()
        else:
            worthy = choice.ranked()
            options = [Option(self._shelf.ids[each.product], each.value) for each in worthy]
            best = worthy[draft.lots.place(STRETCH, options)] if worthy else None
        return None if best is None else self._stretch_pick(draft, best.stretch, best.product, choice.leanings)

    def _stretch_pick(
        self, draft: Draft, stretch: Stretch, product: int, leanings: Sequence[tuple[int, float]]
    ) -> Pick:
        flags, leaning = self._shelf.flags[product], 0
        for flag, share in leanings:
            if flags & flag and share > 1 / 2:
                leaning = flag
                break
        reason = self._reasons.stretch(stretch, product, is_linked=self._ranking.is_linked(stretch), leaning=leaning)
        chance = self._ranking.windows.of(draft.window.n_days)(stretch.p7)
        level = _PRODUCT if self._shelf.stands_for_category(product) else _CATEGORY
        return pick_of((product, _STRETCH, level, chance, reason, True, None))

    def _popular_stretch(self, draft: Draft, closed: set[int], floor: float | None) -> Pick | None:
        for product, reason in self._popular(draft):
            is_worth = floor is None or self._shelf.known_price[product] > floor
            is_new = self._shelf.category[product] not in closed
            if is_new and is_worth and draft.screen.withheld(product) is None:
                return self._population_pick(draft, product, role=_STRETCH, reason=reason, is_new=True)
        return None

    def _new_product(self, draft: Draft, floor: float | None) -> Pick | None:
        """Return the product that they never bought of the highest chance x √margin; ties by chance."""
        closed = draft.categories | draft.basket_categories
        best: tuple[float, float] = (-1.0, -1.0)
        found = None
        for each in draft.taste.discoveries():
            product = each.product
            is_worth = floor is None or self._shelf.known_price[product] > floor
            is_open = (
                self._shelf.category[product] not in closed and self._shelf.type[product] not in draft.closed_types
            )
            ranked = draft.display.boosted(each.p7, product)
            value = (ranked * math.sqrt(self._shelf.gain[product]), ranked)
            if is_open and is_worth and value > best and draft.screen.withheld(product) is None:
                best, found = value, each
        if found is None:
            return None
        chance = self._ranking.windows.of(draft.window.n_days)(found.p7)
        return Pick(
            found.product,
            _STRETCH,
            _PRODUCT,
            chance,
            self._reasons.discovery(found, draft.window.first_day),
            is_new=True,
        )

    def _popular_product(self, draft: Draft, floor: float | None) -> Pick | None:
        """Return the most popular product that they don't buy again, of a category not yet in the challenge."""
        closed = draft.categories | draft.basket_categories
        bought = {each.product for each in draft.taste.again()}
        for product, reason in self._popular(draft):
            is_worth = floor is None or self._shelf.known_price[product] > floor
            is_open = (
                self._shelf.category[product] not in closed and self._shelf.type[product] not in draft.closed_types
            )
            if is_open and is_worth and product not in bought and draft.screen.withheld(product) is None:
                p7 = shifted(self._shelf.p7[product], draft.taste.shift(_PRODUCT, product))
                chance = p7 * self._population_share(draft)
                return Pick(product, _STRETCH, _PRODUCT, chance, reason)
        return None

    def _add(self, draft: Draft, pick: Pick) -> None:
        draft.picks.append(pick)
        draft.categories.add(self._shelf.category[pick.product])
