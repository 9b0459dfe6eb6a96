"""What the cutoffs show together: each ranker's metric, and how much better ours is, with intervals by customer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from training import metrics
from training.backtest.observation import OURS, Fact, Findings, Observation, Statistic, Table
from training.backtest.resampling import pooled, resampled
from training.intervals import Interval
from training.plots import ReliabilityCurve, reliability_curve

FloatArray = npt.NDArray[np.float64]

FLOOR_DRAWS = 200
FLOOR_SEED = 7
_FLOOR_WORK = 40_000_000
"""Rows × draws of the ECE of a perfect model: fewer draws where there are more rows, but never under 40."""
_LEAST_FLOOR_DRAWS = 40
_TAILS = (0.025, 0.975)


@dataclass(frozen=True)
class Measured:
    """One metric of one task over all its cutoffs.

    Attributes
    ----------
    values
        Each ranker's value with its 95 % interval; `OURS` is one.
    gains
        How much better ours is than each peer, positive for better whatever the direction, with its 95 % interval, on
        the rows that both have.
    by_cutoff
        Each cutoff's own gain over the best peer (or value, where there is no peer), by ISO day.
    n_rows, n_customers
        What it was measured on.
    floor
        For an ECE: what a perfect model of our probabilities would show.
    curve
        For an ECE: our mean probability and the observed share by bin.
    """

    task: str
    metric: str
    statistic: Statistic
    higher_is_better: bool
    values: Mapping[str, Interval]
    gains: Mapping[str, Interval]
    by_cutoff: Mapping[str, Interval]
    n_rows: int
    n_customers: int
    floor: metrics.EceFloor | None = None
    curve: ReliabilityCurve | None = None

    @property
    def ours(self) -> Interval:
        """Return our own value."""
        return self.values[OURS]

    @property
    def best_peer(self) -> str | None:
        """Return the peer with the best value; None where none has any. Other rankings of our own are no peers."""
        known = [name for name in self.gains if np.isfinite(self.values[name].value) and not is_own(name)]
        return min(known, key=lambda name: (self.gains[name].value, name)) if known else None

    @property
    def best_gain(self) -> Interval | None:
        """Return how much better ours is than the best peer."""
        best = self.best_peer
        return None if best is None else self.gains[best]


def is_own(ranker: str) -> bool:
    """Return whether a ranker is ours: `OURS`, or another ranking by the same models ("tercet, chance × margin")."""
    return ranker == OURS or ranker.startswith(f"{OURS}, ")


@dataclass(frozen=True)
class TaskResult:
    """What one task of the report showed over its cutoffs, in the order in which its metrics came."""

    task: str
    group: str
    cutoffs: tuple[str, ...]
    measured: tuple[Measured, ...]
    facts: tuple[Fact, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = field(default_factory=tuple)


def results_of(group: str, findings: Mapping[str, Findings]) -> list[TaskResult]:
    """Return the results of a task's findings by cutoff (ISO day): one for each name that its parts go by.

    Notes that belong to no part stand with the first.
    """
    days = sorted(findings)
    names = list(dict.fromkeys(each.task for day in days for each in _parts(findings[day])))
    notes = tuple(dict.fromkeys(note for day in days for note in findings[day].notes))
    results = [_result(name, group, {day: findings[day] for day in days}) for name in names]
    return [replace(results[0], notes=notes), *results[1:]] if results else []


def _parts(found: Findings) -> list[Observation | Fact | Table]:
    return [*found.observations, *found.facts, *found.tables]


def _result(task: str, group: str, findings: Mapping[str, Findings]) -> TaskResult:
    rows: dict[str, dict[str, Observation]] = {}
    for day, found in findings.items():
        for each in found.observations:
            if each.task == task and len(each.customers):
                rows.setdefault(each.metric, {})[day] = each
    return TaskResult(
        task=task,
        group=group,
        cutoffs=tuple(findings),
        measured=tuple(measure(by_day) for by_day in rows.values()),
        facts=tuple(_mean_facts(each for found in findings.values() for each in found.facts if each.task == task)),
        tables=tuple(each for each in findings[max(findings)].tables if each.task == task),
    )


def measure(by_day: Mapping[str, Observation]) -> Measured:
    """Return what one metric shows over its cutoffs (by ISO day)."""
    together = pooled(list(by_day.values()))
    values, drawn = resampled(together)
    found = Measured(
        task=together.task,
        metric=together.metric,
        statistic=together.statistic,
        higher_is_better=together.higher_is_better,
        values={name: _interval(values[name], _centred(together, values[name], drawn[name])) for name in values},
        gains={name: _gain(together, name, (values, drawn)) for name in values if name != OURS},
        by_cutoff={},
        n_rows=len(together.customers),
        n_customers=len(np.unique(together.customers)),
    )
    found = replace(found, by_cutoff={day: _of_cutoff(each, found.best_peer) for day, each in by_day.items()})
    return _with_calibration(found, together) if together.statistic == "ece" else found


def _gain(
    together: Observation, peer: str, resamples: tuple[Mapping[str, float], Mapping[str, FloatArray]]
) -> Interval:
    """Return the interval of how much better ours is than a peer, on the rows that both have."""
    ours, theirs = together.values[OURS], together.values[peer]
    values, drawn = resamples
    if together.statistic == "mean" and (np.isfinite(ours) != np.isfinite(theirs)).any():
        shared = _of_rows(together, np.isfinite(ours) & np.isfinite(theirs), (OURS, peer))
        values, drawn = resampled(shared)
    value = _better(together, np.asarray(values[OURS]), np.asarray(values[peer]))
    return _interval(value, _better(together, drawn[OURS], drawn[peer]))


def _of_rows(rows: Observation, kept: npt.NDArray[np.bool_], names: Sequence[str]) -> Observation:
    return replace(rows, values={name: rows.values[name][kept] for name in names}, customers=rows.customers[kept])


def _better(rows: Observation, ours: FloatArray, theirs: FloatArray) -> FloatArray:
    """Return how much better ours are, by the metric's direction; a ratio is best at 1."""
    if rows.statistic == "expected_over_observed":
        return np.asarray(np.abs(theirs - 1.0) - np.abs(ours - 1.0), dtype=np.float64)
    return np.asarray(ours - theirs if rows.higher_is_better else theirs - ours, dtype=np.float64)


