"""The rules of the backtest: each mistake is made on purpose, is seen to flatter, and is stopped where models learn.

A model that knows each customer's neighbouring weeks stands for all of them: rows that are parted at random put such
weeks on both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features import columns as c
from features.asof import Moment
from tests.training.backtest.small_bench import CountingModel, CountingTask, bundles_of
from training.backtest.run import Runner, plan_of
from training.backtest.statistics import Measured
from training.errors import EmbargoError
from training.history import History

DAYS = 7
Weeks = Callable[[History, Moment], list[Moment]]


def left_in(history: History, moment: Moment, customers: np.ndarray) -> np.ndarray:
    """Return whether each customer bought nothing in the week from `moment`."""
    later = history.purchases_after(moment, DAYS)[c.CUSTOMER_ROW]
    return ~np.isin(customers, later.to_numpy())


def rate_in(weeks: Weeks, labels: History | None = None) -> CountingModel:
    """Return a model that says how often each customer stayed away in these weeks, by the labels of a history."""

    def says(history: History, moment: Moment) -> pd.DataFrame:
        customers = history.features("customers", moment, [c.CUSTOMER_ROW])[c.CUSTOMER_ROW].to_numpy()
        source = labels or history
        seen = [left_in(source, each, customers) for each in weeks(history, moment)]
        return pd.DataFrame({c.CUSTOMER_ROW: customers, c.CHURN_PROBABILITY: np.mean(seen, axis=0)})

    return CountingModel(says=says)


def days_away(*days: int) -> Weeks:
    return lambda history, moment: [moment.plus_days(each, history.tables.time_zone) for each in days]


BEFORE = days_away(-14, -11, -7)
"""Weeks that had ended by the cutoff."""
AT_RANDOM = days_away(-14, -7, -1, 1)
"""Rows of other days on both sides of the tested one: their labels are mostly the tested label."""
AFTER = days_away(0)
"""The tested label itself."""


def brier_of(model: CountingModel, history: History, folder: Path) -> Measured:
    task = CountingTask(days=DAYS)
    found = Runner(bundles_of(history, folder / "bundles", model), folder / "findings").run(
        plan_of([task.task(window_days=28)], history, is_quick=False)
    )
    return found.results[0].measured[0]


@pytest.fixture(scope="module")
def honest(tiny_history: History, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    return brier_of(rate_in(BEFORE), tiny_history, tmp_path_factory.mktemp("honest"))


@pytest.mark.parametrize("weeks", [AT_RANDOM, AFTER], ids=["rows at random", "labels after the cutoff"])
def test_a_mistake_flatters_and_is_stopped(
    weeks: Weeks, honest: Measured, tiny_history: History, tmp_path: Path
) -> None:
    flattered = brier_of(rate_in(weeks, labels=tiny_history), tiny_history, tmp_path / "broken")
    assert flattered.ours.value < 0.8 * honest.ours.value, "the mistake is worth a fifth of the error"
    with pytest.raises(EmbargoError):
        brier_of(rate_in(weeks), tiny_history, tmp_path / "kept")


def test_a_planted_feature_of_the_future_flatters_and_is_stopped(
    honest: Measured, tiny_history: History, tmp_path: Path
) -> None:
    """As-of: baskets counted a week later than the cutoff tell who came in that week."""

    def planted(source: History | None) -> CountingModel:
        def says(history: History, moment: Moment) -> pd.DataFrame:
            later = moment.plus_days(DAYS, history.tables.time_zone)
            now = history.features("customers", moment, [c.CUSTOMER_ROW, c.N_BASKETS])
            then = (source or history).features("customers", later, [c.CUSTOMER_ROW, c.N_BASKETS])
            both = now.merge(then, on=c.CUSTOMER_ROW, suffixes=("", "_then"))
            came = both[f"{c.N_BASKETS}_then"] > both[c.N_BASKETS]
            return pd.DataFrame({c.CUSTOMER_ROW: both[c.CUSTOMER_ROW], c.CHURN_PROBABILITY: np.where(came, 0.0, 1.0)})

        return CountingModel(says=says)

    flattered = brier_of(planted(tiny_history), tiny_history, tmp_path / "broken")
    assert flattered.ours.value < 0.2 * honest.ours.value
    with pytest.raises(EmbargoError):
        brier_of(planted(None), tiny_history, tmp_path / "kept")
