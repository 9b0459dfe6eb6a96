"""Rows of a judgement: a metric of ours beside the same metric of a baseline, with intervals by customer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from features.asof import Moment
from training import plots
from training.intervals import Interval, bootstrap_interval, paired_interval
from training.judge import Calibration, MetricRow, calibration_of
from training.sums import CustomerSums

FloatArray = npt.NDArray[np.float64]

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
DRAWS = 500
SEED = 7


@dataclass(frozen=True)
class Contest:
    """What is compared: our scores and the baselines' for the same rows, what happened, and whose row each is."""

    model: str
    task: str
    ours: FloatArray
    baselines: Mapping[str, FloatArray]
    outcomes: FloatArray
    customers: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.outcomes)

    @classmethod
    def pooled(cls, parts: Sequence[Contest]) -> Contest:
        """Return the rows of all the contests, of one model and task; only baselines that all have stay."""
        shared = [name for name in parts[0].baselines if all(name in part.baselines for part in parts)]
        return cls(
            model=parts[0].model,
            task=parts[0].task,
            ours=np.concatenate([part.ours for part in parts]),
            baselines={name: np.concatenate([part.baselines[name] for part in parts]) for name in shared},
            outcomes=np.concatenate([part.outcomes for part in parts]),
            customers=np.concatenate([part.customers for part in parts]),
        )


def iso_days(moments: Iterable[Moment]) -> tuple[str, ...]:
    """Return the local days of moments as ISO dates, in order.

    Examples
    --------
    >>> iso_days([Moment(us=0, day=17448)])
    ('2017-10-09',)
    """
    return tuple(date.fromordinal(moment.day + EPOCH_ORDINAL).isoformat() for moment in sorted(moments))


def probability_figures(contest: Contest, importance: Mapping[str, float]) -> dict[str, Figure]:
    """Return the pictures of a model that gives probabilities, by file name; without rows only the importance."""
    title = f"{contest.model}: {contest.task}"
    figures = {"importance.png": plots.importance_figure(importance, title=f"{contest.model}: what it looks at")}
    if len(contest) == 0:
        return figures
    scores = {contest.model: contest.ours, **contest.baselines}
    return figures | {
        "calibration.png": plots.calibration_figure(contest.ours, contest.outcomes, title=title),
        "lift.png": plots.lift_figure(contest.ours, contest.outcomes, title=title),
        "gains.png": plots.gains_figure(scores, contest.outcomes, title=title),
    }


@dataclass(frozen=True)
class AucParts:
    """A ROC AUC, and what each row adds to it: ``Σ weight × part`` is the AUC of re-weighted rows to first order."""

    value: float
    parts: FloatArray


def auc_parts(scores: FloatArray, outcomes: FloatArray) -> AucParts:
    """Return the ROC AUC with the influence of each row, shape ``(n_rows,)``, which adds up to 0; ties count half.

    A bootstrap over the sums by customer then costs nothing, where sorting anew for each draw would (DeLong, DeLong
    and Clarke-Pearson 1988). NaN when only one class is there.

    Examples
    --------
    >>> auc_parts(np.array([0.1, 0.4, 0.4, 0.8]), np.array([0.0, 0.0, 1.0, 1.0])).value
    0.875
    """
    is_event = outcomes > 0
    n_events, n_others = int(is_event.sum()), int((~is_event).sum())
    if n_events == 0 or n_others == 0:
        return AucParts(float("nan"), np.zeros(len(scores)))
    _, place = np.unique(scores, return_inverse=True)
    events = np.bincount(place[is_event], minlength=place.max() + 1)
    others = np.bincount(place[~is_event], minlength=place.max() + 1)
    others_below = (np.cumsum(others) - 0.5 * others) / n_others
    events_above = 1.0 - (np.cumsum(events) - 0.5 * events) / n_events
    value = float(others_below[place[is_event]].mean())
    own = np.where(is_event, (others_below[place] - value) / n_events, (events_above[place] - value) / n_others)
    return AucParts(value, own)


def auc_rows(contest: Contest, *, is_primary: bool) -> list[MetricRow]:
    """Return ROC AUC against each baseline; none when only one class was seen."""
    if len(np.unique(contest.outcomes)) < 2:
        return []
    ours = auc_parts(contest.ours, contest.outcomes)
    return [
        _auc_row(contest, ("auc", name, is_primary), ours, auc_parts(scores, contest.outcomes))
        for name, scores in contest.baselines.items()
    ]


