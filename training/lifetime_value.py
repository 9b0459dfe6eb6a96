"""Lifetime value: what a customer will spend in the next 84 days, net of returns, all lines counted.

Two answers to two questions. The mean is what a shop may add up over customers; the median is what one customer most
nearly spends (the smallest absolute error). Both are boosted trees upon a linear model of past spend: the line carries
what grows without end, which trees cannot, and the trees bend it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import rankdata
from sklearn.linear_model import LinearRegression

from features import columns as c
from features.asof import Moment
from training import plots
from training.boosting import BoostedTrees, BoostingConfig, FitOptions, fit_trees, with_objective
from training.comparison import Contest, absolute_error, iso_days, loss_rows, squared_error
from training.examples import Examples, gather, steady_columns
from training.history import History
from training.judge import Judgement

FloatArray = npt.NDArray[np.float64]

MIN_EXAMPLES = 500
"""With fewer examples the linear model stands alone."""

PAST_SPEND = (c.SPEND_4W, c.SPEND_12W, c.SPEND_26W)
LINE = (*PAST_SPEND, c.SPEND_PER_BASKET, c.N_BASKETS_4W, c.N_BASKETS_12W, c.N_BASKETS_26W, c.RECENCY_DAYS)
PLAIN = "linear on past spend"
TASK = "spend of active customers, 84 days"
NO_AMOUNTS = "lifetime value: off, the source has no amounts"


@dataclass(frozen=True)
class LifetimeValueConfig:
    """Settings of the value model; learned from customers who had shopped within `active_days` of a cutoff."""

    horizon_days: int = 84
    active_days: int = 84
    n_cutoffs: int = 3
    step_days: int = 28
    trees: BoostingConfig = field(default_factory=lambda: BoostingConfig(objective="regression"))


@dataclass(frozen=True)
class LinearModel:
    """``intercept + Σ weight × column``, a missing value counting as 0."""

    intercept: float
    columns: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()

    def predict(self, frame: pd.DataFrame) -> FloatArray:
        """Return predictions, shape ``(n_rows,)``."""
        total = np.full(len(frame), self.intercept)
        for column, weight in zip(self.columns, self.weights, strict=True):
            total += weight * _filled(frame, [column])[:, 0]
        return total


@dataclass(frozen=True)
class FittedLifetimeValue:
    """A fitted value model; without trees both answers are the line, without a line there is no answer (NaN)."""

    config: LifetimeValueConfig
    line: LinearModel | None
    mean_trees: BoostedTrees | None
    median_trees: BoostedTrees | None
    baselines: Mapping[str, LinearModel]
    feature_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:
        """Return `customer_row`, `value_mean`, `value_median` (money, at least 0) for everyone who ever bought."""
        customers = history.features("customers", moment)
        return pd.DataFrame(
            {
                c.CUSTOMER_ROW: customers[c.CUSTOMER_ROW],
                c.VALUE_MEAN: self.score(customers, self.mean_trees),
                c.VALUE_MEDIAN: self.score(customers, self.median_trees),
            }
        )

    def score(self, customers: pd.DataFrame, trees: BoostedTrees | None) -> FloatArray:
        """Return expected spend by the line and the given trees upon it; NaN when there is no line."""
        if self.line is None:
            return np.full(len(customers), np.nan)
        line = self.line.predict(customers)
        return np.maximum(line if trees is None else line + trees.margin(customers), 0.0)

    @property
    def importance(self) -> dict[str, float]:
        """Return what the trees of the mean gained by each feature; empty without trees."""
        return {} if self.mean_trees is None else self.mean_trees.importance

    def artifacts(self) -> dict[str, str]:
        """Return the files that hold the whole model."""
        line = None if self.line is None else asdict(self.line)
        texts = {"line.json": json.dumps({"line": line, "notes": self.notes}, indent=1)}
        trees = {"mean.txt": self.mean_trees, "median.txt": self.median_trees}
        return texts | {name: each.to_text() for name, each in trees.items() if each is not None}


class LifetimeValueModel:
    """Learns from cutoffs whose 84 days had ended."""

    name: ClassVar[str] = "lifetime_value"

    def __init__(self, config: LifetimeValueConfig) -> None:
        self.config = config

    def fit(self, history: History) -> FittedLifetimeValue:
        """Return the fitted model; with too little to learn from, the line alone; without amounts, nothing."""
        if not history.tables.has_amounts:
            return FittedLifetimeValue(self.config, None, None, None, {}, (), (NO_AMOUNTS,))
        cutoffs = history.cutoff_before(
            self.config.horizon_days, self.config.n_cutoffs, step_days=self.config.step_days
        )
        examples = gather(cutoffs, lambda moment: examples_at(history, moment, self.config))
        if len(examples) == 0:
            note = (
                f"lifetime value: no {self.config.horizon_days} days to learn from yet: the spend of the last 12 weeks"
            )
            last = LinearModel(0.0, (c.SPEND_12W,), (self.config.horizon_days / 84,))
            return FittedLifetimeValue(self.config, last, None, None, {PLAIN: last}, (c.SPEND_12W,), (note,))
        line = fit_line(examples, LINE)
        baselines = {PLAIN: fit_line(examples, PAST_SPEND)}
        if len(examples) < MIN_EXAMPLES:
            note = f"lifetime value: {len(examples)} examples, fewer than {MIN_EXAMPLES}: the {PLAIN} model"
            return FittedLifetimeValue(self.config, baselines[PLAIN], None, None, baselines, PAST_SPEND, (note,))
        return self._boosted(examples, line, baselines)

    def _boosted(
        self, examples: Examples, line: LinearModel, baselines: Mapping[str, LinearModel]
    ) -> FittedLifetimeValue:
        """Return the model with trees upon the line, for the mean and for the median."""
        names = steady_columns(examples.features)
        features = examples.features[list(names)]
        options = FitOptions(offset=line.predict(examples.features))
        median = with_objective(self.config.trees, "regression_l1")
        return FittedLifetimeValue(
            config=self.config,
            line=line,
            mean_trees=fit_trees(features, examples.labels, with_objective(self.config.trees, "regression"), options),
            median_trees=fit_trees(features, examples.labels, median, options),
            baselines=baselines,
            feature_names=names,
        )


def examples_at(history: History, moment: Moment, config: LifetimeValueConfig) -> Examples:
    """Return the customers active at `moment`, labelled with what they spent in the days after it."""
    customers = history.features("customers", moment)
    customers = customers[customers[c.RECENCY_DAYS] <= config.active_days].reset_index(drop=True)
    bought = history.purchases_after(moment, config.horizon_days)
    spent = bought.groupby(c.CUSTOMER_ROW)[c.AMOUNT].sum()
    rows = customers[c.CUSTOMER_ROW]
    labels = rows.map(spent).fillna(0.0).to_numpy(dtype=np.float64)
    return Examples(customers, labels, rows.to_numpy(dtype=np.int64))


def fit_line(examples: Examples, columns: Sequence[str]) -> LinearModel:
    """Return the least-squares line of the labels by the named columns."""
    fitted = LinearRegression().fit(_filled(examples.features, columns), examples.labels)
    return LinearModel(float(fitted.intercept_), tuple(columns), tuple(float(w) for w in fitted.coef_))


def customer_scores(values: pd.DataFrame, churn: pd.DataFrame, customers: pd.DataFrame) -> pd.DataFrame:
    """Return `customer_row`, `customer_score`: 0 to 100, the percentile of expected value × chance to stay.

    Expected value is `value_mean`; where that is unknown throughout (a source without amounts), the trips of the last
    26 weeks. The percentile is the share of the customers who lie lower, plus half of those who tie (oneself included).

    Parameters
    ----------
    values, churn, customers
        The two models' predictions and the `customers` features, all of one moment; customers decide the rows.
    """
    joined = customers[[c.CUSTOMER_ROW, c.N_BASKETS_26W]].merge(values, on=c.CUSTOMER_ROW, how="left")
    joined = joined.merge(churn, on=c.CUSTOMER_ROW, how="left")
    worth = joined[c.VALUE_MEAN] if joined[c.VALUE_MEAN].notna().any() else joined[c.N_BASKETS_26W].astype("float64")
    staying = worth.fillna(0.0) * (1.0 - joined[c.CHURN_PROBABILITY].fillna(1.0))
    percentile = 100.0 * (rankdata(staying.to_numpy()) - 0.5) / max(len(joined), 1)
    return pd.DataFrame({c.CUSTOMER_ROW: joined[c.CUSTOMER_ROW], c.CUSTOMER_SCORE: percentile})


def judge(fitted: Mapping[Moment, FittedLifetimeValue], history: History) -> Judgement:
    """Return the judgement of models by the cutoff that each had learned up to: absolute and squared error.

    The median answers for the absolute error, the mean for the squared one.
    """
    known = {moment: model for moment, model in fitted.items() if model.line is not None}
    rows = []
    if known:
        rows = loss_rows(_contest(known, history, is_mean=False), "mae", absolute_error, is_primary=True)
        rows += loss_rows(_contest(known, history, is_mean=True), "mse", squared_error, is_primary=True)
    return Judgement(
        model=LifetimeValueModel.name,
        cutoffs=iso_days(fitted),
        rows=tuple(rows),
        notes=tuple(sorted({note for model in fitted.values() for note in model.notes})),
    )


def evidence(fitted: Mapping[Moment, FittedLifetimeValue], history: History) -> Contest:
    """Return what the means and their baselines said at each cutoff, and what was spent, pooled."""
    return _contest(fitted, history, is_mean=True)


def figures(fitted: Mapping[Moment, FittedLifetimeValue], history: History) -> dict[str, Figure]:
    """Return the pictures of the judgement, and what the latest model looks at; nothing when value is switched off."""
    known = {moment: model for moment, model in fitted.items() if model.line is not None}
    if not known:
        return {}
    contest = evidence(known, history)
    scores = {LifetimeValueModel.name: contest.ours, **contest.baselines}
    importance = known[max(known)].importance
    return {
        "importance.png": plots.importance_figure(importance, title="Lifetime value: what it looks at"),
        "lift.png": plots.lift_figure(contest.ours, contest.outcomes, title=f"Lifetime value: {TASK}"),
        "gains.png": plots.gains_figure(scores, contest.outcomes, title=f"Lifetime value: {TASK}"),
    }


def _contest(fitted: Mapping[Moment, FittedLifetimeValue], history: History, *, is_mean: bool) -> Contest:
    parts = []
    for moment, model in fitted.items():
        at = examples_at(history, moment, model.config)
        baselines = {name: np.maximum(each.predict(at.features), 0.0) for name, each in model.baselines.items()}
        ours = model.score(at.features, model.mean_trees if is_mean else model.median_trees)
        parts.append(Contest(LifetimeValueModel.name, TASK, ours, baselines, at.labels, at.customers))
    return Contest.pooled(parts)


def _filled(frame: pd.DataFrame, columns: Sequence[str]) -> FloatArray:
    """Return columns as an array ``(n_rows, n_columns)`` with 0 for what is missing."""
    return np.asarray(np.nan_to_num(frame[list(columns)].to_numpy(dtype=np.float64, na_value=np.nan)))
