"""Chances and other numbers in one or two bytes each, which several processes can map from the same files.

A chance is stored as its root, in 65,535 steps: p = (code ÷ 65,535)². So the small ones, which are the most, are told
as finely as answers show them: p differs from what was meant by at most √p ÷ 65,535, which is 1.6e-5 at most, and up to
p = .001 less than half of the sixth place. What is above 0 stays above 0, and what is below 1 below 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import repeat
from operator import truediv
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]

STEPS, FALL_STEPS = 65_535, 255
SHARE = float(STEPS**2)
"""A share is code · code ÷ SHARE."""

DAY_STEPS, LIFT_STEPS = 32, 512
UNKNOWN = 65_535
_CHUNK = 65_536
_SQUARES = tuple(float(code * code) for code in range(FALL_STEPS + 1))
_FALL_SHARE = SHARE * FALL_STEPS**2  # below 2^53: whole numbers up to it are exact


class Shares:
    """Shares, 0 to 1, of one column; `codes` is uint16 and may have several columns.

    An index, slice, mask or list of places reads them; nothing else is copied.

    Examples
    --------
    >>> shares = Shares.of([0.25, 0.0, 1.0])
    >>> len(shares), shares.codes.tolist(), float(shares[1]), shares[1:].tolist()
    (3, [32768, 0, 65535], 0.0, [0.0, 1.0])
    """

    __slots__ = ("codes",)

    def __init__(self, codes: U16) -> None:
        self.codes = codes

    @classmethod
    def of(cls, shares: npt.ArrayLike) -> Shares:
        """Return shares with the nearest codes; ValueError where one is not from 0 to 1."""
        values = np.asarray(shares, dtype=np.float64)
        if not ((values >= 0.0) & (values <= 1.0)).all():  # never true of NaN
            raise ValueError("a share is not from 0 to 1")
        codes = np.rint(np.sqrt(values) * STEPS)
        return cls(np.clip(codes, values > 0.0, STEPS - (values < 1.0)).astype("<u2"))

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.codes)

    def __getitem__(self, places: Any) -> F64:  # Any: whatever numpy takes as an index
        """Return the shares at some places."""
        shares: F64 = np.square(self.codes[places], dtype=np.float64) / SHARE
        return shares

    def means(self) -> F64:
        """Return the mean of each column, some of the rows at a time; NaN without rows."""
        parts = (self.codes[start : start + _CHUNK] for start in range(0, len(self), _CHUNK))
        squares = sum(np.square(part, dtype=np.float64).sum(axis=0) for part in parts)
        return np.asarray(squares / SHARE / len(self) if len(self) else np.full(self.codes.shape[1:], np.nan))


def in_steps(values: npt.ArrayLike, per_one: int, *, is_floor: bool = False) -> U16:
    """Return numbers from 0 as counts of steps, `per_one` of them to 1, the nearest or none above; NaN is `UNKNOWN`.

    What is more than fits is the most that does.

    Examples
    --------
    >>> in_steps([7.0, 7.99, 1e9, np.nan], 32).tolist(), in_steps([7.99], 32, is_floor=True).tolist()
    ([224, 256, 65534, 65535], [255])
    """
    wanted = np.asarray(values, dtype=np.float64)
    steps = np.floor(wanted * per_one) if is_floor else np.rint(wanted * per_one)
    return np.where(np.isnan(wanted), UNKNOWN, np.clip(steps, 0, UNKNOWN - 1)).astype("<u2")


def from_steps(steps: npt.NDArray[np.integer[Any]], per_one: int) -> F64:
    """Return the numbers that steps stand for; NaN for `UNKNOWN`."""
    return np.where(steps == UNKNOWN, np.nan, steps / per_one)


class Falling(NamedTuple):
    """Chances that fall within each customer, a byte each: the highest as `Shares`, each as a part of that in `fall`.

    A part is (code ÷ 255)²: with r the part, a chance differs by at most highest · √r ÷ 255, which is .4 % of the
    highest one and 1.2 % of one a tenth as high.
    """

    top: Shares
    fall: U8

    def read(self, owner: npt.NDArray[np.integer[Any]] | int, entries: Any) -> F64:  # Any: an index of numpy's
        """Return the chances of some entries of the owners."""
        roots = np.multiply(self.top.codes[owner], self.fall[entries], dtype=np.float64)
        chances: F64 = np.square(roots) / _FALL_SHARE
        return chances


def falling(chances: npt.ArrayLike, offsets: npt.NDArray[np.integer[Any]]) -> Falling:
    """Return the chances of ragged lists; who has none has a highest of 0.

    Examples
    --------
    >>> found = falling([1.0, 0.04, 0.5], np.array([0, 2, 2, 3]))
    >>> found.fall.tolist(), found.read(np.array([0, 0, 2]), slice(None)).round(4).tolist()
    ([255, 51, 255], [1.0, 0.04, 0.5])
    """
    values, starts = np.asarray(chances, dtype=np.float64), np.asarray(offsets, dtype=np.int64)
    counts = np.diff(starts)
    highest = np.zeros(len(counts))
    highest[counts > 0] = np.maximum.reduceat(values, starts[:-1][counts > 0]) if len(values) else 0.0
    top = Shares.of(highest)
    beside = np.repeat(top[:], counts)
    parts = np.divide(values, beside, out=np.zeros(len(values)), where=beside > 0.0)
    codes = np.rint(np.sqrt(parts) * FALL_STEPS)
    return Falling(top, np.clip(codes, values > 0.0, FALL_STEPS).astype("|u1"))


def fallen(top: int, codes: Iterable[int]) -> Iterator[float]:
    """Return the chances that codes of one customer's `Falling` stand for, beside the code of the highest one.

    They are the very numbers of `Falling.read`: whole ones that float64 holds exactly, divided once.

    Examples
    --------
    >>> list(fallen(65_535, [255, 51, 0]))
    [1.0, 0.04, 0.0]
    """
    times = float(top * top).__mul__
    return map(truediv, map(times, map(_SQUARES.__getitem__, codes)), repeat(_FALL_SHARE))
