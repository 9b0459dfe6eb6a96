"""How quality degrades on poor sources, and whether a baseline beats us there: `tercet evaluate SOURCE --thin`.

Variants of the source (training.backtest.thin_variants) go the way of any source: checked, features built, models
fitted, answers taken from the bundle; judged at one cutoff by some of the tasks, with quick settings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.asof import local_midnight
from features.build import FeatureStore
from features.conform import prepare
from features.engine import DuckDbEngine
from features.tables import TableSet
from training.backtest.bundles import PastBundles
from training.backtest.observation import OURS, Table
from training.backtest.repeat_task import NEW_TO_THEM
from training.backtest.run import Backtest, Runner, plan_of
from training.backtest.statistics import Measured, TaskResult
from training.backtest.task import Task
from training.backtest.thin_variants import Variant
from training.costs import total
from training.history import History
from training.intervals import Interval
from training.learners import Learner

TASK = "thin data"
SAMPLE = 1000
"""At most how many customers of a variant are asked."""
THIN_TASKS = ("repeat-types", "stretch", "baskets", "churn")
"""The tasks that a variant is judged by, of those that there are."""
_BASELINES = ("popularity", "P-TopFreq")

Say = Callable[[str], None]


@dataclass(frozen=True)
class ThinBench:
    """Judges variants of one source, and keeps what it found under `folder`."""

    folder: Path
    learners: Mapping[str, Learner]
    tasks: Sequence[Task]
    policy_text: str
    say: Say

    def judged(self, variant: Variant, tables: TableSet) -> Backtest:
        """Return what the tasks showed on a variant of a source; files that are whole are not made again."""
        place = self.folder / _folder_name(variant.name)
        source = place / "source"
        _written(variant, tables, source)
        say = _named(self.say, variant.name)
        thin = prepare(str(source), place, time_zone=tables.time_zone, progress=say).tables
        store = FeatureStore(thin, place / "features" / "groups", DuckDbEngine(threads=1))
        history = History(store, local_midnight(thin.last_day + 1, thin.time_zone))
        bundles = PastBundles(
            history=history,
            learners=self.learners,
            policy_text=self.policy_text,
            folder=place / "bundles",
            say=say,
            sample=SAMPLE,
        )
        return Runner(bundles, place / "findings").run(plan_of(self.tasks, history, is_quick=True))


def thin_backtest(bench: ThinBench, variants: Iterable[Variant], tables: TableSet) -> Backtest:
    """Return one result with the tables of all variants; what could not be measured is among `left_out`."""
    rows: list[tuple[str, ...]] = []
    took: list[tuple[str, ...]] = []
    left_out: list[str] = []
    days: set[str] = set()
    for variant in variants:
        started = time.perf_counter()
        seen = bench.judged(variant, tables)
        found = [_row(variant, each) for result in seen.results for each in result.measured if _is_shown(each)]
        rows += found
        left_out += [f"{variant.name}: {line}" for line in seen.left_out]
        days |= set(seen.cutoffs)
        cost = total(variant.name, seen.costs)
        peak = f"{cost.peak_mb:,.0f}"
        took.append((variant.name, f"{time.perf_counter() - started:.0f}", f"{cost.cpu_seconds:.0f}", peak))
    summary = TaskResult(
        task=TASK,
        group=TASK,
        cutoffs=tuple(sorted(days)),
        measured=(),
        tables=(
            Table(TASK, "Each variant beside what is simplest, and beside the best peer", _HEADER, tuple(rows)),
            Table(TASK, "What each variant took", ("variant", "seconds", "CPU seconds", "peak MiB"), tuple(took)),
        ),
        notes=(_verdict(rows),),
    )
    return Backtest((summary,), tuple(left_out), tuple(sorted(days)))


_HEADER = ("variant", "task", "metric", "tercet", *_BASELINES, "best peer", "difference to the best [95 %]", "")
_METRIC = _HEADER.index("metric")
_WORSE, _BETTER, _EQUAL = "worse", "better", "within noise"


def _is_shown(found: Measured) -> bool:
    return found.best_gain is not None and found.statistic not in ("ece", "brier_skill", "expected_over_observed")


def _row(variant: Variant, found: Measured) -> tuple[str, ...]:
    best, gain = str(found.best_peer), found.gains[str(found.best_peer)]
    baselines = (_number(found.values[name].value) if name in found.values else "" for name in _BASELINES)
    named = f"{_number(found.values[best].value)} {best}"
    difference = f"{gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
    ours = _number(found.values[OURS].value)
    return (variant.name, found.task, found.metric, ours, *baselines, named, difference, _said(gain))


def _said(gain: Interval) -> str:
    if gain.high < 0:
        return _WORSE
    return _BETTER if gain.low > 0 else _EQUAL


def _verdict(rows: Sequence[tuple[str, ...]]) -> str:
    counted = [row[-1] for row in rows if row[_METRIC] != NEW_TO_THEM]
    counts = {said: counted.count(said) for said in (_BETTER, _EQUAL, _WORSE)}
    return (
        f"Of {len(counted)} metrics of all variants {counts[_BETTER]} are surely better than the best peer, "
        f"{counts[_EQUAL]} within noise of it, and {counts[_WORSE]} surely worse. Not counted is what was new to a "
        f"customer in the next basket: lists of what is bought again have none of it, on purpose."
    )


def _number(value: float) -> str:
    return f"{value:.4f}" if np.isfinite(value) else "–"


def _written(variant: Variant, tables: TableSet, folder: Path) -> None:
    """Write a variant's files, unless they are there already: whole, and from the same tables."""
    mark = folder.parent / f"{folder.name}.of"
    if mark.is_file() and mark.read_text(encoding="utf-8") == tables.digest:
        return
    variant.write(tables, folder)
    mark.write_text(tables.digest, encoding="utf-8")


def _named(say: Say, name: str) -> Say:
    return lambda text: say(f"{name}: {text}")


def _folder_name(name: str) -> str:
    return "".join(each if each.isalnum() else "-" for each in name.lower())
