"""The taste of a customer with what they did since the bundle laid over it (docs/events.md)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter

from typing_extensions import override

from serving.api_codes import Level, ReasonCode
from serving.candidates import Candidates, Discovery, Habit, Sign, Stretch
from serving.decisioning.completion import shifted
from serving.decisioning.policy import EventPolicy
from serving.fold_in import FoldIn
from serving.live_events import Bought, Doings
from serving.shelf import Shelf
from serving.state.events import EventType
from serving.taste import Taste

_N_NEIGHBOURS = 20
_N_COLD_NEIGHBOURS = 60
_N_ALIKE = 100
_LEAST_ADDED = 0.05  # to the log odds: odds that are less than 5 % higher are nothing to speak of
_LIKE, _POPULAR = ReasonCode.LIKE_LATELY, ReasonCode.POPULAR_NOW
_type_of: Callable[[Habit], int] = attrgetter("type")
_product_of: Callable[[Habit], int] = attrgetter("product")


@dataclass(frozen=True, slots=True)
class Lately:
    """What a live taste is made with, the same for every customer of a bundle."""

    shelf: Shelf
    candidates: Candidates
    policy: EventPolicy
    fold_in: FoldIn


class LiveTaste(Taste):
    """A taste and the doings since, as of the local day `today`."""

    is_live = True

    def __init__(self, base: Taste, doings: Doings, lately: Lately, *, today: int) -> None:
        self._base = base
        self.is_cold = base.is_cold or not base.again_products()  # joined, and bought nothing yet
        self._doings = doings
        self._shelf = lately.shelf
        self._candidates = lately.candidates
        self._policy = lately.policy
        self._fold_in = lately.fold_in
        self._today = today
        first = lately.policy.guest_purchase_factor if base.is_cold else lately.policy.first_purchase_factor
        self._log_first = math.log(first)
        self._log_factor = math.log(lately.policy.interest_factor)
        self._bought_types = _by_type(doings, lately.shelf)
        self._bought_categories = {lately.shelf.category[each] for each in doings.bought}

    @override
    def as_of_bundle(self) -> Taste:
        return self._base

    @override
    def habits(self) -> Iterator[Habit]:
        moved = self._moved_habits
        return self._base.habits() if not moved else _merged(moved, self._base.habits(), _type_of)

    @override
    def again(self) -> Iterator[Habit]:
        moved = self._moved_again
        return self._base.again() if not moved else _merged(moved, self._base.again(), _product_of)

    @override
    def again_products(self) -> Collection[int]:
        return self._owned

    @override
    def again_of(self, products: Sequence[int]) -> Sequence[Habit | None]:
        known = self._base.again_of(products)
        bought = self._doings.bought
        if not bought:
            return known
        return [
            old if product not in bought else self._moved_on(old or self._first(product), bought[product])
            for product, old in zip(products, known, strict=True)
        ]

    @override
    def stretches(self) -> Sequence[Stretch]:
        found = self._base.stretches()
        if not self._bought_categories and not self._doings.categories:
            return found
        moved = self._doings.categories
        return [
            each._replace(p7=shifted(each.p7, self.shift(Level.CATEGORY, each.category)))
            if each.category in moved
            else each
            for each in found
            if each.category not in self._bought_categories
        ]

    @override
    def discoveries(self) -> Iterator[Discovery]:
        return iter(self._discoveries)

    @override
    def recent_categories(self) -> set[int]:
        return self._base.recent_categories() | self._bought_categories

    @override
    def usual_price(self) -> float | None:
        return self._base.usual_price()

    @override
    def leanings(self) -> Sequence[tuple[int, float]]:
        return self._base.leanings()

    @override
    def p_shop(self, days: float) -> float:
        return self._base.p_shop(days)

    @override
    def shift(self, level: Level, row: int) -> float:
        doings, shelf = self._doings, self._shelf
        if level is Level.PRODUCT:
            weight = doings.products.get(row, 0.0) + doings.types.get(shelf.type[row], 0.0)
        elif level is Level.PRODUCT_TYPE:
            weight = doings.types.get(row, 0.0)
        else:
            weight = doings.categories.get(row, 0.0)
        limit = self._policy.max_weight
        return self._log_factor * min(max(weight, -limit), limit)

    @override
    def bought_lately(self) -> Iterable[Habit]:
        return [each for each in self._moved_habits.values() if each.type in self._bought_types]

    @cached_property
    def _moved_habits(self) -> dict[int, Habit]:
        """Return the habits by type that their doings have changed or made, by type, the most probable first."""
        changed = self._bought_types.keys() | self._doings.types.keys()
        known = {each.type: each for each in self._base.habits_of(changed)} if changed else {}
        found = []
        for kind in changed:
            habit, bought = known.get(kind), self._bought_types.get(kind)
            if habit is None and bought is not None:
                newest = max(
                    (each for each in self._doings.bought if self._shelf.type[each] == kind),
                    key=lambda each: self._doings.bought[each].days[-1],
                )
                habit = self._first(newest)._replace(p7=self._shelf.type_p7[kind])
            if habit is not None:
                moved = habit if bought is None else self._moved_on(habit, bought)
                found.append(_leaning(moved, self.shift(Level.PRODUCT_TYPE, kind)))
        return {each.type: each for each in sorted(found, key=_chance_and_type)}

    @cached_property
    def _moved_again(self) -> dict[int, Habit]:
        """Return the same by product."""
        doings, kind = self._doings, self._shelf.type
        changed = [
            each
            for each in self._owned
            if each in doings.products or each in doings.bought or kind[each] in doings.types
        ]
        found = [
            _leaning(habit, self.shift(Level.PRODUCT, habit.product))
            for habit in self.again_of(changed)
            if habit is not None
        ]
        return {each.product: each for each in sorted(found, key=_chance_and_type)}

    @cached_property
    def _owned(self) -> set[int]:
        """Return the products that they buy again, or bought since the bundle."""
        return {*self._base.again_products(), *self._doings.bought}

    def _first(self, product: int) -> Habit:
        """Return the habit in the making of a product never bought before, of no purchases yet."""
        return Habit(product, self._shelf.type[product], self._shelf.p7[product], math.inf, 0, None, 1, 0)

    def _moved_on(self, habit: Habit, bought: Bought) -> Habit:
        """Return the habit as of its latest purchase: the next one is due a gap after it, and as likely as before."""
        last_day = max(habit.last_day, bought.days[-1])
        is_first = habit.n == 0
        gap = habit.gap_days if habit.gap_days is not None else _gap(() if is_first else (habit.last_day,), bought.days)
        due_day = math.inf if gap is None else last_day + gap
        return habit._replace(
            p7=shifted(habit.p7, self._log_first) if is_first else habit.p7,
            due_day=due_day,
            last_day=last_day,
            gap_days=gap,
            quantity=bought.quantity if is_first else habit.quantity,
            n=habit.n + len(bought.days),
        )

    @cached_property
    def _discoveries(self) -> list[Discovery]:
        if self.is_cold:
            return self._cold_discoveries()
        bought = self._doings.bought
        found = {each.product: self._leant(each) for each in self._base.discoveries() if each.product not in bought}
        interests = self._interests()
        for each in (*self._near(interests, _N_NEIGHBOURS), *self._wanted(interests)):
            known = found.get(each.product)
            found[each.product] = each if known is None or known.p7 < each.p7 else each._replace(p7=known.p7)
        return list(found.values())

    def _leant(self, found: Discovery) -> Discovery:
        """Return a discovery with its chance as their interest has moved it."""
        product, doings = found.product, self._doings
        if product not in doings.products and self._shelf.type[product] not in doings.types:
            return found
        return found._replace(p7=shifted(found.p7, self.shift(Level.PRODUCT, product)))

    def _cold_discoveries(self) -> list[Discovery]:
        """Return what they took an interest in and what goes with it, then all else that their doings make likely."""
        interests = self._interests()
        first = {each.product: each for each in (*self._wanted(interests), *self._near(interests, _N_COLD_NEIGHBOURS))}
        bought = dict.fromkeys(list(self._doings.bought)[-self._policy.max_sources :], self._policy.purchase_weight)
        near = {each.product: each for each in self._near(bought, _N_COLD_NEIGHBOURS)}
        weights = interests | dict.fromkeys(self._doings.bought, 1.0)
        then = [
            self._leant(Discovery(each.product, each.chance, code=_LIKE if each.added > _LEAST_ADDED else _POPULAR))
            for each in self._fold_in.likely(weights, _N_ALIKE)
            if each.product not in near and each.product not in first and each.product not in self._owned
        ]
        said = self._fold_in.log_odds(weights, list(near))
        then += [
            each._replace(p7=shifted(each.p7, log_odds))
            for each, log_odds in zip(near.values(), said, strict=True)
            if each.product not in first
        ]
        return [*first.values(), *sorted(then, key=lambda each: -each.p7)]

    def _interests(self) -> dict[int, float]:
        """Return the products that they took an interest in, with its weight, the strongest first."""
        liked = {each: weight for each, weight in self._doings.products.items() if weight > 0.0}
        return dict(sorted(liked.items(), key=lambda pair: -pair[1])[: self._policy.max_sources])

    def _wanted(self, interests: Mapping[int, float]) -> list[Discovery]:
        """Return the products that they took an interest in and never bought."""
        return [
            Discovery(each, shifted(self._shelf.p7[each], self.shift(Level.PRODUCT, each)), self._sign(each))
            for each in interests
            if each not in self._owned
        ]

    def _near(self, weights: Mapping[int, float], k: int) -> list[Discovery]:
        """Return what goes with weighted products and was never bought, the best first.

        Its chance is everybody's, the odds times the pair's lift as far as the interest in the source goes.
        """
        p7, doings = self._shelf.p7, self._doings
        signs = {each: self._sign(each) for each in weights}
        found = []
        for each in self._candidates.near(weights, k):
            product = each.product
            if product not in self._owned:
                log_odds = math.log(max(each.lift, 1.0)) * min(weights[each.source], 1.0)
                if doings.types or doings.products:
                    log_odds += self.shift(Level.PRODUCT, product)
                found.append(Discovery(product, shifted(p7[product], log_odds), signs[each.source], each))
        return found

    def _sign(self, product: int) -> Sign:
        bought = self._doings.bought.get(product)
        if product in self._doings.basket:
            return Sign(EventType.CART, self._today)
        if bought is not None:
            return Sign(EventType.PURCHASE, bought.days[-1])
        return self._doings.signs[product]


def _merged(moved: Mapping[int, Habit], others: Iterable[Habit], key_of: Callable[[Habit], int]) -> Iterator[Habit]:
    """Yield moved habits among all others, the most probable first; both come in that order."""
    waiting = iter(moved.values())
    next_moved = next(waiting, None)
    for habit in others:
        if key_of(habit) in moved:
            continue
        while next_moved is not None and next_moved.p7 >= habit.p7:
            yield next_moved
            next_moved = next(waiting, None)
        yield habit
    if next_moved is not None:
        yield next_moved
        yield from waiting


def _leaning(habit: Habit, log_odds: float) -> Habit:
    return habit._replace(p7=shifted(habit.p7, log_odds)) if log_odds else habit


def _chance_and_type(habit: Habit) -> tuple[float, int, int]:
    return -habit.p7, habit.type, habit.product


def _gap(before: tuple[int, ...], days: tuple[int, ...]) -> float | None:
    """Return the mean days between purchases; None with one."""
    known = sorted({*before, *days})
    return (known[-1] - known[0]) / (len(known) - 1) if len(known) > 1 else None


def _by_type(doings: Doings, shelf: Shelf) -> dict[int, Bought]:
    found: dict[int, Bought] = {}
    for product, bought in doings.bought.items():
        kind = shelf.type[product]
        other = found.get(kind)
        days = bought.days if other is None else tuple(sorted({*bought.days, *other.days}))
        found[kind] = Bought(days, bought.quantity)
    return found
