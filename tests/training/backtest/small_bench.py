"""Past bundles of a tiny shop with one model that counts its fits: for tests of what runs around tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features import columns as c
from features.asof import Moment
from serving.decisioning.policy import default_policy_text
from training.backtest.bundles import PastBundles
from training.backtest.observation import OURS, Findings, Observation
from training.backtest.task import Served, Task
from training.history import History
from training.judge import Judgement
from training.learners import Learner

CHURN = "churn"
ChanceOf = Callable[[History, Moment], pd.DataFrame]


def share_of_baskets(history: History, moment: Moment) -> pd.DataFrame:
    """Return 1 ÷ (1 + baskets) of every customer: who comes often stays."""
    found = history.features("customers", moment, [c.CUSTOMER_ROW, c.N_BASKETS])
    chance = 1.0 / (1.0 + found[c.N_BASKETS].to_numpy(dtype=np.float64))
    return pd.DataFrame({c.CUSTOMER_ROW: found[c.CUSTOMER_ROW], c.CHURN_PROBABILITY: chance})


@dataclass
class CountingModel:
    """A churn model that says what `says` says; `fits` are the cutoffs that it has learned up to."""

    learn: Callable[[History], None] = lambda _: None
    says: ChanceOf = share_of_baskets
    fits: list[Moment] = field(default_factory=list)

    def fit(self, history: History) -> FittedCount:
        """Learn."""
        self.fits.append(history.known_until)
        self.learn(history)
        return FittedCount(self.says)


@dataclass(frozen=True)
class FittedCount:
    """The model when it has learned."""

    predict: ChanceOf
    notes: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    importance: dict[str, float] = field(default_factory=dict)

    def artifacts(self) -> dict[str, str]:
        """Return nothing: it is no file."""
        return {}


@dataclass(frozen=True)
class CountConfig:
    """Settings of the model."""

    step: int = 1
    n_cutoffs: int = 1


def learner_of(model: CountingModel, config: CountConfig = CountConfig()) -> Learner:  # frozen
    """Return the model as a learner."""
    return Learner(CHURN, config, model.fit, _no_judgement, lambda _fits, _history: {})


def _no_judgement(_fits: Any, _history: History) -> Judgement:
    return Judgement(CHURN, (), ())


def bundles_of(history: History, folder: Path, model: CountingModel, **more: Any) -> PastBundles:
    """Return the past bundles of a history, with this model alone."""
    config = more.pop("config", CountConfig())
    fields: dict[str, Any] = {"policy_text": default_policy_text(), "say": lambda _: None} | more
    return PastBundles(history=history, learners={CHURN: learner_of(model, config)}, folder=folder, **fields)


@dataclass
class CountingTask:
    """A task that counts at which cutoffs it looked, and shows who churned beside what was said."""

    seen: list[Moment] = field(default_factory=list)
    fails_at: Moment | None = None
    days: int = 28

    def observe(self, served: Served) -> Findings:
        """Return the squared error of the churn chances."""
        if served.moment == self.fails_at:
            raise KeyboardInterrupt
        self.seen.append(served.moment)
        said = served.scores()
        later = set(served.history.purchases_after(served.moment, self.days)[c.CUSTOMER_ROW])
        left = np.array([0.0 if each in later else 1.0 for each in said[c.CUSTOMER_ROW]])
        chance = said["churn_probability"].to_numpy(dtype=np.float64)
        values = {OURS: (chance - left) ** 2, "always 0.5": np.full(len(left), 0.25)}
        customers = said[c.CUSTOMER_ROW].to_numpy(dtype=np.int64)
        return Findings([Observation("who leaves", "Brier", values, customers, higher_is_better=False)])

    def task(self, name: str = "leaving", **more: Any) -> Task:
        """Return the task."""
        fields: dict[str, Any] = {"window_days": self.days, "n_cutoffs": 2, "needs": (CHURN,)}
        return Task(name, "Scores", observe=self.observe, **(fields | more))
