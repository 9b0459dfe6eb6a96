"""How one array of a bundle is described: its type, its axis, and what its values may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int8]
I16 = npt.NDArray[np.int16]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
U64 = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Column:
    """One array: its type, the name of its first axis, and what its values may be.

    Besides numpy's types there are ``str`` (a `StringTable`) and ``share`` (`Shares`). Of whole numbers that grow with
    customers the type is the widest: they are stored in the narrowest that holds them (`narrowed`).

    `axis` is a size of the manifest (``customers``, ``products``, …, or the name of a ragged group: its entries);
    ``customers+1`` is one longer. `refers_to` is the axis whose rows the values are. Floats are never NaN unless
    `may_be_unknown`; rows may then be -1.
    """

    dtype: str
    axis: str
    width: int = 0
    refers_to: str = ""
    may_be_unknown: bool = False
    low: float | None = None
    high: float | None = None


def share_column(axis: str, *, width: int = 0) -> Column:
    """Return a column of shares, 0 to 1."""
    return Column("<f4", axis, width=width, low=0.0, high=1.0)


def chance_column(axis: str, *, width: int = 0) -> Column:
    """Return a column of shares, 0 to 1, in two bytes each."""
    return Column("share", axis, width=width)


def steps_column(axis: str) -> Column:
    """Return a column of numbers from 0 that are counted in steps (`shares.in_steps`)."""
    return Column("<u2", axis)


def number_column(axis: str, *, unknown: bool = False, low: float | None = None) -> Column:
    """Return a column of float32 numbers."""
    return Column("<f4", axis, may_be_unknown=unknown, low=low)


def row_column(axis: str, refers_to: str, *, unknown: bool = False, width: int = 0) -> Column:
    """Return a column of int32 rows of the axis `refers_to`."""
    return Column("<i4", axis, width=width, refers_to=refers_to, may_be_unknown=unknown)


def count_column(dtype: str, axis: str) -> Column:
    """Return a column of whole numbers from 0."""
    return Column(dtype, axis, low=0)


def day_column(axis: str) -> Column:
    """Return a column of local day numbers."""
    return Column("<i4", axis, low=-100_000, high=1_000_000)  # the calendar's years 1696 to 4707


def offsets_column(axis: str) -> Column:
    """Return the offsets of a ragged group by the rows of `axis`."""
    return Column("<i8", axis + "+1", low=0)


def narrowed(values: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.integer[Any]]:
    """Return whole numbers in the narrowest type that holds them, with a sign where that takes no more.

    Examples
    --------
    >>> [narrowed(np.array(each)).dtype.str for each in ([], [0, 127], [0, 255], [256], [-1, 128], [1 << 40])]
    ['|i1', '|i1', '|u1', '<i2', '<i2', '<i8']
    """
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    for kind in ("|i1", "|u1", "<i2", "<u2", "<i4", "<u4"):
        bounds = np.iinfo(kind)
        if bounds.min <= low and high <= bounds.max:
            return values.astype(kind, copy=False)
    return values
