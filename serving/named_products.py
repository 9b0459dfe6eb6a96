"""How the lists of customers name products and categories in fewer bytes: by their place among a few."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.bundle_columns import I32, I64
from serving.bundle_format import BundleArrays

_Rows = npt.NDArray[np.integer[Any]]
_NONE = -1


@dataclass(frozen=True)
class NamedProducts:
    """The products that lists name, ascending within each type (or category), and how these name them.

    `offsets` and `product` are what goes into a bundle: the products of each kind.
    """

    offsets: I64
    product: I32
    _kind: _Rows
    _row: I64

    @classmethod
    def of(cls, kind: _Rows, n_kinds: int, named: Iterable[_Rows]) -> NamedProducts:
        """Return the products that lists name (-1 for none), by the kind of every product there is."""
        products = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *(each.reshape(-1) for each in named)]))
        products = products[products >= 0]
        products = products[np.argsort(kind[products], kind="stable")]
        offsets = np.zeros(n_kinds + 1, dtype=np.int64)
        np.cumsum(np.bincount(kind[products], minlength=n_kinds), out=offsets[1:])
        row = np.full(len(kind), _NONE, dtype=np.int64)
        row[products] = np.arange(len(products))
        return cls(offsets, products.astype(np.int32), kind, row)

    def rows(self, products: _Rows) -> I32:
        """Return the place of each product among all."""
        return self._row[products].astype(np.int32)

    def places(self, products: _Rows) -> I32:
        """Return the place of each product among those of its kind, -1 where there is none."""
        if not products.size:
            return products.astype(np.int32)
        held = np.maximum(products, 0)
        places = self._row[held] - self.offsets[self._kind[held]]
        return np.where(products < 0, _NONE, places).astype(np.int32)


def places_among(offsets: _Rows, listed: _Rows, owner: _Rows, wanted: _Rows) -> I32:
    """Return where each wanted value stands in the ascending list of its owner, from 1; 0 for one that is not there.

    Examples
    --------
    >>> places_among(np.array([0, 2, 3]), np.array([4, 7, 5]), np.array([0, 0, 1]), np.array([7, 5, 5])).tolist()
    [2, 0, 1]
    """
    if not len(listed):
        return np.zeros(len(wanted), dtype=np.int32)
    wide = int(max(listed.max(), wanted.max(initial=0))) + 1
    keys = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)) * wide + listed
    looked_for = owner.astype(np.int64) * wide + wanted
    found = np.minimum(np.searchsorted(keys, looked_for), len(keys) - 1)
    is_there = (keys[found] == looked_for) & (wanted >= 0)
    return np.where(is_there, found - offsets[:-1].astype(np.int64)[owner] + 1, 0).astype(np.int32)


def best_products(bundle: BundleArrays, stretches: slice) -> I64:
    """Return the rows of the products that some stretches name, -1 pads, shape ``(n, 3)``."""
    place = bundle.stretch.place[stretches].astype(np.int64)
    novelty = bundle.novelty
    if not len(novelty.product):
        return np.full(place.shape, _NONE, dtype=np.int64)
    rows = novelty.offsets[bundle.stretch.category[stretches]][:, None] + place
    return np.where(place < 0, _NONE, novelty.product[np.where(place < 0, 0, rows)].astype(np.int64))


def usual_products(bundle: BundleArrays, habits: slice) -> I64:
    """Return the rows of the usual products of some habits."""
    habit, usual = bundle.habit, bundle.usual
    rows = usual.offsets[habit.type[habits]] + habit.place[habits]
    return np.asarray(usual.product[rows], dtype=np.int64)
