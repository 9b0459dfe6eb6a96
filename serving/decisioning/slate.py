"""Ranked slates: what to buy again, what to discover, or both, at one of three levels; never padded, never repeated."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

from serving.api_answers import Reason
from serving.api_codes import Intent, Level
from serving.bundle_format import INTIMATE, RESTRICTED
from serving.candidates import Candidates, Discovery, Habit, Neighbour
from serving.decisioning.completion import shifted
from serving.decisioning.policy import RecommendationPolicy
from serving.decisioning.reasons import Reasons
from serving.decisioning.rules import Pace, Screen, Withheld
from serving.shelf import Shelf
from serving.taste import Taste

HORIZON_DAYS = 7
UNASKED_FLAGS = RESTRICTED | INTIMATE


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a slate; `key` is the row of the level that it stands for, `habit` what is known of the product."""

    product: int
    key: int
    probability: float
    reason: Reason
    habit: Habit | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """What a slate should be: `category` is a row or -1, `cap` the call's own bound on items of a category."""

    taste: Taste
    store: int
    today: int
    k: int
    intent: Intent
    level: Level
    screen: Screen
    category: int = -1
    cap: int | None = None
    basket_types: frozenset[int] = frozenset()


class SlateMaker:
    """Ranks the candidates of a bundle for one call."""

    def __init__(
        self,
        shelf: Shelf,
        candidates: Candidates,
        *,
        policy: RecommendationPolicy,
        reasons: Reasons,
        pace: Pace,
        applies_rules: bool,
    ) -> None:
        self._shelf = shelf
        self._candidates = candidates
        self._applies_rules = applies_rules
        self._soft_cap = policy.soft_max_per_category if applies_rules else None
        self._policy = policy
        self._reasons = reasons
        self._pace = pace

    def personal(self, ask: Ask) -> list[Entry]:
        """Return the slate of a known customer, the most probable first.

        `buy_again` holds only what they bought before, `discover` only what they didn't; `mixed` holds the policy's
        share of the latter. Where one runs dry, `mixed` takes the other, and what is popular fills the rest.
        """
        if ask.intent is Intent.BUY_AGAIN:
            return _take(self._again(ask), _Caps(self._shelf, ask), ask.k)
        n_new = ask.k if ask.intent is Intent.DISCOVER else math.floor(ask.k * self._policy.discover_share)
        caps = _Caps(self._shelf, ask, soft=None if ask.category >= 0 else self._soft_cap)
        again = [] if ask.intent is Intent.DISCOVER else _take(self._again(ask), caps, ask.k - n_new)
        fresh = _take(self._fresh(ask), caps, ask.k - len(again))
        if ask.intent is Intent.MIXED and len(again) + len(fresh) < ask.k:
            again += _take(chain(self._again(ask), self._others(ask)), caps, ask.k - len(again) - len(fresh))
        slate = again + fresh + caps.overflow(ask.k - len(again) - len(fresh))
        return sorted(slate, key=lambda entry: -entry.probability)

    def popular(self, ask: Ask, neighbours: Iterable[Neighbour]) -> list[Entry]:
        """Return the slate of one whom nobody knows: what goes with the basket, then what is popular, in that order."""
        caps = _Caps(self._shelf, ask, soft=None if ask.category >= 0 else self._soft_cap)
        together = (
            self._population_entry(ask, each.product, self._reasons.together(each, is_basket=True))
            for each in neighbours
            if self._may_suggest(ask, each.product)
        )
        slate = _take(chain(together, self._popular(ask, set())), caps, ask.k)
        return slate + caps.overflow(ask.k - len(slate))

    def _again(self, ask: Ask) -> Iterator[Entry]:
        if ask.level is Level.PRODUCT:
            return self._again_products(ask)
        types = self._again_types(ask)
        return types if ask.level is Level.PRODUCT_TYPE else self._again_categories(types)

    def _again_products(self, ask: Ask) -> Iterator[Entry]:
        for habit in ask.taste.again():
            if self._is_open(ask, habit, habit.product):
                yield Entry(
                    habit.product, habit.product, habit.p7, self._habit_reason(ask, habit, is_type=False), habit
                )

    def _again_types(self, ask: Ask) -> Iterator[Entry]:
        for habit in ask.taste.habits():
            if habit.type in ask.basket_types:
                continue
            product = self._shown_product(ask, habit)
            if product is not None:
                is_of_several = product != habit.product or ask.taste.is_of_several(habit)
                reason = self._habit_reason(ask, habit, is_type=is_of_several)
                yield Entry(product, habit.type, habit.p7, reason, habit)

    def _again_categories(self, types: Iterator[Entry]) -> Iterator[Entry]:
        """Return one entry a category: its most probable type's, with the chance of any, as if independent."""
        best: dict[int, Entry] = {}
        none_of_them: dict[int, float] = {}
        for entry in types:
            category = self._shelf.category[entry.product]
            best.setdefault(category, entry)
            none_of_them[category] = none_of_them.get(category, 1.0) * (1.0 - entry.probability)
        entries = [replace(best[row], key=row, probability=1.0 - none) for row, none in none_of_them.items()]
        return iter(sorted(entries, key=lambda entry: -entry.probability))

    def _shown_product(self, ask: Ask, habit: Habit) -> int | None:
        """Return the usual product of a habit, or, where that may not be shown, the next one of its type."""
        if self._is_open(ask, habit, habit.product):
            return habit.product
        for other in ask.taste.again():
            if other.type == habit.type and self._is_open(ask, habit, other.product):
                return other.product
        return None

    def _is_open(self, ask: Ask, habit: Habit, product: int) -> bool:
        if ask.screen.withheld(product) is not None:
            return False
        if self._pace.is_just_bought(habit, ask.today):
            ask.screen.note(product, Withheld.JUST_BOUGHT)
            return False
        return True

    def _may_suggest(self, ask: Ask, product: int) -> bool:
        """Return whether a product may be shown to one who never bought it; restricted and intimate only if asked."""
        unasked = UNASKED_FLAGS if self._applies_rules and ask.category < 0 else 0
        return not self._shelf.flags[product] & unasked and ask.screen.withheld(product) is None

    def _habit_reason(self, ask: Ask, habit: Habit, *, is_type: bool) -> Reason:
        return self._reasons.habit(habit, today=ask.today, end_day=ask.today + HORIZON_DAYS, is_type=is_type)

    def _fresh(self, ask: Ask) -> Iterator[Entry]:
        """Yield what the customer never bought, then what is popular in categories that they haven't bought lately."""
        bought_lately = ask.taste.recent_categories()
        if ask.level is Level.CATEGORY and not ask.taste.is_cold:
            fresh = self._fresh_categories(ask)
        else:
            fresh = self._fresh_products(ask) if ask.level is Level.PRODUCT else self._fresh_groups(ask)
        return chain(fresh, self._popular(ask, bought_lately))

    def _others(self, ask: Ask) -> Iterator[Entry]:
        """Yield what is popular and not among what the customer buys again, which the rules may have kept back."""
        if ask.level is Level.PRODUCT:
            known = {habit.product for habit in ask.taste.again()}
        else:
            habits = list(ask.taste.habits())
            is_type = ask.level is Level.PRODUCT_TYPE
            known = {habit.type if is_type else self._shelf.category[habit.product] for habit in habits}
        return (entry for entry in self._popular(ask, set()) if entry.key not in known)

    def _fresh_products(self, ask: Ask) -> Iterator[Entry]:
        for each in self._discoveries(ask):
            if self._may_suggest(ask, each.product):
                yield Entry(each.product, each.product, each.p7, self._reasons.discovery(each, ask.today))

    def _fresh_groups(self, ask: Ask) -> Iterator[Entry]:
        """Yield types, or categories, never bought, each by its best product, with the chance of any of them."""
        row_of = self._shelf.type if ask.level is Level.PRODUCT_TYPE else self._shelf.category
        bought = {row_of[habit.product] for habit in ask.taste.habits()}
        best: dict[int, Discovery] = {}
        none_of_them: dict[int, float] = {}
        for each in self._discoveries(ask):
            row = row_of[each.product]
            if row not in bought and self._may_suggest(ask, each.product):
                best.setdefault(row, each)
                none_of_them[row] = none_of_them.get(row, 1.0) * (1.0 - each.p7)
        for row in sorted(best, key=lambda row: none_of_them[row]):
            reason = self._reasons.discovery(best[row], ask.today)
            yield Entry(best[row].product, row, 1.0 - none_of_them[row], reason)

    def _discoveries(self, ask: Ask) -> list[Discovery]:
        """Return what the customer never bought, the most probable first; of a cold one in the order it came."""
        found = list(ask.taste.discoveries())
        return found if ask.taste.is_cold else sorted(found, key=lambda each: -each.p7)

    def _fresh_categories(self, ask: Ask) -> Iterator[Entry]:
        for stretch in sorted(ask.taste.stretches(), key=lambda each: -each.p7):
            product = next((each for each in stretch.products if each >= 0 and self._may_suggest(ask, each)), None)
            if product is not None:
                reason = self._reasons.stretch(stretch, product, is_linked=False, leaning=0)
                yield Entry(product, stretch.category, stretch.p7, reason)

    def _popular(self, ask: Ask, closed: set[int]) -> Iterator[Entry]:
        """Yield what sells best, in the category that was asked for, else in the store and then everywhere."""
        for products, reason in self._popular_lists(ask):
            for product in products:
                if self._shelf.category[product] not in closed and self._may_suggest(ask, product):
                    yield self._population_entry(ask, product, reason)

    def _popular_lists(self, ask: Ask) -> list[tuple[Iterator[int], Reason]]:
        if ask.category >= 0:
            return [(self._candidates.best_of_category(ask.category), self._reasons.popular_in_category())]
        return [
            (self._candidates.popular_in_store(ask.store), self._reasons.popular(in_store=True)),
            (self._candidates.popular(), self._reasons.popular(in_store=False)),
        ]

    def _population_entry(self, ask: Ask, product: int, reason: Reason) -> Entry:
        shelf = self._shelf
        if ask.level is Level.PRODUCT_TYPE:
            row = shelf.type[product]
            p7 = shelf.type_p7[row]
        elif ask.level is Level.CATEGORY:
            row = shelf.category[product]
            p7 = shelf.category_p7[row]
        else:
            row, p7 = product, shelf.p7[product]
        return Entry(product, row, shifted(p7, ask.taste.shift(ask.level, row)), reason)


