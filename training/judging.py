"""Judging every model on later weeks than it learned from, and the challenges that they make together."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from matplotlib.figure import Figure

from features.asof import Moment
from training.comparison import iso_days
from training.history import History
from training.judge import Judgement
from training.learners import Fitted, Learner
from training.recipe import Recipe

Say = Callable[[str], None]


@dataclass(frozen=True)
class Judged:
    """One model's fits by cutoff, its judgement, its pictures, and what that took in seconds."""

    learner: Learner
    fits: Mapping[Moment, Any]  # Any: the model's own fitted class
    judgement: Judgement
    figures: Mapping[str, Figure] = field(default_factory=dict)
    fit_seconds: float = 0.0
    judge_seconds: float = 0.0


def judge_all(learners: Sequence[Learner], history: History, recipe: Recipe, say: Say) -> dict[str, Judged]:
    """Return every model's judgement, by name.

    Each is fitted at every cutoff on what was known there, and judged on the weeks after it; the history's own end is
    the embargo of the judge.
    """
    return {learner.name: judge_one(learner, history, recipe, say) for learner in learners}


def judge_one(learner: Learner, history: History, recipe: Recipe, say: Say) -> Judged:
    """Return one model's judgement; a history too short for any cutoff gives an empty one that says so."""
    cutoffs = history.cutoff_before(learner.judged_days, recipe.n_judged, step_days=recipe.judged_step_days)
    if not cutoffs:
        note = f"{learner.name}: the history is too short to judge it on weeks that it has not learned from"
        return Judged(learner, {}, Judgement(learner.name, (), (), (), (note,)))
    started = time.perf_counter()
    fits: dict[Moment, Fitted] = {}
    for cutoff in cutoffs:
        say(f"judge {learner.name}: learn up to {iso_days([cutoff])[0]}")
        fits[cutoff] = learner.fit(history.until(cutoff))
    fitted = time.perf_counter()
    say(f"judge {learner.name}: the weeks after")
    judgement = learner.judge(fits, history)
    figures = learner.figures(fits, history)
    done = time.perf_counter()
    return Judged(learner, fits, _named(judgement, learner.name), figures, fitted - started, done - fitted)


def _named(judgement: Judgement, name: str) -> Judgement:
    """Return the judgement under the learner's name: habit is one class at two levels."""
    rows = tuple(replace(row, model=name) for row in judgement.rows)
    return replace(judgement, model=name, rows=rows)
