"""The challenge as a whole: of what the engine asks for in the weeks after a cutoff, what was bought, and how likely.

Each week's challenges are the engine's own, from a bundle of what was known on that Monday, by models that had learned
up to the cutoff. The joint chance of all three has coefficients from weeks before the cutoff, replayed by models of the
same settings that had learned up to four weeks before it: what a shop would have had. A habit counts as done when as
many pieces of its type were bought in the week as the challenge asks for, a stretch when one of its category was;
net of returns, for ours and the rivals' alike.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from training.assembly import FOR_CHALLENGE
from training.backtest.challenge_measures import (
    TASK,
    chance_observations,
    outcome_observations,
    shown_most,
    stretch_facts,
)
from training.backtest.challenge_reward import Stakes, reward_facts, reward_tables
from training.backtest.challenge_week import WeekMaker, WeekSeen, see_week
from training.backtest.observation import OURS, Fact, Findings, Observation
from training.backtest.task import Served, Task
from training.best_sellers import BestSellers
from training.challenge_weeks import ChallengeRows, challenge_items, challenge_rows, concatenated, mondays
from training.completion import fit_completion
from training.habit import HabitModel
from training.learners import HABIT_TYPE
from training.next_purchase import NextPurchaseModel
from training.stretch import StretchModel

WINDOW_DAYS, EARLIER_DAYS = 28, 28
QUICK_WEEKS = 1
NO_WEEK = "challenge: no week from Monday to Monday lies within the four weeks after this cutoff"
NOBODY = "challenge: nobody could be given a personal challenge of three items"
NOT_BEFORE = "challenge: no earlier week to fit the chance of all three on: three that share one trip stand in"

_MODELS: dict[str, Any] = {  # Any: each takes its own config
    HABIT_TYPE: HabitModel,
    "next_purchase": NextPurchaseModel,
    "stretch": StretchModel,
}


def observe(served: Served) -> Findings:
    """Return how the challenges of the weeks after the cutoff went."""
    zone = served.history.tables.time_zone
    ends = min(served.history.known_until, served.moment.plus_days(WINDOW_DAYS, zone))
    starts = mondays(served.moment, ends, zone)[: QUICK_WEEKS if served.is_quick else None]
    if not starts:
        return Findings(notes=(NO_WEEK,))
    earlier = earlier_rows(served)
    maker = WeekMaker(served.models, served.history, served.moment, _policy_text(served))
    coefficients = fit_completion(earlier.chances, earlier.shops, earlier.completed)
    weeks = [see_week(maker.bundle(each, coefficients), served.history, each, served.customers) for each in starts]
    seen = [each for each in weeks if len(each.rows)]
    if not seen:
        return Findings(notes=(NOBODY,))
    observations = [one for each in seen for one in (*outcome_observations(each), *chance_observations(each, earlier))]
    stakes = _stakes(served, weeks)
    return Findings(
        observations=tuple(pooled(observations)),
        facts=(*_served_facts(weeks), *stretch_facts(weeks), *reward_facts(TASK, stakes)),
        tables=(*reward_tables(TASK, stakes), shown_most(weeks, served.history)),
        notes=() if len(earlier) else (NOT_BEFORE,),
    )


CHALLENGE = Task(
    name="challenge",
    group="Challenge",
    window_days=WINDOW_DAYS,
    n_cutoffs=3,
    needs=(*FOR_CHALLENGE, "discover"),
    observe=observe,
)


def earlier_rows(served: Served) -> ChallengeRows:
    """Return the challenges of the weeks before the cutoff, by models of the same settings from before those weeks.

    Without such weeks, none, nor where answers are to be quick. The products shown for a stretch are best sellers.
    """
    known, zone = served.known, served.known.tables.time_zone
    start = served.moment.plus_days(-EARLIER_DAYS, zone)
    if served.is_quick or start.day <= known.tables.first_day:
        return concatenated([])
    before = known.until(start)
    models = {name: _MODELS[name](served.models[name].config).fit(before) for name in FOR_CHALLENGE}
    models["discover"] = BestSellers()
    maker = WeekMaker(models, known, start, _policy_text(served))
    prior = fit_completion([], [], [])
    weeks = ((monday, maker.bundle(monday, prior)) for monday in mondays(start, served.moment, zone))
    return concatenated(
        [
            challenge_rows(challenge_items(bundle, known, monday, served.customers), bundle, known, monday)
            for monday, bundle in weeks
        ]
    )


def pooled(observations: list[Observation]) -> list[Observation]:
    """Return one observation for each task and metric, with the rows of all its weeks; in the order of the first."""
    found: dict[tuple[str, str], list[Observation]] = {}
    for each in observations:
        found.setdefault((each.task, each.metric), []).append(each)
    return [_joined(parts) for parts in found.values()]


def _joined(parts: list[Observation]) -> Observation:
    outcomes = [each.outcomes for each in parts if each.outcomes is not None]
    return replace(
        parts[0],
        values={name: np.concatenate([each.values[name] for each in parts]) for name in parts[0].values},
        customers=np.concatenate([each.customers for each in parts]),
        outcomes=np.concatenate(outcomes) if outcomes else None,
    )


def _served_facts(weeks: list[WeekSeen]) -> list[Fact]:
    """Return who is not served: asked customers without a personal challenge of three items."""
    n_asked = sum(each.n_asked for each in weeks)
    n_served = sum(len(each.rows) for each in weeks)
    return [Fact(TASK, "share of customers without a personal challenge", {OURS: 1.0 - n_served / max(n_asked, 1)})]


def _stakes(served: Served, weeks: list[WeekSeen]) -> Stakes:
    rows = concatenated([each.rows for each in weeks])
    return Stakes(
        margins=np.concatenate([each.margins for each in weeks]),
        done=rows.done,
        chances=rows.completion,
        costs=np.concatenate([each.costs for each in weeks]),
        habit_share=served.bundle.policy.reward.habit_uplift,
    )


def _policy_text(served: Served) -> str:
    return Path(served.bundle.folder, "policy.toml").read_text(encoding="utf-8")