class _Caps:
    """What a slate has taken: each key once, and so many of a category; what the soft cap turns away waits its turn."""

    def __init__(self, shelf: Shelf, ask: Ask, *, soft: int | None = None) -> None:
        hard = ask.cap
        self._shelf = shelf
        self._screen = ask.screen
        self._hard = hard
        self._soft = soft if hard is None else None
        self._seen: set[int] = set()
        self._n_of_category: dict[int, int] = {}
        self._waiting: list[Entry] = []

    def takes(self, entry: Entry) -> bool:
        """Return whether the entry may be shown now, and count it."""
        if entry.key in self._seen:
            return False
        category = self._shelf.category[entry.product]
        count = self._n_of_category.get(category, 0)
        if self._hard is not None and count >= self._hard:
            self._screen.note(entry.product, Withheld.CATEGORY_FULL)
            return False
        if self._soft is not None and count >= self._soft:
            self._waiting.append(entry)
            return False
        self._seen.add(entry.key)
        self._n_of_category[category] = count + 1
        return True

    def overflow(self, n_wanted: int) -> list[Entry]:
        """Return up to `n_wanted` of those that the soft cap turned away, in the order they came."""
        chosen: list[Entry] = []
        for entry in self._waiting:
            if len(chosen) >= n_wanted:
                break
            if entry.key not in self._seen:
                self._seen.add(entry.key)
                chosen.append(entry)
        return chosen


def _take(entries: Iterable[Entry], caps: _Caps, n_wanted: int) -> list[Entry]:
    """Return the first `n_wanted` entries that the caps let through."""
    chosen: list[Entry] = []
    if n_wanted <= 0:
        return chosen
    for entry in entries:
        if caps.takes(entry):
            chosen.append(entry)
            if len(chosen) == n_wanted:
                break
    return chosen