def _of_cutoff(rows: Observation, peer: str | None) -> Interval:
    """Return one cutoff's gain over a peer; our own value where there is none, or it has no rows there."""
    values, drawn = resampled(rows)
    if peer is not None and np.isfinite(values.get(peer, float("nan"))):
        return _gain(rows, peer, (values, drawn))
    return _interval(values[OURS], drawn[OURS])


def _with_calibration(found: Measured, rows: Observation) -> Measured:
    """Return an ECE with what a perfect model would show, and the curve of our probabilities."""
    probabilities, outcomes = rows.values[OURS], _outcomes(rows)
    draws = int(np.clip(_FLOOR_WORK // max(1, len(probabilities)), _LEAST_FLOOR_DRAWS, FLOOR_DRAWS))
    floor = metrics.ece_floor(probabilities, np.random.default_rng(FLOOR_SEED), bins=rows.bins, draws=draws)
    return replace(found, floor=floor, curve=reliability_curve(probabilities, outcomes, rows.bins))


def _outcomes(rows: Observation) -> FloatArray:
    return np.zeros(len(rows.customers)) if rows.outcomes is None else rows.outcomes


def _centred(rows: Observation, value: float, drawn: FloatArray) -> FloatArray:
    """Return draws of an ECE about the value itself: each resample's own noise makes all of them too large."""
    known = drawn[np.isfinite(drawn)]
    if rows.statistic != "ece" or len(known) == 0:
        return drawn
    return np.asarray(np.maximum(drawn - known.mean() + value, 0.0), dtype=np.float64)


def _interval(value: float | FloatArray, drawn: FloatArray) -> Interval:
    known = drawn[np.isfinite(drawn)]
    if len(known) == 0:
        return Interval(float(value), float("nan"), float("nan"))
    low, high = np.quantile(known, _TAILS)
    return Interval(float(value), float(low), float(high))


def _mean_facts(facts: Iterable[Fact]) -> list[Fact]:
    """Return one fact for each name: the mean over cutoffs of each ranker."""
    by_name: dict[str, list[Fact]] = {}
    for each in facts:
        by_name.setdefault(each.name, []).append(each)
    return [_mean_fact(each) for each in by_name.values()]


def _mean_fact(parts: Sequence[Fact]) -> Fact:
    names = dict.fromkeys(name for part in parts for name in part.by_ranker)
    return replace(
        parts[0], by_ranker={name: _mean_known(part.by_ranker.get(name) for part in parts) for name in names}
    )


def _mean_known(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None and np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
