"""The offers of an open bundle by row: what each says, and what it is for, ready to be matched with wants."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from serving.bundle_columns import F64, I32, I64, U8
from serving.bundle_format import INTIMATE, RECOMMENDABLE, RESTRICTED, BundleArrays
from serving.channels import CHANNELS, Channel
from serving.shelf import Shelf

N_BEST = 30
"""So many of an offer's products are kept in order of their sales."""

_LEAST_SALES = 1e-6
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Offer:
    """One offer; `row` is the bundle's. Money is NaN where nobody knows it, and `budget` NaN where there is none.

    `products` are the rows of what it is for and may be recommended; `best` the best sellers of these, best first.
    `is_general`: it is for nothing in particular. `stake` is what one redemption costs the shop, money; 0 where nobody
    knows.
    """

    row: int
    id: str
    kind: str
    value: float
    stake: float
    budget: float
    products: frozenset[int]
    best: tuple[int, ...]
    is_general: bool

    @property
    def has_budget(self) -> bool:
        """Whether money is set aside for it, which runs out."""
        return not math.isnan(self.budget)


@dataclass(frozen=True, slots=True)
class OfferColumns:
    """What all offers say, shape ``(n_offers,)`` each; money as in `Offer`.

    `is_lost`: it is for something, but nothing of it may be recommended. `is_sensitive`: most of it, by what sells, is
    intimate; `is_unasked`: all of it is restricted or intimate, which only those hear of who buy it already. `margin`
    is what one piece of it brings on average, by what sells, money, 0 where nobody knows. `popular_p7` is the chance of
    anybody to buy any of it within seven days. `needs_visit`: it has to be redeemed in a store, as it is neither for
    the web nor for the app. `place` is where its id stands among all.
    """

    kind: tuple[str, ...]
    stake: F64
    budget: F64
    starts_us: I64
    ends_us: I64
    channels: U8
    chance: F64
    is_general: Bools
    is_lost: Bools
    is_sensitive: Bools
    is_unasked: Bools
    is_single: Bools
    needs_visit: Bools
    margin: F64
    popular_p7: F64
    place: I64

    def are_for(self, channel: Channel) -> Bools:
        """Return which may be shown, or sent, on a channel."""
        return (self.channels >> CHANNELS.index(channel) & 1).astype(bool)


@dataclass(frozen=True, slots=True)
class ByProduct:
    """The offers that are for each product, as ragged lists."""

    offsets: I64
    offer: I64


@dataclass(frozen=True, slots=True)
class Parts:
    """What offers have of product types, or of categories, as ragged lists by type or category.

    `share` is that of its sales, 0 to 1, `product` the best seller of it.
    """

    offsets: I64
    offer: I64
    share: F64
    product: I64


class OfferShelf:
    """All offers of a bundle, and by product, by product type and by category those that are for it."""

    def __init__(self, bundle: BundleArrays, shelf: Shelf) -> None:
        made = _Making(bundle, shelf)
        self.by_type = made.parts(bundle.products.type, len(bundle.types.name))
        self.by_category = made.parts(bundle.products.category, len(bundle.categories.name))
        type_p7 = bundle.types.p7.astype(np.float64)
        self.columns = made.columns(self.by_type, type_p7)
        self.offers = tuple(made.offer(row) for row in range(len(bundle.offers.id)))
        self.rows: Mapping[str, int] = {each.id: each.row for each in self.offers}
        self.budgets: Mapping[str, float] = {each.id: each.budget for each in self.offers if each.has_budget}
        self.n_products = shelf.n_products
        self.by_product = made.by_product()
        # Sorted, so that whether an offer is for a product is a binary search, for many pairs at once.
        self._pairs = np.sort(made.owner * shelf.n_products + made.product)

    def named(self, offer_id: str) -> Offer | None:
        """Return the offer of an id, None when it is not known."""
        row = self.rows.get(offer_id)
        return None if row is None else self.offers[row]

    def are_for(self, offer: I64, product: I64) -> Bools:
        """Return which of the pairs of an offer and a product (rows; product -1 never) belong together."""
        if not len(self._pairs):
            return np.zeros(len(offer), dtype=np.bool_)
        wanted = offer * self.n_products + product
        places = np.minimum(np.searchsorted(self._pairs, wanted), len(self._pairs) - 1)
        found: Bools = (self._pairs[places] == wanted) & (product >= 0)
        return found


