"""Sums by customer: the metric comes out of them, and a difference of two has the interval of their rows."""

from __future__ import annotations

import numpy as np
import pytest

from training import metrics
from training.comparison import Contest, auc_rows, contest_calibration, loss_rows, squared_error
from training.intervals import paired_interval
from training.ranking import Label, Queries
from training.sums import CustomerSums, difference


def sums_of(values: list[float], customers: list[int]) -> CustomerSums:
    return CustomerSums.of(np.array(values), np.array(customers))


def contest(seed: int, n: int = 400) -> Contest:
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(1).random(n)
    outcomes = (np.random.default_rng(2).random(n) < truth).astype(float)
    ours = np.clip(truth + rng.normal(0, 0.2, n), 0.01, 0.99)
    return Contest("m", "t", ours, {"base": np.full(n, 0.5)}, outcomes, np.arange(n) // 3)


def test_a_mean_is_the_mean_and_what_is_not_known_is_left_out() -> None:
    found = sums_of([1.0, 0.0, np.nan, 1.0], [5, 2, 2, 5])
    assert found.customers.tolist() == [2, 5]
    assert found.value == 2 / 3


def test_nothing_has_no_value_beyond_its_base() -> None:
    assert CustomerSums.whole(0.3).value == 0.3
    assert difference(CustomerSums.whole(0.3), CustomerSums.whole(0.1)).low == pytest.approx(0.2)


def test_a_difference_has_the_paired_interval_of_the_rows() -> None:
    rng = np.random.default_rng(3)
    one, other, customers = rng.random(900), rng.random(900), rng.integers(0, 200, 900)
    found = difference(CustomerSums.of(one, customers), CustomerSums.of(other, customers))
    slow = paired_interval(one, other, customers, np.random.default_rng(7))
    assert (found.value, found.low, found.high) == pytest.approx((slow.value, slow.low, slow.high))


def test_what_two_share_cancels_out() -> None:
    same = sums_of([0.0, 1.0, 1.0], [1, 2, 3])
    found = difference(same, same)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_a_customer_whom_only_one_asked_about_counts_for_that_one() -> None:
    found = difference(sums_of([1.0, 0.0], [1, 2]), sums_of([1.0], [1]))
    assert found.value == 0.5 - 1.0


def test_rows_of_a_judgement_come_out_of_their_sums() -> None:
    seen = contest(4)
    rows = [*auc_rows(seen, is_primary=True), *loss_rows(seen, "brier", squared_error, is_primary=False)]
    queries = Queries(np.array([1.0, np.nan, 0.0]), np.array([0.0, 0.0, 0.0]), np.array([1, 2, 3]))
    rows.append(queries.row(Label("m", "t", "recall@10", "popularity")))
    for row in rows:
        assert row.sums is not None
        assert row.sums.value == pytest.approx(row.ours)


def test_two_aucs_differ_as_their_rows_say() -> None:
    one, other = contest(4), contest(5)
    rows = [auc_rows(each, is_primary=True)[0].sums for each in (one, other)]
    assert rows[0] is not None
    assert rows[1] is not None
    found = difference(rows[0], rows[1])
    beside = auc_rows(Contest("m", "t", one.ours, {"other": other.ours}, one.outcomes, one.customers), is_primary=True)
    assert found.value == pytest.approx(beside[0].gain)
    assert found.high - found.low == pytest.approx(beside[0].gain_high - beside[0].gain_low, rel=0.1)


def test_an_ece_comes_out_of_its_sums() -> None:
    calibration = contest_calibration(contest(4), bins=15)
    assert calibration.sums is not None
    assert calibration.sums.value == pytest.approx(calibration.ece)


@pytest.mark.parametrize("n", [0, 1, 7])
def test_an_ece_of_fewer_rows_than_bins_comes_out_too(n: int) -> None:
    calibration = contest_calibration(contest(4, n), bins=15)
    assert calibration.sums is not None
    seen = contest(4, n)
    expected = metrics.ece(seen.ours, seen.outcomes, bins=15) if n else 0.0
    assert calibration.sums.value == pytest.approx(expected)
