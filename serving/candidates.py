"""What the bundle holds ready for one customer and for everybody: candidates, best first, read as they are used."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import repeat
from typing import Any, NamedTuple, overload

from features.ids import find_row
from serving.api_codes import ReasonCode
from serving.bundle_format import (
    CONSENT_KEYS,
    CONSENT_UNKNOWN,
    CONSENT_YES,
    HEALTHY,
    N_STRETCH_PRODUCTS,
    PRIVATE_LABEL,
    Again,
    BundleArrays,
    Habits,
)
from serving.numbers import WINDOW_DAYS
from serving.shares import DAY_STEPS, LIFT_STEPS, SHARE, fallen
from serving.shares import UNKNOWN as UNKNOWN_STEPS
from serving.shelf import Shelf, floats, ints
from serving.state.events import EventType

UNKNOWN = -1
_DAY_STEP = 1 / DAY_STEPS
_CUSTOMERS_REMEMBERED = 1024  # several parts of one call look the same customer up


class Habit(NamedTuple):
    """Something a customer buys again; `type` is a row, `due_day` a local day number, `gap_days` None if unknown."""

    product: int
    type: int
    p7: float
    due_day: float
    last_day: int
    gap_days: float | None
    quantity: int
    n: int


class Stretch(NamedTuple):
    """A category new to a customer; `products` are the best there (-1 pads), `source` what leads to it or -1."""

    category: int
    p7: float
    products: tuple[int, int, int]
    source: int
    lift: float


class Neighbour(NamedTuple):
    """A product bought together with others: the summed score, and the strongest pair's lift, support and product."""

    product: int
    score: float
    lift: float
    support: int
    source: int


class Sign(NamedTuple):
    """The latest sign of interest in a product: what it was, and on which local day."""

    type: EventType
    day: int


class Discovery(NamedTuple):
    """A product that a customer never bought, and what made it one where that was an event.

    `sign` is their interest in it, or, with a `neighbour`, in the product that it was bought together with. Without
    either, `code` says why it is one.
    """

    product: int
    p7: float
    sign: Sign | None = None
    neighbour: Neighbour | None = None
    code: ReasonCode = ReasonCode.DISCOVER_SIMILAR


# A NamedTuple's own constructor is a Python function; this one makes the same value in a third of the time. It takes
# the type and all fields, in their order.
made: Callable[[type[Any], Iterable[Any]], Any] = tuple.__new__
_habit_of: Callable[[Iterable[object]], Habit] = partial(made, Habit)
_stretch_of: Callable[[Iterable[object]], Stretch] = partial(made, Stretch)
_discovery_of: Callable[[Iterable[object]], Discovery] = partial(made, Discovery)
_SIMILAR = ReasonCode.DISCOVER_SIMILAR


