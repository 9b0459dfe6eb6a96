"""The taste of a customer with what they did since the bundle laid over it (docs/events.md)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from typing_extensions import override

from serving.api_codes import Level
from serving.candidates import Candidates, Discovery, Habit, Neighbour, Sign, Stretch
from serving.decisioning.completion import shifted
from serving.decisioning.policy import EventPolicy
from serving.fold_in import FoldIn
from serving.live_events import Bought, Doings
from serving.shelf import Shelf
from serving.state.events import EventType
from serving.taste import Taste

_N_NEIGHBOURS = 60
_N_ALIKE = 200


@dataclass(frozen=True, slots=True)
class Lately:
    """What a live taste is made with, the same for every customer of a bundle."""

    shelf: Shelf
    candidates: Candidates
    policy: EventPolicy
    fold_in: FoldIn


class LiveTaste(Taste):
    """A taste and the doings since, as of the local day `today`."""

    def __init__(self, base: Taste, doings: Doings, lately: Lately, *, today: int) -> None:
        self._base = base
        self.is_cold = base.is_cold
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
    def habits(self) -> Iterator[Habit]:
        return iter(self._habits)

    @override
    def again(self) -> Iterator[Habit]:
        return iter(self._again)

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
        return [
            each._replace(p7=shifted(each.p7, self.shift(Level.CATEGORY, each.category)))
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
        return [each for each in self._habits if each.type in self._bought_types]

    @cached_property
    def _habits(self) -> list[Habit]:
        left = dict(self._bought_types)
        found = []
        for habit in self._base.habits():
            bought = left.pop(habit.type, None)
            moved = habit if bought is None else self._moved_on(habit, bought)
            found.append(self._leaning(moved, self.shift(Level.PRODUCT_TYPE, habit.type)))
        for kind, bought in left.items():
            product = max(
                (each for each in self._doings.bought if self._shelf.type[each] == kind),
                key=lambda each: self._doings.bought[each].days[-1],
            )
            first = self._first(product)._replace(p7=self._shelf.type_p7[kind])
            found.append(self._moved_on(first, bought))
        return sorted(found, key=lambda each: -each.p7)

    @cached_property
    def _again(self) -> list[Habit]:
        left = dict(self._doings.bought)
        found = []
        for habit in self._base.again():
            bought = left.pop(habit.product, None)
            moved = habit if bought is None else self._moved_on(habit, bought)
            found.append(self._leaning(moved, self.shift(Level.PRODUCT, habit.product)))
        found += [self._moved_on(self._first(product), bought) for product, bought in left.items()]
        return sorted(found, key=lambda each: -each.p7)

    def _first(self, product: int) -> Habit:
        """Return the habit in the making of a product never bought before, of no purchases yet."""
        return Habit(product, self._shelf.type[product], self._shelf.p7[product], math.inf, 0, None, 1, 0)

    def _leaning(self, habit: Habit, log_odds: float) -> Habit:
        return habit._replace(p7=shifted(habit.p7, log_odds)) if log_odds else habit

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
        found = {
            each.product: each._replace(p7=shifted(each.p7, self.shift(Level.PRODUCT, each.product)))
            for each in self._base.discoveries()
            if each.product not in self._doings.bought
        }
        chances = {product: each.p7 for product, each in found.items()}
        for each in self._near(self._interests()):
            found[each.product] = each._replace(p7=max(each.p7, chances.get(each.product, 0.0)))
        for each in self._wanted():
            found[each.product] = each._replace(p7=max(each.p7, chances.get(each.product, 0.0)))
        return list(found.values())

    def _cold_discoveries(self) -> list[Discovery]:
        """Return what they took an interest in and what goes with it, then all else that their doings make likely."""
        interests = self._interests()
        alike = self._fold_in.log_odds(interests | dict.fromkeys(self._doings.bought, 1.0))
        found = {each.product: each for each in (*self._wanted(), *self._near(interests))}
        first = list(found.values())
        bought = dict.fromkeys(list(self._doings.bought)[-self._policy.max_sources :], self._policy.purchase_weight)
        near = {each.product: each for each in self._near(bought)}
        for product in alike:
            if product not in near and product not in self._doings.bought:
                near[product] = Discovery(product, self._shelf.p7[product], is_alike=True)
        then = [each for product, each in near.items() if product not in found]
        moved = [each._replace(p7=shifted(each.p7, alike.get(each.product, 0.0))) for each in (*first, *then)]
        return moved[: len(first)] + sorted(moved[len(first) :], key=lambda each: -each.p7)[:_N_ALIKE]

    def _interests(self) -> dict[int, float]:
        """Return the products that they took an interest in, with its weight, the strongest first."""
        liked = {each: weight for each, weight in self._doings.products.items() if weight > 0.0}
        return dict(sorted(liked.items(), key=lambda pair: -pair[1])[: self._policy.max_sources])

    def _wanted(self) -> list[Discovery]:
        """Return the products that they took an interest in and never bought."""
        liked = self._interests()
        never = [each for each, known in zip(liked, self.again_of(list(liked)), strict=True) if known is None]
        return [
            Discovery(each, shifted(self._shelf.p7[each], self.shift(Level.PRODUCT, each)), self._sign(each))
            for each in never
        ]

    def _near(self, weights: dict[int, float]) -> list[Discovery]:
        """Return what goes with weighted products and was never bought, the best first."""
        near = self._candidates.near(weights, _N_NEIGHBOURS)
        known = self.again_of([each.product for each in near])
        return [
            Discovery(each.product, self._chance_near(each, weights), self._sign(each.source), each)
            for each, old in zip(near, known, strict=True)
            if old is None
        ]

    def _chance_near(self, neighbour: Neighbour, weights: dict[int, float]) -> float:
        """Return the population's chance, its odds times the pair's lift as far as the interest in the source goes."""
        lift = math.log(max(neighbour.lift, 1.0)) * min(weights[neighbour.source], 1.0)
        own = self.shift(Level.PRODUCT, neighbour.product)
        return shifted(self._shelf.p7[neighbour.product], lift + own)

    def _sign(self, product: int) -> Sign:
        bought = self._doings.bought.get(product)
        if product in self._doings.basket:
            return Sign(EventType.CART, self._today)
        if bought is not None:
            return Sign(EventType.PURCHASE, bought.days[-1])
        return self._doings.signs[product]


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
