"""Rows of a judgement: a metric of ours beside the same metric of a baseline, with intervals by customer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from features.asof import Moment
from training import metrics, plots
from training.intervals import Interval, bootstrap_interval, paired_interval, statistic_interval
from training.judge import MetricRow

FloatArray = npt.NDArray[np.float64]

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
DRAWS = 200
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


def auc_rows(contest: Contest, *, is_primary: bool) -> list[MetricRow]:
    """Return ROC AUC against each baseline; none when only one class was seen. Cost: draws × n_rows a baseline."""
    if len(np.unique(contest.outcomes)) < 2:
        return []
    ours = metrics.weighted_auc(contest.ours, contest.outcomes)
    rows = []
    for name, scores in contest.baselines.items():
        theirs = metrics.weighted_auc(scores, contest.outcomes)
        own = statistic_interval(ours, contest.customers, np.random.default_rng(SEED), draws=DRAWS)
        gain = statistic_interval(_minus(ours, theirs), contest.customers, np.random.default_rng(SEED), draws=DRAWS)
        base = theirs(np.ones(len(scores)))
        rows.append(_row(contest, "auc", own, name, base, gain, (True, is_primary)))
    return rows


def loss_rows(
    contest: Contest, metric: str, loss: Callable[[FloatArray, FloatArray], FloatArray], *, is_primary: bool
) -> list[MetricRow]:
    """Return the mean of a loss a row (smaller is better) against each baseline; none without rows."""
    if len(contest.outcomes) == 0:
        return []
    ours = loss(contest.ours, contest.outcomes)
    own = bootstrap_interval(ours, contest.customers, np.random.default_rng(SEED), draws=DRAWS)
    rows = []
    for name, scores in contest.baselines.items():
        theirs = loss(scores, contest.outcomes)
        gain = paired_interval(theirs, ours, contest.customers, np.random.default_rng(SEED), draws=DRAWS)
        rows.append(_row(contest, metric, own, name, float(theirs.mean()), gain, (False, is_primary)))
    return rows


def squared_error(scores: FloatArray, outcomes: FloatArray) -> FloatArray:
    """Return the squared error of each row: of probabilities its mean is the Brier score."""
    return np.asarray((scores - outcomes) ** 2, dtype=np.float64)


def absolute_error(scores: FloatArray, outcomes: FloatArray) -> FloatArray:
    """Return the absolute error of each row."""
    return np.asarray(np.abs(scores - outcomes), dtype=np.float64)


def _minus(ours: Callable[[FloatArray], float], theirs: Callable[[FloatArray], float]) -> Callable[[FloatArray], float]:
    return lambda weights: ours(weights) - theirs(weights)


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
