"""What the report says, before it is text, Markdown or HTML: sections of lines, tables and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from training.backtest.goals import Goals, Verdict, unmeasured, verdicts_of
from training.backtest.observation import OURS, Fact
from training.backtest.pictures import Line, calibration, forest
from training.backtest.run import Backtest
from training.backtest.statistics import Measured, TaskResult
from training.costs import Cost, total
from training.intervals import Interval

Verdicts = Mapping[tuple[str, str], Verdict]

BASELINES = ("P-TopFreq", "popularity")
MET, MISSED, OPEN = "met", "missed", "open"
BEST = " *"
"""Marks the best peer."""


@dataclass(frozen=True)
class Grid:
    """A table of cells, with a caption; `kinds` are the rows' verdicts, where they have one."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picture:
    """A picture with the name of its file (without an ending)."""

    name: str
    title: str
    svg: str


@dataclass(frozen=True)
class Section:
    """A part of the report; `verdict` is what stands beside its name."""

    title: str
    verdict: str = ""
    kind: str = OPEN
    lines: tuple[str, ...] = ()
    grids: tuple[Grid, ...] = ()
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Document:
    """The whole report: what stands on top, a section a task, and what it took."""

    title: str
    lines: tuple[str, ...]
    overview: Grid
    sections: tuple[Section, ...]
    pictures: tuple[Picture, ...] = field(default_factory=tuple)

    @property
    def all_pictures(self) -> tuple[Picture, ...]:
        """Return every picture."""
        return (*self.pictures, *(each for section in self.sections for each in section.pictures))


def document_of(title: str, backtest: Backtest, goals: Goals, *, caveats: Sequence[str] = ()) -> Document:
    """Return the report on what the backtest showed; `caveats` stand on top."""
    verdicts = verdicts_of(backtest.results, goals)
    missing = [f"{each.task}, {each.metric}: its goal was not measured" for each in unmeasured(goals, verdicts)]
    return Document(
        title=title,
        lines=(*_top_lines(backtest, verdicts), *caveats),
        overview=_overview(backtest.results, verdicts),
        sections=(
            *(_section(result, verdicts) for result in backtest.results),
            *_left_out((*backtest.left_out, *missing)),
            *_costs(backtest.costs),
        ),
        pictures=_forest_of_all(backtest.results),
    )


def _top_lines(backtest: Backtest, verdicts: Verdicts) -> list[str]:
    lines = [
        f"Cutoffs: {', '.join(backtest.cutoffs) or 'none, the history is too short'}. Every model, ours and each peer, "
        "has learned only from what had ended before the cutoff that it is judged at.",
        "Ours is what `tercet batch` answers. Intervals are 95 %, by customer: all rows of one, over all cutoffs, are "
        f"drawn together. A difference above 0 is better, whatever the metric's direction;{BEST} marks the best peer.",
    ]
    if verdicts:
        n_met = sum(each.is_met for each in verdicts.values())
        lines.append(f"Goals: {n_met} of {len(verdicts)} met.")
    return lines


def _overview(results: Sequence[TaskResult], verdicts: Verdicts) -> Grid:
    header = ("task", "metric", "baseline", "best peer", "tercet [95 %]", "difference to the best [95 %]", "goal", "")
    rows, kinds = [], []
    for result in results:
        for each in result.measured:
            verdict = verdicts.get((each.task, each.metric))
            rows.append((each.task, each.metric, *_summary(each), *_verdict_cells(verdict)))
            kinds.append(_kind(verdict))
        for fact in result.facts:
            if verdict := verdicts.get((fact.task, fact.name)):
                ours = number(fact.by_ranker.get(OURS, float("nan")))
                rows.append((fact.task, fact.name, "", "", ours, "", *_verdict_cells(verdict)))
                kinds.append(_kind(verdict))
    if not verdicts:  # no goals: no columns for them
        return Grid("All tasks", header[:-2], tuple(row[:-2] for row in rows))
    return Grid("All tasks", header, tuple(rows), tuple(kinds))


def _summary(found: Measured) -> tuple[str, str, str, str]:
    """Return the cells of baseline, best peer, ours and the difference."""
    base = next((name for name in BASELINES if name in found.values), None)
    baseline = "" if base is None else f"{number(found.values[base].value)} {base}"
    best, gain = found.best_peer, found.best_gain
    if best is None or gain is None:
        return baseline, "", with_interval(found.ours), _floor_text(found)
    return baseline, f"{number(found.values[best].value)} {best}", with_interval(found.ours), difference(gain)


