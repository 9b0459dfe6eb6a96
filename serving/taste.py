"""What an answer may use of one customer: their habits, what is new to them, their leanings, and what they just did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol
from zoneinfo import ZoneInfo

from serving.candidates import Candidates, Discovery, Habit, Stretch


class Taste(Protocol):
    """One customer as the decisions see them, whatever it was put together from; rows are those of the bundle."""

    def habits(self) -> Iterator[Habit]:
        """Yield what the customer buys again, by type, the most probable first."""
        ...

    def again(self) -> Iterator[Habit]:
        """Yield what the customer buys again, by product, the most probable first."""
        ...

    def again_of(self, products: Sequence[int]) -> Sequence[Habit | None]:
        """Return what is known of products that the customer buys again, None for one that is not among those."""
        ...

    def is_of_several(self, habit: Habit) -> bool:
        """Return whether a habit by type stands for purchases of other products of its type as well."""
        ...

    def stretches(self) -> Sequence[Stretch]:
        """Return categories that are new to the customer, the most probable first."""
        ...

    def discoveries(self) -> Iterator[Discovery]:
        """Yield products that the customer never bought."""
        ...

    def recent_categories(self) -> set[int]:
        """Return the categories that the customer bought in the last 26 weeks."""
        ...

    def usual_price(self) -> float | None:
        """Return the mean price of a piece that the customer pays, money; None when not known."""
        ...

    def leanings(self) -> Sequence[tuple[int, float]]:
        """Return what is known of the customer's leanings: a product flag, and its share in what they buy, 0 to 1."""
        ...

    def p_shop(self, days: int) -> float:
        """Return the chance of a trip within 1 to 7 days of the bundle's as-of."""
        ...


class BundleTaste:
    """The taste of one whom the bundle knows, by their row; of row -1 nothing is known."""

    __slots__ = ("_candidates", "row")

    def __init__(self, candidates: Candidates, row: int) -> None:
        self._candidates = candidates
        self.row = row

    def habits(self) -> Iterator[Habit]:
        """Yield what the customer buys again, by type, the most probable first."""
        return self._candidates.habits(self.row)

    def again(self) -> Iterator[Habit]:
        """Yield what the customer buys again, by product, the most probable first."""
        return self._candidates.again(self.row)

    def again_of(self, products: Sequence[int]) -> Sequence[Habit | None]:
        """Return what is known of products that the customer buys again, None for one that is not among those."""
        return self._candidates.again_of(self.row, products)

    def is_of_several(self, habit: Habit) -> bool:
        """Return whether a habit by type stands for purchases of other products of its type as well."""
        return self._candidates.is_of_several(self.row, habit)

    def stretches(self) -> Sequence[Stretch]:
        """Return categories that are new to the customer, the most probable first."""
        return self._candidates.stretches(self.row)

    def discoveries(self) -> Iterator[Discovery]:
        """Yield products that the customer never bought, as the bundle orders them."""
        return self._candidates.discoveries(self.row)

    def recent_categories(self) -> set[int]:
        """Return the categories that the customer bought in the last 26 weeks."""
        return self._candidates.recent_categories(self.row)

    def usual_price(self) -> float | None:
        """Return the mean price of a piece that the customer pays, money; None when not known."""
        return self._candidates.usual_price(self.row)

    def leanings(self) -> Sequence[tuple[int, float]]:
        """Return what is known of the customer's leanings: a product flag, and its share in what they buy, 0 to 1."""
        return self._candidates.leanings(self.row)

    def p_shop(self, days: int) -> float:
        """Return the chance of a trip within 1 to 7 days of the bundle's as-of."""
        return self._candidates.p_shop(self.row, days)


@dataclass(frozen=True, slots=True)
class Shopper:
    """Who asks: the row (-1 unknown to the bundle), the store the answer is for, the zone of their days.

    `is_personal` says whether their history may be used; where not, `taste` is that of nobody. `basket` holds the
    products that their events put there, `dismissed` those that they turned away.
    """

    row: int
    store: int
    zone: ZoneInfo
    is_personal: bool
    taste: Taste
    basket: frozenset[int] = frozenset()
    dismissed: frozenset[int] = frozenset()
