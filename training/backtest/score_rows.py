"""What the tasks about scores share: whom they judge, what the batch said of them, and how chances become metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from training import metrics
from training.backtest.observation import OURS, Observation, Statistic
from training.backtest.task import Served
from training.comparison import squared_error
from training.examples import Examples

FloatArray = npt.NDArray[np.float64]

BINS = 15


def asked_only(examples: Examples, served: Served) -> Examples:
    """Return the rows of customers who were asked: all, or those of the sample."""
    return examples.only(np.isin(examples.customers, served.scores()[c.CUSTOMER_ROW].to_numpy()))


def said(served: Served, column: str, customers: npt.NDArray[np.int64]) -> FloatArray:
    """Return a number of `tercet batch scores` for each customer, ``(n,)``; NaN where it told none."""
    told = served.scores().set_index(c.CUSTOMER_ROW)[column]
    return pd.to_numeric(told, errors="coerce").reindex(customers).to_numpy(dtype=np.float64, na_value=np.nan)


def chance_observations(
    task: str,
    chances: Mapping[str, FloatArray],
    rows: Examples,
    *,
    statistics: Sequence[tuple[str, Statistic]] = (("ROC AUC", "auc"),),
    losses: Sequence[str] = ("Brier",),
) -> list[Observation]:
    """Return how well chances tell who (`statistics`), how much they miss (`losses`), and whether they can be believed.

    Rows that tercet told nothing of are left out, for every ranker.
    """
    told = np.isfinite(chances[OURS])
    kept = {name: np.asarray(each, dtype=np.float64)[told] for name, each in chances.items()}
    outcomes, customers = rows.labels[told], rows.customers[told]
    made: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
        "Brier": squared_error,
        "log-loss": metrics.log_losses,
    }
    whole = [*statistics, ("ECE", "ece"), ("expected ÷ observed", "expected_over_observed")]
    ranked = [
        Observation(
            *(task, metric, kept, customers, statistic),
            higher_is_better=statistic != "ece",
            outcomes=outcomes,
            bins=BINS,
        )
        for metric, statistic in whole
    ]
    missed = [
        Observation(
            *(task, metric, {name: made[metric](each, outcomes) for name, each in kept.items()}, customers),
            higher_is_better=False,
        )
        for metric in losses
    ]
    return [*ranked, *missed]
