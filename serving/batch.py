"""The engine's answers for many, as Parquet: the very answers that the server gives one by one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from serving.api import AlsoBoughtRequest, ChallengeRequest, RecommendationsRequest, Request, ScoresRequest
from serving.api_codes import Intent, Level
from serving.arms import ExperimentEngine
from serving.batch_tables import KINDS, Row, rows_of, schema_of, table_of
from serving.bundle import Bundle, open_bundle
from serving.champion import bundle_folder, read_champion
from serving.decide import Decider, Ranking
from serving.decisioning.windows import day_of, midnight, zone_named
from serving.engine import Engine
from serving.errors import BatchError, UnknownProduct
from serving.experiments_file import read_experiments
from serving.home_lock import working_in
from serving.live import epoch_us
from serving.outputs import remember_output
from serving.state.erasing import Erased
from serving.state.opening import FILE
from serving.state_home import open_state

_PARQUET_MAGIC = b"PAR1"
_ROWS_A_GROUP = 50_000
_ANSWERS_A_STAGE = 250_000
_ISSUED_AT_ONCE = 32
_ISSUED_A_CHUNK = 1_024

Progress = Callable[[str], None]
Answered = tuple[str, Mapping[str, Any]]  # Any: an answer, typed in serving/api_answers.py


@dataclass(frozen=True)
class BatchJob:
    """What is asked for many.

    `at` None is the bundle's as-of, a date its local midnight. `k` is items an answer, and categories of `scores`.
    Without `with_rules` the answers are the ranking alone, and the state is not asked. Nothing is kept, unless
    `issues`: then challenges are, as if each customer had asked, though they have not been shown yet.
    """

    kind: str
    at: datetime | date | None = None
    k: int = 10
    intent: str = Intent.MIXED.value
    level: str = Level.PRODUCT.value
    with_rules: bool = True
    issues: bool = False
    state: str = field(default=FILE, repr=False)


def write_batch(home: Path, job: BatchJob, out: Path, customers: Path | None, progress: Progress) -> int:
    """Return how many rows were written to `out`: the champion's answers, whole or not at all.

    `customers` is a CSV or Parquet file with a `customer_id` column (also-bought: `query_id` and `product_id`); None
    is everyone in the bundle who was not forgotten (every product). One who is named twice is answered once; one whom
    nobody knows gets the answer that the server gives. An answer without items has no rows.

    Raises
    ------
    BatchError
        When the job can't be done: no champion, a file of customers that can't be read, an `out` that can't be written.
    BundleError
        When the champion is damaged.
    ExperimentsError
        When experiments.toml has mistakes.
    StateUnavailable
        When the state can't be read, or written where the job keeps something.
    InvalidRequest
        When `at` lies before the bundle's as-of.
    """
    if job.kind not in KINDS:
        raise BatchError(f"kind {job.kind!r} is none of {', '.join(KINDS)}")
    if job.issues and not job.with_rules:
        raise BatchError("the ranking alone can't be issued: leave one of --no-rules and --issue out")
    with working_in(home):
        version = read_champion(home)
        if version is None:
            raise BatchError(f"{home} has no champion yet: run 'tercet train' or 'tercet promote' first")
        progress(f"open bundle {version}")
        bundle = open_bundle(bundle_folder(home, version))
        # The ranking alone knows no holdout and no arm.
        engine = (
            ExperimentEngine(bundle, read_experiments(home)) if job.with_rules else Engine(bundle, applies_rules=False)
        )
        asked = read_queries(customers, job.kind, bundle)
        at = moment_of(job.at, bundle)
        with closing(open_state(job.state, home)) as opened:
            if customers is None and job.kind != "also-bought":
                asked = without_forgotten(asked, opened.state.erased(), bundle)
            decider = (
                Decider(engine, opened, opened.ids, shows=False) if job.with_rules else Ranking(engine, opened.ids)
            )
            remember_output(home, out)
            return _write(answers(decider, job, asked, at), job.kind, out, progress)


def answers(
    decider: Decider | Ranking, job: BatchJob, asked: Mapping[str, list[str]], at: datetime
) -> Iterator[Answered]:
    """Yield each key of `asked` with its answer; also-bought asks about the key's products, all else about the key.

    A key of also-bought that names one product only, which is not known, is left out.
    """

    def answer(query: tuple[str, list[str]]) -> Answered | None:
        try:
            return query[0], decider.decide(_REQUESTS[job.kind](job, at, *query), at)
        except UnknownProduct:
            return None

    if not job.issues:
        yield from filter(None, map(answer, asked.items()))
        return
    # What is issued waits for the disk: commits that wait together share one flush.
    with ThreadPoolExecutor(_ISSUED_AT_ONCE) as pool:
        queries = iter(asked.items())
        while chunk := list(islice(queries, _ISSUED_A_CHUNK)):
            yield from filter(None, pool.map(answer, chunk))


def without_forgotten(asked: Mapping[str, list[str]], erased: Erased, bundle: Bundle) -> dict[str, list[str]]:
    """Return the queries without those of customers who were forgotten since the bundle learned of them."""
    as_of_us = epoch_us(bundle.manifest.as_of)
    return {key: query for key, query in asked.items() if (erased.moment_us(key) or as_of_us) <= as_of_us}


# A checked request is copied for each key: ids of any length do no harm, they are only not known.
def _challenge(job: BatchJob, at: datetime, key: str, _products: list[str]) -> Request:
    return _CHALLENGE.model_copy(update={**_common(job, at), "customer_id": key})


def _recommendations(job: BatchJob, at: datetime, key: str, _products: list[str]) -> Request:
    asked = {"customer_id": key, "k": job.k, "intent": Intent(job.intent), "level": Level(job.level)}
    return _RECOMMENDATIONS.model_copy(update=_common(job, at) | asked)


def _scores(job: BatchJob, at: datetime, key: str, _products: list[str]) -> Request:
    return _SCORES.model_copy(update={**_common(job, at), "customer_ids": [key], "k_categories": job.k})


def _also_bought(job: BatchJob, at: datetime, _key: str, products: list[str]) -> Request:
    return _ALSO_BOUGHT.model_copy(update={**_common(job, at), "product_ids": products, "k": job.k})


def _common(job: BatchJob, at: datetime) -> dict[str, object]:
    return {"at": at, "dry_run": not job.issues}


_CHALLENGE = ChallengeRequest(customer_id="-")
_RECOMMENDATIONS = RecommendationsRequest(customer_id="-")
_SCORES = ScoresRequest(customer_ids=["-"])
_ALSO_BOUGHT = AlsoBoughtRequest(product_ids=["-"])

_REQUESTS: Mapping[str, Callable[[BatchJob, datetime, str, list[str]], Request]] = {
    "challenge": _challenge,
    "recommendations": _recommendations,
    "scores": _scores,
    "also-bought": _also_bought,
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
