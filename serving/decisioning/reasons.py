"""What a person would say: why an item is in an answer, true of the data, and never naming what is intimate."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from serving.api_answers import Reason
from serving.api_codes import ReasonCode
from serving.bundle_format import HEALTHY, INTIMATE, PRIVATE_LABEL, RESTRICTED
from serving.candidates import Discovery, Habit, Neighbour, Sign, Stretch
from serving.decisioning.rules import Pace
from serving.shelf import Shelf
from serving.state.events import EventType

_ONE_DAY = 1.5
_LENGTHS_REMEMBERED = 4096  # gaps are in 32nds of a day; asking for one takes a third of making it
_INTERESTS = {
    EventType.WISHLIST: (ReasonCode.WISHED, "put this on your wish list"),
    EventType.SCAN: (ReasonCode.VIEWED, "scanned this"),
}
# Naming a member of an enum by its class takes 60 ns more than by a name of the module, and every item has a reason.
_DUE, _REGULAR, _BOUGHT_BEFORE = ReasonCode.HABIT_DUE, ReasonCode.HABIT_REGULAR, ReasonCode.BOUGHT_BEFORE
_SIMILAR = ReasonCode.DISCOVER_SIMILAR
_LEANINGS = {HEALTHY: "what is healthy", PRIVATE_LABEL: "our own brand"}


class Reasons:
    """Makes the reasons of answers from what the bundle says."""

    def __init__(self, shelf: Shelf, pace: Pace) -> None:
        self._shelf = shelf
        self._pace = pace
        flags = np.asarray(shelf.category_flags)
        self._unnamed = frozenset(np.flatnonzero(flags & (INTIMATE | RESTRICTED)).tolist())

    def habit(self, habit: Habit, *, today: int, end_day: int, is_type: bool) -> Reason:
        """Return the pace of a habit and its last time, as of the local day `today`.

        With `is_type` the numbers are those of several products of one type, and the text says so.
        """
        what = "something like this" if is_type else "this"
        last = days_ago(today - habit.last_day)
        if habit.gap_days is not None and habit.n >= self._pace.regular_purchases:  # `Pace.is_regular`, written out
            is_due = self._pace.is_due(habit, end_day)
            text = f"You buy {what} about every {days(habit.gap_days)}; the last time was {last}"
            return {"code": _DUE if is_due else _REGULAR, "text": text}
        if habit.n >= 2:
            text = f"You have bought {what} {times(habit.n)}; the last time was {last}"
        else:
            text = f"You bought {what} {last}"
        return {"code": _BOUGHT_BEFORE, "text": text}

    def stretch(self, stretch: Stretch, product: int, *, is_linked: bool, leaning: int) -> Reason:
        """Return why a new category is worth a try: the habit that leads there, their leaning, or its likelihood.

        `leaning` is the flag of what they lean to and the product is, 0 for none.
        """
        name = self._category_name(stretch.category, product)
        if is_linked:
            source = spoken(self._shelf.category_label(stretch.source))
            text = f"Customers who buy {source} often add {name}; you have not bought it in the last 26 weeks"
            return {"code": ReasonCode.STRETCH_FROM_HABIT, "text": text}
        if leaning:
            text = f"You often choose {_LEANINGS[leaning]}; you have not bought {name} in the last 26 weeks"
            return {"code": ReasonCode.STRETCH_LEANING, "text": text}
        text = f"Customers with habits like yours buy {name}; you have not in the last 26 weeks"
        return {"code": ReasonCode.STRETCH_LIKELY, "text": text}

    def can_name_category(self, category: int) -> bool:
        """Return whether a reason may name the category: neither intimate nor restricted."""
        return category not in self._unnamed

    def discovery(self, found: Discovery, today: int) -> Reason:
        """Return why a product never bought before is in an answer, as of the local day `today`."""
        if found.neighbour is not None:
            return self._together_lately(found.neighbour, found.sign)
        if found.sign is not None:
            when = days_ago(today - found.sign.day)
            code, what = _INTERESTS.get(found.sign.type, (ReasonCode.VIEWED, "looked at this"))
            return {"code": code, "text": f"You {what} {when}"}
        if found.code is _SIMILAR:
            return {"code": _SIMILAR, "text": "Customers with habits like yours buy this"}
        if found.code is ReasonCode.POPULAR_NOW:
            return self.popular(in_store=False)
        text = "Customers who took to the same things as you lately buy this"
        return {"code": ReasonCode.LIKE_LATELY, "text": text}

    def together(self, neighbour: Neighbour, *, is_basket: bool) -> Reason:
        """Return with what, and in how many baskets, a product was bought together."""
        code = ReasonCode.BOUGHT_WITH_BASKET if is_basket else ReasonCode.BOUGHT_WITH
        return {"code": code, "text": self._in_baskets(neighbour, "this")}

    def _together_lately(self, neighbour: Neighbour, sign: Sign | None) -> Reason:
        kind = None if sign is None else sign.type
        if kind is None or kind is EventType.CART:
            return self.together(neighbour, is_basket=True)
        if kind is EventType.PURCHASE:
            text = self._in_baskets(neighbour, "something") + ", which you bought lately"
            return {"code": ReasonCode.BOUGHT_WITH_BOUGHT, "text": text}
        text = self._in_baskets(neighbour, "something") + ", which you looked at lately"
        return {"code": ReasonCode.BOUGHT_WITH_VIEWED, "text": text}

    def _in_baskets(self, neighbour: Neighbour, unnamed: str) -> str:
        """Return the evidence for a pair; a source that is intimate is called `unnamed`."""
        is_intimate = bool(self._shelf.flags[neighbour.source] & INTIMATE)
        source = unnamed if is_intimate else self._shelf.name(neighbour.source)
        if not neighbour.support:
            return f"Its kind is often in the same basket as {source}"
        return f"In {neighbour.support:,} basket{'' if neighbour.support == 1 else 's'} together with {source}"

    def substitute(self, asked: int, *, habit: Habit | None, today: int, leaning: int) -> Reason:
        """Return why a product stands in for the one asked about: what they bought, their leaning, or what others do.

        `leaning` is the flag of what they lean to and the product is, 0 for none.
        """
        if habit is not None:
            last = days_ago(today - habit.last_day)
            text = f"You have bought this {times(habit.n)}; the last time was {last}"
            return {"code": ReasonCode.SUBSTITUTE_OWN, "text": text}
        is_intimate = bool(self._shelf.flags[asked] & INTIMATE)
        changes = f"ustomers change between this and {'what was asked for' if is_intimate else self._shelf.name(asked)}"
        if leaning:
            text = f"You often choose {_LEANINGS[leaning]}; c{changes}"
            return {"code": ReasonCode.SUBSTITUTE_LEANING, "text": text}
        return {"code": ReasonCode.SUBSTITUTE, "text": f"C{changes}"}

    def popular(self, *, in_store: bool) -> Reason:
        """Return that a product sells well, in the store or everywhere."""
        if in_store:
            return {"code": ReasonCode.POPULAR_IN_STORE, "text": "Among the most bought in your store lately"}
        return {"code": ReasonCode.POPULAR_NOW, "text": "Among the most bought this season"}

    def popular_in_category(self) -> Reason:
        """Return that a product sells well in its category."""
        return {"code": ReasonCode.POPULAR_IN_CATEGORY, "text": "Among the most bought of its kind lately"}

    def pinned(self) -> Reason:
        """Return that the shop's own rules gave a product its place."""
        return {"code": ReasonCode.PINNED, "text": "The shop puts this forward"}

    def _category_name(self, category: int, product: int) -> str:
        if self._shelf.stands_for_category(product) or not self.can_name_category(category):
            return "this"
        return spoken(self._shelf.category_names[category]) or "this"


def spoken(name: str) -> str:
    """Return a name as it stands in a sentence: one that is all capitals in small letters.

    Examples
    --------
    >>> spoken("FLUID MILK"), spoken("Rye Bread")
    ('fluid milk', 'Rye Bread')
    """
    return name.lower() if name.isupper() else name


@lru_cache(_LENGTHS_REMEMBERED)
def days(count: float) -> str:
    """Return a length in words, rounded to whole days: 'day', '9 days' (after 'about every').

    Examples
    --------
    >>> days(1.2), days(8.6)
    ('day', '9 days')
    """
    return "day" if count < _ONE_DAY else f"{round(count)} days"


@lru_cache(_LENGTHS_REMEMBERED)
def days_ago(count: int) -> str:
    """Return when something was.

    Examples
    --------
    >>> days_ago(0), days_ago(1), days_ago(8)
    ('today', 'yesterday', '8 days ago')
    """
    if count <= 0:
        return "today"
    return "yesterday" if count == 1 else f"{count} days ago"


def times(count: int) -> str:
    """Return how often.

    Examples
    --------
    >>> times(1), times(2), times(3)
    ('once', 'twice', '3 times')
    """
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
