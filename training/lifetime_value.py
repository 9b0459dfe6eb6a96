"""Lifetime value: what a customer will spend in the next 84 days, net of returns, all lines counted.

Two answers to two questions. The mean is what a shop may add up over customers; the median is what one customer most
nearly spends (the smallest absolute error). Each is boosted trees upon a line through past spend, of the same aim: the
line carries what grows without end, which trees cannot, and the trees bend it. Spend counts as a rate over the time
that a customer was known, so that what was learned from a young history holds for an older one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import rankdata

from features import columns as c
from features.asof import Moment
from training import plots
from training.boosting import BoostedTrees, BoostingConfig, FitOptions, fit_trees, with_objective
from training.comparison import Contest, absolute_error, iso_days, loss_rows, squared_error
from training.examples import Examples, gather, steady_columns
from training.history import History
from training.judge import Judgement
from training.peers import linear_spend
from training.peers.linear_spend import LinearModel, LinearSpendConfig, with_rates

FloatArray = npt.NDArray[np.float64]

MIN_EXAMPLES = 500
"""With fewer examples the linear model stands alone."""

PLAIN, PLAIN_MEDIAN = "linear, by mean", "linear, by median"
TASK = "spend of everyone known, 84 days"
NO_AMOUNTS = "lifetime value: off, the source has no amounts"

WINDOWED = frozenset((c.SPEND_12W, c.SPEND_26W, c.N_BASKETS_12W, c.N_BASKETS_26W))
"""Sums over windows that a young history doesn't fill: trees read the rates instead."""


@dataclass(frozen=True)
class LifetimeValueConfig:
    """Settings of the value model, learned from everyone who had bought before a cutoff.

    `mean_trees` and `median_trees` bend the lines of the same names; their objectives are set by the model.
    """

    horizon_days: int = 84
    n_cutoffs: int = 3
    step_days: int = 28
    line: LinearSpendConfig = field(default_factory=LinearSpendConfig)
    mean_trees: BoostingConfig = field(default_factory=lambda: BoostingConfig(objective="regression"))
    median_trees: BoostingConfig = field(default_factory=lambda: BoostingConfig(objective="regression_l1"))


@dataclass(frozen=True)
class Bent:
    """A line, and trees upon it where there was enough to learn them from."""

    line: LinearModel
    trees: BoostedTrees | None = None

    def of(self, customers: pd.DataFrame) -> FloatArray:
        """Return expected spend, at least 0, ``(n_customers,)``; `customers` have rates (`with_rates`)."""
        line = self.line.predict(customers)
        return np.maximum(line if self.trees is None else line + self.trees.margin(customers), 0.0)


@dataclass(frozen=True)
class FittedLifetimeValue:
    """A fitted value model: an answer by mean and one by median; without amounts neither (NaN)."""

    config: LifetimeValueConfig
    mean: Bent | None
    median: Bent | None
    baselines: Mapping[str, LinearModel]
    feature_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:
        """Return `customer_row`, `value_mean`, `value_median` (money, at least 0) for everyone who ever bought."""
        customers = with_rates(history.features("customers", moment))
        unknown = np.full(len(customers), np.nan)
        return pd.DataFrame(
            {
                c.CUSTOMER_ROW: customers[c.CUSTOMER_ROW],
                c.VALUE_MEAN: unknown if self.mean is None else self.mean.of(customers),
                c.VALUE_MEDIAN: unknown if self.median is None else self.median.of(customers),
            }
        )

    @property
    def importance(self) -> dict[str, float]:
        """Return what the trees of the mean gained by each feature; empty without trees."""
        return {} if self.mean is None or self.mean.trees is None else self.mean.trees.importance

    def artifacts(self) -> dict[str, str]:
        """Return the files that hold the whole model."""
        parts = {"mean": self.mean, "median": self.median}
        lines = {name: None if part is None else asdict(part.line) for name, part in parts.items()}
        texts = {"line.json": json.dumps({"lines": lines, "notes": self.notes}, indent=1)}
        trees = {name: part.trees for name, part in parts.items() if part is not None}
        return texts | {f"{name}.txt": each.to_text() for name, each in trees.items() if each is not None}


