"""Ranked slates: what to buy again, what to discover, or both, at one of three levels; never padded, never repeated."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from functools import partial
from itertools import accumulate, chain
from operator import attrgetter
from typing import NamedTuple, TypeVar

from serving.api_answers import Reason
from serving.api_codes import Intent, Level
from serving.bundle_format import INTIMATE, RESTRICTED
from serving.candidates import Candidates, Discovery, Habit, Neighbour
from serving.decisioning.completion import logit, shifted
from serving.decisioning.merchandising import PinnedRows
from serving.decisioning.policy import RecommendationPolicy
from serving.decisioning.reasons import Reasons
from serving.decisioning.rules import Pace, Withheld
from serving.decisioning.slate_parts import Ask, Caps, Entry, entry_of, with_pins
from serving.shelf import Shelf

T = TypeVar("T")

HORIZON_DAYS = 7
UNASKED_FLAGS = RESTRICTED | INTIMATE
# Naming a member of an enum by its class takes 60 ns more than by a name of the module.
_PRODUCT, _TYPE, _CATEGORY = Level.PRODUCT, Level.PRODUCT_TYPE, Level.CATEGORY
_BUY_AGAIN, _DISCOVER = Intent.BUY_AGAIN, Intent.DISCOVER


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
        share of the latter. Where one runs dry, `mixed` takes the other, and what is popular fills the rest. What is
        pinned stands where its rank says, and the others around it.
        """
        if ask.intent is _BUY_AGAIN:
            caps = Caps(self._shelf, ask)
            pinned = self._pinned(ask, caps, is_personal=True)
            return with_pins(caps.take(self._again(ask), ask.k - len(pinned)), pinned)
        caps = Caps(self._shelf, ask, soft=None if ask.category >= 0 else self._soft_cap)
        pinned = self._pinned(ask, caps, is_personal=True)
        k = ask.k - len(pinned)
        n_new = k if ask.intent is _DISCOVER else math.floor(k * self._policy.discover_share)
        again = [] if ask.intent is _DISCOVER else caps.take(self._again(ask), k - n_new)
        fresh = caps.take(self._fresh(ask), k - len(again))
        if ask.intent is Intent.MIXED and len(again) + len(fresh) < k:
            again += caps.take(chain(self._again(ask), self._others(ask)), k - len(again) - len(fresh))
        slate = again + fresh + caps.overflow(k - len(again) - len(fresh))
        rank: Callable[[Entry], float] = partial(self._rank, ask) if ask.display.has_boosts else _probability
        return with_pins(sorted(slate, key=rank, reverse=True), pinned)

    def popular(self, ask: Ask, neighbours: Iterable[Neighbour]) -> list[Entry]:
        """Return the slate of one whom nobody knows: what goes with the basket, then what is popular, in that order."""
        caps = Caps(self._shelf, ask, soft=None if ask.category >= 0 else self._soft_cap)
        pinned = self._pinned(ask, caps, is_personal=False)
        k = ask.k - len(pinned)
        together = (
            self._population_entry(ask, each.product, self._reasons.together(each, is_basket=True))
            for each in ask.display.by_score(list(neighbours))
            if self._may_suggest(ask, each.product)
        )
        slate = caps.take(chain(together, self._popular(ask, set())), k)
        return with_pins(slate + caps.overflow(k - len(slate)), pinned)

    def _rank(self, ask: Ask, entry: Entry) -> float:
        """Return the chance by which an entry is ranked; the one that is shown stays what it is."""
        return ask.display.boosted(entry.probability, entry.product)

    def _ranked(self, ask: Ask, listed: Iterable[T], chance: Callable[[T], tuple[float, int]]) -> Iterable[T]:
        """Return candidates in the order that the boosts give them: what no boost touches keeps its own.

        `chance` tells the chance by which a candidate stands where it does, and the row of its product.
        """
        if not ask.display.has_boosts:
            return listed
        found = list(listed)
        told = [chance(each) for each in found]
        falling = accumulate((logit(p) for p, _ in told), min)
        moved = [each + ask.display.step(product) for each, (_, product) in zip(falling, told, strict=True)]
        return [found[i] for i in sorted(range(len(found)), key=lambda i: -moved[i])]

    def _pinned(self, ask: Ask, caps: Caps, *, is_personal: bool) -> list[tuple[int, Entry]]:
        """Return what is pinned and may be shown, with its rank, by rank: at most `k`, each pin's first that may be."""
        pins = [pin for pin in ask.display.pins if ask.intent in pin.intents or not is_personal]
        if not pins:
            return []
        own = self._own(ask) if is_personal else None
        chosen: list[tuple[int, Entry]] = []
        for pin in pins[: ask.k]:
            entries = (self._pinned_entry(ask, product, own) for product in self._wanted(ask, pin, own))
            entry = next((each for each in entries if each is not None and caps.takes_pinned(each)), None)
            if entry is not None:
                chosen.append((pin.rank, entry))
        return chosen

    def _own(self, ask: Ask) -> _Own:
        """Return what is the customer's own of the level asked for; products are looked up one by one."""
        bought = self._bought_keys(ask)
        if ask.level is _PRODUCT:
            return _Own(bought, {}, {})
        again, new = ({each.key: each for each in entries} for entries in (self._again(ask), self._new(ask)))
        return _Own(bought, again, new)

    def _wanted(self, ask: Ask, pin: PinnedRows, own: _Own | None) -> Iterator[int]:
        """Yield what a pin would have shown: what it names, of its kinds what ranks best for them, then what sells."""
        yield from pin.named
        if own is not None and pin.best:
            yield from (each for each in self._own_products(ask, own) if each in pin.covered)
        yield from pin.best

    def _own_products(self, ask: Ask, own: _Own) -> Iterator[int]:
        if ask.level is _PRODUCT:
            return chain(ask.taste.again_products(), (each.product for each in self._discoveries(ask)))
        return (each.product for each in chain(own.again.values(), own.new.values()))

    def _pinned_entry(self, ask: Ask, product: int, own: _Own | None) -> Entry | None:
        """Return the entry of a pinned product, with the customer's own chance where there is one; None: it may not be.

        What they bought before is in no `discover`, and what they did not in no `buy_again`. `own` is None for one whom
        nobody knows.
        """
        key = self._key(ask, product)
        is_bought = own is not None and key in own.bought
        if own is not None and ask.intent is (_DISCOVER if is_bought else _BUY_AGAIN):
            return None
        may_be_shown = ask.screen.withheld(product) is None if is_bought else self._may_suggest(ask, product)
        if not may_be_shown:
            return None
        entry = None if own is None else self._own_entry(ask, product, own, is_bought=is_bought)
        if is_bought and entry is None:  # all of it is just bought, in the basket or withheld
            return None
        reason = self._reasons.pinned()
        return (entry or self._population_entry(ask, product, reason))._replace(product=product, reason=reason)

    def _own_entry(self, ask: Ask, product: int, own: _Own, *, is_bought: bool) -> Entry | None:
        """Return what stands for a product at the level asked for, of what they buy again or of what is new to them."""
        if ask.level is not _PRODUCT:
            return (own.again if is_bought else own.new).get(self._key(ask, product))
        reason = self._reasons.pinned()
        if not is_bought:
            found = (each.p7 for each in ask.taste.discoveries() if each.product == product)
            return next((Entry(product, product, p7, reason) for p7 in found), None)
        habit = ask.taste.again_of([product])[0]
        if habit is None or not self._is_open(ask, habit, product):
            return None
        return Entry(product, product, habit.p7, reason, habit)

    def _key(self, ask: Ask, product: int) -> int:
        if ask.level is _PRODUCT:
            return product
        return self._shelf.type[product] if ask.level is _TYPE else self._shelf.category[product]

    def _again(self, ask: Ask) -> Iterator[Entry]:
        if ask.level is _PRODUCT:
            return self._again_products(ask)
        types = self._again_types(ask)
        return types if ask.level is _TYPE else self._again_categories(ask, types)

    def _again_products(self, ask: Ask) -> Iterator[Entry]:
        withheld, is_just_bought, reason_of = ask.screen.withheld, self._pace.is_just_bought, self._reasons.habit
        today, end_day = ask.today, ask.today + HORIZON_DAYS
        for habit in self._ranked(ask, ask.taste.again(), _of_habit):
            product = habit.product
            # `_is_open`, written out: it is asked for every line.
            if withheld(product) is not None:
                continue
            if is_just_bought(habit, today):
                ask.screen.note(product, Withheld.JUST_BOUGHT)
                continue
            reason = reason_of(habit, today=today, end_day=end_day, is_type=False)
            yield entry_of((product, product, habit.p7, reason, habit))

    def _again_types(self, ask: Ask) -> Iterator[Entry]:
        for habit in self._ranked(ask, ask.taste.habits(), _of_habit):
            if habit.type in ask.basket_types:
                continue
            product = self._shown_product(ask, habit)
            if product is not None:
                is_of_several = product != habit.product or ask.taste.is_of_several(habit)
                reason = self._habit_reason(ask, habit, is_type=is_of_several)
                yield Entry(product, habit.type, habit.p7, reason, habit)

    def _again_categories(self, ask: Ask, types: Iterator[Entry]) -> Iterator[Entry]:
        """Return one entry a category: its most probable type's, with the chance of any, as if independent."""
        best: dict[int, Entry] = {}
        none_of_them: dict[int, float] = {}
        for entry in types:
            category = self._shelf.category[entry.product]
            best.setdefault(category, entry)
            none_of_them[category] = none_of_them.get(category, 1.0) * (1.0 - entry.probability)
        entries = [best[row]._replace(key=row, probability=1.0 - none) for row, none in none_of_them.items()]
        return iter(sorted(entries, key=lambda entry: -self._rank(ask, entry)))

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
        return not self._shelf.flags[product] & self._unasked_flags(ask) and ask.screen.withheld(product) is None

    def _unasked_flags(self, ask: Ask) -> int:
        return UNASKED_FLAGS if self._applies_rules and ask.category < 0 else 0

    def _habit_reason(self, ask: Ask, habit: Habit, *, is_type: bool) -> Reason:
        return self._reasons.habit(habit, today=ask.today, end_day=ask.today + HORIZON_DAYS, is_type=is_type)

    def _fresh(self, ask: Ask) -> Iterator[Entry]:
        """Yield what the customer never bought, then what is popular in categories that they haven't bought lately."""
        yield from self._new(ask)
        yield from self._popular(ask, ask.taste.recent_categories())

    def _new(self, ask: Ask) -> Iterator[Entry]:
        if ask.level is _CATEGORY and not ask.taste.is_cold:
            return self._fresh_categories(ask)
        return self._fresh_products(ask) if ask.level is _PRODUCT else self._fresh_groups(ask)

    def _others(self, ask: Ask) -> Iterator[Entry]:
        """Yield what is popular and not among what the customer buys again, which the rules may have kept back."""
        known = self._bought_keys(ask)
        return (entry for entry in self._popular(ask, set()) if entry.key not in known)

    def _bought_keys(self, ask: Ask) -> set[int]:
        """Return the rows, of the level asked for, of what the customer buys again."""
        if ask.level is _PRODUCT:
            return {habit.product for habit in ask.taste.again()}
        is_type = ask.level is _TYPE
        return {habit.type if is_type else self._shelf.category[habit.product] for habit in ask.taste.habits()}

    def _fresh_products(self, ask: Ask) -> Iterator[Entry]:
        withheld, reason_of, today = ask.screen.withheld, self._reasons.discovery, ask.today
        flags, unasked = self._shelf.flags, self._unasked_flags(ask)
        for each in self._discoveries(ask):
            product = each.product
            if not flags[product] & unasked and withheld(product) is None:  # `_may_suggest`, written out
                yield entry_of((product, product, each.p7, reason_of(each, today), None))

    def _fresh_groups(self, ask: Ask) -> Iterator[Entry]:
        """Yield types, or categories, never bought, each by its best product, with the chance of any of them."""
        row_of = self._shelf.type if ask.level is _TYPE else self._shelf.category
        bought = {row_of[habit.product] for habit in ask.taste.habits()}
        best: dict[int, Discovery] = {}
        none_of_them: dict[int, float] = {}
        for each in self._discoveries(ask):
            row = row_of[each.product]
            if row not in bought and self._may_suggest(ask, each.product):
                best.setdefault(row, each)
                none_of_them[row] = none_of_them.get(row, 1.0) * (1.0 - each.p7)
        rows = sorted(best, key=lambda row: none_of_them[row])
        for row in self._ranked(ask, rows, lambda row: (1.0 - none_of_them[row], best[row].product)):
            reason = self._reasons.discovery(best[row], ask.today)
            yield Entry(best[row].product, row, 1.0 - none_of_them[row], reason)

    def _discoveries(self, ask: Ask) -> Iterable[Discovery]:
        """Return what the customer never bought, the most probable first; of a cold one in the order it came."""
        return self._ranked(ask, ask.taste.best_discoveries(), lambda each: (each.p7, each.product))

    def _fresh_categories(self, ask: Ask) -> Iterator[Entry]:
        stretches = sorted(ask.taste.stretches(), key=lambda each: -each.p7)
        for stretch in self._ranked(ask, stretches, lambda each: (each.p7, each.products[0])):
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

    def _popular_lists(self, ask: Ask) -> list[tuple[Iterable[int], Reason]]:
        ordered = ask.display.ordered
        if ask.category >= 0:
            best = ordered(("category", ask.category), lambda: self._candidates.best_of_category(ask.category))
            return [(best, self._reasons.popular_in_category())]
        in_store = ordered(("store", ask.store), lambda: self._candidates.popular_in_store(ask.store))
        return [
            (in_store, self._reasons.popular(in_store=True)),
            (ordered("popular", self._candidates.popular), self._reasons.popular(in_store=False)),
        ]

    def _population_entry(self, ask: Ask, product: int, reason: Reason) -> Entry:
        shelf = self._shelf
        if ask.level is _TYPE:
            row = shelf.type[product]
            p7 = shelf.type_p7[row]
        elif ask.level is _CATEGORY:
            row = shelf.category[product]
            p7 = shelf.category_p7[row]
        else:
            row, p7 = product, shelf.p7[product]
        return Entry(product, row, shifted(p7, ask.taste.shift(ask.level, row)), reason)


class _Own(NamedTuple):
    """What is a customer's own, by rows of the level asked for: all that they bought, and entries that may be shown."""

    bought: Set[int]
    again: Mapping[int, Entry]
    new: Mapping[int, Entry]


_probability: Callable[[Entry], float] = attrgetter("probability")


def _of_habit(habit: Habit) -> tuple[float, int]:
    return habit.p7, habit.product
