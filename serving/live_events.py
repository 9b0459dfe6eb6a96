"""What a customer's events since the bundle come to, by rows of the bundle; docs/events.md tells it in words.

Pure and linear in the events. Weights are shares of the strongest sign of interest (1.0: put into the basket); a weight
w multiplies odds by ``interest_factor ** w`` and fades by half with each half-life.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from serving.candidates import Sign
from serving.decisioning.policy import EventPolicy
from serving.decisioning.windows import day_of_us
from serving.shelf import Shelf
from serving.state.events import Event, EventType
from serving.state.known import Live

LOG_MARGIN_US = 60_000_000
"""Clocks differ between workers and the pipeline: what was accepted so shortly before the log was read counts too."""

_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US
_OWN_DOINGS = frozenset(
    {
        EventType.VIEW,
        EventType.CLICK,
        EventType.SCAN,
        EventType.WISHLIST,
        EventType.CART,
        EventType.UNCART,
        EventType.PURCHASE,
        EventType.DISMISS,
    }
)


@dataclass(frozen=True, slots=True)
class Bought:
    """Net purchases of one thing since the bundle: its local days, ascending, and the pieces of the latest one."""

    days: tuple[int, ...]
    quantity: int


@dataclass(slots=True)
class Doings:
    """What a customer did since the bundle.

    `bought` by product; `basket` and `dismissed` are products; the weights are those of interest, negative where they
    turned away: `products` their own, `types` and `categories` what rubs off on their like. `signs` tells the latest
    sign of interest of each product with a weight. `store_id` is where the latest event was that says so.
    `n_product_events` counts what they did with products, or searched for; what was sent or shown to them doesn't.
    """

    bought: dict[int, Bought] = field(default_factory=dict)
    basket: set[int] = field(default_factory=set)
    dismissed: set[int] = field(default_factory=set)
    products: dict[int, float] = field(default_factory=dict)
    types: dict[int, float] = field(default_factory=dict)
    categories: dict[int, float] = field(default_factory=dict)
    signs: dict[int, Sign] = field(default_factory=dict)
    store_id: str | None = None
    n_product_events: int = 0


def events_since(live: Live, as_of_us: int, log_until_us: int) -> list[Event]:
    """Return the events that a bundle does not hold: later than its as-of, or accepted after it had read the log.

    Of one who asked to be forgotten, only what happened since then counts.
    """
    held_until = log_until_us - LOG_MARGIN_US
    return [
        each
        for each in live.events
        if (each.at_us >= as_of_us or each.accepted_us >= held_until) and each.at_us >= live.erased_us
    ]


@dataclass(slots=True)
class _Product:
    """One product's events so far; `weights` are (type, weight, at)."""

    weights: list[tuple[EventType, float, int]] = field(default_factory=list)
    n_ignored: int = 0
    ignored_us: int = 0
    cart_us: int | None = None
    dismissed_us: int | None = None
    lines: list[list[float]] = field(default_factory=list)  # [at_us, quantity], oldest first
    orders: list[str | None] = field(default_factory=list)


