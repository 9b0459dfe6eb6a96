"""The rules: small named claims about a candidate, and the reason when one keeps it out of an answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from enum import StrEnum
from typing import NamedTuple

from serving.bundle_format import INTIMATE, OUT_OF_STOCK, RECOMMENDABLE, RESTRICTED
from serving.candidates import Habit
from serving.decisioning.policy import HabitPolicy
from serving.shelf import Shelf
from serving.state.known import Trace


class Withheld(StrEnum):
    """Why a product is not in an answer."""

    BANNED = "banned"
    EXCLUDED = "excluded"
    IN_BASKET = "in_basket"
    DISMISSED = "dismissed"
    OUT_OF_STOCK = "out_of_stock"
    NOT_RECOMMENDABLE = "not_recommendable"
    RESTRICTED = "restricted"
    INTIMATE = "intimate"
    OTHER_CATEGORY = "other_category"
    TOO_DEAR = "too_dear"
    CATEGORY_FULL = "category_full"
    JUST_BOUGHT = "just_bought"


FILTERS = frozenset({Withheld.OTHER_CATEGORY, Withheld.TOO_DEAR, Withheld.CATEGORY_FULL})
GONE = frozenset({Withheld.BANNED, Withheld.EXCLUDED, Withheld.IN_BASKET, Withheld.DISMISSED, Withheld.OUT_OF_STOCK})

# A product flag that no bundle has: what the merchants' rules ban in a call (`decisioning.merchandising`).
BANNED = 1 << 15

_FLAGS = (
    (BANNED, Withheld.BANNED),
    (OUT_OF_STOCK, Withheld.OUT_OF_STOCK),
    (RESTRICTED, Withheld.RESTRICTED),
    (INTIMATE, Withheld.INTIMATE),
)


class Pace:
    """When a habit counts as just bought, due and regular; without rules nothing is just bought and all is due."""

    def __init__(self, policy: HabitPolicy, *, applies_rules: bool) -> None:
        self._policy = policy
        self._applies_rules = applies_rules
        self.regular_purchases = policy.regular_purchases

    def is_just_bought(self, habit: Habit, today: int) -> bool:
        """Return whether less than the policy's share of the habit's gap has passed since the last time."""
        if not self._applies_rules:
            return False
        gap = habit.gap_days
        wait = self._policy.just_bought_days if gap is None else self._policy.just_bought_share * gap
        return today - habit.last_day < wait

    def is_due(self, habit: Habit, end_day: int) -> bool:
        """Return whether the next time is expected before the local day `end_day` begins, or was expected already."""
        return not self._applies_rules or habit.due_day < end_day + self._policy.due_slack_days

    def is_regular(self, habit: Habit) -> bool:
        """Return whether there were enough purchases to name a pace."""
        return habit.gap_days is not None and habit.n >= self.regular_purchases


class Gone(NamedTuple):
    """Products that one call keeps out, whatever else speaks for them."""

    excluded: Collection[int] = frozenset()
    in_basket: Collection[int] = frozenset()
    dismissed: Collection[int] = frozenset()

    def reason(self, product: int) -> Withheld:
        """Return why one of these products is kept out."""
        if product in self.excluded:
            return Withheld.EXCLUDED
        return Withheld.IN_BASKET if product in self.in_basket else Withheld.DISMISSED


class Screen:
    """What one call keeps out of its answer, product by product; `met` collects why, the trace also what."""

    def __init__(
        self,
        shelf: Shelf,
        *,
        gone: Gone,
        forbidden_flags: int,
        flags: Sequence[int] | None = None,
        is_out: Callable[[int], bool] | None = None,
        trace: Trace | None = None,
        extra: Callable[[int], Withheld | None] | None = None,
    ) -> None:
        """Take `is_out` where there is a word on the stock; else `forbidden_flags` may hold OUT_OF_STOCK.

        `flags` are those of the products where they differ from the shelf's.
        """
        self._shelf = shelf
        self._flags = shelf.flags if flags is None else flags
        self._gone = gone
        self._all_gone = {*gone.excluded, *gone.in_basket, *gone.dismissed}  # one look for each product
        self._forbidden_flags = forbidden_flags | BANNED
        self._looked_at = self._forbidden_flags | RECOMMENDABLE
        self._is_out = is_out
        self._trace = trace
        self._extra = extra
        self._is_plain = is_out is None and extra is None
        self.in_basket = gone.in_basket
        self.met: set[Withheld] = set()

    def withheld(self, product: int) -> Withheld | None:
        """Return why the product may not be in the answer, None when it may."""
        if self._is_plain and self._flags[product] & self._looked_at == RECOMMENDABLE and product not in self._all_gone:
            return None
        reason = self._reason(product)
        if reason is not None:
            self.note(product, reason)
        return reason

    def note(self, product: int, reason: Withheld) -> None:
        """Remember that the product is kept out, for a reason that was found elsewhere."""
        self.met.add(reason)
        if self._trace is not None:
            self._trace.add(self._shelf.ids[product], reason)

    def _reason(self, product: int) -> Withheld | None:
        bits = self._flags[product]
        if not bits & RECOMMENDABLE:
            return Withheld.NOT_RECOMMENDABLE
        if bits & self._forbidden_flags:
            return next(reason for flag, reason in _FLAGS if bits & self._forbidden_flags & flag)
        if self._is_out is not None and self._is_out(product):
            return Withheld.OUT_OF_STOCK
        if product in self._all_gone:
            return self._gone.reason(product)
        return self._extra(product) if self._extra is not None else None


def price_and_category(shelf: Shelf, max_price: float | None, category: int) -> Callable[[int], Withheld | None] | None:
    """Return the claim that a call's own filters make; None when it has none. A product without a price is too dear."""
    if max_price is None and category < 0:
        return None

    def reason(product: int) -> Withheld | None:
        if category >= 0 and shelf.category[product] != category:
            return Withheld.OTHER_CATEGORY
        if max_price is not None:
            price = shelf.price(product)
            if price is None or price > max_price:
                return Withheld.TOO_DEAR
        return None

    return reason
