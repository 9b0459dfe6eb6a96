"""The parts of a ranked slate: what is asked, its lines, how many of a kind it takes, and where pins stand in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from serving.api_answers import Reason
from serving.api_codes import Intent, Level
from serving.candidates import Habit, made
from serving.decisioning.merchandising import Display
from serving.decisioning.rules import Screen, Withheld
from serving.shelf import Shelf
from serving.taste import Taste

T = TypeVar("T")


class Entry(NamedTuple):
    """One line of a slate; `key` is the row of the level that it stands for, `habit` what is known of the product."""

    product: int
    key: int
    probability: float
    reason: Reason
    habit: Habit | None = None


entry_of: Callable[[tuple[int, int, float, Reason, Habit | None]], Entry] = partial(made, Entry)


class Ask(NamedTuple):
    """What a slate should be: `category` is a row or -1, `cap` the call's own bound on items of a category."""

    taste: Taste
    store: int
    today: int
    k: int
    intent: Intent
    level: Level
    screen: Screen
    display: Display
    category: int = -1
    cap: int | None = None
    basket_types: frozenset[int] = frozenset()


class Caps:
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

    def take(self, entries: Iterable[Entry], n_wanted: int) -> list[Entry]:
        """Return the first `n_wanted` entries that may be shown now, and count them."""
        chosen: list[Entry] = []
        seen, n_of, category_of = self._seen, self._n_of_category, self._shelf.category
        for entry in entries if n_wanted > 0 else ():
            if entry.key in seen:
                continue
            category = category_of[entry.product]
            count = n_of.get(category, 0)
            if self._hard is not None and count >= self._hard:
                self._screen.note(entry.product, Withheld.CATEGORY_FULL)
            elif self._soft is not None and count >= self._soft:
                self._waiting.append(entry)
            else:
                seen.add(entry.key)
                n_of[category] = count + 1
                chosen.append(entry)
                if len(chosen) == n_wanted:
                    break
        return chosen

    def takes_pinned(self, entry: Entry) -> bool:
        """Return whether a pinned entry may be shown, and count it; the soft cap does not hold it."""
        soft, self._soft = self._soft, None
        taken = self.take((entry,), 1)
        self._soft = soft
        return bool(taken)

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


def with_pins(slate: Sequence[T], pinned: Iterable[tuple[int, T]]) -> list[T]:
    """Return the slate with each pinned entry at its rank (from 1), by rank; of two of one rank the first stands first.

    Examples
    --------
    >>> with_pins(["a", "b"], [(1, "x"), (1, "y"), (9, "z")])
    ['x', 'y', 'a', 'b', 'z']
    """
    placed, least = list(slate), 0
    for rank, entry in pinned:
        least = max(rank, least + 1)
        placed.insert(least - 1, entry)
    return placed
