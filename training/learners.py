"""Every model of a bundle, in the one form that the pipeline knows: fit, judge, draw.

A model is judged at cutoffs whose label windows of `judged_days` had ended; models that share that length share their
cutoffs, so that what they say together (a challenge) can be judged as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
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
from training.history import History
from training.home_configs import SHIPPED, Configs, Settings
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
    settings: Settings[Any] | None = None  # Any: as config
    """Where the config comes from; None for one that was made by hand."""

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

    @property
    def model(self) -> Any:  # Any: the model's own class
        """Return the class that fits."""
        return getattr(self.module, f"{self.prefix}Model")

    @property
    def config_class(self) -> type[Any]:
        """Return the class of the config."""
        return getattr(self.module, f"{self.prefix}Config")  # type: ignore[no-any-return]  # by the modules' common form

    @property
    def learner_name(self) -> str:
        """Return its name in MLflow and configs."""
        return self.name or str(self.model.name)

    def learner(self, settings: Settings[Any]) -> Learner:
        """Return the model with these settings."""
        config = settings.config
        judging, fit = self.judging, self.model(config).fit
        return Learner(self.learner_name, config, fit, judging.judge, judging.figures, self.judged_days, settings)


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


SOURCES: Mapping[str, _Source] = {source.learner_name: source for source in _SOURCES}


def learners(*, is_quick: bool, home: Path | None = None) -> tuple[Learner, ...]:
    """Return every model with its config, in the order in which they are fitted: the home's own, else the shipped one.

    Raises
    ------
    ConfigError
        When a file under ``<home>/configs`` has mistakes, or a name that no model has.
    """
    configs = Configs(home)
    configs.check_names(SOURCES)
    return tuple(
        source.learner(configs.load(source.config_class, name, is_quick=is_quick)) for name, source in SOURCES.items()
    )


def with_config(name: str, config: Any) -> Learner:  # Any: a config of the model's own class
    """Return the model of a name with any config."""
    return SOURCES[name].learner(Settings(config))


def own_settings(chosen: Iterable[Learner]) -> str:
    """Return a line that names the models with settings of the home's own, and their studies; empty without any."""
    own = [(each.name, each.settings) for each in chosen if each.settings is not None and each.settings.is_own]
    said = [name if settings.study is None else f"{name} (study {settings.study.name})" for name, settings in own]
    return f"settings of this home instead of the shipped ones: {', '.join(said)}" if said else ""


def settings_record(chosen: Iterable[Learner]) -> dict[str, Any]:  # Any: JSON objects
    """Return by model where its settings come from, for the manifest."""
    return {each.name: {"from": SHIPPED} if each.settings is None else each.settings.record() for each in chosen}
