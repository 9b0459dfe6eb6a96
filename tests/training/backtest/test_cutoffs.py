"""The days of the backtest: counted back from the end of a source, and tuned on only before they are tested."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import cast

import pytest

from features.asof import local_midnight
from features.build import FeatureStore
from training.backtest.cutoffs import judged_cutoffs, tuning_cutoffs
from training.comparison import iso_days
from training.history import History

ZONE = "America/New_York"


def _year(n_days: int = 365) -> History:
    """Return the history of a source that ends with 2017."""
    end = local_midnight(date(2018, 1, 1), ZONE)
    tables = SimpleNamespace(time_zone=ZONE, first_day=end.day - n_days, last_day=end.day - 1)
    return History(cast(FeatureStore, SimpleNamespace(tables=tables)), end)


@pytest.mark.parametrize(
    ("window_days", "n", "expected"),
    [
        (28, 3, ("2017-10-09", "2017-11-06", "2017-12-04")),
        (28, 4, ("2017-09-11", "2017-10-09", "2017-11-06", "2017-12-04")),
        (56, 3, ("2017-09-11", "2017-10-09", "2017-11-06")),
        (84, 4, ("2017-07-17", "2017-08-14", "2017-09-11", "2017-10-09")),
    ],
)
def test_complete_journey_is_tested_on_the_published_days(window_days: int, n: int, expected: tuple[str, ...]) -> None:
    assert iso_days(judged_cutoffs(_year(), window_days, n)) == expected


@pytest.mark.parametrize(("window_days", "n"), [(28, 3), (28, 4), (56, 3), (84, 4)])
def test_what_is_tuned_on_had_ended_before_the_first_test(window_days: int, n: int) -> None:
    history = _year()
    first = judged_cutoffs(history, window_days, n)[0]

    earlier = tuning_cutoffs(history, window_days, n, 3)

    assert earlier
    assert all(each.plus_days(window_days, ZONE).us <= first.us for each in earlier)


def test_a_short_source_is_tested_but_not_tuned_on() -> None:
    history = _year(50)

    assert len(judged_cutoffs(history, 28, 3)) == 1
    assert tuning_cutoffs(history, 28, 3, 3) == []
    assert judged_cutoffs(_year(20), 28, 3) == []
