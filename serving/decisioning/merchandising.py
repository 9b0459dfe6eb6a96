"""Merchants' rules ready to be asked: what is banned, put forward or moved in one call, by product row.

A ban goes before every other rule, a rule before a pin, a pin before a boost. A boost multiplies the odds by which
something is ranked and never a chance that is shown.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple, TypeVar, get_args, get_type_hints

import numpy as np
import numpy.typing as npt

from serving.bundle_format import RECOMMENDABLE, BundleArrays
from serving.candidates import Neighbour
from serving.decisioning.completion import logit, shifted
from serving.decisioning.policy_merchandising import NO_RULES, Aim, Ban, Boost, Bound, Merchandising, Pin, Scope
from serving.decisioning.rules import BANNED
from serving.decisioning.windows import day_of
from serving.shelf import Shelf, ints
from serving.taste import Place

# What several boosts come to together stays within what one alone may be.
_LIMITS = get_args(get_type_hints(Boost, include_extras=True)["factor"])[1]
_N_BEST = 50
_MOST_KEPT = 64

K = TypeVar("K")

Rule = Pin | Boost | Ban
Rows = npt.NDArray[np.int64]


class Call(NamedTuple):
    """Which call it is, for which moment, where it is shown, and the store and days of who asks."""

    name: str
    at: datetime
    placement: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class PinnedRows:
    """A pin as rows: its `named` products in their order, and the `best` of all that its kinds cover."""

    rank: int
    intents: tuple[str, ...]
    named: tuple[int, ...]
    best: tuple[int, ...]
    covered: frozenset[int]


class Display:
    """What the rules make of one call; this one makes nothing of it. `flags` are the shelf's, with BANNED added."""

    def __init__(self, shelf: Shelf) -> None:
        self.flags = shelf.flags
        self.pins: tuple[PinnedRows, ...] = ()
        self.pinned_offers: Mapping[str, int] = {}
        self.has_boosts = False
        self._shelf = shelf
        self._steps: Sequence[float] = ()
        self._offer_factors: Mapping[str, float] = {}
        self._banned_offers: frozenset[str] = frozenset()
        self._ordered: dict[object, Sequence[int]] = {}

    def is_banned(self, product: int) -> bool:
        """Return whether a product (its row; -1 never) is banned."""
        return product >= 0 and bool(self.flags[product] & BANNED)

    def step(self, product: int) -> float:
        """Return what the boosts add to the log odds of a product."""
        return self._steps[product] if self.has_boosts else 0.0

    def boosted(self, chance: float, product: int) -> float:
        """Return the chance by which a product is ranked: its own, with the odds as the boosts multiply them."""
        return shifted(chance, self._steps[product]) if self.has_boosts else chance

    def ordered(self, key: object, products: Callable[[], Iterable[int]]) -> Iterable[int]:
        """Return a list of best sellers as the boosts reorder it, remembered by its key.

        Its odds are those of the population, held to fall along the list: what no boost touches keeps its order.
        """
        if not self.has_boosts:
            return products()
        found = self._ordered.get(key)
        if found is None:
            rows = list(products())
            falling = np.minimum.accumulate([logit(self._shelf.p7[row]) for row in rows]) if rows else np.zeros(0)
            moved = falling + np.array([self._steps[row] for row in rows])
            found = self._ordered[key] = [rows[i] for i in np.argsort(-moved, kind="stable")]
        return found

    def by_score(self, found: list[Neighbour]) -> list[Neighbour]:
        """Return neighbours, the best first, by their score as the boosts multiply it; ties keep their order."""
        if not self.has_boosts:
            return found
        return sorted(found, key=lambda each: -each.score * math.exp(self._steps[each.product]))

    def offer_factor(self, offer_id: str, product: int) -> float:
        """Return what an offer's value is multiplied by for its rank: its own boosts, and those of what it leads with.

        `product` is the row of the product that it is shown with first, -1 for an offer for nothing in particular.
        """
        step = math.exp(self.step(product)) if product >= 0 else 1.0
        return _held(self._offer_factors.get(offer_id, 1.0) * step)

    def bans_offer(self, offer_id: str, products: Sequence[int]) -> bool:
        """Return whether an offer is banned: itself, or all that it is for (product rows)."""
        if offer_id in self._banned_offers:
            return True
        return bool(products) and all(map(self.is_banned, products))


