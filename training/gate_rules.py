"""Whether a challenger's recipe replaces the champion's: pure rules over what both showed on the same days.

A challenger replaces the champion of a model when

- what decides (the model's primary metrics; where none is, all of its metrics) is not worse: the lower end of the
  paired interval of challenger − champion is at or above −ε;
- nothing that it must not spoil gets worse by more than its bound: other recalls, coverage, the best sellers' part of
  the answers, and the calibration error, where that isn't within what chance alone explains;
- it is ahead of the baselines beside which its primary metrics stand.

The numbers are the policy's (``[gate]``). Without a champion to compare with, a challenger must only not be proven
worse than a baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from serving.decisioning.policy_gate import GatePolicy
from training.judge import COVERAGE, TOP_SHARE, Judgement, MetricRow
from training.sums import CustomerSums, difference

CHAMPION = "champion"
ECE = "ECE"
NOTHING_JUDGED = "nothing could be judged, so nothing shows that it is as good"
NOT_COMPARABLE = "it can't be judged by the same numbers"


class Outcome(StrEnum):
    """What became of a model's challenger."""

    FIRST = "first"
    """There is no champion to compare with."""
    SAME = "same"
    """It is the champion's recipe."""
    PROMOTED = "promoted"
    STAYS = "stays"
    """The champion's recipe stays."""
    WORSE = "worse"
    """The champion's config does worse with today's code than with the code that it was made by, which is gone."""


class Role(StrEnum):
    """What a row of the table is for."""

    DECIDES = "decides"
    GUARD = "guard"
    BASELINE = "baseline"


@dataclass(frozen=True)
class GateRow:
    """One metric of a challenger beside the champion's or a baseline's.

    `difference` and its 95 % interval are positive where the challenger is better, whatever the direction of the
    metric. `bound` is how much worse it may be; `holds` whether that was kept.
    """

    model: str
    task: str
    metric: str
    role: Role
    beside: str
    theirs: float
    challenger: float
    difference: float
    low: float
    high: float
    bound: float
    holds: bool

    @property
    def verdict(self) -> str:
        """Return one word for the table."""
        if self.role is not Role.BASELINE:
            return "holds" if self.holds else "worse"
        if self.difference > 0:
            return "ahead"
        return "behind" if self.is_proven_worse else "undecided"

    @property
    def is_proven_worse(self) -> bool:
        """Return whether the whole interval lies below zero."""
        return self.high < 0

    @property
    def text(self) -> str:
        """Return the row as a sentence with its figures."""
        return (
            f"{self.model}, {self.task}: {self.metric} {self.challenger:.4f} against {self._whose} {self.theirs:.4f} "
            f"({self.difference:+.4f} [{self.low:+.4f}, {self.high:+.4f}], may be {-self.bound:+.4f})"
        )

    @property
    def _whose(self) -> str:
        return "the champion's" if self.beside == CHAMPION else self.beside


@dataclass(frozen=True)
class Decision:
    """What became of one model's challenger, with the table that it was decided by.

    `why` says it in a line; `champion_from` how the champion's numbers were had, where there are any.
    """

    model: str
    outcome: Outcome
    rows: tuple[GateRow, ...] = ()
    why: str = ""
    champion_from: str = ""

    @property
    def behind(self) -> tuple[str, ...]:
        """Return what keeps a bundle with this model out: a baseline that is proven better, and nobody to fall back on.

        Where a champion's recipe ships, the bundle is no worse than what serves.
        """
        if self.outcome is Outcome.WORSE:
            return (self.why,)
        if self.outcome not in (Outcome.FIRST, Outcome.PROMOTED):
            return ()
        return tuple(row.text for row in self._baselines if row.verdict == "behind")

    @property
    def undecided(self) -> tuple[str, ...]:
        """Return the baselines that it isn't ahead of, where that does not keep it out."""
        return tuple(row.text for row in self._baselines if row.verdict != "ahead" and row.text not in self.behind)

    @property
    def _baselines(self) -> list[GateRow]:
        return [row for row in self.rows if row.role is Role.BASELINE]

    def as_dict(self) -> dict[str, Any]:  # Any: a JSON object
        """Return the decision as plain values for JSON."""
        return {**vars(self), "outcome": str(self.outcome), "rows": [_row_dict(row) for row in self.rows]}

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Decision:  # Any: a JSON object
        """Return the decision that plain values hold; KeyError, TypeError or ValueError when they hold none."""
        rows = tuple(GateRow(**{**row, "role": Role(row["role"])}) for row in found["rows"])
        return cls(**{**found, "outcome": Outcome(found["outcome"]), "rows": rows})


def decide(challenger: Judgement, champion: Judgement | None, bounds: GatePolicy, *, is_same: bool = False) -> Decision:
    """Return what becomes of a challenger; with `is_same` there is nothing to compare but the baselines."""
    alone = decide_alone(challenger)
    if champion is None or is_same:
        return replace(alone, outcome=Outcome.SAME) if is_same else alone
    model, baselines = alone.model, alone.rows
    if not is_comparable(challenger, champion):
        none = not challenger.rows and not champion.rows
        return Decision(model, Outcome.STAYS, baselines, NOTHING_JUDGED if none else NOT_COMPARABLE)
    required = tuple(replace(row, holds=row.difference > 0) for row in baselines)
    rows = (*_champion_rows(challenger, champion, bounds), *required)
    broken = [row for row in rows if not row.holds]
    if broken:
        return Decision(model, Outcome.STAYS, rows, "; ".join(row.text for row in broken))
    return Decision(model, Outcome.PROMOTED, rows)


