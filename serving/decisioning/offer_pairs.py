"""Pairs of an offer and something that speaks for it: a habit, what somebody may take to, what is new to them.

All offers are worked out at once, in arrays. Chances are of seven days, as the bundle has them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from serving.bundle_columns import F64, I64
from serving.bundle_format import INTIMATE, RESTRICTED
from serving.decisioning.offer_tastes import OwnColumns, TasteColumns
from serving.decisioning.policy import HabitPolicy
from serving.decisioning.policy_offers import LAPSING, LEAVING, OffersPolicy
from serving.offer_shelf import Bools, OfferShelf
from serving.shelf import Shelf

UNASKED = RESTRICTED | INTIMATE
"""What is offered only to those who buy it already."""

PRODUCT, TYPE, NEW_PRODUCT, NEW_CATEGORY = range(4)
"""What speaks for an offer: a habit by product or by type, a product or a category that is new to them."""


@dataclass(frozen=True, slots=True)
class Wanting:
    """Who wants, as of the local day `today`; what is due before `end_day` would be bought in time.

    `closed` are products that are out of the question: excluded, in the basket or turned away. `favourites` are
    categories with the chance that they buy there within seven days; `may_leave`: they are likely to leave the shop.
    """

    taste: TasteColumns
    today: int
    end_day: int
    closed: Collection[int] = ()
    favourites: tuple[I64, F64] | None = None
    may_leave: bool = False


class Pairs(NamedTuple):
    """Wants of offers, an entry each: which offer, which product and type, and how surely within seven days.

    `kind` is one of the four above, `place` where it stands among what the taste has of that kind; `moment` as in
    `Want`. `interest` is true where it shows what they looked at.
    """

    offer: I64
    product: I64
    type: I64
    p7: F64
    moment: F64
    kind: I64
    place: I64
    quantity: I64
    is_due: Bools
    is_defended: Bools
    is_lapsing: Bools
    is_just_bought: Bools
    interest: Bools

    def where(self, is_kept: Bools) -> Pairs:
        """Return some of them."""
        return Pairs._make(column[is_kept] for column in self)


class PairFinder:
    """Matches what customers want with the offers of a bundle."""

    def __init__(
        self,
        shelf: Shelf,
        offers: OfferShelf,
        policy: OffersPolicy,
        *,
        habits: HabitPolicy | None,
        half_life_days: float,
    ) -> None:
        """Take when a habit is due and just bought (None: all are due, and nothing is just bought).

        `half_life_days` is after how long a sign of interest is half as timely.
        """
        self._offers = offers
        self._policy = policy
        self._habits = habits
        self._half_life_days = half_life_days
        self._type = np.asarray(shelf.type, dtype=np.int64)
        self._is_unasked = (np.asarray(shelf.flags) & UNASKED) > 0
        defended = {each.casefold() for each in policy.defend_habits}
        names = [name.casefold() in defended for name in shelf.category_names]
        self._is_defended_type = np.array(names, dtype=np.bool_)[np.asarray(shelf.type_category)]
        self._defends_lapsing, self._defends_leaving = LAPSING in defended, LEAVING in defended

    def find(self, asked: Wanting) -> Pairs:
        """Return all pairs. Cost: linear in what they buy, times the offers that are for each."""
        is_just = self._is_just_bought(asked.taste.types, asked.today)
        closed_types = _marked(len(self._is_defended_type), asked.taste.types.type[is_just])
        parts = (
            self._own(asked, closed_types),
            self._types(asked, is_just),
            self._new(asked, closed_types),
            self._categories(asked, closed_types),
        )
        pairs = Pairs._make(np.concatenate(columns) for columns in zip(*parts, strict=True))
        if not asked.closed:
            return pairs
        closed = _marked(len(self._type), list(asked.closed))
        return pairs.where(~closed[pairs.product])

    def _own(self, asked: Wanting, closed_types: Bools) -> Pairs:
        """Return what they buy again, by product."""
        own = asked.taste.own
        gathered = gather(self._offers.by_product.offsets, own.product)
        place = gathered.place
        is_just = self._is_just_bought(own, asked.today) | closed_types[own.type]
        return self._habits_of(asked, own, place, PRODUCT)._replace(
            offer=self._offers.by_product.offer[gathered.entry],
            is_just_bought=is_just[place],
        )

    def _types(self, asked: Wanting, is_just: Bools) -> Pairs:
        """Return what they buy again by type, as far as the offer has what sells of that type."""
        types, parts = asked.taste.types, self._offers.by_type
        gathered = gather(parts.offsets, types.type)
        place, offer = gathered.place, parts.offer[gathered.entry]
        usual = types.product[place]
        columns = self._habits_of(asked, types, place, TYPE)
        return columns._replace(
            offer=offer,
            product=np.where(self._offers.are_for(offer, usual), usual, parts.product[gathered.entry]),
            p7=columns.p7 * parts.share[gathered.entry],
            is_just_bought=is_just[place],
            is_due=np.zeros(len(place), dtype=np.bool_),
        )

    def _new(self, asked: Wanting, closed_types: Bools) -> Pairs:
        """Return products that they never bought and may take to."""
        new = asked.taste.new
        is_open = ~self._is_unasked[new.product] & ~closed_types[self._type[new.product]]
        chosen = np.flatnonzero(is_open)
        gathered = gather(self._offers.by_product.offsets, new.product[chosen])
        place = chosen[gathered.place]
        faded = np.exp2(-np.maximum(asked.today - new.sign_day, 0.0) / self._half_life_days)
        moment = np.where(np.isnan(faded), self._policy.neutral_timeliness, faded)
        return _new_pairs(
            self._offers.by_product.offer[gathered.entry],
            new.product[place],
            self._type,
            new.p7[place],
            np.maximum(moment, self._policy.neutral_timeliness)[place],
            kind=NEW_PRODUCT,
            place=place,
            interest=~np.isnan(faded[place]),
        )

    def _categories(self, asked: Wanting, closed_types: Bools) -> Pairs:
        """Return categories that are new to them: by the stretch's best product there, or by what the offer has."""
        found, parts = asked.taste.stretches, self._offers.by_category
        gathered = gather(parts.offsets, found.category)
        place, entry = gathered.place, gathered.entry
        offer, product, share = parts.offer[entry], parts.product[entry], parts.share[entry]
        for column in (2, 1, 0):  # the best one last, so that it stands
            best = found.best[place, column]
            is_there = self._offers.are_for(offer, best)
            product, share = np.where(is_there, best, product), np.where(is_there, 1.0, share)
        is_open = ~self._is_unasked[product] & ~closed_types[self._type[product]]
        place, offer, product, share = place[is_open], offer[is_open], product[is_open], share[is_open]
        moment = np.full(len(place), self._policy.neutral_timeliness)
        p7 = found.p7[place] * share
        no_interest = np.zeros(len(place), dtype=np.bool_)
        return _new_pairs(offer, product, self._type, p7, moment, kind=NEW_CATEGORY, place=place, interest=no_interest)

    def _habits_of(self, asked: Wanting, habits: OwnColumns, place: I64, kind: int) -> Pairs:
        """Return the pairs of habits, each at its place, but for their offers."""
        is_lapsing = self._are_lapsing(habits, asked.today)
        is_defended = self._is_defended_type[habits.type] | (asked.may_leave and self._defends_leaving)
        if self._defends_lapsing:
            is_defended = is_defended | is_lapsing
        return Pairs(
            offer=place,
            product=habits.product[place],
            type=habits.type[place],
            p7=habits.p7[place],
            moment=self._moments(habits, asked.today)[place],
            kind=np.full(len(place), kind, dtype=np.int64),
            place=place,
            quantity=habits.quantity[place],
            is_due=(self._are_due(habits, asked.end_day) & ~is_defended)[place],
            is_defended=is_defended[place],
            is_lapsing=is_lapsing[place],
            is_just_bought=np.zeros(len(place), dtype=np.bool_),
            interest=np.zeros(len(place), dtype=np.bool_),
        )

    def _is_just_bought(self, habits: OwnColumns, today: int) -> Bools:
        """Return `Pace.is_just_bought` of each."""
        policy = self._habits
        if policy is None:
            return np.zeros(len(habits.product), dtype=np.bool_)
        gap = habits.gap_days
        wait = np.where(np.isnan(gap), policy.just_bought_days, policy.just_bought_share * gap)
        found: Bools = today - habits.last_day < wait
        return found

    def _are_due(self, habits: OwnColumns, end_day: int) -> Bools:
        """Return `Pace.is_due` of each."""
        slack = np.inf if self._habits is None else self._habits.due_slack_days
        found: Bools = habits.due_day < end_day + slack
        return found

    def _are_lapsing(self, habits: OwnColumns, today: int) -> Bools:
        """Return which habits with a pace have not been kept for so many times their usual gap."""
        gap = np.maximum(habits.gap_days, 1.0)
        found: Bools = today - habits.last_day > self._policy.lapsing_ratio * gap  # never of an unknown gap, NaN
        return found

    def _moments(self, habits: OwnColumns, today: int) -> F64:
        """Return how well the time fits each habit: 1 from when it is due until it lapses, less before and after."""
        gap = np.maximum(habits.gap_days, 1.0)
        late = np.where(np.isnan(gap), 0.0, today - habits.due_day) / gap
        after = np.minimum(self._policy.lapsing_ratio / np.maximum(1.0 + late, 1.0), 1.0)
        moment = np.where(late < 0.0, np.maximum(1.0 + late, 0.0), after)
        return np.where(np.isnan(gap), self._policy.neutral_timeliness, moment)


class Gathered(NamedTuple):
    """The entries of ragged lists: whose list (a place among those asked for), and which entry."""

    place: I64
    entry: I64


def _new_pairs(
    offer: I64, product: I64, type_of: I64, p7: F64, moment: F64, *, kind: int, place: I64, interest: Bools
) -> Pairs:
    no, one = np.zeros(len(offer), dtype=np.bool_), np.ones(len(offer), dtype=np.int64)
    return Pairs(offer, product, type_of[product], p7, moment, one * kind, place, one, no, no, no, no, interest)


def _marked(n: int, rows: I64 | list[int]) -> Bools:
    """Return which of `n` rows are among some."""
    found = np.zeros(n, dtype=np.bool_)
    found[rows] = True
    return found


def gather(offsets: I64, groups: I64) -> Gathered:
    """Return the entries of the lists of some groups, list after list."""
    starts = offsets[groups]
    counts = offsets[groups + 1] - starts
    place = np.repeat(np.arange(len(groups)), counts)
    ends = np.cumsum(counts)
    entry = np.arange(len(place)) + np.repeat(starts - ends + counts, counts)
    return Gathered(place, entry)