class _Filled(Display):
    """What a set of rules makes of the calls that they hold for."""

    def __init__(self, shelf: Shelf, rules: Sequence[Rule], rows_of: Callable[[Aim], Rows]) -> None:
        super().__init__(shelf)
        boosts = [each for each in rules if isinstance(each, Boost)]
        bans = [each for each in rules if isinstance(each, Ban)]
        pins = sorted((each for each in rules if isinstance(each, Pin)), key=lambda pin: pin.rank)
        if bans:
            self.flags = ints(_with_flag(shelf, [rows_of(each.aim) for each in bans]))
            self._banned_offers = frozenset(offer for each in bans for offer in each.aim.offers)
        if boosts:
            self.has_boosts = True
            self._steps = _steps(shelf.n_products, [(rows_of(each.aim), each.factor) for each in boosts])
            self._offer_factors = _offer_factors(boosts)
        self.pins = tuple(_pinned(shelf, each, rows_of) for each in pins if each.aim != Aim(offers=each.aim.offers))
        self.pinned_offers = _ranks_of_offers(pins)


class Merchants:
    """All rules of a policy over one open bundle; many threads may ask at once. `plain` is what no rule makes."""

    def __init__(self, bundle: BundleArrays, shelf: Shelf, rules: Merchandising) -> None:
        self._rules: tuple[Rule, ...] = (*rules.pins, *rules.boosts, *rules.bans)
        self.plain = Display(shelf)
        self.has_rules = bool(self._rules)
        if not self.has_rules:
            return
        scopes = [each.scope for each in self._rules]
        self._shelf = shelf
        self._index = AimIndex(bundle, shelf)
        self._placements = {placement for each in scopes for placement in each.placements}
        self._stores = {store for each in scopes for store in each.stores}
        bounds = [bound for each in scopes for bound in (each.starts, each.ends)]
        self._moments = sorted(each for each in bounds if isinstance(each, datetime))
        self._has_days = any(each is not None and not isinstance(each, datetime) for each in bounds)
        self._by_call: dict[tuple[object, ...], Display] = {}
        self._by_rules: dict[tuple[int, ...], Display] = {}

    def display(self, call: Call) -> Display:
        """Return what the rules make of a call. What holds is looked up once for each day, place and kind of call."""
        if not self.has_rules:
            return self.plain
        placement = call.placement if call.placement in self._placements else None
        store_id = call.place.store_id if call.place.store_id in self._stores else None
        day = day_of(call.at, call.place.zone) if self._has_days else 0
        key = (call.name, placement, store_id, day, bisect_right(self._moments, call.at))
        found = self._by_call.get(key)
        if found is None:
            found = self._found(call.name, call.at, day, (placement, store_id))
            self._by_call = _with_room(self._by_call)
            self._by_call[key] = found
        return found

    def _found(self, name: str, at: datetime, day: int, where: tuple[str | None, str | None]) -> Display:
        holding = tuple(i for i, each in enumerate(self._rules) if _holds(each.scope, name, at, day, where))
        if not holding:
            return self.plain
        found = self._by_rules.get(holding)
        if found is None:
            found = _Filled(self._shelf, [self._rules[i] for i in holding], self._index.rows)
            self._by_rules = _with_room(self._by_rules)
            self._by_rules[holding] = found
        return found


class AimIndex:
    """The products of a bundle by all that a rule may name them by."""

    def __init__(self, bundle: BundleArrays, shelf: Shelf) -> None:
        self._shelf = shelf
        self._rows_of_product = bundle.products
        types = {name.casefold(): row for row, name in enumerate(bundle.types.name)}
        categories: dict[str, list[int]] = {}
        departments: dict[str, list[int]] = {}
        for row, (name, department) in enumerate(
            zip(bundle.categories.name, bundle.categories.department, strict=True)
        ):
            categories.setdefault(name.casefold(), []).append(row)
            if department:
                departments.setdefault(department.casefold(), []).append(row)
        brands: dict[str, list[int]] = {}
        for row, brand in enumerate(bundle.products.brand):
            if brand:
                brands.setdefault(brand.casefold(), []).append(row)
        self._types, self._categories, self._departments, self._brands = types, categories, departments, brands
        self._offers = set(bundle.offers.id)
        self._stores = set(bundle.stores.id)

    def rows(self, aim: Aim) -> Rows:
        """Return the rows of all products that a rule is about, in order; unknown names add none."""
        products = self._rows_of_product
        kinds = [self._types[each.casefold()] for each in aim.product_types if each.casefold() in self._types]
        categories = [
            row
            for names, known in ((aim.categories, self._categories), (aim.departments, self._departments))
            for each in names
            for row in known.get(each.casefold(), ())
        ]
        rows = self._shelf.rows_of(aim.products)
        rows.update(row for each in aim.brands for row in self._brands.get(each.casefold(), ()))
        if kinds:
            rows.update(np.flatnonzero(np.isin(products.type, kinds)).tolist())
        if categories:
            rows.update(np.flatnonzero(np.isin(products.category, categories)).tolist())
        return np.array(sorted(rows), dtype=np.int64)

    def unknown(self, rule: Rule) -> Iterator[tuple[str, str]]:
        """Yield what a rule names that the bundle doesn't know: the kind of name, and the name."""
        aim = rule.aim
        yield from (("store", each) for each in rule.scope.stores if each not in self._stores)
        yield from (("product", each) for each in aim.products if self._shelf.row_of(each) < 0)
        yield from (("offer", each) for each in aim.offers if each not in self._offers)
        named = (
            ("product type", aim.product_types, self._types),
            ("category", aim.categories, self._categories),
            ("department", aim.departments, self._departments),
            ("brand", aim.brands, self._brands),
        )
        for kind, names, known in named:
            yield from ((kind, each) for each in names if each.casefold() not in known)


