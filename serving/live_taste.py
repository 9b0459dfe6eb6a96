"""The taste of a customer with what they did since the bundle laid over it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from serving.candidates import Discovery, Habit, Stretch
from serving.live_events import Bought, Doings
from serving.shelf import Shelf
from serving.taste import Taste


class LiveTaste:
    """A taste and the doings since: what was bought has a new last day and is no longer new."""

    def __init__(self, base: Taste, doings: Doings, shelf: Shelf) -> None:
        self._base = base
        self._doings = doings
        self._shelf = shelf
        self._bought_types = _by_type(doings, shelf)
        self._bought_categories = {shelf.category[each] for each in doings.bought}

    def habits(self) -> Iterator[Habit]:
        """Yield what the customer buys again, by type, the most probable first."""
        for habit in self._base.habits():
            yield _moved_on(habit, self._bought_types.get(habit.type))

    def again(self) -> Iterator[Habit]:
        """Yield what the customer buys again, by product, the most probable first."""
        for habit in self._base.again():
            yield _moved_on(habit, self._doings.bought.get(habit.product))

    def again_of(self, products: Sequence[int]) -> Sequence[Habit | None]:
        """Return what is known of products that the customer buys again, None for one that is not among those."""
        known = self._base.again_of(products)
        return [each and _moved_on(each, self._doings.bought.get(each.product)) for each in known]

    def is_of_several(self, habit: Habit) -> bool:
        """Return whether a habit by type stands for purchases of other products of its type as well."""
        own = self.again_of([habit.product])[0]
        return own is None or own.n != habit.n

    def stretches(self) -> Sequence[Stretch]:
        """Return categories that are new to the customer, the most probable first."""
        return [each for each in self._base.stretches() if each.category not in self._bought_categories]

    def discoveries(self) -> Iterator[Discovery]:
        """Yield products that the customer never bought."""
        return (each for each in self._base.discoveries() if each.product not in self._doings.bought)

    def recent_categories(self) -> set[int]:
        """Return the categories that the customer bought in the last 26 weeks."""
        return self._base.recent_categories() | self._bought_categories

    def usual_price(self) -> float | None:
        """Return the mean price of a piece that the customer pays, money; None when not known."""
        return self._base.usual_price()

    def leanings(self) -> Sequence[tuple[int, float]]:
        """Return what is known of the customer's leanings: a product flag, and its share in what they buy, 0 to 1."""
        return self._base.leanings()

    def p_shop(self, days: int) -> float:
        """Return the chance of a trip within 1 to 7 days of the bundle's as-of."""
        return self._base.p_shop(days)


def _by_type(doings: Doings, shelf: Shelf) -> dict[int, Bought]:
    found: dict[int, Bought] = {}
    for product, bought in doings.bought.items():
        kind = shelf.type[product]
        other = found.get(kind)
        days = bought.days if other is None else tuple(sorted({*bought.days, *other.days}))
        found[kind] = Bought(days, bought.quantity)
    return found


def _moved_on(habit: Habit, bought: Bought | None) -> Habit:
    """Return the habit as of its latest purchase: the next one is due a gap after it."""
    if bought is None or bought.days[-1] < habit.last_day:
        return habit
    last_day = bought.days[-1]
    due_day = habit.due_day if habit.gap_days is None else last_day + habit.gap_days
    return habit._replace(last_day=last_day, due_day=due_day, n=habit.n + len(bought.days))