class LifetimeValueModel:
    """Learns from cutoffs whose 84 days had ended."""

    name: ClassVar[str] = "lifetime_value"

    def __init__(self, config: LifetimeValueConfig) -> None:
        self.config = config

    def fit(self, history: History) -> FittedLifetimeValue:
        """Return the fitted model; with too little to learn from, the lines alone; without amounts, nothing."""
        if not history.tables.has_amounts:
            return FittedLifetimeValue(self.config, None, None, {}, (), (NO_AMOUNTS,))
        cutoffs = history.cutoff_before(
            self.config.horizon_days, self.config.n_cutoffs, step_days=self.config.step_days
        )
        examples = gather(cutoffs, lambda moment: examples_at(history, moment, self.config))
        if len(examples) == 0:
            note = (
                f"lifetime value: no {self.config.horizon_days} days to learn from yet: the spend of the last 12 weeks"
            )
            last = LinearModel(0.0, (c.SPEND_12W,), (self.config.horizon_days / 84,))
            return self._fitted(Bent(last), Bent(last), (c.SPEND_12W,), (note,))
        mean, median = (self._line(examples, aim) for aim in ("mean", "median"))
        if len(examples) < MIN_EXAMPLES:
            note = f"lifetime value: {len(examples)} examples, fewer than {MIN_EXAMPLES}: lines of past spend"
            return self._fitted(Bent(mean), Bent(median), linear_spend.COLUMNS, (note,))
        names = tuple(name for name in steady_columns(examples.features) if name not in WINDOWED)
        bent = (
            self._bent(examples, names, mean, with_objective(self.config.mean_trees, "regression")),
            self._bent(examples, names, median, with_objective(self.config.median_trees, "regression_l1")),
        )
        return self._fitted(*bent, names)

    def _line(self, examples: Examples, aim: linear_spend.Aim) -> LinearModel:
        return linear_spend.fit(examples.features, examples.labels, linear_spend.COLUMNS, aim, self.config.line)

    def _bent(self, examples: Examples, names: Sequence[str], line: LinearModel, config: BoostingConfig) -> Bent:
        options = FitOptions(offset=line.predict(examples.features))
        return Bent(line, fit_trees(examples.features[list(names)], examples.labels, config, options))

    def _fitted(
        self, mean: Bent, median: Bent, names: tuple[str, ...], notes: tuple[str, ...] = ()
    ) -> FittedLifetimeValue:
        return FittedLifetimeValue(
            self.config, mean, median, {PLAIN: mean.line, PLAIN_MEDIAN: median.line}, names, notes
        )


def examples_at(history: History, moment: Moment, config: LifetimeValueConfig) -> Examples:
    """Return all who had bought before `moment`, labelled with what they spent in the days after it."""
    customers = with_rates(history.features("customers", moment))
    bought = history.purchases_after(moment, config.horizon_days)
    spent = bought.groupby(c.CUSTOMER_ROW)[c.AMOUNT].sum()
    rows = customers[c.CUSTOMER_ROW]
    labels = rows.map(spent).fillna(0.0).to_numpy(dtype=np.float64)
    return Examples(customers, labels, rows.to_numpy(dtype=np.int64))


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

    The median answers for the absolute error, the mean for the squared one; what decides is each beside the line of
    its own aim. The other line stands there too: where hardly anybody has left yet, a line through medians knows
    nothing of leaving, and by chance either may be nearer.
    """
    known = {moment: model for moment, model in fitted.items() if model.mean is not None}
    rows = []
    if known:
        rows = loss_rows(_contest(known, history, is_mean=False), "mae", absolute_error, is_primary=False)
        rows += loss_rows(_contest(known, history, is_mean=True), "mse", squared_error, is_primary=False)
        rows = [replace(row, is_primary=row.baseline == _OWN_LINE[row.metric]) for row in rows]
    return Judgement(
        model=LifetimeValueModel.name,
        cutoffs=iso_days(fitted),
        rows=tuple(rows),
        notes=tuple(sorted({note for model in fitted.values() for note in model.notes})),
    )


_OWN_LINE = {"mae": PLAIN_MEDIAN, "mse": PLAIN}


def evidence(fitted: Mapping[Moment, FittedLifetimeValue], history: History) -> Contest:
    """Return what the means and their baselines said at each cutoff, and what was spent, pooled."""
    return _contest(fitted, history, is_mean=True)


def figures(fitted: Mapping[Moment, FittedLifetimeValue], history: History) -> dict[str, Figure]:
    """Return the pictures of the judgement, and what the latest model looks at; nothing when value is switched off."""
    known = {moment: model for moment, model in fitted.items() if model.mean is not None}
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
        answer = model.mean if is_mean else model.median
        ours = np.full(len(at), np.nan) if answer is None else answer.of(at.features)
        parts.append(Contest(LifetimeValueModel.name, TASK, ours, baselines, at.labels, at.customers))
    return Contest.pooled(parts)
