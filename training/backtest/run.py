"""Every task on its cutoffs, asked of past bundles; what was found out before is read, not found out again."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import resources
from pathlib import Path

from features.asof import Moment
from training.ahead import Read
from training.backtest.bundles import PastBundles, digest_of
from training.backtest.cutoffs import judged_cutoffs
from training.backtest.kept import KeptFindings, keep_findings, read_findings
from training.backtest.observation import Findings
from training.backtest.statistics import TaskResult, results_of
from training.backtest.task import Task
from training.code_digest import code_digest
from training.comparison import iso_days
from training.costs import Cost
from training.errors import BacktestError
from training.history import History

_IN_THE_BUNDLE = ("training.learners", "training.assembly", "serving.bundle", "training.backtest.bundles")
"""Models, and what publishes them, are part of a bundle's digest, by which findings are known as well."""


@dataclass(frozen=True)
class Plan:
    """Which tasks are judged on which cutoffs.

    Attributes
    ----------
    by_cutoff
        The tasks of each cutoff, the latest first.
    order
        The names of all tasks as the report has them.
    left_out
        A line for each task that has no cutoff, as the source is too short.
    """

    by_cutoff: Mapping[Moment, tuple[Task, ...]]
    order: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def n_steps(self) -> int:
        """Return how many findings there will be."""
        return sum(len(tasks) for tasks in self.by_cutoff.values())


@dataclass(frozen=True)
class Backtest:
    """What the backtest showed: results in the order of the tasks, what was left out, and what it took."""

    results: tuple[TaskResult, ...]
    left_out: tuple[str, ...]
    cutoffs: tuple[str, ...]
    costs: tuple[Cost, ...] = field(default_factory=tuple)


def chosen_tasks(tasks: Sequence[Task], only: Collection[str]) -> tuple[Task, ...]:
    """Return the tasks of these names, in order; all without a name. BacktestError for a name that no task has."""
    names = [task.name for task in tasks]
    if unknown := sorted(set(only) - set(names)):
        raise BacktestError(f"no task is named {', '.join(unknown)}: there are {', '.join(names)}")
    return tuple(task for task in tasks if not only or task.name in only)


def plan_of(tasks: Sequence[Task], history: History, *, is_quick: bool) -> Plan:
    """Return the plan: each task's own test cutoffs, or with `is_quick` one cutoff for all that can share one."""
    days = {task.name: judged_cutoffs(history, task.window_days, task.n_cutoffs) for task in tasks}
    if is_quick:
        latest = [each[-1] for each in days.values() if each]
        days = {name: [min(latest)] if each else [] for name, each in days.items()}
    moments = sorted({moment for each in days.values() for moment in each}, reverse=True)
    return Plan(
        {moment: tuple(task for task in tasks if moment in days[task.name]) for moment in moments},
        tuple(task.name for task in tasks),
        tuple(f"{task.name}: {_TOO_SHORT.format(task.window_days)}" for task in tasks if not days[task.name]),
    )


_TOO_SHORT = "the history is too short for weeks to learn from, and {} days after them to judge on"