def unknown_names(bundle: BundleArrays, rules: Merchandising) -> list[str]:
    """Return a line for each name in the rules that the bundle doesn't know: a typing error, or what comes later."""
    if rules == NO_RULES:
        return []
    index = AimIndex(bundle, Shelf(bundle, margin_rate=0.0))
    kinds: tuple[tuple[str, Sequence[Rule]], ...] = (
        ("pins", rules.pins),
        ("boosts", rules.boosts),
        ("bans", rules.bans),
    )
    return [
        f"{name} {i}: the bundle knows no {kind} {each!r}"
        for name, listed in kinds
        for i, rule in enumerate(listed, 1)
        for kind, each in index.unknown(rule)
    ]


def _holds(scope: Scope, name: str, at: datetime, day: int, where: tuple[str | None, str | None]) -> bool:
    placement, store_id = where
    if name not in scope.calls or not _has_begun(scope.starts, at, day):
        return False
    if scope.ends is not None and _has_begun(scope.ends, at, day):
        return False
    return (not scope.placements or placement in scope.placements) and (not scope.stores or store_id in scope.stores)


def _has_begun(bound: Bound, at: datetime, day: int) -> bool:
    if bound is None:
        return True
    return at >= bound if isinstance(bound, datetime) else day >= (bound - date(1970, 1, 1)).days


def _with_flag(shelf: Shelf, banned: Sequence[Rows]) -> npt.NDArray[np.uint16]:
    flags = np.array(shelf.flags, dtype=np.uint16)
    for rows in banned:
        flags[rows] |= np.uint16(BANNED)
    return flags


def _steps(n_products: int, boosts: Sequence[tuple[Rows, float]]) -> Sequence[float]:
    steps = np.zeros(n_products)
    for rows, factor in boosts:
        steps[rows] += math.log(factor)
    held: Sequence[float] = np.clip(steps, math.log(_LIMITS.low), math.log(_LIMITS.high)).data
    return held


def _offer_factors(boosts: Sequence[Boost]) -> dict[str, float]:
    factors: dict[str, float] = {}
    for boost in boosts:
        for offer in boost.aim.offers:
            factors[offer] = factors.get(offer, 1.0) * boost.factor
    return factors


def _ranks_of_offers(pins: Sequence[Pin]) -> dict[str, int]:
    """Return the rank of each pinned offer, by rank and then in the order of the file; the first pin of one counts."""
    ranks: dict[str, int] = {}
    for pin in pins:
        for offer in pin.aim.offers:
            ranks.setdefault(offer, pin.rank)
    return ranks


def _held(factor: float) -> float:
    return float(min(max(factor, _LIMITS.low), _LIMITS.high))


def _pinned(shelf: Shelf, pin: Pin, rows_of: Callable[[Aim], Rows]) -> PinnedRows:
    named = tuple(row for each in pin.aim.products if (row := shelf.row_of(each)) >= 0)
    rows = rows_of(pin.aim)
    selling = [row for row in rows.tolist() if shelf.flags[row] & RECOMMENDABLE]
    best = sorted(selling, key=lambda row: (-shelf.p7[row], row))[:_N_BEST]
    return PinnedRows(pin.rank, pin.intents, named, tuple(best), frozenset(rows.tolist()))


def _with_room(kept: dict[K, Display]) -> dict[K, Display]:
    """Return the same memory, or an empty one where it is full; the old one may still be read."""
    return kept if len(kept) < _MOST_KEPT else {}
