"""Gaps between trips: against a plain count, customer by customer; nothing of later days; customers without a gap."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import pandas as pd
import pytest

from features.asof import Moment
from training.history import History
from training.trip_gaps import TripDays, trip_days, with_gaps

DAY_US = 86_400_000_000
NOW = Moment(us=400 * DAY_US, day=400)


def trips_of(days: dict[int, list[int]]) -> TripDays:
    rows = [(who, day) for who, own in sorted(days.items()) for day in sorted(own)]
    customers, when = (np.array([row[i] for row in rows], dtype=np.int64) for i in (0, 1))
    return TripDays(customers, when, when * DAY_US)


def customers_of(days: dict[int, list[int]]) -> pd.DataFrame:
    rows = [(who, 400 - max(own), 400 - min(own)) for who, own in sorted(days.items())]
    return pd.DataFrame(rows, columns=["customer_row", "recency_days", "tenure_days"])


@pytest.mark.parametrize("seed", range(3))
def test_gaps_are_those_that_are_counted_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    days = {who: sorted(set(rng.integers(100, 400, int(rng.integers(4, 30))).tolist())) for who in range(6)}
    found = with_gaps(customers_of(days), trips_of(days), NOW).set_index("customer_row")
    for who, own in days.items():
        gaps = [b - a for a, b in itertools.pairwise(own)]
        recency = 400 - own[-1]
        longer = [gap for gap in gaps if gap > recency]
        came_back = [gap for gap in longer if gap < recency + 28]
        row = found.loc[who]
        assert row["gap_came_back_share"] == pytest.approx((len(came_back) + 1) / (len(longer) + 2))
        assert row["gap_longest_days"] == max(gaps)
        assert row["gap_late_mean_days"] == pytest.approx(statistics.mean(gaps[-5:]))
        assert row["recency_per_late_longest_gap"] == pytest.approx(recency / max(gaps[-5:]))
        assert row["gap_log_mean"] == pytest.approx(statistics.mean(math.log1p(gap) for gap in gaps))
        assert row["gaps_14d_rate"] == pytest.approx(sum(g >= 14 for g in gaps) / (max(28, 400 - own[0]) / 28))
        assert row["weeks_with_trip_8w"] == len({(399 - day) // 7 for day in own if 399 - day < 56}) or math.isnan(
            row["weeks_with_trip_8w"]
        )


def test_a_customer_of_one_trip_has_no_gap() -> None:
    found = with_gaps(customers_of({3: [390]}), trips_of({3: [390]}), NOW)
    assert found["gap_longest_days"].isna().all()
    assert found["weeks_with_trip_26w"].tolist() == [1]


def test_later_trips_change_nothing() -> None:
    days = {0: [300, 310, 340, 399], 1: [200, 390]}
    before = with_gaps(customers_of(days), trips_of(days), NOW)
    after = with_gaps(customers_of(days), trips_of({0: [*days[0], 400, 420], 1: [*days[1], 401]}), NOW)
    pd.testing.assert_frame_equal(before, after)


def test_days_of_a_shop_are_its_days_with_a_line(shop_history: History) -> None:
    trips = trip_days(shop_history)
    customers = shop_history.features("customers", shop_history.known_until).set_index("customer_row")
    n_days = pd.Series(trips.customers).value_counts()
    assert (n_days == customers["n_days"].reindex(n_days.index)).all()


def test_nobody_is_no_error() -> None:
    none = customers_of({0: [390]}).head(0)
    empty = np.zeros(0, dtype=np.int64)
    assert with_gaps(none, TripDays(empty, empty, empty), NOW).empty
