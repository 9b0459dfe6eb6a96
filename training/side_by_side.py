"""Models fitted and judged side by side, a process each: most of their work runs on one core.

Only where it pays: a process takes some seconds to begin and reads for itself, so a small source stays in this one.
What comes out is the same but for the last bits of sums, which depend on how many threads add them up.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any, Protocol

import pyarrow.parquet as pq
from joblib.externals.loky import ProcessPoolExecutor, process_executor
from joblib.externals.loky.backend import get_context
from joblib.externals.loky.process_executor import BrokenProcessPool

from features.asof import Moment
from features.build import FeatureStore
from features.engine import DuckDbEngine
from features.tables import TableSet
from training.costs import Cost, Meter
from training.history import History
from training.judging import Bench
from training.learners import Fitted, Learner
from training.recipe import Recipe
from training.results import KeptResults

SLOWEST_FIRST = ("stretch", "habit_type", "discover", "habit_product", "propensity", "lifetime_value", "also_bought")
"""What is begun first, so that no process is left with the longest at the end."""

ENVIRONMENT = {"OMP_THREAD_LIMIT": "1", "OMP_WAIT_POLICY": "passive", "OPENBLAS_NUM_THREADS": "1"}
"""A thread a process: two that share two cores would wait for each other (measured.md)."""

_DONE = None


class Lines(Protocol):
    """A queue between processes, of lines of progress."""

    def put(self, line: str | None) -> None:
        """Send a line."""

    def get(self) -> str | None:
        """Wait for a line."""


@dataclass(frozen=True)
class Place:
    """What a process needs to know of a bench: where its tables and features lie, and what may be seen."""

    tables: TableSet
    folder: Path
    known_until: Moment
    recipe: Recipe
    kept: KeptResults | None

    @classmethod
    def of(cls, bench: Bench) -> Place:
        """Return the place of a bench."""
        history = bench.history
        return cls(history.tables, history.store.folder, history.known_until, bench.recipe, bench.kept)

    def bench(self, say: Callable[[str], None]) -> Bench:
        """Return the same bench in this process."""
        store = FeatureStore(self.tables, self.folder, DuckDbEngine(threads=1))
        return Bench(History(store, self.known_until), self.recipe, say, self.kept)


@dataclass(frozen=True)
class Done:
    """What a process made, and what it took."""

    made: Any  # Any: what the call returns
    costs: tuple[Cost, ...]


def judged_side_by_side(bench: Bench, learners: Sequence[Learner]) -> Bench:
    """Return the bench, knowing the judgements of these models if it pays to make them side by side; else as it is."""
    made = _each(bench, learners, _judge)
    return replace(bench, made={bench.key(learner).digest: judged for learner, judged in made})


def fitted_side_by_side(bench: Bench, learners: Sequence[Learner]) -> dict[str, Fitted]:
    """Return models fitted on all that is known, by name, if it pays to fit them side by side; else none."""
    return {learner.name: fitted for learner, fitted in _each(bench, learners, _fit)}


def processes_for(bench: Bench, n_models: int) -> int:
    """Return how many processes pay for so many models on the bench's source; 1 where only this one does."""
    recipe, store = bench.recipe, bench.history.store
    if type(store.engine) is not DuckDbEngine or n_models < 2:  # Spark has processes of its own
        return 1
    n_lines = pq.read_metadata(store.tables.path("lines")).num_rows
    return min(recipe.n_processes, n_cores(), n_models) if n_lines >= recipe.side_by_side_lines else 1


def n_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _each(
    bench: Bench, learners: Sequence[Learner], call: Callable[[Learner], Done]
) -> list[tuple[Learner, Any]]:  # Any: as Done.made
    """Return what a call makes of each model; of none where one process is enough, or where one was killed.

    Two recipes of one model are two.
    """
    n_processes = processes_for(bench, len(learners))
    if n_processes < 2:
        return []
    in_order = sorted(learners, key=lambda each: _place_of(each.name))
    try:
        with _pool(bench, n_processes) as pool:
            coming = {pool.submit(call, learner): learner for learner in in_order}
            try:
                return [(coming[each], _taken(each.result(), bench.meter)) for each in as_completed(coming)]
            except BaseException:
                pool.shutdown(wait=True, kill_workers=True)
                raise
    except BrokenProcessPool:
        bench.say("a process that learned was killed, perhaps for want of memory: going on in one, more slowly")
        return []


def _place_of(name: str) -> int:
    return SLOWEST_FIRST.index(name) if name in SLOWEST_FIRST else len(SLOWEST_FIRST)


def _taken(done: Done, meter: Meter) -> Any:  # Any: as Done.made
    meter.costs.extend(done.costs)
    return done.made


@contextmanager
def _pool(bench: Bench, n_processes: int) -> Iterator[ProcessPoolExecutor]:
    """Open processes that know the bench, and say in this one what they say."""
    context = get_context("loky")
    lines: Lines = context.SimpleQueue()
    relay = Thread(target=_relay, args=(lines, bench.say), name="lines of progress", daemon=True)
    relay.start()
    try:
        with ProcessPoolExecutor(
            n_processes, context=context, initializer=_begin, initargs=(Place.of(bench), lines), env=ENVIRONMENT
        ) as pool:
            yield pool
    finally:
        lines.put(_DONE)
        relay.join()


def _relay(lines: Lines, say: Callable[[str], None]) -> None:
    while (line := lines.get()) is not _DONE:
        say(line)


_here: list[Bench] = []
"""The bench of this process, where it is one of several."""


def _begin(place: Place, lines: Lines) -> None:
    """Make this process ready; Ctrl-C is for the one that began it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # loky takes a process that keeps 300 MB for one that leaks, and begins another: models and features are larger.
    process_executor._MAX_MEMORY_LEAK_SIZE = float("inf")
    _here.append(place.bench(lines.put))


def _judge(learner: Learner) -> Done:
    bench = replace(_here[0], meter=Meter())
    judged = bench.judged(learner)
    return Done(replace(judged, fits=dict(judged.fits)), tuple(bench.meter.costs))


def _fit(learner: Learner) -> Done:
    bench = replace(_here[0], meter=Meter())
    return Done(bench.fitted(learner), tuple(bench.meter.costs))
