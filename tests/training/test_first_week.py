from __future__ import annotations

import json

import numpy as np
import pytest

from training.calibration import MarginCalibration
from training.first_week import FirstWeek, TwoChances, fit_first_week


def test_without_purchases_one_week_of_four_is_as_good_as_another() -> None:
    share = fit_first_week(np.zeros(5), np.full(5, np.inf)).share([0.0, 2.0])
    assert share.tolist() == pytest.approx([7 / 28, 7 / 28])


def test_the_share_is_that_of_the_purchases() -> None:
    rng = np.random.default_rng(1)
    day = np.where(rng.random(4000) < 0.4, 3.0, 20.0)
    assert fit_first_week(rng.normal(size=4000), day).share([0.0])[0] == pytest.approx(0.4, abs=0.03)


def test_rows_without_a_purchase_do_not_count() -> None:
    day = np.array([1.0, 10.0, 12.0, 20.0])
    alone = fit_first_week(np.zeros(4), day)
    assert fit_first_week(np.zeros(9), np.append(day, [np.inf] * 5)) == alone


def test_the_chance_in_a_week_is_below_that_in_four() -> None:
    chances = TwoChances(MarginCalibration(), FirstWeek())
    margins = np.linspace(-6, 6, 50)
    assert (chances.p7(margins) < chances.p28(margins)).all()
    assert chances.p7([0.0])[0] == pytest.approx(1 / 2 * 7 / 28)


def test_all_coefficients_are_kept() -> None:
    stored = json.loads(TwoChances(MarginCalibration(), FirstWeek(-1.0, 0.1)).to_json())
    assert stored["first_week"] == {"intercept": -1.0, "slope": 0.1}
    assert stored["within_28"]["margins"] == [-1.0, 1.0]
