"""What is asked of `tercet batch`, and of whom: the job, its moment, and the files that name customers or products."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from serving.api_codes import Intent, Level
from serving.bundle import Bundle
from serving.decisioning.windows import day_of, midnight, zone_named
from serving.errors import BatchError
from serving.live import epoch_us
from serving.state.erasing import Erased
from serving.state.opening import FILE

_PARQUET_MAGIC = b"PAR1"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class BatchJob:
    """What is asked for many.

    `at` None is the bundle's as-of, a date its local midnight. `k` is items an answer, and categories of `scores`;
    `channel` is that of offers and actions, None the one on which each customer is best met.
    Without `with_rules` the answers are the ranking alone, and the state is not asked. Nothing is kept, unless
    `issues`: then challenges are, as if each customer had asked, though they have not been shown yet.
    """

    kind: str
    at: datetime | date | None = None
    k: int = 10
    intent: str = Intent.MIXED.value
    level: str = Level.PRODUCT.value
    channel: str | None = None
    with_rules: bool = True
    issues: bool = False
    state: str = field(default=FILE, repr=False)


def without_forgotten(asked: Mapping[str, list[str]], erased: Erased, bundle: Bundle) -> dict[str, list[str]]:
    """Return the queries without those of customers who were forgotten since the bundle learned of them."""
    as_of_us = epoch_us(bundle.manifest.as_of)
    return {key: query for key, query in asked.items() if (erased.moment_us(key) or as_of_us) <= as_of_us}


def moment_of(at: datetime | date | None, bundle: Bundle) -> datetime:
    """Return the moment to answer for: the bundle's as-of for None, a date's first moment in the bundle's time zone."""
    if at is None:
        return bundle.manifest.as_of
    if isinstance(at, datetime):
        return at
    zone = zone_named(bundle.manifest.time_zone) or zone_named(bundle.policy.shop.time_zone)
    if zone is None:
        raise BatchError(f"the bundle's time zone {bundle.manifest.time_zone!r} is not known here")
    first = datetime(1970, 1, 1, tzinfo=zone)
    return midnight((at - first.date()).days + day_of(first, zone), zone)


def read_queries(path: Path | None, kind: str, bundle: Bundle) -> dict[str, list[str]]:
    """Return who or what is asked about, in order, each once; for also-bought with the products of each query."""
    if kind != "also-bought":
        known: Iterable[str] = bundle.customers.id if path is None else _read_columns(path, ["customer_id"])[0]
        return {each: [] for each in known}
    if path is None:
        return {each: [each] for each in bundle.products.id}
    queries: dict[str, list[str]] = {}
    for query, pairs in groupby(
        zip(*_read_columns(path, ["query_id", "product_id"]), strict=True), lambda pair: pair[0]
    ):
        queries.setdefault(query, []).extend(product for _, product in pairs)
    return queries


def who_is_asked(path: Path | None, bundle: Bundle, erased: Erased) -> Callable[[], Iterator[str]]:
    """Return what names the customers of a list, in order, each once, as often as it is asked.

    Those of a file (which is held in memory as the file has them), or everyone in the bundle who was not forgotten
    since: these are read where they lie.
    """
    if path is None:
        as_of_us = epoch_us(bundle.manifest.as_of)
        return lambda: (each for each in bundle.customers.id if (erased.moment_us(each) or as_of_us) <= as_of_us)
    column = _read_table(path, ["customer_id"]).column("customer_id").cast(pa.string())
    _check_filled(path, "customer_id", column)
    ids = pa.compute.unique(column)
    return lambda: (each.as_py() for each in ids)


def _read_columns(path: Path, names: list[str]) -> list[list[str]]:
    """Return columns of a CSV or Parquet file as text; BatchError names the file and what it lacks."""
    table = _read_table(path, names)
    columns = [table.column(name).cast(pa.string()) for name in names]
    for name, values in zip(names, columns, strict=True):
        _check_filled(path, name, values)
    return [values.to_pylist() for values in columns]


def _read_table(path: Path, names: list[str]) -> pa.Table:
    try:
        with path.open("rb") as file:
            is_parquet = file.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC
        if is_parquet:
            table = pa.parquet.read_table(path)
        else:
            convert = pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, include_missing_columns=False
            )
            table = pa.csv.read_csv(path, convert_options=convert)
    except (OSError, pa.ArrowException) as error:
        raise BatchError(f"{path} can't be read: {str(error).splitlines()[0]}") from error
    if missing := [name for name in names if name not in table.column_names]:
        found = ", ".join(table.column_names)
        raise BatchError(f"{path} has no column {' and no column '.join(missing)}; it has {found}")
    return table


def _check_filled(path: Path, name: str, values: pa.Array | pa.ChunkedArray) -> None:
    empty = pa.compute.or_kleene(pa.compute.is_null(values), pa.compute.equal(values, ""))
    row = pa.compute.index(empty, True).as_py()
    if row >= 0:
        raise BatchError(f"{path}: column {name} is empty in row {row + 1}")
