"""The challenge as a whole, judged on later weeks: its chances, and the joint chance that all three are bought.

The joint chance is fitted to what the engine's own challenges came to. It is judged week by week, each with
coefficients from the weeks that had ended before it; those that ship are fitted on all of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from features.asof import Moment
from serving.bundle import open_bundle, write_bundle
from serving.decisioning.policy import default_policy, parse_policy, with_values
from serving.decisioning.texts import shipped_texts
from training import metrics, plots
from training.assembly import FOR_CHALLENGE, Assembly, numbers_of
from training.best_sellers import BestSellers
from training.challenge_weeks import ChallengeRows, concatenated, mondays, replay_week
from training.comparison import Contest, iso_days, loss_rows
from training.completion import fit_completion, predict_completion
from training.history import History
from training.judge import Calibration, Judgement, calibration_of
from training.judging import Judged
from training.recipe import Recipe

FloatArray = npt.NDArray[np.float64]

MODEL = "challenge"
PRODUCT = "product of the three"
COMPLETION, HABIT, STRETCH = "completion in the week", "habit items in the week", "stretch item in the week"
COMPLETION_RATIO = (0.8, 1.25)
BINS = 10


@dataclass(frozen=True)
class ChallengeJudgement:
    """How challenges went, the shipped coefficients of the joint chance, and the pictures."""

    judgement: Judgement
    completion: Mapping[str, float]
    figures: Mapping[str, Figure] = field(default_factory=dict)


def judge_challenge(
    judged: Mapping[str, Judged], history: History, recipe: Recipe, policy_text: str
) -> ChallengeJudgement:
    """Return how the engine's challenges of later weeks went; without such weeks the coefficients are the prior's."""
    weeks: dict[Moment, ChallengeRows] = {}
    for cutoff, models in _models_by_cutoff(judged).items():
        assembly = Assembly(models, in_a_language_that_ships(policy_text), FOR_CHALLENGE)
        end = min(history.known_until, cutoff.plus_days(recipe.judged_step_days, history.tables.time_zone))
        for monday in mondays(cutoff, end, history.tables.time_zone)[: recipe.n_challenge_weeks]:
            weeks[monday] = _replayed(assembly, history, cutoff, monday)
    rows = concatenated(list(weeks.values()))
    completion = fit_completion(rows.chances, rows.shops, rows.completed)
    contest = _contest(weeks)
    return ChallengeJudgement(_judgement(weeks, contest), completion, _figures(contest))


def in_a_language_that_ships(policy_text: str) -> str:
    """Return a policy whose language needs no texts of the shop's own: challenges say nothing in it."""
    if parse_policy(policy_text).actions.language in shipped_texts():
        return policy_text
    return with_values(policy_text, {"actions.language": default_policy().actions.language})


def _models_by_cutoff(judged: Mapping[str, Judged]) -> dict[Moment, dict[str, Any]]:
    """Return for every cutoff at which all models of a challenge were fitted those models by name."""
    needed = {name: judged[name].fits for name in FOR_CHALLENGE}
    shared = set.intersection(*(set(fits) for fits in needed.values()))
    chooser = {"discover": BestSellers()}  # of products within a stretch's category: what counts is the category
    return {cutoff: {name: fits[cutoff] for name, fits in needed.items()} | chooser for cutoff in sorted(shared)}


def _replayed(assembly: Assembly, history: History, cutoff: Moment, monday: Moment) -> ChallengeRows:
    known = history.until(monday)
    numbers = numbers_of(assembly.models, history.until(cutoff), fit_completion(*_NOTHING_SEEN))
    with tempfile.TemporaryDirectory() as folder:
        contents = assembly.contents(known, monday, numbers)
        bundle = open_bundle(Path(folder) / write_bundle(contents, Path(folder)), verify=False)
        return replay_week(bundle, history, monday)


_NOTHING_SEEN = (np.zeros((0, 3)), np.zeros(0), np.zeros(0, dtype=np.bool_))


def _contest(weeks: Mapping[Moment, ChallengeRows]) -> Contest:
    """Return the joint chances of every week but the first, by what was known before it, beside the plain product."""
    ordered = [weeks[monday] for monday in sorted(weeks)]
    said = [np.zeros(0)]
    for place in range(1, len(ordered)):
        before = concatenated(ordered[:place])
        coefficients = fit_completion(before.chances, before.shops, before.completed)
        said.append(predict_completion(ordered[place].chances, ordered[place].shops, coefficients))
    seen = concatenated(ordered[1:])
    return Contest(
        model=MODEL,
        task=COMPLETION,
        ours=np.concatenate(said),
        baselines={PRODUCT: seen.chances.prod(axis=1)},
        outcomes=seen.completed.astype(np.float64),
        customers=seen.customers,
    )


def _judgement(weeks: Mapping[Moment, ChallengeRows], contest: Contest) -> Judgement:
    rows = concatenated([weeks[monday] for monday in sorted(weeks)])
    if len(rows) == 0:
        return Judgement(MODEL, (), (), (), ("challenge: the history is too short to replay a week of challenges",))
    losses = loss_rows(contest, "log_loss", metrics.log_losses, is_primary=True) if contest.outcomes.any() else []
    return Judgement(
        model=MODEL,
        cutoffs=iso_days(weeks),
        rows=tuple(losses),
        calibration=_calibrations(rows, contest),
        notes=(_shares(rows),),
    )


def _calibrations(rows: ChallengeRows, contest: Contest) -> tuple[Calibration, ...]:
    habit = calibration_of(HABIT, rows.chances[:, :2].ravel(), rows.done[:, :2].ravel().astype(np.float64))
    stretch = calibration_of(STRETCH, rows.chances[:, 2], rows.done[:, 2].astype(np.float64))
    if len(contest) == 0:
        return (habit, stretch)
    joint = calibration_of(COMPLETION, contest.ours, contest.outcomes, bins=BINS)
    low, high = COMPLETION_RATIO
    return (habit, stretch, replace(joint, ratio_low=low, ratio_high=high))


def _shares(rows: ChallengeRows) -> str:
    both, stretch, every = rows.done[:, :2].all(axis=1).mean(), rows.done[:, 2].mean(), rows.completed.mean()
    return (
        f"challenge: of {len(rows):,} challenges {both:.1%} had both habits bought in the week, "
        f"{stretch:.1%} the stretch, {every:.2%} all three"
    )


def _figures(contest: Contest) -> dict[str, Figure]:
    if not contest.outcomes.any():
        return {}
    title = f"{MODEL}: {COMPLETION}"
    return {"completion.png": plots.calibration_figure(contest.ours, contest.outcomes, title=title, bins=BINS)}
