from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from features.asof import Moment
from training.backtest.cutoffs import judged_cutoffs, tuning_cutoffs
from training.churn import ChurnConfig
from training.errors import EmbargoError
from training.history import History
from training.sums import CustomerSums
from training.tuning.tunable import Reached, Term, Tunable, days_before, gain

Measure = Callable[[ChurnConfig, History, Moment], Reached]


def tunable(reached: Measure) -> Tunable:
    days = lambda history: days_before(history, 28, [(28, 2)])  # noqa: E731
    return Tunable("churn", ChurnConfig, "auc", reached, days, ("training.churn",))


def reached(*values: float, weight: float = 1.0) -> Reached:
    return Reached((Term(CustomerSums.of(values, range(len(values))), weight),))


def test_days_are_the_tuning_cutoffs_the_latest_first(shop_history: History) -> None:
    days = days_before(shop_history, 28, [(28, 2)], 3)
    assert days is not None
    assert days.first_test == judged_cutoffs(shop_history, 28, 2)[0]
    assert list(reversed(days.cutoffs)) == tuning_cutoffs(shop_history, 28, 2, 3)
    assert all(cutoff.plus_days(28, shop_history.tables.time_zone).us <= days.first_test.us for cutoff in days.cutoffs)


def test_the_earliest_test_of_any_task_is_the_one_that_counts(shop_history: History) -> None:
    days = days_before(shop_history, 28, [(28, 1), (56, 2), (28, 2)])
    assert days is not None
    assert days.first_test == judged_cutoffs(shop_history, 56, 2)[0]


def test_a_cutoff_has_twice_its_window_of_history_before_it(shop_history: History) -> None:
    first = shop_history.tables.first_day
    n_days = shop_history.known_until.day - first
    for window in (28, 56, 84):
        days = days_before(shop_history, window, [(window, 1)], n=99)
        assert (days is not None) == (n_days >= 4 * window)
        assert days is None or min(each.day for each in days.cutoffs) >= first + 2 * window


def test_a_source_that_is_too_short_has_none(new_history: History) -> None:
    assert days_before(new_history, 28, [(28, 3)]) is None


def test_a_tunable_that_asks_for_a_label_beyond_its_window_raises(shop_history: History) -> None:
    greedy = tunable(lambda _, known, cutoff: reached(float(len(known.purchases_after(cutoff, 29)))))
    days = greedy.days(shop_history)
    assert days is not None
    with pytest.raises(EmbargoError):
        next(greedy.value(ChurnConfig(), shop_history, days))


def test_a_tunable_sees_a_history_that_ends_on_the_first_test_day(shop_history: History) -> None:
    seen: list[History] = []

    def look(_: ChurnConfig, known: History, __: Moment) -> Reached:
        seen.append(known)
        return reached(1.0)

    looking = tunable(look)
    days = looking.days(shop_history)
    assert days is not None
    assert len(list(looking.value(ChurnConfig(), shop_history, days))) == len(days.cutoffs)
    assert {known.known_until for known in seen} == {judged_cutoffs(shop_history, 28, 2)[0]}
    with pytest.raises(EmbargoError):
        seen[0].features(
            "customers", judged_cutoffs(shop_history, 28, 2)[0].plus_days(1, shop_history.tables.time_zone)
        )


def test_a_loss_counts_below_zero_and_a_squared_error_by_its_root() -> None:
    sums = CustomerSums.of([9.0, 25.0], [0, 1])
    assert Reached((Term(sums, -0.5, is_squared=True), Term(CustomerSums.whole(2.0)))).value == -0.5 * 17**0.5 + 2.0
    assert np.isnan(Reached(()).value)


def test_a_gain_is_the_mean_over_cutoffs_with_its_interval_by_customer() -> None:
    rng = np.random.default_rng(1)
    theirs = [rng.normal(size=400) for _ in range(2)]
    ours = [each + rng.normal(0.3, 1.0, size=400) for each in theirs]
    found = gain([reached(*each) for each in ours], [reached(*each) for each in theirs])
    difference = (ours[0] + ours[1] - theirs[0] - theirs[1]) / 2
    assert found.value == pytest.approx(difference.mean())
    half = 1.96 * difference.std() / 400**0.5
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=half / 4)


def test_the_same_values_gain_nothing_for_sure() -> None:
    found = gain([reached(1.0, 2.0, 5.0)], [reached(1.0, 2.0, 5.0)])
    assert (found.value, found.low, found.high) == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)


def test_a_gain_without_customers_has_no_interval() -> None:
    one, other = (Reached((Term(CustomerSums.whole(value)),)) for value in (3.0, 1.0))
    found = gain([one], [other])
    assert found.value == 2.0
    assert np.isnan(found.low)
