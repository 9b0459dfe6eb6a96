"""Churn: the chance that a customer buys nothing at all in the next 28 days.

A blend of a rich additive logistic model and boosted trees, by customers' features and by what their own gaps between
trips say of the present one (`trip_gaps`). Any line counts as a purchase here, whether merchandise or
not. Learned from customers who had shopped within 56 days of a cutoff and judged on such; everyone else who ever bought
gets a number from the same model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from features import columns as c
from features.asof import Moment
from training import metrics
from training.blend import Blend, BlendConfig, fit_blend
from training.comparison import (
    Contest,
    auc_rows,
    contest_calibration,
    iso_days,
    loss_rows,
    probability_figures,
    squared_error,
)
from training.examples import Examples, gather, steady_columns
from training.history import History
from training.judge import Judgement
from training.logistic import LogisticConfig, LogisticModel, fit_logistic
from training.trip_gaps import TripDays, trip_days, with_gaps

MIN_EVENTS = 50
"""With fewer churners or stayers than this the recency-frequency model stands alone."""

RECENCY_FREQUENCY = (c.RECENCY_DAYS, c.N_BASKETS, c.N_BASKETS_12W, c.TENURE_DAYS)
PLAIN = "recency-frequency logistic"
BASELINE = LogisticConfig(n_knots=0, inverse_penalty=1.0)
TASK = "active customers, 28 days"
CALIBRATION_BINS = 15


@dataclass(frozen=True)
class ChurnConfig:
    """Settings of the churn model."""

    horizon_days: int = 28
    active_days: int = 56
    n_cutoffs: int = 12
    blend: BlendConfig = field(default_factory=BlendConfig)


@dataclass(frozen=True)
class FittedChurn:
    """A fitted churn model, with the baselines that learned from the same examples."""

    config: ChurnConfig
    blend: Blend
    baselines: Mapping[str, LogisticModel]
    feature_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:
        """Return `customer_row`, `churn_probability` for every customer who bought before `moment`."""
        customers = history.features("customers", moment)
        chances = self.blend.predict(with_gaps(customers, trip_days(history.until(moment)), moment))
        return pd.DataFrame({c.CUSTOMER_ROW: customers[c.CUSTOMER_ROW], c.CHURN_PROBABILITY: chances})

    @property
    def importance(self) -> dict[str, float]:
        """Return what it looks at, and how much."""
        return self.blend.importance

    def artifacts(self) -> dict[str, str]:
        """Return the files that hold the whole model."""
        return self.blend.artifacts(self.notes)


class ChurnModel:
    """Learns churn from the latest cutoffs whose 28 days had ended."""

    name: ClassVar[str] = "churn"

    def __init__(self, config: ChurnConfig) -> None:
        self.config = config

    def fit(self, history: History) -> FittedChurn:
        """Return the fitted model; with too little to learn from, a simpler one that says so in its notes."""
        cutoffs = history.cutoff_before(self.config.horizon_days, self.config.n_cutoffs)
        examples = gather(cutoffs, lambda moment: examples_at(history, moment, self.config))
        baselines = {
            PLAIN: fit_logistic(examples.features, examples.labels, RECENCY_FREQUENCY, BASELINE),
            "recency alone": fit_logistic(examples.features, examples.labels, (c.RECENCY_DAYS,), BASELINE),
        }
        rare = min(examples.n_positive, len(examples) - examples.n_positive)
        if rare < MIN_EVENTS:
            note = f"churn: {rare} of the rarer outcome in {len(examples)} examples, fewer than {MIN_EVENTS}: {PLAIN}"
            return FittedChurn(self.config, Blend(baselines[PLAIN]), baselines, RECENCY_FREQUENCY, (note,))
        trips = trip_days(history)
        examples = gather(cutoffs, lambda moment: _with_gaps(examples_at(history, moment, self.config), trips, moment))
        names = steady_columns(examples.features)
        return FittedChurn(self.config, fit_blend(examples, names, self.config.blend), baselines, names)


def _with_gaps(examples: Examples, trips: TripDays, moment: Moment) -> Examples:
    return replace(examples, features=with_gaps(examples.features, trips, moment))


def examples_at(history: History, moment: Moment, config: ChurnConfig) -> Examples:
    """Return the customers active at `moment`, labelled 1 where they bought nothing in the days after it."""
    customers = history.features("customers", moment)
    customers = customers[customers[c.RECENCY_DAYS] <= config.active_days].reset_index(drop=True)
    bought = history.purchases_after(moment, config.horizon_days)[c.CUSTOMER_ROW].unique()
    gone = ~customers[c.CUSTOMER_ROW].isin(bought).to_numpy()
    return Examples(customers, gone.astype(np.float64), customers[c.CUSTOMER_ROW].to_numpy(dtype=np.int64))


def evidence(fitted: Mapping[Moment, FittedChurn], history: History) -> Contest:
    """Return what each fitted model and its baselines said at its own cutoff, and what happened, pooled."""
    parts = []
    for moment, model in fitted.items():
        at = examples_at(history, moment, model.config)
        baselines = {name: each.predict(at.features) for name, each in model.baselines.items()}
        ours = model.blend.predict(with_gaps(at.features, trip_days(history.until(moment)), moment))
        parts.append(Contest(ChurnModel.name, TASK, ours, baselines, at.labels, at.customers))
    return Contest.pooled(parts)


def judge(fitted: Mapping[Moment, FittedChurn], history: History) -> Judgement:
    """Return the judgement of models by the cutoff that each had learned up to."""
    contest = evidence(fitted, history)
    rows = auc_rows(contest, is_primary=True)
    rows += loss_rows(contest, "brier", squared_error, is_primary=False)
    rows += loss_rows(contest, "log_loss", metrics.log_losses, is_primary=False)
    return Judgement(
        model=ChurnModel.name,
        cutoffs=iso_days(fitted),
        rows=tuple(rows),
        calibration=(contest_calibration(contest, bins=CALIBRATION_BINS),),
        notes=tuple(sorted({note for model in fitted.values() for note in model.notes})),
    )


def figures(fitted: Mapping[Moment, FittedChurn], history: History) -> dict[str, Figure]:
    """Return the pictures of the judgement, and what the latest model looks at."""
    return probability_figures(evidence(fitted, history), fitted[max(fitted)].importance)
