"""What the peers of the scores learn from: whom they judge, at the latest cutoffs that had ended."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features import columns as c
from training.backtest.score_peers import (
    Worth,
    churn_learned,
    churn_rows,
    logistic,
    spend_learned,
    trip_rows,
    trips_learned,
    weibull,
)
from training.history import History
from training.peers.recency_frequency import CUSTOMERS, RecencyFrequencyConfig
from training.peers.weibull_aft import WeibullConfig


def test_churn_is_learned_at_the_eight_latest_cutoffs_whose_days_had_ended(shop_history: History) -> None:
    cutoffs = shop_history.cutoff_before(28, 8)
    rows = [churn_rows(shop_history, moment, 28) for moment in cutoffs]
    learned = churn_learned(shop_history, 28)
    assert learned.customers.tolist() == np.concatenate([each.customers for each in rows]).tolist()
    assert learned.labels.tolist() == np.concatenate([each.labels for each in rows]).tolist()


def test_a_next_trip_is_learned_from_the_active_at_as_many_cutoffs_as_asked(shop_history: History) -> None:
    cutoffs = shop_history.cutoff_before(28, 2)
    learned = trips_learned(shop_history, 28, 2)
    assert len(learned) == sum(len(trip_rows(shop_history, moment, 28)) for moment in cutoffs)
    assert (learned.features[c.RECENCY_DAYS] <= 56).all()
    assert 0 <= learned.labels.min() <= learned.labels.max() == 28.0


def test_before_anything_could_be_learned_everyone_is_told_the_same(shop_history: History) -> None:
    tables, until = shop_history.tables, shop_history.known_until
    early = shop_history.until(until.plus_days(tables.first_day + 20 - until.day, tables.time_zone))
    rows = trip_rows(shop_history, shop_history.cutoff_before(28, 1)[0], 28)
    nothing = churn_learned(early, 28)
    assert len(nothing) == len(spend_learned(early)) == 0
    assert len(np.unique(logistic(nothing, CUSTOMERS, RecencyFrequencyConfig()).predict(rows.features))) == 1
    told = weibull(trips_learned(early, 28, 8), 28, WeibullConfig()).median(rows.features)
    assert told == pytest.approx(np.full(len(rows), 28.0))


def test_a_trip_is_worth_what_was_spent_over_the_days_with_trips() -> None:
    worth = Worth.of(pd.DataFrame({c.SPEND: [30.0, 0.0, np.nan], c.N_DAYS: [3, 2, 1]}))
    assert worth.mean.tolist() == [10.0, 0.0, 0.0]
    assert worth.n.tolist() == [3.0, 2.0, 1.0]