def macro_auc_rows(contest: Contest, groups: npt.NDArray[np.int64]) -> list[MetricRow]:
    """Return ROC AUC within each group, averaged over the groups that have both classes, against each baseline."""
    ours = _macro(contest.ours, contest.outcomes, groups)
    if np.isnan(ours.value):
        return []
    return [
        _auc_row(contest, ("macro_auc", name, False), ours, _macro(scores, contest.outcomes, groups))
        for name, scores in contest.baselines.items()
    ]


def _macro(scores: FloatArray, outcomes: FloatArray, groups: npt.NDArray[np.int64]) -> AucParts:
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=groups[order][:1] - 1))
    found = [(rows, auc_parts(scores[rows], outcomes[rows])) for rows in np.split(order, starts[1:]) if len(rows)]
    known = [(rows, each) for rows, each in found if np.isfinite(each.value)]
    parts = np.zeros(len(scores))
    for rows, each in known:
        parts[rows] = each.parts / len(known)
    return AucParts(float(np.mean([each.value for _, each in known])) if known else float("nan"), parts)


def _auc_row(contest: Contest, label: tuple[str, str, bool], ours: AucParts, theirs: AucParts) -> MetricRow:
    """Return the row of `label` (metric, baseline, is primary): values, and intervals from the parts by customer."""
    metric, baseline, is_primary = label
    own = _moved(ours.parts, contest.customers, ours.value)
    gain = _moved(ours.parts - theirs.parts, contest.customers, ours.value - theirs.value)
    sums = CustomerSums.of(ours.parts * len(ours.parts), contest.customers, base=ours.value)
    return replace(_row(contest, metric, own, baseline, theirs.value, gain, (True, is_primary)), sums=sums)


def _moved(parts: FloatArray, customers: npt.NDArray[np.int64], value: float) -> Interval:
    """Return `value` with the interval of ``value + Σ weight × part`` when customers are drawn with replacement."""
    spread = bootstrap_interval(parts * len(parts), customers, np.random.default_rng(SEED), draws=DRAWS)
    return Interval(value, value + spread.low, value + spread.high)


def loss_rows(
    contest: Contest, metric: str, loss: Callable[[FloatArray, FloatArray], FloatArray], *, is_primary: bool
) -> list[MetricRow]:
    """Return the mean of a loss a row (smaller is better) against each baseline; none without rows."""
    if len(contest.outcomes) == 0:
        return []
    ours = loss(contest.ours, contest.outcomes)
    own = bootstrap_interval(ours, contest.customers, np.random.default_rng(SEED), draws=DRAWS)
    sums = CustomerSums.of(ours, contest.customers)
    rows = []
    for name, scores in contest.baselines.items():
        theirs = loss(scores, contest.outcomes)
        gain = paired_interval(theirs, ours, contest.customers, np.random.default_rng(SEED), draws=DRAWS)
        row = _row(contest, metric, own, name, float(theirs.mean()), gain, (False, is_primary))
        rows.append(replace(row, sums=sums))
    return rows


def contest_calibration(contest: Contest, *, bins: int) -> Calibration:
    """Return how far our chances of a contest can be taken at their word."""
    return calibration_of(contest.task, contest.ours, contest.outcomes, customers=contest.customers, bins=bins)


def squared_error(scores: FloatArray, outcomes: FloatArray) -> FloatArray:
    """Return the squared error of each row: of probabilities its mean is the Brier score."""
    return np.asarray((scores - outcomes) ** 2, dtype=np.float64)


def absolute_error(scores: FloatArray, outcomes: FloatArray) -> FloatArray:
    """Return the absolute error of each row."""
    return np.asarray(np.abs(scores - outcomes), dtype=np.float64)


def _row(
    contest: Contest, metric: str, own: Interval, baseline: str, base: float, gain: Interval, flags: tuple[bool, bool]
) -> MetricRow:
    return MetricRow(
        model=contest.model,
        task=contest.task,
        metric=metric,
        ours=own.value,
        low=own.low,
        high=own.high,
        baseline=baseline,
        baseline_value=base,
        gain=gain.value,
        gain_low=gain.low,
        gain_high=gain.high,
        higher_is_better=flags[0],
        is_primary=flags[1],
    )
