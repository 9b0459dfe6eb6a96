"""A bundle without some of its customers: every array cut again, every file hashed anew, a version of its own."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from features.ids import UNKNOWN_ROW, find_row
from serving.bundle import MANIFEST_NAME, Bundle, BundleContents, open_bundle, write_bundle
from serving.bundle_columns import Column
from serving.bundle_fields import Values, all_columns, assemble, flatten
from serving.bundle_format import BundleArrays
from serving.manifest import BundleMeta
from serving.shares import Shares
from serving.strings import StringTable

BoolArray = npt.NDArray[np.bool_]


def holds_any(folder: Path, customer_ids: Collection[str]) -> bool:
    """Return whether a bundle knows any of these customers; BundleError when it is damaged."""
    return bool(_rows_of(open_bundle(folder, verify=False), customer_ids))


def write_without(folder: Path, customer_ids: Collection[str], bundles: Path) -> str:
    """Return the version of the same bundle without these customers, written to ``<bundles>/<version>/``.

    Its manifest keeps the time of the old one's, so that bundles stay in the order of their training. A bundle that
    knows none of them is what it was. BundleError when it is damaged, or the new one can't be written.
    """
    bundle = open_bundle(folder)
    rows = _rows_of(bundle, customer_ids)
    if not rows:
        return bundle.manifest.version
    stays = np.ones(len(bundle.customers.id), dtype=np.bool_)
    stays[rows] = False
    written = write_bundle(_contents(bundle, without(bundle, stays), folder), bundles)
    made = (folder / MANIFEST_NAME).stat()
    os.utime(bundles / written / MANIFEST_NAME, ns=(made.st_atime_ns, made.st_mtime_ns))
    return written


def without(arrays: BundleArrays, stays: BoolArray) -> dict[str, Any]:
    """Return the keyword arguments of `BundleArrays` with only the customers that stay, shape ``(n_customers,)``."""
    columns = all_columns()
    values: dict[str, Any] = dict(flatten(arrays))  # Any: offsets are arrays, which the names say
    ragged = {name.rpartition(".")[0] for name, each in columns.items() if each.axis == "customers+1"}
    entries = {group: np.repeat(stays, np.diff(values[f"{group}.offsets"])) for group in ragged}
    return assemble({name: _cut(values[name], columns[name], stays, entries) for name in values})


def _cut(values: Values, column: Column, stays: BoolArray, entries: dict[str, BoolArray]) -> Values:
    """Return what is left of one array: by customer, by entry of a ragged group, its offsets, or all of it."""
    if isinstance(values, StringTable):
        return _cut_strings(values, stays) if column.axis == "customers" else values
    if isinstance(values, Shares):
        return Shares(values.codes[stays if column.axis == "customers" else entries[column.axis]])
    if column.axis == "customers+1":
        return _offsets(np.diff(values)[stays])
    if column.axis == "customers":
        return values[stays]
    return values[entries[column.axis]] if column.axis in entries else values


def _cut_strings(table: StringTable, stays: BoolArray) -> StringTable:
    lengths = np.diff(table.offsets)
    return StringTable(_offsets(lengths[stays]), table.utf8[np.repeat(stays, lengths)])


def _offsets(lengths: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _rows_of(bundle: Bundle, customer_ids: Collection[str]) -> list[int]:
    customers = bundle.customers
    rows = (find_row(customers.hash, customers.id, each) for each in customer_ids)
    return [row for row in rows if row != UNKNOWN_ROW]


def _contents(bundle: Bundle, arrays: dict[str, Any], folder: Path) -> BundleContents:
    meta = BundleMeta(**{each.name: getattr(bundle.manifest, each.name) for each in fields(BundleMeta)})
    models = {path.name: path.read_bytes().decode() for path in sorted((folder / "models").glob("*"))}
    return BundleContents(
        **arrays,
        meta=meta,
        numbers=bundle.numbers,
        policy_text=(folder / "policy.toml").read_bytes().decode(),
        models=models,
        texts=bundle.texts,
    )
