"""What an answer may use of one customer: their habits, what is new to them, their leanings, and what they just did."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple
from zoneinfo import ZoneInfo

from typing_extensions import override

from serving.api_codes import Level
from serving.candidates import Candidates, Discovery, Habit, Stretch
from serving.numbers import between_days


class Taste:
    """One customer as the decisions see them, whatever it was put together from; this one is of nobody in particular.

    Rows are those of the bundle. `is_cold`: all that is known comes from events, and `discoveries` stand in the order
    to show them. `is_live`: what they just did is known, so that `shift` and `bought_lately` say something.
    """

    is_cold = True
    is_live = False

    def __init__(self, p_shop: Sequence[float]) -> None:
        """Take everybody's mean chance of a trip within 1, 2, … 7 days."""
        self._p_shop = p_shop

    def as_of_bundle(self) -> Taste:
        """Return the taste as the bundle has it, without what they did since."""
        return self

    def habits(self) -> Iterator[Habit]:
        """Yield what the customer buys again, by type, the most probable first."""
        return iter(())

    def again(self) -> Iterator[Habit]:
        """Yield what the customer buys again, by product, the most probable first."""
        return iter(())

    def again_of(self, products: Sequence[int]) -> Sequence[Habit | None]:
        """Return what is known of products that the customer buys again, None for one that is not among those."""
        return [None] * len(products)

    def habits_of(self, types: Collection[int]) -> Sequence[Habit]:
        """Return what the customer buys again of those types, in any order."""
        return [each for each in self.habits() if each.type in types]

    def again_products(self) -> Collection[int]:
        """Return the products that the customer buys again, in any order."""
        return {each.product for each in self.again()}

    def is_of_several(self, habit: Habit) -> bool:
        """Return whether a habit by type stands for purchases of other products of its type as well."""
        own = self.again_of([habit.product])[0]
        return own is None or own.n != habit.n

    def stretches(self) -> Sequence[Stretch]:
        """Return categories that are new to the customer, the most probable first."""
        return ()

    def discoveries(self) -> Iterator[Discovery]:
        """Yield products that the customer never bought."""
        return iter(())

    def best_discoveries(self) -> Iterable[Discovery]:
        """Return the same, the most probable first; of a cold taste in the order to show them."""
        found = list(self.discoveries())
        return found if self.is_cold else sorted(found, key=_chance, reverse=True)

    def recent_categories(self) -> set[int]:
        """Return the categories that the customer bought in the last 26 weeks: a set of the caller's own."""
        return set()

    def usual_price(self) -> float | None:
        """Return the mean price of a piece that the customer pays, money; None when not known."""
        return None

    def leanings(self) -> Sequence[tuple[int, float]]:
        """Return what is known of the customer's leanings: a product flag, and its share in what they buy, 0 to 1."""
        return ()

    def p_shop(self, days: float) -> float:
        """Return the chance of a trip within that many days (above 0, at most 7)."""
        return between_days(self._p_shop, days)

    def shift(self, level: Level, row: int) -> float:  # noqa: ARG002 # others need them
        """Return what they just did adds to the log odds of a product, a type or a category."""
        return 0.0

    def bought_lately(self) -> Iterable[Habit]:
        """Return, by type, what they bought since the bundle."""
        return ()


class BundleTaste(Taste):
    """The taste of one whom the bundle knows, by their row."""

    is_cold = False

    def __init__(self, candidates: Candidates, row: int) -> None:
        self._candidates = candidates
        self.row = row
        self._bought: Sequence[int] | None = None

    @override
    def habits(self) -> Iterator[Habit]:
        return self._candidates.habits(self.row)

    @override
    def again(self) -> Iterator[Habit]:
        return self._candidates.again(self.row)

    @override
    def again_of(self, products: Sequence[int]) -> Sequence[Habit | None]:
        return self._candidates.again_of(self.row, products, self.again_products())

    @override
    def habits_of(self, types: Collection[int]) -> Sequence[Habit]:
        return self._candidates.habits_of(self.row, types)

    @override
    def again_products(self) -> Sequence[int]:
        if self._bought is None:
            self._bought = self._candidates.again_products(self.row)
        return self._bought

    @override
    def is_of_several(self, habit: Habit) -> bool:
        bought = self.again_products() if self._bought is None else self._bought
        try:
            place = bought.index(habit.product)  # asked first whether it is there, it would be searched for twice
        except ValueError:
            return True
        return habit.n != self._candidates.n_again(self.row, place)

    @override
    def stretches(self) -> Sequence[Stretch]:
        return self._candidates.stretches(self.row)

    @override
    def discoveries(self) -> Iterator[Discovery]:
        return self._candidates.discoveries(self.row)

    @override
    def best_discoveries(self) -> Iterable[Discovery]:
        return self._candidates.discoveries(self.row)

    @override
    def recent_categories(self) -> set[int]:
        return self._candidates.recent_categories(self.row)

    @override
    def usual_price(self) -> float | None:
        return self._candidates.usual_price(self.row)

    @override
    def leanings(self) -> Sequence[tuple[int, float]]:
        return self._candidates.leanings(self.row)

    @override
    def p_shop(self, days: float) -> float:
        return self._candidates.p_shop(self.row, days)


_chance: Callable[[Discovery], float] = attrgetter("p7")


class Place(NamedTuple):
    """The store that an answer is for (-1 unknown, its id also where the bundle lacks it), and the zone of its days."""

    store: int
    store_id: str | None
    zone: ZoneInfo


class Shopper(NamedTuple):
    """Who asks: the row (-1 unknown to the bundle), where, and for which moment.

    `is_personal` says whether their history may be used; where not, `taste` is that of nobody. `basket` holds the
    products that their events put there, `dismissed` those that they turned away.
    """

    row: int
    place: Place
    at: datetime
    is_personal: bool
    taste: Taste
    basket: frozenset[int] = frozenset()
    dismissed: frozenset[int] = frozenset()

    @property
    def store(self) -> int:
        """The row of the store that the answer is for, -1 unknown."""
        return self.place.store

    @property
    def store_id(self) -> str | None:
        """The id of that store, also where the bundle doesn't know it."""
        return self.place.store_id

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of their days."""
        return self.place.zone