class _Making:
    """What offers are made from: pairs of an offer and a product that it is for and may be recommended, by offer."""

    def __init__(self, bundle: BundleArrays, shelf: Shelf) -> None:
        pairs, products = bundle.offer_products, bundle.products
        self.n = len(bundle.offers.id)
        self.n_products = shelf.n_products
        owner = np.repeat(np.arange(self.n, dtype=np.int64), np.diff(pairs.offsets))
        is_open = (products.flags[pairs.product] & RECOMMENDABLE) > 0
        self.owner, self.product = owner[is_open], pairs.product[is_open].astype(np.int64)
        self._offers = bundle.offers
        self._is_general = np.bincount(owner, minlength=self.n) == 0
        self._ends = np.searchsorted(self.owner, np.arange(self.n), side="right")
        self._sales = np.maximum(products.p7.astype(np.float64), _LEAST_SALES)
        self._is_intimate = (products.flags & INTIMATE) > 0
        self._is_unasked = (products.flags & (INTIMATE | RESTRICTED)) > 0
        self._margin = shelf.margins()

    def by_product(self) -> ByProduct:
        """Return the offers that are for each product."""
        order = np.argsort(self.product, kind="stable")
        return ByProduct(_offsets(self.product, self.n_products), self.owner[order])

    def parts(self, group_of: I32, n_groups: int) -> Parts:
        """Return, by group (a product type or a category), what the offers have of it."""
        whole = np.bincount(group_of, weights=self._sales, minlength=n_groups)
        sales, group = self._sales[self.product], group_of[self.product].astype(np.int64)
        order = np.lexsort((self.product, -sales, self.owner, group))
        owner, product, group, sales = self.owner[order], self.product[order], group[order], sales[order]
        is_first = np.ones(len(owner), dtype=bool)
        is_first[1:] = (owner[1:] != owner[:-1]) | (group[1:] != group[:-1])
        starts = np.flatnonzero(is_first)
        sums = np.add.reduceat(sales, starts) if len(starts) else np.zeros(0)
        group = group[starts]
        return Parts(_offsets(group, n_groups), owner[starts], np.minimum(sums / whole[group], 1.0), product[starts])

    def columns(self, by_type: Parts, type_p7: F64) -> OfferColumns:
        """Return what all offers say."""
        offers, n = self._offers, self.n
        sales = self._sales[self.product]
        sold = self._sums(sales)
        is_intimate, is_asked = self._is_intimate[self.product], ~self._is_unasked[self.product]
        margin = self._margin[self.product]
        is_known = ~np.isnan(margin)
        priced = self._sums(np.where(is_known, sales, 0.0))
        kind = np.repeat(np.arange(len(type_p7)), np.diff(by_type.offsets))
        log_none = np.log1p(-np.minimum(type_p7[kind] * by_type.share, 1.0 - _LEAST_SALES))
        cost = offers.cost.astype(np.float64)
        online = 1 << CHANNELS.index(Channel.WEB) | 1 << CHANNELS.index(Channel.APP)
        n_own = np.bincount(self.owner, minlength=n)
        return OfferColumns(
            kind=tuple(offers.kind),
            stake=np.where(np.isnan(cost), 0.0, cost),
            budget=offers.budget.astype(np.float64),
            starts_us=offers.starts_us,
            ends_us=offers.ends_us,
            channels=offers.channels,
            chance=offers.chance.astype(np.float64),
            is_general=self._is_general,
            is_lost=~self._is_general & (n_own == 0),
            is_sensitive=self._sums(np.where(is_intimate, sales, 0.0)) > sold / 2,
            is_unasked=(n_own > 0) & (self._sums(is_asked.astype(np.float64)) == 0.0),
            is_single=n_own == 1,
            needs_visit=(offers.channels & online) == 0,
            margin=self._sums(np.where(is_known, margin * sales, 0.0)) / np.where(priced > 0.0, priced, 1.0),
            popular_p7=1.0 - np.exp(np.bincount(by_type.offer, weights=log_none, minlength=n)),
            place=np.argsort(np.argsort(np.array(list(offers.id), dtype=object))),
        )

    def offer(self, row: int) -> Offer:
        """Return one offer."""
        own = self.product[(self._ends[row - 1] if row else 0) : self._ends[row]]
        offers, cost = self._offers, float(self._offers.cost[row])
        return Offer(
            row=row,
            id=offers.id[row],
            kind=offers.kind[row],
            value=float(offers.value[row]),
            stake=0.0 if math.isnan(cost) else cost,
            budget=float(offers.budget[row]),
            products=frozenset(own.tolist()),
            best=tuple(own[np.lexsort((own, -self._sales[own]))][:N_BEST].tolist()),
            is_general=bool(self._is_general[row]),
        )

    def _sums(self, weights: F64) -> F64:
        return np.bincount(self.owner, weights=weights, minlength=self.n).astype(np.float64)


def _offsets(groups: I64, n_groups: int) -> I64:
    """Return where each group's entries begin, and where the last one's end, for entries sorted by group."""
    offsets = np.zeros(n_groups + 1, dtype=np.int64)
    np.cumsum(np.bincount(groups, minlength=n_groups), out=offsets[1:])
    return offsets
