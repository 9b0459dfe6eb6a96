"""Whether the arrays of a bundle are what the format says: types, shapes, and, when asked, every value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.bundle_columns import Column
from serving.bundle_fields import all_columns, flatten, is_narrowed
from serving.bundle_format import BundleArrays
from serving.errors import BundleError
from serving.shares import Shares
from serving.strings import StringTable

Shape = tuple[int, ...]

_CHUNK = 1 << 20
"""Entries that are checked at once: the memory that a check takes does not grow with customers."""


def sizes_of(arrays: BundleArrays) -> dict[str, int]:
    """Return the length of every axis; BundleError when two arrays of one axis differ."""
    sizes: dict[str, int] = {}
    columns = all_columns()
    for name, values in flatten(arrays):
        axis, extra = _axis(columns[name])
        length = len(values) - extra
        if sizes.setdefault(axis, length) != length:
            raise BundleError(f"array {name} has length {len(values)}, {sizes[axis] + extra} expected (axis {axis})")
    return sizes


def check_layout(arrays: BundleArrays, sizes: Mapping[str, int]) -> None:
    """Raise BundleError for the first array whose type or shape is not what the format and `sizes` say."""
    columns = all_columns()
    for name, values in flatten(arrays):
        column = columns[name]
        axis, extra = _axis(column)
        if axis not in sizes:
            raise BundleError(f"manifest.json: sizes lacks {axis}")
        if isinstance(values, StringTable):
            _check_table_layout(name, values, sizes[axis])
            continue
        expected = (sizes[axis] + extra, column.width) if column.width else (sizes[axis] + extra,)
        _check_array_layout(name, values, column, expected)


def _check_array_layout(name: str, values: npt.NDArray[Any] | Shares, column: Column, expected: Shape) -> None:
    array = values.codes if isinstance(values, Shares) else values
    dtype = np.dtype("<u2" if column.dtype == "share" else column.dtype)
    is_typed = isinstance(values, Shares) == (column.dtype == "share") and _is_typed(name, array, dtype)
    if not is_typed or array.shape != expected:
        raise BundleError(f"array {name} is {array.dtype.str} {array.shape}, expected {dtype.str} {expected}")


def _is_typed(name: str, array: npt.NDArray[Any], dtype: np.dtype[Any]) -> bool:
    """Return whether an array is of a type, or of a narrower one where the column's may be."""
    if array.dtype == dtype or not is_narrowed(name, dtype):
        return bool(array.dtype == dtype)
    return array.dtype.kind in "iu" and array.dtype.itemsize <= dtype.itemsize


def check_values(arrays: BundleArrays, sizes: Mapping[str, int]) -> None:
    """Raise BundleError for the first array with a value that the format doesn't allow. Reads everything once."""
    columns = all_columns()
    for name, values in flatten(arrays):
        if isinstance(values, StringTable):
            _check_strings(name, values)
        elif isinstance(values, Shares):
            continue  # every code is a share
        elif name.endswith(".offsets"):
            _check_offsets(name, values, sizes[name.removesuffix(".offsets")])
        elif name.endswith(".hash"):
            _require(bool(np.all(values[:-1] <= values[1:])), name, "is not sorted")
        else:
            _check_column(name, values, columns[name], sizes)
    _check_agreement(arrays)


def _check_agreement(arrays: BundleArrays) -> None:
    """Raise BundleError where arrays contradict each other: order within owners, rows of products and their kind."""
    _check_named(arrays)
    falling = {f"{name}.p7": (getattr(arrays, name).p7.codes, name) for name in ("habit", "again", "stretch")}
    falling |= {f"{name}.fall": (getattr(arrays, name).fall, name) for name in ("discover", "propensity")}
    for name, (codes, group) in falling.items():
        falls = _follows(codes, getattr(arrays, group).offsets, np.less_equal)
        _require(falls, name, "doesn't fall within each customer")
    _check_offers(arrays)


def _check_named(arrays: BundleArrays) -> None:
    """Raise BundleError where a list names a product, or a category, by a place that there is not."""
    products, habit, stretch = arrays.products, arrays.habit, arrays.stretch
    for name, kind, group in (
        ("usual", products.type, arrays.usual),
        ("novelty", products.category, arrays.novelty),
    ):
        owner = np.repeat(np.arange(len(group.offsets) - 1), np.diff(group.offsets))
        _require(np.array_equal(kind[group.product], owner), f"{name}.product", "holds a product of another kind")
    n_usual, n_novel = np.diff(arrays.usual.offsets), np.diff(arrays.novelty.offsets)
    are_usual = all((habit.place[part] < n_usual[habit.type[part]]).all() for part in _parts(len(habit.place)))
    _require(are_usual, "habit.place", "names more products than usual has of that type")
    are_novel = all(
        (stretch.place[part] < n_novel[stretch.category[part]][:, None]).all() for part in _parts(len(stretch.place))
    )
    _require(are_novel, "stretch.place", "names more products than novelty has of that category")
    n_recent = np.diff(arrays.recent.offsets.astype(np.int64))
    owner = np.repeat(np.arange(len(n_recent)), np.diff(stretch.offsets))
    are_recent = all((stretch.source[part] <= n_recent[owner[part]]).all() for part in _parts(len(owner)))
    _require(are_recent, "stretch.source", "names more categories than recent has of that customer")


