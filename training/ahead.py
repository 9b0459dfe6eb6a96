"""What training is about to read: the store builds it while models learn (`FeatureStore.ahead`).

A group that is missing here is built when it is asked for, and one too many is built in vain: nothing else depends on
this list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from features.asof import Moment
from features.build import GROUPS
from training.challenge_weeks import mondays
from training.history import WEEK_DAYS, History
from training.learners import FOUR_WEEKS_DAYS, HABIT_PRODUCT, HABIT_TYPE, Learner
from training.recipe import Recipe

Read = tuple[str, Moment]


@dataclass(frozen=True)
class _Reads:
    """The groups that a model reads at its training cutoffs, whose label windows are `label_days` long."""

    label_days: int
    groups: tuple[str, ...]


_LEARNED: Final[Mapping[str, _Reads]] = MappingProxyType(
    {
        HABIT_TYPE: _Reads(WEEK_DAYS, ("customers", "customer_hours", "customer_types", "types")),
        HABIT_PRODUCT: _Reads(WEEK_DAYS, ("customer_products", "products")),
        "stretch": _Reads(FOUR_WEEKS_DAYS, ("customers", "categories", "customer_categories")),
        "discover": _Reads(
            FOUR_WEEKS_DAYS,
            ("products", "customer_products", "store_products", "customer_types", "customer_categories"),
        ),
        "churn": _Reads(FOUR_WEEKS_DAYS, ("customers",)),
        "propensity": _Reads(FOUR_WEEKS_DAYS, ("customers", "categories", "customer_categories")),
    }
)
_BUNDLED: Final = tuple(group for group in GROUPS if group != "product_pairs" and not group.endswith("household_pairs"))
_REPLAYED: Final = tuple(group for group in _BUNDLED if group != "customer_offers")


def reads_of_judging(learners: Sequence[Learner], history: History, recipe: Recipe) -> Iterator[Read]:
    """Yield the groups and moments that judging the models reads, about in its order."""
    for learner in learners:
        if learner.name in _LEARNED:
            for cutoff in _cutoffs(learner, history, recipe):
                yield from _reads_of_fit(learner, history.until(cutoff))
                yield from ((group, cutoff) for group in _LEARNED[learner.name].groups)


def reads_of_challenges(learner: Learner, history: History, recipe: Recipe) -> Iterator[Read]:
    """Yield the groups and moments that judging the challenges reads, on the cutoffs of `learner`."""
    for cutoff in _cutoffs(learner, history, recipe):
        end = min(history.known_until, cutoff.plus_days(recipe.judged_step_days, history.tables.time_zone))
        for monday in mondays(cutoff, end, history.tables.time_zone)[: recipe.n_challenge_weeks]:
            yield from ((group, monday) for group in _REPLAYED)


def reads_of_bundle(learners: Sequence[Learner], history: History, recipe: Recipe) -> Iterator[Read]:
    """Yield what the models read that are fitted for the bundle, and what the bundle itself does."""
    if recipe.refits:
        for learner in learners:
            if learner.name in _LEARNED:
                yield from _reads_of_fit(learner, history)
    yield from ((group, history.known_until) for group in _BUNDLED)


def _cutoffs(learner: Learner, history: History, recipe: Recipe) -> list[Moment]:
    return history.cutoff_before(learner.judged_days, recipe.n_judged, step_days=recipe.judged_step_days)


def _reads_of_fit(learner: Learner, history: History) -> Iterator[Read]:
    reads = _LEARNED[learner.name]
    step_days = getattr(learner.config, "step_days", WEEK_DAYS)
    for moment in history.cutoff_before(reads.label_days, learner.config.n_cutoffs, step_days=step_days):
        yield from ((group, moment) for group in reads.groups)