def _floor_text(found: Measured) -> str:
    if found.floor is None:
        return ""
    return f"a perfect model: {number(found.floor.mean)}, 95th percentile {number(found.floor.p95)}"


def _verdict_cells(verdict: Verdict | None) -> tuple[str, str]:
    return ("", "") if verdict is None else (verdict.goal.text(), verdict.text())


def _kind(verdict: Verdict | None) -> str:
    if verdict is None:
        return OPEN
    return MET if verdict.is_met else MISSED


def _section(result: TaskResult, verdicts: Verdicts) -> Section:
    own = {key: each for key, each in verdicts.items() if key[0] == result.task}
    text, kind = _section_verdict(result, own)
    tried = [f"{each.goal.metric}, {each.text()}: {each.goal.tried}" for each in own.values() if each.goal.tried]
    rows = sum(each.n_rows for each in result.measured[:1])
    customers = sum(each.n_customers for each in result.measured[:1])
    about = f"{result.group}. Cutoffs {', '.join(result.cutoffs)}; {rows:,} rows of {customers:,} customers."
    return Section(
        title=result.task,
        verdict=text,
        kind=kind,
        lines=(about, *result.notes, *(each for each in tried)),
        grids=(*_peer_grids(result), *_floors(result), *_by_cutoff(result), *_facts(result.facts), *_tables(result)),
        pictures=(*_stability_pictures(result), *_calibration_pictures(result)),
    )


def _section_verdict(result: TaskResult, own: Verdicts) -> tuple[str, str]:
    if own:
        n_met = sum(each.is_met for each in own.values())
        return f"{n_met} of {len(own)} goals met", MET if n_met == len(own) else MISSED
    gains = [each.best_gain for each in result.measured if each.best_gain is not None]
    if not gains:
        return "", OPEN
    n_better = sum(gain.low > 0 for gain in gains)
    n_worse = sum(gain.high < 0 for gain in gains)
    text = f"better than every peer in {n_better} of {len(gains)}, worse than one in {n_worse}"
    return text, MISSED if n_worse else MET if n_better == len(gains) else OPEN


def _peer_grids(result: TaskResult) -> list[Grid]:
    """Return one table: a row a ranker, a column a metric, with the difference of ours to it."""
    shown = [each for each in result.measured if len(each.values) > 1]
    if not shown:
        return []
    rankers = list(dict.fromkeys(name for each in shown for name in each.values if name != OURS))
    ordered = [*(name for name in BASELINES if name in rankers), *(name for name in rankers if name not in BASELINES)]
    ours = (OURS, *(with_interval(each.ours) for each in shown))
    rows = [ours, *((name, *(_peer_cell(each, name) for each in shown)) for name in ordered)]
    header = ("ranker", *(each.metric for each in shown))
    return [Grid("Each peer, and how much better ours is", header, tuple(rows))]


def _peer_cell(found: Measured, name: str) -> str:
    if name not in found.values:
        return ""
    mark = BEST if name == found.best_peer else ""
    return f"{number(found.values[name].value)}{mark} ({difference(found.gains[name])})"


def _floors(result: TaskResult) -> list[Grid]:
    found = [each for each in result.measured if each.floor is not None]
    rows = tuple(
        (each.metric, with_interval(each.ours), number(each.floor.mean), number(each.floor.p95))
        for each in found
        if each.floor is not None
    )
    header = ("metric", "tercet [95 %]", "perfect model, mean", "perfect model, 95th percentile")
    return [Grid("Probabilities taken at their word", header, rows)] if rows else []


def _by_cutoff(result: TaskResult) -> list[Grid]:
    if len(result.cutoffs) < 2:
        return []
    header = ("metric", "against", *result.cutoffs)
    rows = [
        (each.metric, each.best_peer or "itself", *(_cutoff_cell(each, day) for day in result.cutoffs))
        for each in result.measured
    ]
    return [Grid("Cutoff by cutoff: the difference to the best peer, or our value without one", header, tuple(rows))]


def _cutoff_cell(found: Measured, day: str) -> str:
    each = found.by_cutoff.get(day)
    if each is None:
        return ""
    return with_interval(each) if found.best_peer is None else difference(each)


