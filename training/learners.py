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
    habit_judging,
    lifetime_value,
    next_purchase,
    next_purchase_judging,
    propensity,
    segments,
    stretch,
    substitutes,
    substitutes_judging,
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


@dataclass(frozen=True)
class _Source:
    """Where a model comes from: a module with `<prefix>Config` and `…Model`, and one with `judge` and `figures`."""

    module: ModuleType
    prefix: str
    judging: ModuleType
    judged_days: int = FOUR_WEEKS_DAYS
    name: str = ""

    def learner(self, *, is_quick: bool) -> Learner:
        """Return the model with its shipped config."""
        model = getattr(self.module, f"{self.prefix}Model")
        name = self.name or model.name
        config = load_config(getattr(self.module, f"{self.prefix}Config"), name, is_quick=is_quick)
        return Learner(name, config, model(config).fit, self.judging.judge, self.judging.figures, self.judged_days)


_SOURCES = (
    _Source(habit, "Habit", habit_judging, name=HABIT_TYPE),
    _Source(habit, "Habit", habit_judging, name=HABIT_PRODUCT),
    _Source(next_purchase, "NextPurchase", next_purchase_judging),
    _Source(also_bought, "AlsoBought", also_bought),
    _Source(substitutes, "Substitutes", substitutes_judging),
    _Source(stretch, "Stretch", stretch),
    _Source(discover, "Discover", discover),
    _Source(churn, "Churn", churn),
    _Source(propensity, "Propensity", propensity),
    _Source(lifetime_value, "LifetimeValue", lifetime_value, judged_days=84),
    _Source(coupon_response, "CouponResponse", coupon_response, judged_days=84),
    _Source(segments, "Segments", segments),
    _Source(best_hour, "BestHour", best_hour),
)


def learners(*, is_quick: bool) -> tuple[Learner, ...]:
    """Return every model with its shipped config, in the order in which they are fitted."""
    return tuple(source.learner(is_quick=is_quick) for source in _SOURCES)