def decide_alone(judgement: Judgement) -> Decision:
    """Return what is to be said of a judgement beside its baselines alone."""
    return Decision(judgement.model, Outcome.FIRST, tuple(_baseline_rows(judgement)))


def is_comparable(challenger: Judgement, champion: Judgement) -> bool:
    """Return whether the champion has every number that decides, on the same days."""
    ours, theirs = (_deciding(each) for each in (challenger, champion))
    return bool(ours) and set(ours) <= set(theirs) and challenger.cutoffs == champion.cutoffs


_Key = tuple[str, str]


@dataclass(frozen=True)
class _Held:
    """A number that is held against the champion's: what it is made of, and which bound it has."""

    sums: CustomerSums
    higher_is_better: bool
    bound: str
    floor: float = 0.0
    """An error up to here can't be told from none."""


def _champion_rows(challenger: Judgement, champion: Judgement, bounds: GatePolicy) -> Iterator[GateRow]:
    for role, held_of in ((Role.DECIDES, _deciding), (Role.GUARD, _guards)):
        ours, theirs = held_of(challenger), held_of(champion)
        for key, held in ours.items():
            if key in theirs:
                yield _champion_row((challenger.model, *key), role, held, theirs[key], bounds)


def _champion_row(name: tuple[str, str, str], role: Role, ours: _Held, theirs: _Held, bounds: GatePolicy) -> GateRow:
    found = difference(ours.sums, theirs.sums)
    ends = (found.value, found.low, found.high) if ours.higher_is_better else (-found.value, -found.high, -found.low)
    bound = _BOUNDS[ours.bound](bounds, theirs.sums.value)
    is_kept = not ends[0] < -bound or 0.0 <= ours.sums.value <= ours.floor
    holds = ends[1] >= -bound if role is Role.DECIDES else is_kept
    return GateRow(*name, role, CHAMPION, theirs.sums.value, ours.sums.value, *ends, bound, bool(holds))


_BOUNDS: Mapping[str, Callable[[GatePolicy, float], float]] = {
    "epsilon": lambda bounds, champion: bounds.epsilon * abs(champion),
    "auc": lambda bounds, champion: bounds.epsilon * abs(champion - 0.5),
    "recall": lambda bounds, champion: bounds.recall * abs(champion),
    COVERAGE: lambda bounds, champion: bounds.coverage * abs(champion),
    TOP_SHARE: lambda bounds, _: bounds.top_share,
    ECE: lambda bounds, _: bounds.ece,
}
"""How much worse than the champion's a number may be, in its own unit."""


def _deciding(judgement: Judgement) -> dict[_Key, _Held]:
    """Return the numbers that decide: the primary metrics, or all where none is primary."""
    rows = judgement.primary or judgement.rows
    return {key: _Held(row.sums, row.higher_is_better, _epsilon(row)) for key, row in _by_metric(rows) if row.sums}


def _guards(judgement: Judgement) -> dict[_Key, _Held]:
    """Return the numbers that must not be spoilt: other recalls, calibration errors, and the judgement's own guards."""
    deciding = _deciding(judgement)
    recalls = ((key, row) for key, row in _by_metric(judgement.rows) if row.metric.startswith("recall"))
    found = {key: _Held(row.sums, True, "recall") for key, row in recalls if row.sums and key not in deciding}
    for each in judgement.calibration:
        sums = each.sums if each.sums is not None else CustomerSums.whole(each.ece)
        if np.isfinite(each.ece):
            found[(each.task, ECE)] = _Held(sums, False, ECE, each.ece_floor_p95)
    for guard in judgement.guards:
        found[(guard.task, guard.metric)] = _Held(guard.sums, guard.higher_is_better, guard.metric)
    return found


def _epsilon(row: MetricRow) -> str:
    return "auc" if row.metric.endswith("auc") else "epsilon"


def _by_metric(rows: Sequence[MetricRow]) -> Iterator[tuple[_Key, MetricRow]]:
    """Yield each metric once: rows of several baselines say the same of ours."""
    yield from {(row.task, row.metric): row for row in rows}.items()


def _baseline_rows(judgement: Judgement) -> Iterator[GateRow]:
    """Yield the primary metrics beside their baselines; they hold where no baseline is proven better."""
    for row in judgement.primary:
        yield GateRow(
            model=judgement.model,
            task=row.task,
            metric=row.metric,
            role=Role.BASELINE,
            beside=row.baseline,
            theirs=row.baseline_value,
            challenger=row.ours,
            difference=row.gain,
            low=row.gain_low,
            high=row.gain_high,
            bound=0.0,
            holds=not row.gain_high < 0,
        )


def _row_dict(row: GateRow) -> dict[str, Any]:
    return {**vars(row), "role": str(row.role)}
