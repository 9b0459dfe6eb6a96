"""Everything that can be tuned, by name; what it is searched for, and on which days.

A model is judged by its own judge, by the metrics that decide there: the value is their sum, weighted as `GOALS` says,
losses with a minus and squared errors by their root.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from features.asof import Moment
from training.config import load_search
from training.errors import TuningError
from training.history import History
from training.judge import COVERAGE, TOP_SHARE, Judgement
from training.learners import FOUR_WEEKS_DAYS, SOURCES, with_config
from training.sums import CustomerSums
from training.tuning.campaigns import campaign_days
from training.tuning.peers import peer_tunables
from training.tuning.tunable import N_CUTOFFS, Days, Reached, Term, Tunable, days_before

EIGHT_WEEKS_DAYS, TWELVE_WEEKS_DAYS = 56, 84


@dataclass(frozen=True)
class Goal:
    """What a model is searched for, and how many test cutoffs of which window its own task has.

    `metric` says the value in words, `weights` are by the judge's metrics and guards. `n_cutoffs` earlier days are
    searched on, each with `history_days` before it (twice the window unless told).
    """

    metric: str
    weights: Mapping[str, float]
    window_days: int = FOUR_WEEKS_DAYS
    n_tested: int = 3
    n_cutoffs: int = N_CUTOFFS
    history_days: int | None = None


_SQUARED = ("mse",)

GOALS: Mapping[str, Goal] = {
    "habit_type": Goal("recall@10", {"recall@10": 1.0}),
    "habit_product": Goal("recall@10", {"recall@10": 1.0}),
    "next_purchase": Goal("auc - mae_days / 28", {"auc": 1.0, "mae_days": -1 / FOUR_WEEKS_DAYS}, n_tested=4),
    "also_bought": Goal(  # recall alone is won by best sellers, whom everybody buys with everything
        "recall@10 + hit@10 / 2 - top-10 share / 10 + coverage / 20",
        {"recall@10": 1.0, "hit@10": 0.5, TOP_SHARE: -0.1, COVERAGE: 0.05},
        TWELVE_WEEKS_DAYS,
        n_tested=1,
        n_cutoffs=2,
        history_days=EIGHT_WEEKS_DAYS,
    ),
    "substitutes": Goal("ratio@5", {"ratio@5": 1.0}),  # hit@5 is won by best sellers, which stand in for nothing
    "stretch": Goal(
        "mean of precision@1, recall@10, ndcg@10", {"precision@1": 1 / 3, "recall@10": 1 / 3, "ndcg@10": 1 / 3}
    ),
    "discover": Goal("recall@10, 28 days", {"recall@10": 1.0}),
    "churn": Goal("auc", {"auc": 1.0}, n_tested=4),
    "propensity": Goal("-log_loss", {"log_loss": -1.0}, n_tested=4),
    "lifetime_value": Goal("-(mae + rmse) / 2", {"mae": -0.5, "mse": -0.5}, TWELVE_WEEKS_DAYS, n_tested=4),
    "coupon_response": Goal("auc", {"auc": 1.0}),
    "segments": Goal("-rmse", {"mse": -1.0}),
    "best_hour": Goal("-log_loss", {"log_loss": -1.0}, n_tested=4),
}
"""The test cutoffs of each model's task are those of the published figures (docs/tuning.md has the table)."""


def tunables() -> dict[str, Tunable]:
    """Return all that can be tuned, by name: what has a `[search]` space, models first, then peers."""
    models = {name: model_tunable(name) for name in SOURCES if name in GOALS}
    return {name: each for name, each in (models | peer_tunables()).items() if load_search(each.config_class, name)}


def named(name: str) -> Tunable:
    """Return what has that name; TuningError lists the names there are."""
    known = tunables()
    if name not in known:
        raise TuningError(f"nothing to tune is named {name!r}: there are {', '.join(known)}, and all")
    return known[name]


def model_tunable(name: str) -> Tunable:
    """Return a model by its learner's name."""
    source, goal = SOURCES[name], GOALS[name]

    def reached(config: Any, known: History, cutoff: Moment) -> Reached:
        learner = with_config(name, config)
        return of_judgement(learner.judge({cutoff: learner.fit(known.until(cutoff))}, known), goal.weights)

    def days(history: History) -> Days | None:
        if name == "coupon_response":
            return campaign_days(history, goal.n_cutoffs)
        tests = [(goal.window_days, goal.n_tested), *_tests_of(name)]
        return days_before(history, goal.window_days, tests, goal.n_cutoffs, history_days=goal.history_days)

    modules = (source.module.__name__, source.judging.__name__)
    return Tunable(name, source.config_class, goal.metric, reached, days, modules)


def of_judgement(judgement: Judgement, weights: Mapping[str, float]) -> Reached:
    """Return what a judgement says by these metrics; TuningError where it says nothing of one."""
    sums = {metric: _sums(judgement, metric) for metric in weights}
    return Reached(tuple(Term(each, weights[metric], metric in _SQUARED) for metric, each in sums.items()))


def _tests_of(model: str) -> list[tuple[int, int]]:
    """Return the windows and test cutoffs of every task of the backtest that asks the model."""
    from training.backtest.tasks import TASKS

    return [(task.window_days, task.n_cutoffs) for task in TASKS if model in task.needs]


def _sums(judgement: Judgement, metric: str) -> CustomerSums:
    """Return what a metric, or a guard of that name, is made of."""
    for guard in judgement.guards:
        if guard.metric == metric:
            return guard.sums
    rows = [row for row in judgement.rows if row.metric == metric]
    if not rows:
        why = "; ".join(judgement.notes) or "too few customers"
        raise TuningError(f"{judgement.model} can't be judged by {metric} here ({why}): there is nothing to tune on")
    row = max(rows, key=lambda each: each.is_primary)
    return CustomerSums.whole(row.ours) if row.sums is None else row.sums
