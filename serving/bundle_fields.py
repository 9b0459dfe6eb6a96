"""Walking the columns of a bundle by their full names, such as ``customers.churn``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from typing import Any, get_args, get_type_hints

import numpy as np
import numpy.typing as npt

from serving.bundle_columns import Column
from serving.bundle_format import BundleArrays
from serving.shares import Shares
from serving.strings import StringTable

Values = npt.NDArray[Any] | Shares | StringTable


@cache
def columns_of(group: type) -> dict[str, Column]:
    """Return the columns of a group's own fields, by field name; fields that are groups themselves are left out."""
    hints = get_type_hints(group, include_extras=True)
    found = {}
    for each in fields(group):
        columns = [extra for extra in get_args(hints[each.name])[1:] if isinstance(extra, Column)]
        if columns:
            found[each.name] = columns[0]
    return found


@cache
def groups() -> dict[str, type]:
    """Return the groups of a bundle, by name."""
    hints = get_type_hints(BundleArrays, include_extras=True)
    return {each.name: hints[each.name] for each in fields(BundleArrays) if isinstance(hints[each.name], type)}


def all_columns() -> dict[str, Column]:
    """Return every column of a bundle by its full name, such as ``customers.churn`` or ``segments``."""
    named = dict(columns_of(BundleArrays))
    for group, kind in groups().items():
        named.update({f"{group}.{field}": column for field, column in columns_of(kind).items()})
    return named


@cache
def grown_by_customers() -> frozenset[str]:
    """Return the full names of the columns that have an entry, or a list, for each customer."""
    columns = all_columns()
    lists = {name.removesuffix(".offsets") for name, each in columns.items() if each.axis == "customers+1"}
    axes = {"customers", "customers+1", *lists}
    return frozenset(name for name, each in columns.items() if each.axis in axes)


def is_narrowed(name: str, dtype: np.dtype[Any]) -> bool:
    """Return whether a column of that type is stored in the narrowest type that holds its values; hashes need all."""
    return dtype.kind in "iu" and dtype.itemsize > 1 and dtype != np.uint64 and name in grown_by_customers()


def flatten(arrays: BundleArrays) -> Iterator[tuple[str, Values]]:
    """Yield every column's full name and values, in the order of the format."""
    for name in columns_of(BundleArrays):
        yield name, getattr(arrays, name)
    for group, kind in groups().items():
        for field in columns_of(kind):
            yield f"{group}.{field}", getattr(getattr(arrays, group), field)


def assemble(columns: dict[str, Values]) -> dict[str, Any]:
    """Return the keyword arguments of `BundleArrays` from every column by its full name; the inverse of `flatten`."""
    parts: dict[str, Any] = {name: columns[name] for name in columns_of(BundleArrays)}
    for group, kind in groups().items():
        parts[group] = kind(**{field: columns[f"{group}.{field}"] for field in columns_of(kind)})
    return parts