class EventFold:
    """Folds the events of one customer at a time, by the policy."""

    def __init__(self, shelf: Shelf, policy: EventPolicy, row_of: Callable[[str], int]) -> None:
        """Take `row_of` from a product_id to its row, -1 unknown: it is asked once an event."""
        self._shelf = shelf
        self._policy = policy
        self._row_of = row_of
        self._weights = {
            EventType.VIEW: policy.view_weight,
            EventType.SEARCH: policy.search_weight,
            EventType.CLICK: policy.click_weight,
            EventType.SCAN: policy.scan_weight,
            EventType.WISHLIST: policy.wishlist_weight,
            EventType.CART: policy.cart_weight,
        }

    def doings(self, events: Iterable[Event], now_us: int, zone: ZoneInfo) -> Doings:
        """Return what the events, in order of (at_us, event_id), come to at `now_us`; days are those of `zone`."""
        found = Doings()
        products: dict[int, _Product] = {}
        for event in events:
            found.store_id = event.store_id or found.store_id
            row = -1 if event.product_id is None else self._row_of(event.product_id)
            if row >= 0:
                found.n_product_events += event.type in _OWN_DOINGS
                self._take(products.setdefault(row, _Product()), event)
            if event.type is EventType.SEARCH and event.value and event.value.strip():
                self._search(found, event.value.strip(), self._faded(event.at_us, now_us))
        for row, product in products.items():
            self._settle(found, row, product, now_us, zone)
        return found

    def _take(self, product: _Product, event: Event) -> None:
        kind = event.type
        if kind is EventType.PURCHASE:
            _trade(product, event)
        elif kind in self._weights:
            product.weights.append((kind, self._weights[kind], event.at_us))
            product.n_ignored = 0
            if kind is EventType.CART:
                product.cart_us = event.at_us
        elif kind is EventType.UNCART:
            product.weights = [each for each in product.weights if each[0] is not EventType.CART]
            product.cart_us = None
        elif kind is EventType.DISMISS:
            product.weights.clear()
            product.dismissed_us = event.at_us
        elif kind is EventType.IMPRESSION:
            product.n_ignored += 1
            product.ignored_us = event.at_us

    def _settle(self, found: Doings, row: int, product: _Product, now_us: int, zone: ZoneInfo) -> None:
        """Add what one product's events come to."""
        policy = self._policy
        lines = [(at_us, quantity) for at_us, quantity in product.lines if quantity > 0.0]
        if lines:
            days = tuple(dict.fromkeys(day_of_us(int(at_us), zone) for at_us, _ in lines))
            found.bought[row] = Bought(days, max(round(lines[-1][1]), 1))
        if product.cart_us is not None and now_us - product.cart_us < policy.cart_hours * _HOUR_US:
            found.basket.add(row)
        liking = sum(weight * self._faded(at_us, now_us) for _, weight, at_us in product.weights)
        own = liking
        if product.n_ignored:
            own -= product.n_ignored * policy.impression_weight * self._faded(product.ignored_us, now_us)
        if product.dismissed_us is not None:
            days_ago = max(now_us - product.dismissed_us, 0) / _DAY_US
            if days_ago < policy.dismiss_days:
                found.dismissed.add(row)
                liking -= policy.dismiss_weight * (1.0 - days_ago / policy.dismiss_days)
        if own:
            found.products[row] = self._held(own)
        if product.weights:
            kind, _, at_us = max(product.weights, key=lambda each: each[2])
            found.signs[row] = Sign(kind, day_of_us(at_us, zone))
        if liking:
            self._rub_off(found, self._shelf.type[row], self._held(liking) * policy.like_share)

    def _search(self, found: Doings, text: str, faded: float) -> None:
        """Count a search for the name of a product type or a category; any other text says nothing."""
        weight = self._policy.search_weight * faded
        kind = self._shelf.type_row_of(text)
        category = self._shelf.category_row_of(text)
        found.n_product_events += kind >= 0 or category >= 0
        if kind >= 0:
            self._rub_off(found, kind, weight)
        elif category >= 0:
            found.categories[category] = self._held(found.categories.get(category, 0.0) + weight)

    def _rub_off(self, found: Doings, kind: int, weight: float) -> None:
        category = self._shelf.type_category[kind]
        found.types[kind] = self._held(found.types.get(kind, 0.0) + weight)
        shared = weight * self._policy.like_share
        found.categories[category] = self._held(found.categories.get(category, 0.0) + shared)

    def _faded(self, at_us: int, now_us: int) -> float:
        return math.exp2(-max(now_us - at_us, 0) / _DAY_US / self._policy.half_life_days)

    def _held(self, weight: float) -> float:
        limit = self._policy.max_weight
        return min(max(weight, -limit), limit)


def _trade(product: _Product, event: Event) -> None:
    """Add a purchase, or take back what a return nets: the same order's line, else the latest that has pieces left."""
    if event.quantity > 0.0:
        product.lines.append([event.at_us, event.quantity])
        product.orders.append(event.order_id)
        product.weights.clear()
        product.n_ignored, product.cart_us, product.dismissed_us = 0, None, None
        return
    left = -event.quantity
    same = [line for line, order in zip(product.lines, product.orders, strict=True) if order == event.order_id]
    for line in (*same, *reversed(product.lines)):
        taken = min(line[1], left)
        line[1] -= taken
        left -= taken