class Candidates:
    """The candidates of an open bundle, by customer row, store row and product row."""

    def __init__(self, bundle: BundleArrays, shelf: Shelf) -> None:
        self._bundle = bundle
        self._shelf = shelf
        customers = bundle.customers
        self._store = ints(customers.store)
        self._consent = ints(customers.consent)
        self._usual_price = floats(customers.usual_price)
        self._private_label = floats(customers.private_label)
        self._healthy = floats(customers.healthy)
        self._p_shop = ints(customers.p_shop.codes)
        self._habit = _habit_columns(bundle.habit)
        self._habit_type = ints(bundle.habit.type)
        self._usual = (ints(bundle.usual.offsets), ints(bundle.usual.product), ints(bundle.habit.place))
        self._again = _habit_columns(bundle.again)
        self._bought = ints(bundle.again.product)
        novelty, stretch, discover, also = bundle.novelty, bundle.stretch, bundle.discover, bundle.also
        self._novelty = ints(novelty.product)
        self._stretch = (ints(stretch.offsets), ints(stretch.category), ints(stretch.p7.codes))
        self._stretch_at = _stretch_reader(bundle)
        self._discover = (ints(discover.offsets), ints(discover.novelty))
        self._discover_p7 = (ints(discover.top.codes), ints(discover.fall))
        self._recent = (ints(bundle.recent.offsets), ints(bundle.recent.category))
        self._popular = ints(bundle.popular.product)
        self._store_popular = (ints(bundle.store_popular.offsets), ints(bundle.store_popular.product))
        self._top = (ints(bundle.category_top.offsets), ints(bundle.category_top.product))
        substitute = bundle.substitute
        self._substitute = (ints(substitute.offsets), ints(substitute.product), floats(substitute.score))
        self._also = (ints(also.offsets), ints(also.product), floats(also.score), floats(also.lift), ints(also.support))
        self._customer_row = lru_cache(_CUSTOMERS_REMEMBERED)(partial(find_row, customers.hash, customers.id))

    def customer_row(self, customer_id: str) -> int:
        """Return the row of a customer, -1 when the bundle doesn't know them."""
        return self._customer_row(customer_id)

    def store_row(self, store_id: str | None) -> int:
        """Return the row of a store, -1 when there is none or it is not known."""
        stores = self._bundle.stores
        return UNKNOWN if store_id is None else find_row(stores.hash, stores.id, store_id)

    def usual_store(self, customer: int) -> int:
        """Return the row of the customer's usual store, -1 when not known."""
        return self._store[customer] if customer >= 0 else UNKNOWN

    def consents(self, customer: int, key: str, *, assumed: bool) -> bool:
        """Return whether the customer agreed; what is assumed where they have not said."""
        said = self._consent[customer * len(CONSENT_KEYS) + CONSENT_KEYS.index(key)]
        return assumed if said == CONSENT_UNKNOWN else said == CONSENT_YES

    def usual_price(self, customer: int) -> float | None:
        """Return the mean price of a piece that the customer pays, money; None when not known."""
        price = self._usual_price[customer]
        return None if math.isnan(price) else price

    def leanings(self, customer: int) -> list[tuple[int, float]]:
        """Return what is known of the customer's leanings: a product flag, and its share in what they buy, 0 to 1."""
        shares = ((HEALTHY, self._healthy[customer]), (PRIVATE_LABEL, self._private_label[customer]))
        return [(flag, share) for flag, share in shares if not math.isnan(share)]

    def p_shop(self, customer: int, days: float) -> float:
        """Return the chance of a trip within that many days (above 0, at most 7) of the bundle's as-of."""
        whole = int(days)
        codes, after = self._p_shop, customer * WINDOW_DAYS + whole
        low = codes[after - 1] * codes[after - 1] / SHARE if whole else 0.0
        # As `between_days`, without decoding the other days.
        return low if whole == days else low + (days - whole) * (codes[after] * codes[after] / SHARE - low)

    def habits_of(self, customer: int, types: Collection[int]) -> list[Habit]:
        """Return what the customer buys again of those types."""
        entries = self._habit.entries(customer)
        kinds = self._habit_type[entries.start : entries.stop]
        return [self._habit_at(e, kind) for e, kind in enumerate(kinds, entries.start) if kind in types]

    def _habit_at(self, entry: int, kind: int) -> Habit:
        starts, product, place = self._usual
        return self._habit.read(entry, product[starts[kind] + place[entry]], kind)

    def again_products(self, customer: int) -> Sequence[int]:
        """Return the products that the customer buys again, the most probable first."""
        start, end = self._again.offsets[customer], self._again.offsets[customer + 1]
        return list(self._bought[start:end])

    def habits(self, customer: int) -> Iterator[Habit]:
        """Yield what the customer buys again, by type, the most probable first."""
        read, kinds = self._habit.read, self._habit_type
        starts, product, place = self._usual
        for entry in self._habit.entries(customer):
            kind = kinds[entry]
            yield read(entry, product[starts[kind] + place[entry]], kind)

    def again(self, customer: int) -> Iterator[Habit]:
        """Return what the customer buys again, by product, the most probable first."""
        entries = self._again.entries(customer)
        products = self._bought[entries.start : entries.stop]
        return map(self._again.read, entries, products, map(self._shelf.type.__getitem__, products))

    def again_of(
        self, customer: int, products: Sequence[int], bought: Sequence[int] | None = None
    ) -> list[Habit | None]:
        """Return what is known of products that the customer buys again, None for one that is not among those.

        `bought` are their `again_products`, where the caller has them at hand.
        """
        bought = self.again_products(customer) if bought is None else bought
        start = self._again.offsets[customer]
        return [
            self._again.read(start + bought.index(each), each, self._shelf.type[each]) if each in bought else None
            for each in products
        ]

    def n_again(self, customer: int, place: int) -> int:
        """Return in how many baskets the customer had the product at a place among their `again_products`."""
        return self._again.n[self._again.offsets[customer] + place]

    def stretches(self, customer: int) -> Sequence[Stretch]:
        """Return categories that are new to the customer, the most probable first; each is made as it is looked at."""
        offsets, category, p7 = self._stretch
        start, end = offsets[customer], offsets[customer + 1]
        at = partial(self._stretch_at, self._recent[0][customer] - 1)
        return _Stretches(range(start, end), at, (category[start:end], p7[start:end]))

    def discoveries(self, customer: int) -> Iterator[Discovery]:
        """Return products that the customer never bought, the most probable first."""
        offsets, novelty = self._discover
        tops, fall = self._discover_p7
        start, end = offsets[customer], offsets[customer + 1]
        products = map(self._novelty.__getitem__, novelty[start:end])
        chances = fallen(tops[customer], fall[start:end])
        return map(_discovery_of, zip(products, chances, repeat(None), repeat(None), repeat(_SIMILAR), strict=False))

    def recent_categories(self, customer: int) -> set[int]:
        """Return the categories that the customer bought in the last 26 weeks."""
        offsets, category = self._recent
        return set(category[offsets[customer] : offsets[customer + 1]])

    def popular_in_store(self, store: int) -> Iterator[int]:
        """Yield what sells best in a store, best first; nothing for store -1."""
        if store >= 0:
            offsets, product = self._store_popular
            yield from product[offsets[store] : offsets[store + 1]]

    def popular(self) -> Iterator[int]:
        """Yield what sells best everywhere, best first."""
        yield from self._popular

    def best_of_category(self, category: int) -> Iterator[int]:
        """Yield what sells best in a category, best first."""
        offsets, product = self._top
        yield from product[offsets[category] : offsets[category + 1]]

    def substitutes(self, product: int) -> Iterator[tuple[int, float]]:
        """Yield what meets the same need as a product, with the signal's score, the best first."""
        offsets, other, score = self._substitute
        for e in range(offsets[product], offsets[product + 1]):
            yield other[e], score[e]

    def neighbours(self, products: Iterable[int]) -> list[Neighbour]:
        """Return what is bought together with the products, by the sum of the pairs' scores, the highest first.

        Never one of `products`. Ties go to the lower product row.
        """
        offsets, product, score, lift, support = self._also
        asked = dict.fromkeys(products)
        found: dict[int, Neighbour] = {}
        strongest: dict[int, float] = {}
        for source in asked:
            for e in range(offsets[source], offsets[source + 1]):
                other, points = product[e], score[e]
                known = found.get(other)
                if known is None:
                    found[other] = Neighbour(other, points, lift[e], support[e], source)
                    strongest[other] = points
                elif points > strongest[other]:
                    found[other] = Neighbour(other, known.score + points, lift[e], support[e], source)
                    strongest[other] = points
                else:
                    found[other] = known._replace(score=known.score + points)
        ranked = [each for each in found.values() if each.product not in asked]
        ranked.sort(key=lambda each: (-each.score, each.product))
        return ranked

    def near(self, weights: Mapping[int, float], k: int) -> list[Neighbour]:
        """Return the `k` products best bought together with weighted ones, by Σ weight·score; never one of these.

        Of each the best `k` count. Ties go to the lower product row. The lift, support and source are those of the pair
        that adds the most.
        """
        offsets, product, score, lift, support = self._also
        sums: dict[int, float] = {}
        strongest: dict[int, tuple[float, int, int]] = {}
        for source, weight in weights.items():
            start = offsets[source]
            end = min(offsets[source + 1], start + k)
            for e, (other, points) in enumerate(zip(product[start:end], score[start:end], strict=True), start):
                added = weight * points
                known = sums.get(other)
                sums[other] = added if known is None else known + added
                if known is None or added > strongest[other][0]:
                    strongest[other] = (added, e, source)
        ranked = sorted((-points, other) for other, points in sums.items() if other not in weights)[:k]
        found = []
        for points, other in ranked:
            _, e, source = strongest[other]
            found.append(Neighbour(other, -points, lift[e], support[e], source))
        return found


