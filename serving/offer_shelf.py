"""The offers of an open bundle by row: what each says, and what it is for, ready to be matched with wants."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from serving.bundle_format import INTIMATE, RECOMMENDABLE, RESTRICTED, BundleArrays
from serving.channels import CHANNELS, Channel
from serving.shelf import Shelf, ints

N_BEST = 30
"""So many of an offer's products are kept in order of their sales."""

_LEAST_SALES = 1e-6


@dataclass(frozen=True, slots=True)
class Offer:
    """One offer; `row` is the bundle's. Money is NaN where nobody knows it, and `budget` NaN where there is none.

    `products` are the rows of what it is for and may be recommended; `best` the best sellers of these, best first.
    `is_general`: it is for nothing in particular; `is_lost`: for something, but nothing of it may be recommended.
    `margin` is what one piece of it brings on average, by what sells, money; None unknown. `popular_p7` is the chance
    of anybody to buy any of it within seven days. `is_sensitive`: most of it, by what sells, is intimate; `is_unasked`:
    all of it is restricted or intimate, which only those hear of who buy it already.
    """

    row: int
    id: str
    kind: str
    value: float
    cost: float
    budget: float
    starts_us: int
    ends_us: int
    channels: int
    chance: float
    products: frozenset[int]
    best: tuple[int, ...]
    is_general: bool
    is_lost: bool
    margin: float | None
    popular_p7: float
    is_sensitive: bool
    is_unasked: bool

    @property
    def has_budget(self) -> bool:
        """Whether money is set aside for it, which runs out."""
        return not math.isnan(self.budget)

    @property
    def stake(self) -> float:
        """What one redemption costs the shop, money; 0 where nobody knows."""
        return 0.0 if math.isnan(self.cost) else self.cost

    @property
    def needs_visit(self) -> bool:
        """Whether it has to be redeemed in a store: it is neither for the web nor for the app."""
        return not (self.is_for(Channel.WEB) or self.is_for(Channel.APP))

    def is_for(self, channel: Channel) -> bool:
        """Return whether it may be shown, or sent, there."""
        return bool(self.channels >> CHANNELS.index(channel) & 1)


class Part(NamedTuple):
    """What an offer has of a product type or a category: the share of its sales, 0 to 1, and the best seller of it."""

    offer: int
    share: float
    product: int


class OfferShelf:
    """All offers of a bundle, and by product, by product type and by category those that are for it."""

    def __init__(self, bundle: BundleArrays, shelf: Shelf) -> None:
        stock = _Stock(bundle, shelf)
        self.of_type = stock.parts(bundle.products.type)
        self.of_category = stock.parts(bundle.products.category)
        none = [1.0] * len(bundle.offers.id)
        for kind, parts in self.of_type.items():
            for part in parts:
                none[part.offer] *= 1.0 - shelf.type_p7[kind] * part.share
        self.offers = tuple(stock.offer(row, 1.0 - each) for row, each in enumerate(none))
        self.rows = {each.id: each.row for each in self.offers}
        self.budgets: Mapping[str, float] = {each.id: each.budget for each in self.offers if each.has_budget}
        index = bundle.product_offers
        self._offsets, self._owners = ints(index.offsets), ints(index.offer)
        # One bit an offer: whether any of those that matter is for a product is one look, whatever their number.
        self.masks = [0] * shelf.n_products
        for each in self.offers:
            for product in each.products:
                self.masks[product] |= 1 << each.row

    def of_product(self, product: int, mask: int = -1) -> list[int]:
        """Return the rows of the offers that are for a product; of those alone whose bits are set in `mask`."""
        owners = self._owners[self._offsets[product] : self._offsets[product + 1]]
        return [row for row in owners if mask >> row & 1]

    def named(self, offer_id: str) -> Offer | None:
        """Return the offer of an id, None when it is not known."""
        row = self.rows.get(offer_id)
        return None if row is None else self.offers[row]


class _Stock:
    """What offers are made from: pairs of an offer and a product that it is for and may be recommended, by offer."""

    def __init__(self, bundle: BundleArrays, shelf: Shelf) -> None:
        pairs, products = bundle.offer_products, bundle.products
        n = len(bundle.offers.id)
        owner = np.repeat(np.arange(n), np.diff(pairs.offsets))
        is_open = (products.flags[pairs.product] & RECOMMENDABLE) > 0
        self._offers = bundle.offers
        self._is_general = np.bincount(owner, minlength=n) == 0
        self._owner, self._product = owner[is_open], pairs.product[is_open]
        self._ends = np.searchsorted(self._owner, np.arange(n), side="right").tolist()
        self._sales = np.maximum(products.p7.astype(np.float64), _LEAST_SALES)
        self._is_unasked = (products.flags & (INTIMATE | RESTRICTED)) > 0
        self._is_intimate = (products.flags & INTIMATE) > 0
        known = (shelf.margin(row) for row in range(shelf.n_products))
        self._margin = np.array([math.nan if each is None else each for each in known])

    def parts(self, group_of: npt.NDArray[np.int32]) -> dict[int, list[Part]]:
        """Return, by group (a product type or a category), what the offers have of it."""
        whole = np.bincount(group_of, weights=self._sales)
        sales = self._sales[self._product]
        group: npt.NDArray[np.int32] = group_of[self._product]
        order = np.lexsort((self._product, -sales, group, self._owner))
        owner, product, group, sales = self._owner[order], self._product[order], group[order], sales[order]
        is_first = np.ones(len(owner), dtype=bool)
        is_first[1:] = (owner[1:] != owner[:-1]) | (group[1:] != group[:-1])
        starts = np.flatnonzero(is_first)
        sums = np.add.reduceat(sales, starts) if len(starts) else np.zeros(0)
        shares = np.minimum(sums / whole[group[starts]], 1.0)
        found: dict[int, list[Part]] = {}
        columns = (each[starts].tolist() for each in (group, owner, product))
        for kind, offer, best, share in zip(*columns, shares.tolist(), strict=True):
            found.setdefault(kind, []).append(Part(offer, share, best))
        return found

    def offer(self, row: int, popular_p7: float) -> Offer:
        """Return one offer."""
        own = self._product[self._ends[row - 1] if row else 0 : self._ends[row]]
        sold = self._sales[own]
        is_general = bool(self._is_general[row])
        margins = self._margin[own]
        known = ~np.isnan(margins)
        offers = self._offers
        return Offer(
            row=row,
            id=offers.id[row],
            kind=offers.kind[row],
            value=float(offers.value[row]),
            cost=float(offers.cost[row]),
            budget=float(offers.budget[row]),
            starts_us=int(offers.starts_us[row]),
            ends_us=int(offers.ends_us[row]),
            channels=int(offers.channels[row]),
            chance=float(offers.chance[row]),
            products=frozenset(own.tolist()),
            best=tuple(own[np.lexsort((own, -sold))][:N_BEST].tolist()),
            is_general=is_general,
            is_lost=not is_general and not len(own),
            margin=float(np.average(margins[known], weights=sold[known])) if known.any() else None,
            popular_p7=popular_p7,
            is_sensitive=bool(len(own)) and float(sold[self._is_intimate[own]].sum()) > float(sold.sum()) / 2,
            is_unasked=bool(len(own)) and bool(self._is_unasked[own].all()),
        )