@dataclass(frozen=True)
class Runner:
    """Runs a plan on past bundles, and keeps under `folder` what each task found at each cutoff."""

    bundles: PastBundles
    folder: Path

    def run(self, plan: Plan) -> Backtest:
        """Return what the plan's tasks showed."""
        found: dict[str, dict[str, Findings]] = {}
        costs: list[Cost] = []
        steps = Steps(plan.n_steps, self.bundles.say)
        with self.bundles.history.store.ahead(self._reads(plan)):
            for moment, tasks in plan.by_cutoff.items():
                for name, kept in self._at(moment, tasks, steps).items():
                    found.setdefault(name, {})[iso_days([moment])[0]] = kept.findings
                    costs += kept.costs
        return _told(plan, found, tuple(costs))

    def _reads(self, plan: Plan) -> Iterator[Read]:
        """Yield what the bundles that are still to be made will read, about in that order."""
        for moment, tasks in plan.by_cutoff.items():
            left = [task for task in tasks if not self.path(moment, task).exists()]
            if left:
                yield from self.bundles.reads(moment, {name for task in left for name in task.needs})

    def _at(self, moment: Moment, tasks: Sequence[Task], steps: Steps) -> dict[str, KeptFindings]:
        """Return each task's findings at a cutoff; a bundle is made only where one has not been found out yet."""
        paths = {task.name: self.path(moment, task) for task in tasks}
        kept = {name: found for name, path in paths.items() if (found := read_findings(path)) is not None}
        steps.pass_over(len(kept))
        left = [task for task in tasks if task.name not in kept]
        if left:
            meter = self.bundles.meter
            served = self.bundles.served(moment, {name for task in left for name in task.needs})
            for task in left:
                steps.begin(f"{iso_days([moment])[0]}: {task.name}")
                with meter.stage(f"task {task.name}"):
                    findings = task.observe(served)
                kept[task.name] = KeptFindings(findings, tuple(meter.costs))
                meter.costs.clear()
                keep_findings(paths[task.name], kept[task.name])
        return {task.name: kept[task.name] for task in tasks}

    def prune(self, plan: Plan) -> None:
        """Remove what is kept of other code, settings or data than the plan's."""
        findings = {self.path(moment, task) for moment, tasks in plan.by_cutoff.items() for task in tasks}
        for path in self.folder.glob("*"):
            if path not in findings:
                path.unlink(missing_ok=True)
        needs = {moment: {name for task in tasks for name in task.needs} for moment, tasks in plan.by_cutoff.items()}
        self.bundles.prune(needs)

    def path(self, moment: Moment, task: Task) -> Path:
        """Return where a task's findings at a cutoff are kept: by all that they come from."""
        code = code_digest([_module_of(task.observe)], without=_IN_THE_BUNDLE)
        known_by = digest_of(
            self.bundles.digest(moment, task.needs),
            self.bundles.history.known_until.us,
            self.bundles.sample,
            code,
            repr(task.config),
            _peer_settings(),
        )
        return self.folder / f"{task.name}-{iso_days([moment])[0]}-{known_by}"


class Steps:
    """Says which of how many steps begins, and how long all before it took."""

    def __init__(self, n: int, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._n, self._done = n, 0
        self._say, self._clock, self._started = say, clock, clock()

    def pass_over(self, n: int) -> None:
        """Count steps that were done before."""
        self._done += n

    def begin(self, what: str) -> None:
        """Begin a step."""
        self._done += 1
        minutes, seconds = divmod(int(self._clock() - self._started), 60)
        self._say(f"{what} ({self._done} of {self._n}, {minutes}:{seconds:02d} so far)")


def _told(plan: Plan, found: Mapping[str, Mapping[str, Findings]], costs: tuple[Cost, ...]) -> Backtest:
    tasks = {task.name: task for at in plan.by_cutoff.values() for task in at}
    results = {name: results_of(tasks[name].group, days) for name, days in found.items()}
    silent = [
        f"{name}: {note}"
        for name, days in found.items()
        if not results[name]
        for note in dict.fromkeys(note for each in days.values() for note in each.notes)
        or ["there was nothing to measure"]
    ]
    return Backtest(
        results=tuple(each for name in plan.order if name in results for each in results[name]),
        left_out=(*plan.left_out, *silent),
        cutoffs=iso_days(plan.by_cutoff),
        costs=costs,
    )


def _module_of(observe: Callable[..., Findings]) -> str:
    while isinstance(observe, partial):
        observe = observe.func
    return observe.__module__


def _peer_settings() -> str:
    """Return the digest of all peers' settings: which of them a task reads is its own affair."""
    folder = resources.files("training") / "configs" / "peers"
    texts = {each.name: each.read_text(encoding="utf-8") for each in folder.iterdir() if each.name.endswith(".toml")}
    return digest_of(sorted(texts.items()))
