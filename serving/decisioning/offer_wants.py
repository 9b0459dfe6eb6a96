"""What somebody wants of the offers: which products of each they are likely to buy, how surely, and whether it is time.

Chances are of seven days, as the bundle has them; `within` carries them to any other time, at a constant pace. All
offers are worked out at once, in arrays: a want is a pair of an offer and something that speaks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from serving.bundle_columns import F64, I64
from serving.candidates import Discovery, Habit, Stretch
from serving.decisioning.offer_pairs import (
    NEW_CATEGORY,
    NEW_PRODUCT,
    PRODUCT,
    TYPE,
    PairFinder,
    Pairs,
    Wanting,
    gather,
)
from serving.decisioning.offer_tastes import TasteColumns
from serving.decisioning.policy import HabitPolicy
from serving.decisioning.policy_offers import OffersPolicy
from serving.offer_shelf import Bools, Offer, OfferShelf
from serving.shelf import Shelf

WEEK_DAYS = 7.0
NOBODY, FAVOURITE = -1, -2
"""In the place of a want: nothing speaks for the offer, or a category that they favour does."""

_MOST = 1.0 - 1e-12
_MOST_GROUPS = 20_000  # so many are counted in place faster than found by sorting


class Want(NamedTuple):
    """A product of an offer that they are likely to buy within seven days, and what speaks for it.

    `moment` says how well the time fits, 0 to 1. `habit` is one of their own, by product or (`is_type`) by type;
    without any, it is new to them.
    """

    product: int
    type: int
    p7: float
    moment: float
    habit: Habit | None = None
    discovery: Discovery | None = None
    stretch: Stretch | None = None
    is_type: bool = False
    is_defended: bool = False
    is_lapsing: bool = False


@dataclass(frozen=True, slots=True)
class Wants:
    """What one customer wants of all offers; columns have shape ``(n_offers,)``.

    `counts` says which pairs speak for their offers: all but what was just bought, and types that say no more than
    their products. `p7` is the chance that they buy any of it within seven days, `due7` that they do by habits that are
    due and not defended. `n_just_bought` counts what they have just bought of it; `has_open` is whether anything else
    speaks for it, `has_own` whether they buy any of it. `speaker` is the place of the pair that speaks most for it now,
    by its chance and its moment (ties go to the lower product), or `NOBODY`. What it sells counts by the chance of
    each, whose sum is `weight`: `margin`, money, and `extra`, the share of it that would not have come in another way.
    `favourite` is a category (row) that they favour, -1 none, with the chance `favourite7` that it is bought of it.
    """

    pairs: Pairs
    counts: Bools
    taste: TasteColumns
    p7: F64
    due7: F64
    n_just_bought: I64
    has_open: Bools
    has_own: Bools
    speaker: I64
    weight: F64
    margin: F64
    extra: F64
    favourite: I64
    favourite7: F64

    def want(self, place: int) -> Want:
        """Return one of the pairs, with what speaks for it."""
        pairs = self.pairs
        kind, source = int(pairs.kind[place]), int(pairs.place[place])
        taste = self.taste
        return Want(
            int(pairs.product[place]),
            int(pairs.type[place]),
            float(pairs.p7[place]),
            float(pairs.moment[place]),
            habit=taste.habit(source, is_type=kind == TYPE) if kind in (PRODUCT, TYPE) else None,
            discovery=taste.discovery(source) if kind == NEW_PRODUCT else None,
            stretch=taste.stretch(source) if kind == NEW_CATEGORY else None,
            is_type=kind == TYPE,
            is_defended=bool(pairs.is_defended[place]),
            is_lapsing=bool(pairs.is_lapsing[place]),
        )

    def of(self, offer: int) -> Iterator[tuple[int, bool]]:
        """Yield the products that they want of an offer, the likeliest first, and whether each is one they buy."""
        pairs = self.pairs
        own = np.flatnonzero((pairs.offer == offer) & self.counts)
        for place in own[np.lexsort((pairs.product[own], -pairs.p7[own]))].tolist():
            yield int(pairs.product[place]), int(pairs.kind[place]) in (PRODUCT, TYPE)


def within(p7: float, days: float) -> float:
    """Return the chance within `days` of a chance within seven, at a constant pace.

    Examples
    --------
    >>> within(0.5, 14.0), within(0.5, 0.0)
    (0.75, 0.0)
    """
    return float(1.0 - (1.0 - p7) ** (days / WEEK_DAYS))


def all_within(p7: F64, days: float | F64) -> F64:
    """Return `within` of each chance."""
    return 1.0 - (1.0 - p7) ** (days / WEEK_DAYS)


class WantFinder:
    """Says what customers want of the offers of a bundle."""

    def __init__(
        self,
        shelf: Shelf,
        offers: OfferShelf,
        policy: OffersPolicy,
        *,
        habits: HabitPolicy | None,
        half_life_days: float,
    ) -> None:
        """Take what `PairFinder` takes."""
        self._pairs = PairFinder(shelf, offers, policy, habits=habits, half_life_days=half_life_days)
        self._offers = offers
        self._policy = policy
        self._n_types = len(shelf.type_names)
        n = len(offers.offers)
        is_small = n * self._n_types <= _MOST_GROUPS
        self._owners = np.repeat(np.arange(n), self._n_types) if is_small else np.zeros(0, dtype=np.int64)
        self._margin = shelf.margins()

    def find(self, asked: Wanting) -> Wants:
        """Return what they want of all offers."""
        return self._summed(asked, self._pairs.find(asked))

    def _summed(self, asked: Wanting, pairs: Pairs) -> Wants:
        """Return what the pairs come to by offer. Each product type counts by its chance, types as if independent."""
        n = len(self._offers.offers)
        is_open = ~pairs.is_just_bought
        log_none = np.log1p(-np.minimum(pairs.p7, _MOST))
        is_single = (pairs.kind == PRODUCT) | (pairs.kind == NEW_PRODUCT)
        owners, group = self._groups(pairs)
        singles = np.bincount(group, weights=np.where(is_single & is_open, log_none, 0.0), minlength=len(owners))
        # A type, or a category, counts where its own chance is above that of its single products.
        is_whole = is_open & ~is_single & (log_none < singles[group])
        counts = is_open & is_single | is_whole
        np.minimum.at(singles, group[is_whole], log_none[is_whole])
        none = np.bincount(owners, weights=singles, minlength=n)
        favourite, favourite7 = self._favourites(asked)
        due = np.bincount(pairs.offer, weights=np.where(pairs.is_due & is_open, log_none, 0.0), minlength=n)
        weight, margin, extra = self._sold(pairs, counts, n)
        return Wants(
            pairs,
            counts,
            asked.taste,
            p7=np.maximum(1.0 - np.exp(none), favourite7),
            due7=1.0 - np.exp(due),
            n_just_bought=np.bincount(pairs.offer[pairs.is_just_bought], minlength=n),
            has_open=np.bincount(pairs.offer[counts], minlength=n) > 0,
            has_own=np.bincount(pairs.offer[pairs.kind <= TYPE], minlength=n) > 0,
            speaker=_speakers(pairs, counts, n),
            weight=weight,
            margin=margin,
            extra=extra,
            favourite=favourite,
            favourite7=favourite7,
        )

    def _groups(self, pairs: Pairs) -> tuple[I64, I64]:
        """Return the groups of an offer and a type: the offer of each, and the group of each pair."""
        n = len(self._offers.offers)
        group = pairs.offer * self._n_types + pairs.type
        if n * self._n_types <= _MOST_GROUPS:
            return self._owners, group
        groups, inverse = np.unique(group, return_inverse=True)
        return groups // self._n_types, inverse

    def _sold(self, pairs: Pairs, counts: Bools, n: int) -> tuple[F64, F64, F64]:
        """Return by offer the sum of the chances, and of the margin and the extra share of it by them."""
        policy = self._policy
        is_new = pairs.kind >= NEW_PRODUCT
        margin = self._margin[pairs.product]
        margin = np.where(np.isnan(margin), self._offers.columns.margin[pairs.offer], margin)
        times = np.where(is_new, policy.new_purchases, np.where(pairs.is_lapsing, policy.lapsing_purchases, 1.0))
        chance = np.where(counts, pairs.p7, 0.0)
        extra = np.where(is_new, policy.new_extra, policy.habit_extra)
        sold = chance * pairs.quantity * times * margin
        return _sums(pairs, chance, n), _sums(pairs, sold, n), _sums(pairs, chance * extra, n)

    def _favourites(self, asked: Wanting) -> tuple[I64, F64]:
        """Return by offer the category that they favour most of it, -1 none, and its chance."""
        n = len(self._offers.offers)
        found, chance = np.full(n, -1, dtype=np.int64), np.zeros(n)
        if asked.favourites is None:
            return found, chance
        category, p7 = asked.favourites
        parts = self._offers.by_category
        gathered = gather(parts.offsets, category)
        offer, of_it = parts.offer[gathered.entry], p7[gathered.place] * parts.share[gathered.entry]
        order = np.argsort(of_it, kind="stable")  # the best one last, so that it stands
        found[offer[order]], chance[offer[order]] = category[gathered.place[order]], of_it[order]
        return found, chance


def _sums(pairs: Pairs, weights: F64, n: int) -> F64:
    """Return the sums by offer."""
    return np.bincount(pairs.offer, weights=weights, minlength=n).astype(np.float64)


def _speakers(pairs: Pairs, counts: Bools, n: int) -> I64:
    """Return by offer the place of the pair that speaks most for it, `NOBODY` where none does."""
    found = np.full(n, NOBODY, dtype=np.int64)
    own = np.flatnonzero(counts)
    voice = pairs.p7[own] * pairs.moment[own]
    order = own[np.lexsort((-pairs.product[own], voice))]  # the strongest last, so that it stands
    found[pairs.offer[order]] = order
    return found


def likely_first(wants: Wants | None, offer: Offer) -> Iterator[tuple[int, bool]]:
    """Yield the products of an offer, the likeliest for them first, then what sells best; and whether they buy each."""
    seen: set[int] = set()
    for product, is_own in () if wants is None else wants.of(offer.row):
        if product not in seen:
            seen.add(product)
            yield product, is_own
    yield from ((product, False) for product in offer.best if product not in seen)
