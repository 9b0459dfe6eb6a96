"""The taste of one customer whom the bundle knows by several ids: all their histories together, each thing once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, reduce
from operator import attrgetter

from typing_extensions import override

from serving.candidates import Discovery, Habit, Stretch
from serving.taste import Taste


class MergedTaste(Taste):
    """Several tastes as one; where they differ on what is one number for each (the usual price), the first one's."""

    is_cold = False

    def __init__(self, tastes: Sequence[Taste]) -> None:
        """Take the taste that is known best first."""
        self._tastes = tastes

    @override
    def habits(self) -> Iterator[Habit]:
        return iter(self._habits)

    @override
    def again(self) -> Iterator[Habit]:
        return iter(self._again.values())

    @override
    def again_of(self, products: Sequence[int]) -> Sequence[Habit | None]:
        return [self._again.get(each) for each in products]

    @override
    def stretches(self) -> Sequence[Stretch]:
        recent = self.recent_categories()
        best: dict[int, Stretch] = {}
        for each in (stretch for taste in self._tastes for stretch in taste.stretches()):
            if each.category not in recent and (each.category not in best or each.p7 > best[each.category].p7):
                best[each.category] = each
        return sorted(best.values(), key=lambda each: -each.p7)

    @override
    def discoveries(self) -> Iterator[Discovery]:
        best: dict[int, Discovery] = {}
        for each in (found for taste in self._tastes for found in taste.discoveries()):
            if each.product not in self._again and (each.product not in best or each.p7 > best[each.product].p7):
                best[each.product] = each
        return iter(sorted(best.values(), key=lambda each: -each.p7))

    @override
    def recent_categories(self) -> set[int]:
        return set().union(*(each.recent_categories() for each in self._tastes))

    @override
    def usual_price(self) -> float | None:
        return next((price for each in self._tastes if (price := each.usual_price()) is not None), None)

    @override
    def leanings(self) -> Sequence[tuple[int, float]]:
        return next((found for each in self._tastes if (found := each.leanings())), ())

    @override
    def p_shop(self, days: float) -> float:
        return 1.0 - reduce(lambda none, each: none * (1.0 - each.p_shop(days)), self._tastes, 1.0)

    @cached_property
    def _habits(self) -> list[Habit]:
        best: dict[int, Habit] = {}
        for each in (habit for taste in self._tastes for habit in taste.habits()):
            best[each.type] = _combined(best.get(each.type), each)
        return sorted(best.values(), key=attrgetter("p7"), reverse=True)

    @cached_property
    def _again(self) -> dict[int, Habit]:
        best: dict[int, Habit] = {}
        for each in (habit for taste in self._tastes for habit in taste.again()):
            best[each.product] = _combined(best.get(each.product), each)
        return {each.product: each for each in sorted(best.values(), key=attrgetter("p7"), reverse=True)}


def _combined(one: Habit | None, other: Habit) -> Habit:
    """Return one habit of two: the chance and the pace of the likelier, the last day of the later, all purchases."""
    if one is None:
        return other
    likelier = one if one.p7 >= other.p7 else other
    later = one if one.last_day >= other.last_day else other
    gap = likelier.gap_days if likelier.gap_days is not None else later.gap_days
    due_day = likelier.due_day if later.last_day == likelier.last_day or gap is None else later.last_day + gap
    return likelier._replace(last_day=later.last_day, due_day=due_day, gap_days=gap, n=one.n + other.n)
