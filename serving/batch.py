"""The engine's answers for many, as Parquet: the very answers that the server gives one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from serving.api import AlsoBoughtRequest, ChallengeRequest, RecommendationsRequest, Request, ScoresRequest
from serving.api_codes import Intent, Level
from serving.arms import ExperimentEngine
from serving.batch_files import whole_table
from serving.batch_job import BatchJob, Progress, moment_of, read_queries, without_forgotten
from serving.batch_list_job import ListJob, write_list
from serving.batch_tables import KINDS, LISTS, Row, rows_of, schema_of, table_of
from serving.bundle import open_bundle
from serving.champion import bundle_folder, read_champion
from serving.decide import Decider, Ranking
from serving.engine import Engine
from serving.errors import BatchError, UnknownProduct
from serving.experiments_file import read_experiments
from serving.home_lock import working_in
from serving.outputs import remember_output
from serving.state_home import open_state

__all__ = ["BatchJob", "answers", "moment_of", "read_queries", "write_batch"]

_ROWS_A_GROUP = 50_000
_ANSWERS_A_STAGE = 250_000
_ISSUED_AT_ONCE = 32
_ISSUED_A_CHUNK = 1_024

Answered = tuple[str, Mapping[str, Any]]  # Any: an answer, typed in serving/api_answers.py


def write_batch(home: Path, job: BatchJob, out: Path, customers: Path | None, progress: Progress) -> int:
    """Return how many rows were written to `out`: the champion's answers, whole or not at all.

    `customers` is a CSV or Parquet file with a `customer_id` column (also-bought: `query_id` and `product_id`); None
    is everyone in the bundle who was not forgotten (every product). One who is named twice is answered once; one whom
    nobody knows gets the answer that the server gives. An answer without items has no rows. Beside a list of offers or
    actions lies its summary, ``<out>.summary.html``.

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
    _check(job)
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
        at = moment_of(job.at, bundle)
        if job.kind in LISTS:
            with closing(open_state(job.state, home)) as opened:
                remember_output(home, out)
                return write_list(ListJob(engine, opened, at, job), out, customers, progress)
        asked = read_queries(customers, job.kind, bundle)
        with closing(open_state(job.state, home)) as opened:
            if customers is None and job.kind != "also-bought":
                asked = without_forgotten(asked, opened.state.erased(), bundle)
            decider = (
                Decider(engine, opened, opened.ids, shows=False) if job.with_rules else Ranking(engine, opened.ids)
            )
            remember_output(home, out)
            return _write(answers(decider, job, asked, at), job.kind, out, progress)


def _check(job: BatchJob) -> None:
    if job.kind not in KINDS:
        raise BatchError(f"kind {job.kind!r} is none of {', '.join(KINDS)}")
    if job.issues and not job.with_rules:
        raise BatchError("the ranking alone can't be issued: leave one of --no-rules and --issue out")
    if job.channel is not None and job.kind not in LISTS:
        raise BatchError(f"--channel is for {' and '.join(LISTS)}")


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


def _write(found: Iterator[Answered], kind: str, out: Path, progress: Progress) -> int:
    schema = schema_of(kind)
    key = "query_id" if kind == "also-bought" else "customer_id"
    with whole_table(out, schema) as write:
        return _write_groups(found, (key, schema), write, progress)


def _write_groups(
    found: Iterator[Answered], form: tuple[str, pa.Schema], write: Callable[[pa.Table], None], progress: Progress
) -> int:
    key, schema = form
    waiting: list[Row] = []
    n_rows = 0
    progress("answer")
    for n_answers, (asked, answer) in enumerate(found, start=1):
        waiting += rows_of(key, asked, answer)
        if len(waiting) >= _ROWS_A_GROUP:
            write(table_of(waiting, schema))
            n_rows += len(waiting)
            waiting = []
        if n_answers % _ANSWERS_A_STAGE == 0:
            progress(f"answer, {n_answers:,} done")
    if waiting:
        write(table_of(waiting, schema))
    return n_rows + len(waiting)
