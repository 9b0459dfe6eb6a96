"""The engine's answers for many, as Parquet: the very answers that the server gives one by one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from serving.api import AlsoBoughtRequest, ChallengeRequest, RecommendationsRequest, ScoresRequest
from serving.api_codes import Intent, Level
from serving.batch_tables import KINDS, Row, rows_of, schema_of, table_of
from serving.bundle import Bundle, open_bundle
from serving.champion import bundle_folder, read_champion
from serving.decision_ids import DecisionIds, shop_ids
from serving.decisioning.windows import day_of, midnight, zone_named
from serving.engine import Engine
from serving.errors import BatchError, UnknownProduct
from serving.http_calls import challenge_question

_PARQUET_MAGIC = b"PAR1"
_ROWS_A_GROUP = 50_000
_ANSWERS_A_STAGE = 250_000

Progress = Callable[[str], None]
Answered = tuple[str, Mapping[str, Any]]  # Any: an answer, typed in serving/api_answers.py


@dataclass(frozen=True)
class BatchJob:
    """What is asked for many.

    `at` None is the bundle's as-of, a date its local midnight. `k` is items an answer, and categories of `scores`.
    Without `with_rules` the answers are the ranking alone. Nothing is kept.
    """

    kind: str
    at: datetime | date | None = None
    k: int = 10
    intent: str = Intent.MIXED.value
    level: str = Level.PRODUCT.value
    with_rules: bool = True


def write_batch(home: Path, job: BatchJob, out: Path, customers: Path | None, progress: Progress) -> int:
    """Return how many rows were written to `out`: the champion's answers, whole or not at all.

    `customers` is a CSV or Parquet file with a `customer_id` column (also-bought: `query_id` and `product_id`); None
    is everyone in the bundle (every product). One who is named twice is answered once; one whom nobody knows gets the
    answer that the server gives. An answer without items has no rows.

    Raises
    ------
    BatchError
        When the file of customers can't be read, or `out` can't be written.
    BundleError
        When the champion is damaged.
    InvalidRequest
        When `at` lies before the bundle's as-of.
    """
    version = read_champion(home)
    if version is None:
        raise BatchError(f"{home} has no champion yet: run 'tercet train' or 'tercet promote' first")
    if job.kind not in KINDS:
        raise BatchError(f"kind {job.kind!r} is none of {', '.join(KINDS)}")
    progress(f"open bundle {version}")
    bundle = open_bundle(bundle_folder(home, version))
    engine = Engine(bundle, applies_rules=job.with_rules)
    asked = read_queries(customers, job.kind, bundle)
    return _write(answers(engine, job, asked, shop_ids(home)), job.kind, out, progress)


def answers(engine: Engine, job: BatchJob, asked: Mapping[str, list[str]], ids: DecisionIds) -> Iterator[Answered]:
    """Yield each key of `asked` with its answer; also-bought asks about the key's products, all else about the key.

    A key of also-bought that names one product only, which is not known, is left out.
    """
    at = moment_of(job.at, engine.bundle)
    ask = _ASKS[job.kind]
    for key, product_ids in asked.items():
        try:
            yield key, ask(engine, job, at, _Query(key, product_ids, ids))
        except UnknownProduct:
            continue


@dataclass(frozen=True, slots=True)
class _Query:
    key: str
    product_ids: list[str]
    ids: DecisionIds


# A checked request is copied for each key: ids of any length do no harm, they are only not known.
def _ask_challenge(engine: Engine, _job: BatchJob, at: datetime, query: _Query) -> Mapping[str, Any]:
    request = _CHALLENGE.model_copy(update={"customer_id": query.key})
    answer = engine.challenge(request, at, "")
    answer["decision_id"] = query.ids.of(challenge_question(request, answer))
    return answer


def _ask_recommendations(engine: Engine, job: BatchJob, at: datetime, query: _Query) -> Mapping[str, Any]:
    asked = {"customer_id": query.key, "k": job.k, "intent": Intent(job.intent), "level": Level(job.level)}
    return engine.recommendations(_RECOMMENDATIONS.model_copy(update=asked), at, query.ids.fresh())


def _ask_scores(engine: Engine, job: BatchJob, at: datetime, query: _Query) -> Mapping[str, Any]:
    request = _SCORES.model_copy(update={"customer_ids": [query.key], "k_categories": job.k})
    return engine.scores(request, at, query.ids.fresh())


def _ask_also_bought(engine: Engine, job: BatchJob, at: datetime, query: _Query) -> Mapping[str, Any]:
    request = _ALSO_BOUGHT.model_copy(update={"product_ids": query.product_ids, "k": job.k})
    return engine.also_bought(request, at, query.ids.fresh())


_CHALLENGE = ChallengeRequest(customer_id="-")
_RECOMMENDATIONS = RecommendationsRequest(customer_id="-")
_SCORES = ScoresRequest(customer_ids=["-"])
_ALSO_BOUGHT = AlsoBoughtRequest(product_ids=["-"])

_ASKS: Mapping[str, Callable[[Engine, BatchJob, datetime, _Query], Mapping[str, Any]]] = {
    "challenge": _ask_challenge,
    "recommendations": _ask_recommendations,
    "scores": _ask_scores,
    "also-bought": _ask_also_bought,
}


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


def _read_columns(path: Path, names: list[str]) -> list[list[str]]:
    """Return columns of a CSV or Parquet file as text; BatchError names the file and what it lacks."""
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
    columns = [table.column(name).cast(pa.string()).to_pylist() for name in names]
    for name, values in zip(names, columns, strict=True):
        if any(not value for value in values):
            row = next(i for i, value in enumerate(values) if not value)
            raise BatchError(f"{path}: column {name} is empty in row {row + 1}")
    return columns


def _write(found: Iterator[Answered], kind: str, out: Path, progress: Progress) -> int:
    schema = schema_of(kind)
    key = "query_id" if kind == "also-bought" else "customer_id"
    draft = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            with pa.parquet.ParquetWriter(draft, schema) as writer:
                n_rows = _write_groups(found, key, writer, progress)
            draft.replace(out)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise BatchError(f"{out} can't be written: {error.strerror or error}") from error
    return n_rows


def _write_groups(found: Iterator[Answered], key: str, writer: pa.parquet.ParquetWriter, progress: Progress) -> int:
    waiting: list[Row] = []
    n_rows = 0
    progress("answer")
    for n_answers, (asked, answer) in enumerate(found, start=1):
        waiting += rows_of(key, asked, answer)
        if len(waiting) >= _ROWS_A_GROUP:
            writer.write_table(table_of(waiting, writer.schema))
            n_rows += len(waiting)
            waiting = []
        if n_answers % _ANSWERS_A_STAGE == 0:
            progress(f"answer, {n_answers:,} done")
    if waiting:
        writer.write_table(table_of(waiting, writer.schema))
    return n_rows + len(waiting)
