"""Whether the arrays of a bundle are what the format says: types, shapes, and, when asked, every value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.bundle_columns import Column
from serving.bundle_format import BundleArrays, all_columns, flatten
from serving.errors import BundleError
from serving.strings import StringTable

Values = npt.NDArray[Any] | StringTable

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
        if values.dtype != np.dtype(column.dtype) or values.shape != expected:
            found = f"{values.dtype.str} {values.shape}"
            raise BundleError(f"array {name} is {found}, expected {np.dtype(column.dtype).str} {expected}")


def check_values(arrays: BundleArrays, sizes: Mapping[str, int]) -> None:
    """Raise BundleError for the first array with a value that the format doesn't allow. Reads everything once."""
    columns = all_columns()
    for name, values in flatten(arrays):
        if isinstance(values, StringTable):
            _check_strings(name, values)
        elif name.endswith(".offsets"):
            _check_offsets(name, values, sizes[name.removesuffix(".offsets")])
        elif name.endswith(".hash"):
            _require(bool(np.all(values[:-1] <= values[1:])), name, "is not sorted")
        else:
            _check_column(name, values, columns[name], sizes)
    _check_agreement(arrays)


def _check_agreement(arrays: BundleArrays) -> None:
    """Raise BundleError where arrays contradict each other: order within owners, rows of products and their kind."""
    products, habit, stretch = arrays.products, arrays.habit, arrays.stretch
    same_type = all(
        np.array_equal(products.type[habit.product[part]], habit.type[part]) for part in _parts(len(habit.product))
    )
    _require(same_type, "habit.product", "holds a product of another type than habit.type says")
    same_category = all(
        _is_of(products.category, stretch.product[part], stretch.category[part])
        for part in _parts(len(stretch.product))
    )
    _require(same_category, "stretch.product", "holds a product of another category than stretch.category says")
    for name, group in (("habit", arrays.habit), ("again", arrays.again)):
        falls = _follows(group.p7, group.offsets, np.less_equal)
        _require(falls, f"{name}.p7", "doesn't fall within each customer")
    _check_offers(arrays)


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


def _is_of(category: npt.NDArray[np.int32], product: npt.NDArray[np.int32], named: npt.NDArray[np.int32]) -> bool:
    """Return whether products, several a row, -1 for none, are all of the category that their row names."""
    shown = product >= 0
    owner = np.broadcast_to(named[:, None], product.shape)
    return np.array_equal(category[product[shown]], owner[shown])


def _follows(
    values: npt.NDArray[Any], offsets: npt.NDArray[np.int64], holds: Callable[..., npt.NDArray[np.bool_]]
) -> bool:
    """Return whether `holds(value, the one before)` is true of all values but the first of each group."""
    for start in range(0, len(values) - 1, _CHUNK):
        part = values[start : start + _CHUNK + 1]
        steps = holds(part[1:], part[:-1])
        first, last = np.searchsorted(offsets, [start + 1, start + len(part)])
        steps[offsets[first:last] - 1 - start] = True
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
    _require(table.offsets.dtype == np.dtype("<i8") and table.offsets.ndim == 1, name + ".offsets", "is not int64")
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


def _check_offsets(name: str, offsets: npt.NDArray[np.int64], n_entries: int) -> None:
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