class _Stretches(Sequence[Stretch]):
    """Stretches that are made one by one, from the entry of each; `columns` has their categories and chances' codes."""

    def __init__(
        self, entries: range, stretch_at: Callable[[int], Stretch], columns: tuple[Sequence[int], Sequence[int]]
    ) -> None:
        self._entries = entries
        self._make = stretch_at
        self.categories, self.codes = columns

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Stretch]:
        return map(self._make, self._entries)

    @overload
    def __getitem__(self, place: int) -> Stretch: ...
    @overload
    def __getitem__(self, place: slice) -> list[Stretch]: ...
    def __getitem__(self, place: int | slice) -> Stretch | list[Stretch]:
        if isinstance(place, slice):
            return list(map(self._make, self._entries[place]))
        return self._make(self._entries[place])


def by_chance(stretches: Sequence[Stretch]) -> Iterable[tuple[int, int]]:
    """Return place and category of stretches, the most probable first, then by place."""
    if isinstance(stretches, _Stretches):
        return enumerate(stretches.categories)
    order = sorted(range(len(stretches)), key=lambda place: stretches[place].p7, reverse=True)
    return ((place, stretches[place].category) for place in order)


def chance_codes(stretches: Sequence[Stretch]) -> Sequence[int] | None:
    """Return the codes of the stretches' chances (`Shares`), which tell them before these are made; None: none."""
    return stretches.codes if isinstance(stretches, _Stretches) else None


