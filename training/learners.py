"""Every model of a bundle, in the one form that the pipeline knows: fit, judge, draw.

A model is judged at cutoffs whose label windows of `judged_days` had ended; models that share that length share their
cutoffs, so that what they say together (a challenge) can be judged as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any, Protocol

import pandas as pd
from matplotlib.figure import Figure

from features.asof import Moment
from training import (
    also_bought,
    best_hour,
    churn,
    coupon_response,
    discover,
    habit,
    lifetime_value,
    next_purchase,
    propensity,
    segments,
    stretch,
    substitutes,
)
from training.config import load_config
from training.history import History
from training.judge import Judgement

FOUR_WEEKS_DAYS = 28
HABIT_TYPE, HABIT_PRODUCT = "habit_type", "habit_product"


class Fitted(Protocol):
    """A fitted model."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what there is to know of this fit, such as what stands in for it."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Return what it reads."""

    @property
    def importance(self) -> Mapping[str, float]:
        """Return what it looks at, and how much."""

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:
        """Return its predictions as of a moment (docs/architecture.md, part 4)."""

    def artifacts(self) -> Mapping[str, str]:
        """Return the texts that hold it, by file name."""


Fits = Mapping[Moment, Any]  # Any: each judge knows its own fitted class


@dataclass(frozen=True)
class Learner:
    """One model: its name in MLflow and configs, its config, and what can be done with it."""

    name: str
    config: Any  # Any: a frozen config of the model's own class
    fit: Callable[[History], Fitted]
    judge: Callable[[Fits, History], Judgement]
    figures: Callable[[Fits, History], Mapping[str, Figure]]
    judged_days: int = FOUR_WEEKS_DAYS

    @property
    def parameters(self) -> dict[str, Any]:  # Any: config values of several types
        """Return the config as a nested table."""
        return asdict(self.config)


_SINGLE: tuple[tuple[ModuleType, str, int], ...] = (
    (next_purchase, "NextPurchase", FOUR_WEEKS_DAYS),
    (also_bought, "AlsoBought", FOUR_WEEKS_DAYS),
    (substitutes, "Substitutes", FOUR_WEEKS_DAYS),
    (stretch, "Stretch", FOUR_WEEKS_DAYS),
    (discover, "Discover", FOUR_WEEKS_DAYS),
    (churn, "Churn", FOUR_WEEKS_DAYS),
    (propensity, "Propensity", FOUR_WEEKS_DAYS),
    (lifetime_value, "LifetimeValue", 84),
    (coupon_response, "CouponResponse", FOUR_WEEKS_DAYS),
    (segments, "Segments", FOUR_WEEKS_DAYS),
    (best_hour, "BestHour", FOUR_WEEKS_DAYS),
)


def learners(*, is_quick: bool) -> tuple[Learner, ...]:
    """Return every model with its shipped config, in the order in which they are fitted."""
    habits = tuple(_learner(habit, "Habit", name, FOUR_WEEKS_DAYS, is_quick) for name in (HABIT_TYPE, HABIT_PRODUCT))
    rest = tuple(_learner(module, prefix, "", days, is_quick) for module, prefix, days in _SINGLE)
    return habits + rest


def _learner(module: ModuleType, prefix: str, name: str, judged_days: int, is_quick: bool) -> Learner:
    """Return the learner of a module that has `<prefix>Config`, `<prefix>Model`, `judge` and `figures`."""
    model = getattr(module, f"{prefix}Model")
    name = name or model.name
    config = load_config(getattr(module, f"{prefix}Config"), name, is_quick=is_quick)
    return Learner(name, config, model(config).fit, module.judge, module.figures, judged_days)