def _check_offers(arrays: BundleArrays) -> None:
    """Raise BundleError where what is said of offers is out of order, or not the same by offer and by product."""
    rising = (
        ("offer_products.product", arrays.offer_products.product, arrays.offer_products.offsets),
        ("product_offers.offer", arrays.product_offers.offer, arrays.product_offers.offsets),
        ("response.offer", arrays.response.offer, arrays.response.offsets),
        ("redeemed.offer", arrays.redeemed.offer, arrays.redeemed.offsets),
    )
    for name, values, offsets in rising:
        _require(_follows(values, offsets, np.greater), name, "doesn't rise within its group")
    is_in_order = _follows(arrays.sends.at_us, arrays.sends.offsets, np.greater_equal)
    _require(is_in_order, "sends.at_us", "is not in order of time within each customer")
    by_offer = np.repeat(np.arange(len(arrays.offers.id)), np.diff(arrays.offer_products.offsets))
    order = np.argsort(arrays.offer_products.product, kind="stable")
    owner = np.repeat(np.arange(len(arrays.products.id)), np.diff(arrays.product_offers.offsets))
    same = np.array_equal(arrays.offer_products.product[order], owner) and np.array_equal(
        by_offer[order], arrays.product_offers.offer
    )
    _require(same, "product_offers.offer", "says otherwise than offer_products.product")


def _follows(
    values: npt.NDArray[Any], offsets: npt.NDArray[np.integer[Any]], holds: Callable[..., npt.NDArray[np.bool_]]
) -> bool:
    """Return whether `holds(value, the one before)` is true of all values but the first of each group."""
    for start in range(0, len(values) - 1, _CHUNK):
        part = values[start : start + _CHUNK + 1]
        steps = holds(part[1:], part[:-1])
        first, last = np.searchsorted(offsets, [start + 1, start + len(part)])
        steps[offsets[first:last].astype(np.int64) - 1 - start] = True
        if not steps.all():
            return False
    return True


def _parts(n: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK) for start in range(0, n, _CHUNK))


def _axis(column: Column) -> tuple[str, int]:
    axis = column.axis.removesuffix("+1")
    return axis, int(axis != column.axis)


def _require(holds: bool, name: str, claim: str) -> None:
    if not holds:
        raise BundleError(f"array {name} {claim}")


def _check_table_layout(name: str, table: StringTable, size: int) -> None:
    is_offsets = _is_typed(name, table.offsets, np.dtype("<i8")) and table.offsets.ndim == 1
    _require(is_offsets, name + ".offsets", "is not int64")
    _require(table.utf8.dtype == np.dtype("|u1") and table.utf8.ndim == 1, name + ".utf8", "is not uint8")
    _require(len(table.offsets) == size + 1, name + ".offsets", f"has length {len(table.offsets)}, expected {size + 1}")


def _check_strings(name: str, table: StringTable) -> None:
    _check_offsets(name + ".offsets", table.offsets, len(table.utf8))
    try:
        table.utf8.tobytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"array {name}.utf8 is not UTF-8: {error}") from error
    inner = table.offsets[table.offsets < len(table.utf8)]
    is_continued = (table.utf8[inner] & 0xC0) == 0x80
    _require(not bool(is_continued.any()), name + ".offsets", "cuts a character in two")


def _check_offsets(name: str, offsets: npt.NDArray[np.integer[Any]], n_entries: int) -> None:
    spans = bool(offsets[0] == 0 and offsets[-1] == n_entries)
    _require(spans, name, f"doesn't run from 0 to {n_entries}")
    _require(bool(np.all(offsets[:-1] <= offsets[1:])), name, "is not ascending")


def _check_column(name: str, values: npt.NDArray[Any], column: Column, sizes: Mapping[str, int]) -> None:
    low, high = column.low, column.high
    if column.refers_to:
        low, high = (-1 if column.may_be_unknown else 0), sizes[column.refers_to] - 1
    for part in _parts(len(values)):
        _check_part(name, values[part], (low, high), may_be_unknown=column.may_be_unknown)


def _check_part(
    name: str, values: npt.NDArray[Any], bounds: tuple[float | None, float | None], *, may_be_unknown: bool
) -> None:
    low, high = bounds
    if values.dtype.kind == "f":
        if may_be_unknown:
            values = values[~np.isnan(values)]
        _require(bool(np.isfinite(values).all()), name, "has values that are not finite")
    if not values.size:
        return
    least, most = values.min(), values.max()
    _require(low is None or least >= low, name, f"has a value below {low}: {least}")
    _require(high is None or most <= high, name, f"has a value above {high}: {most}")