def _facts(facts: Sequence[Fact]) -> list[Grid]:
    if not facts:
        return []
    rankers = list(dict.fromkeys([OURS, *(name for each in facts for name in each.by_ranker)]))
    rankers = [name for name in rankers if any(name in each.by_ranker for each in facts)]
    rows = [(each.name, *(number(each.by_ranker[r]) if r in each.by_ranker else "" for r in rankers)) for each in facts]
    return [Grid("Of the whole lists (mean of the cutoffs)", ("", *rankers), tuple(rows))]


def _tables(result: TaskResult) -> list[Grid]:
    return [Grid(each.title, each.header, each.rows) for each in result.tables]


def _left_out(lines: Sequence[str]) -> list[Section]:
    return [Section("Left out", lines=tuple(lines))] if lines else []


def _costs(costs: Sequence[Cost]) -> list[Section]:
    """Return what each stage took, over all cutoffs; the whole at the end."""
    stages = dict.fromkeys(each.stage for each in costs)
    sums = [total(stage, (each for each in costs if each.stage == stage)) for stage in stages]
    whole = total("all", costs)
    rows = tuple(
        (each.stage, f"{each.wall_seconds:.1f}", f"{each.cpu_seconds:.1f}", f"{each.peak_mb:,.0f}")
        for each in [*sums, whole]
    )
    header = ("stage", "wall seconds", "CPU seconds", "peak MiB")
    lines = ("Summed over cutoffs; what was kept from an earlier run is counted as it was then.",)
    return [Section("What it took", lines=lines, grids=(Grid("Stages", header, rows),))] if costs else []


def _stability_pictures(result: TaskResult) -> list[Picture]:
    """Return how much better than the best peer we are at each cutoff, where there are several."""
    if len(result.cutoffs) < 2:
        return []
    lines = [
        line
        for each in result.measured
        for day, gain in each.by_cutoff.items()
        if (line := _relative(each, gain, f"{each.metric}, {day}")) is not None
    ]
    title = f"{result.task}, cutoff by cutoff: % better than the best peer, with 95 % intervals"
    name = file_name("cutoffs", result.task)
    return [Picture(name, title, forest(title, lines, "% better than the best peer"))] if lines else []


def _calibration_pictures(result: TaskResult) -> list[Picture]:
    return [
        Picture(
            file_name("calibration", each.task, each.metric),
            f"{each.task}: {each.metric}, what was said and what happened",
            calibration(f"{each.task}: said against happened", {each.metric: each.curve}),
        )
        for each in result.measured
        if each.curve is not None
    ]


def _forest_of_all(results: Iterable[TaskResult]) -> tuple[Picture, ...]:
    lines = [
        line
        for result in results
        for each in result.measured
        if (line := _relative(each, each.best_gain, f"{each.task}: {each.metric}")) is not None
    ]
    title = "How much better than the best peer, in % of the peer's value, with 95 % intervals"
    return (Picture("differences", title, forest(title, lines, "% better than the best peer")),) if lines else ()


def _relative(found: Measured, gain: Interval | None, label: str) -> Line | None:
    """Return a gain over the best peer as a share of the peer's value; None where that says nothing."""
    best = found.best_peer
    if best is None or gain is None or not found.values[best].value or found.statistic in _NOT_RELATIVE:
        return None
    per_cent = 100.0 / abs(found.values[best].value)
    return Line(label, Interval(gain.value * per_cent, gain.low * per_cent, gain.high * per_cent))


_NOT_RELATIVE = ("ece", "expected_over_observed", "brier_skill")
"""Metrics that may be about 0: a share of them says nothing."""


def file_name(*parts: str) -> str:
    """Return words as the name of a file.

    Examples
    --------
    >>> file_name("calibration", "habit slot, types", "ECE all pairs")
    'calibration-habit-slot-types-ece-all-pairs'
    """
    text = "".join(char if char.isalnum() else "-" for char in "-".join(parts).lower())
    return "-".join(part for part in text.split("-") if part)


def number(value: float) -> str:
    """Return a number with four digits that matter.

    Examples
    --------
    >>> number(0.25834), number(156.71), number(12.345), number(float("nan"))
    ('0.2583', '156.7', '12.35', '–')
    """
    if not np.isfinite(value):
        return "–"
    if abs(value) >= 100:
        return f"{value:,.1f}"
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.4f}"


def with_interval(found: Interval) -> str:
    """Return a value with its interval."""
    return f"{number(found.value)} [{number(found.low)}, {number(found.high)}]"


def difference(found: Interval) -> str:
    """Return a difference with its interval, with its sign."""
    sign = "+" if found.value >= 0 else ""
    return f"{sign}{number(found.value)} [{number(found.low)}, {number(found.high)}]"