def _stretch_reader(bundle: BundleArrays) -> Callable[[int, int], Stretch]:
    """Return what makes the stretch of an entry, given where its customer's recent categories begin, less one."""
    stretch, novelty, recent = bundle.stretch, bundle.novelty, ints(bundle.recent.category)
    categories, p7, place = ints(stretch.category), ints(stretch.p7.codes), ints(stretch.place)
    source, lift = ints(stretch.source), ints(stretch.lift)
    starts, product = ints(novelty.offsets), ints(novelty.product)

    def read(before_recent: int, entry: int) -> Stretch:  # a closure, as it is asked for every stretch looked at
        category, at = categories[entry], entry * N_STRETCH_PRODUCTS
        start = starts[category]
        one, two, three = place[at], place[at + 1], place[at + 2]
        best = (
            product[start + one] if one >= 0 else UNKNOWN,
            product[start + two] if two >= 0 else UNKNOWN,
            product[start + three] if three >= 0 else UNKNOWN,
        )
        reached, code, steps = source[entry], p7[entry], lift[entry]
        reached_from = recent[before_recent + reached] if reached else UNKNOWN
        lifted = math.nan if steps == UNKNOWN_STEPS else steps / LIFT_STEPS
        return _stretch_of((category, code * code / SHARE, best, reached_from, lifted))

    return read


class _HabitColumns(NamedTuple):
    """What habits by type and by product share: where each customer's begin, in how many baskets, and a reader.

    The reader takes an entry, its product and its type, and makes the habit.
    """

    offsets: Sequence[int]
    n: Sequence[int]
    read: Callable[[int, int, int], Habit]

    def entries(self, customer: int) -> range:
        return range(self.offsets[customer], self.offsets[customer + 1])


def _habit_columns(group: Habits | Again) -> _HabitColumns:
    p7, wait, last_day, gap = ints(group.p7.codes), ints(group.wait), ints(group.last_day), ints(group.gap)
    quantity, n = ints(group.quantity), ints(group.n)

    def read(entry: int, product: int, kind: int) -> Habit:  # a closure, as it is asked for every habit looked at
        code, last, steps = p7[entry], last_day[entry], gap[entry]
        chance, due_day = code * code / SHARE, last + wait[entry] * _DAY_STEP
        pace = None if steps == UNKNOWN_STEPS else steps * _DAY_STEP
        return _habit_of((product, kind, chance, due_day, last, pace, quantity[entry], n[entry]))

    return _HabitColumns(ints(group.offsets), n, read)
