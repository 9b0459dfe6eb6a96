"""The taste of one customer in arrays: what they buy again, what they may take to, and what is new to them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from serving.bundle_columns import F64, I64
from serving.bundle_format import Again, BundleArrays, Habits
from serving.candidates import Discovery, Habit, Stretch
from serving.named_products import best_products, usual_products
from serving.shares import DAY_STEPS, from_steps
from serving.taste import BundleTaste, Taste

# Any: integers and floats of the widths that the bundle stores.
_Any = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class OwnColumns:
    """What a customer buys again, an entry each, as in `Habit`; `gap_days` is NaN where there is no pace."""

    product: I64
    type: I64
    p7: F64
    due_day: F64
    last_day: I64
    gap_days: F64
    quantity: I64
    n: I64

    def habit(self, place: int) -> Habit:
        """Return one of them."""
        gap = float(self.gap_days[place])
        return Habit(
            int(self.product[place]),
            int(self.type[place]),
            float(self.p7[place]),
            float(self.due_day[place]),
            int(self.last_day[place]),
            None if math.isnan(gap) else gap,
            int(self.quantity[place]),
            int(self.n[place]),
        )


@dataclass(frozen=True, slots=True)
class NewColumns:
    """Products that they never bought: the chance within seven days, and the day of a sign of interest, NaN none."""

    product: I64
    p7: F64
    sign_day: F64


@dataclass(frozen=True, slots=True)
class StretchColumns:
    """Categories that are new to them: the chance within seven days, and the best products there, -1 pads, (n, 3)."""

    category: I64
    p7: F64
    best: I64


class TasteColumns:
    """A taste in arrays; of one whom the bundle alone knows they are the bundle's own, else made from the taste."""

    def __init__(self, taste: Taste, bundle: BundleArrays) -> None:
        self._taste = taste
        self._bundle = bundle
        self._row = taste.row if isinstance(taste, BundleTaste) else -1

    @cached_property
    def own(self) -> OwnColumns:
        """Return what they buy again, by product."""
        if self._row < 0:
            return _own_of(list(self._taste.again()))
        group = self._bundle.again
        at = slice(int(group.offsets[self._row]), int(group.offsets[self._row + 1]))
        product = _ints(group.product[at])
        return OwnColumns(
            product,
            _ints(self._bundle.products.type[product]),
            _floats(group.p7[at]),
            _due_days(group, at),
            _ints(group.last_day[at]),
            from_steps(group.gap[at], DAY_STEPS),
            _ints(group.quantity[at]),
            _ints(group.n[at]),
        )

    @cached_property
    def types(self) -> OwnColumns:
        """Return what they buy again, by type."""
        if self._row < 0:
            return _own_of(list(self._taste.habits()))
        group = self._bundle.habit
        at = slice(int(group.offsets[self._row]), int(group.offsets[self._row + 1]))
        return OwnColumns(
            usual_products(self._bundle, at),
            _ints(group.type[at]),
            _floats(group.p7[at]),
            _due_days(group, at),
            _ints(group.last_day[at]),
            from_steps(group.gap[at], DAY_STEPS),
            _ints(group.quantity[at]),
            _ints(group.n[at]),
        )

    @cached_property
    def new(self) -> NewColumns:
        """Return products that they never bought."""
        if self._row >= 0:
            group = self._bundle.discover
            at = slice(int(group.offsets[self._row]), int(group.offsets[self._row + 1]))
            p7 = _floats(group.p7.read(self._row, at))
            return NewColumns(_ints(self._bundle.novelty.product[group.novelty[at]]), p7, np.full(len(p7), np.nan))
        found = self._discoveries
        return NewColumns(
            np.array([each.product for each in found], dtype=np.int64),
            np.array([each.p7 for each in found], dtype=np.float64),
            np.array([math.nan if each.sign is None else each.sign.day for each in found], dtype=np.float64),
        )

    @cached_property
    def stretches(self) -> StretchColumns:
        """Return categories that are new to them."""
        if self._row >= 0:
            group = self._bundle.stretch
            at = slice(int(group.offsets[self._row]), int(group.offsets[self._row + 1]))
            return StretchColumns(_ints(group.category[at]), _floats(group.p7[at]), best_products(self._bundle, at))
        found = self._stretches
        return StretchColumns(
            np.array([each.category for each in found], dtype=np.int64),
            np.array([each.p7 for each in found], dtype=np.float64),
            np.array([each.products for each in found], dtype=np.int64).reshape(-1, 3),
        )

    def habit(self, place: int, *, is_type: bool) -> Habit:
        """Return a habit by its place among those by type, or by product."""
        return (self.types if is_type else self.own).habit(place)

    def discovery(self, place: int) -> Discovery:
        """Return a product that they never bought by its place."""
        return self._discoveries[place]

    def stretch(self, place: int) -> Stretch:
        """Return a new category by its place."""
        return self._stretches[place]

    @cached_property
    def _discoveries(self) -> Sequence[Discovery]:
        return list(self._taste.discoveries())

    @cached_property
    def _stretches(self) -> Sequence[Stretch]:
        return self._taste.stretches()


def _own_of(habits: Sequence[Habit]) -> OwnColumns:
    columns = list(zip(*habits, strict=True)) or [()] * len(Habit._fields)
    product, kind, p7, due_day, last_day, gap, quantity, n = columns
    return OwnColumns(
        np.array(product, dtype=np.int64),
        np.array(kind, dtype=np.int64),
        np.array(p7, dtype=np.float64),
        np.array(due_day, dtype=np.float64),
        np.array(last_day, dtype=np.int64),
        np.array([math.nan if each is None else each for each in gap], dtype=np.float64),
        np.array(quantity, dtype=np.int64),
        np.array(n, dtype=np.int64),
    )


def _due_days(group: Habits | Again, at: slice) -> F64:
    return group.last_day[at] + group.wait[at] / DAY_STEPS


def _ints(values: _Any) -> I64:
    return values.astype(np.int64)


def _floats(values: _Any) -> F64:
    return values.astype(np.float64)
