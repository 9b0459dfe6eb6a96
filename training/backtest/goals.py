"""What was to be reached on a known source, and whether it was: ``goals/<group>.toml``.

Only sources whose tasks were measured before have goals; all others are shown beside the peers alone.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from importlib import resources
from typing import Any

import numpy as np

from training.backtest.observation import OURS, Fact
from training.backtest.statistics import Measured, TaskResult
from training.errors import BacktestError

_FOLDER = "goals"


@dataclass(frozen=True)
class Goal:
    """What one metric, or one fact, of a task was to reach.

    Attributes
    ----------
    task, metric
        As the report has them.
    at_least, at_most
        The bound; of an ECE, what a perfect model would show in one of twenty cases (95th percentile) counts as met.
    low_at_least
        A bound of the lower end of the interval.
    baseline, peer, reference
        What popularity or personal top frequency, the best tuned peer, and a first attempt were measured to reach.
    peer_name
        The best tuned peer.
    tried
        Where it is missed: what was tried, and learned.
    """

    task: str
    metric: str
    at_least: float | None = None
    at_most: float | None = None
    low_at_least: float | None = None
    baseline: float | None = None
    peer: float | None = None
    peer_name: str = ""
    reference: float | None = None
    tried: str = ""

    def __post_init__(self) -> None:
        """Refuse a goal without a bound, or with two that contradict each other."""
        if (self.at_least is None) == (self.at_most is None):
            raise BacktestError(f"goal of {self.task}, {self.metric}: give either at_least or at_most")

    @property
    def bound(self) -> float:
        """Return the bound."""
        return float(self.at_least if self.at_least is not None else self.at_most or 0.0)

    def text(self) -> str:
        """Return the goal as a person reads it.

        Examples
        --------
        >>> Goal("t", "m", at_least=0.258).text(), Goal("t", "m", at_least=1.3, low_at_least=1.05).text()
        ('≥ 0.258', '≥ 1.3, lower bound ≥ 1.05')
        """
        sign = "≥" if self.at_least is not None else "≤"
        low = "" if self.low_at_least is None else f", lower bound ≥ {self.low_at_least:g}"
        return f"{sign} {self.bound:g}{low}"


@dataclass(frozen=True)
class Verdict:
    """Whether a goal is met, and by how much it is missed otherwise (above 0)."""

    goal: Goal
    is_met: bool
    missed_by: float = 0.0
    by_floor: bool = False
    """Met only since a perfect model would show no less (an ECE)."""

    def text(self) -> str:
        """Return the verdict as a person reads it."""
        if self.is_met:
            return "met (a perfect model shows no less)" if self.by_floor else "met"
        return f"missed by {self.missed_by:.3g}"


Goals = Mapping[tuple[str, str], Goal]


def goals_of(source_name: str) -> dict[tuple[str, str], Goal]:
    """Return the goals of a source by task and metric; none for a source that has none."""
    folder = resources.files(__package__) / _FOLDER
    found: dict[tuple[str, str], Goal] = {}
    for file in sorted((each for each in folder.iterdir() if each.name.endswith(".toml")), key=lambda each: each.name):
        found |= parse_goals(file.read_text(encoding="utf-8"), source_name, where=f"goals/{file.name}")
    return found


def parse_goals(text: str, source_name: str, *, where: str) -> dict[tuple[str, str], Goal]:
    """Return the goals of a file when it is of this source; BacktestError names unknown keys, or that it has no source.

    >>> parse_goals('source = "shop"', "shop", where="goals/empty.toml")
    {}
    """
    table = tomllib.loads(text)
    if "source" not in table:
        raise BacktestError(f"{where}: says no source")
    if table["source"] != source_name:
        return {}
    goals = [_goal(each, where) for each in table.get("goal", [])]
    return {(each.task, each.metric): each for each in goals}


def _goal(table: dict[str, Any], where: str) -> Goal:  # Any: a TOML table
    if unknown := sorted(set(table) - {each.name for each in fields(Goal)}):
        raise BacktestError(f"{where}: a goal has no {', '.join(unknown)}")
    return Goal(**table)


def verdict_of(goal: Goal, measured: Measured) -> Verdict:
    """Return whether what was measured meets the goal."""
    found = measured.ours
    if measured.floor is not None and goal.at_most is not None and goal.at_most < found.value <= measured.floor.p95:
        return Verdict(goal, is_met=True, by_floor=True)
    return _verdict(goal, found.value, found.low)


def verdict_of_fact(goal: Goal, fact: Fact) -> Verdict:
    """Return whether a fact meets the goal."""
    value = fact.by_ranker.get(OURS, float("nan"))
    return _verdict(goal, value, value)


def _verdict(goal: Goal, value: float, low: float) -> Verdict:
    missed = goal.bound - value if goal.at_least is not None else value - goal.bound
    if goal.low_at_least is not None:
        missed = max(missed, goal.low_at_least - low)
    if not np.isfinite(missed):
        return Verdict(goal, is_met=False, missed_by=float("nan"))
    return Verdict(goal, is_met=missed <= 0, missed_by=max(0.0, missed))


def verdicts_of(results: Iterable[TaskResult], goals: Goals) -> dict[tuple[str, str], Verdict]:
    """Return the verdicts of all goals that were measured, by task and metric."""
    found: dict[tuple[str, str], Verdict] = {}
    for result in results:
        for each in result.measured:
            if goal := goals.get((each.task, each.metric)):
                found[each.task, each.metric] = verdict_of(goal, each)
        for fact in result.facts:
            if goal := goals.get((fact.task, fact.name)):
                found[fact.task, fact.name] = verdict_of_fact(goal, fact)
    return found


def unmeasured(goals: Goals, verdicts: Mapping[tuple[str, str], Verdict]) -> list[Goal]:
    """Return the goals that nothing was measured for."""
    return [goal for key, goal in goals.items() if key not in verdicts]
