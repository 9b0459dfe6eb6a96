from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import expit

from training import metrics
from training.calibration import MarginCalibration, Prior, fit_calibration, fit_log_odds, keeping_level, log_odds


def drawn(p: np.ndarray, seed: int = 3) -> np.ndarray:
    return (np.random.default_rng(seed).random(len(p)) < p).astype(float)


def test_two_knots_are_a_straight_line_also_beyond_them() -> None:
    line = MarginCalibration((0.0, 1.0), (1.0, 3.0))
    assert line.calibrated_log_odds([-1.0, 0.5, 4.0]).tolist() == [-1.0, 2.0, 9.0]


def test_between_knots_the_slope_is_that_of_the_piece() -> None:
    bent = MarginCalibration((0.0, 1.0, 2.0), (0.0, 1.0, 4.0))
    assert bent.calibrated_log_odds([0.5, 1.0, 1.5, 3.0]).tolist() == [0.5, 1.0, 2.5, 7.0]


def test_an_overconfident_margin_is_corrected() -> None:
    margin = np.random.default_rng(1).normal(-2, 2, 20_000)
    outcomes = drawn(expit(0.5 * margin - 0.3))
    calibrated = fit_calibration(margin, outcomes).probability(margin)
    floor = metrics.ece_floor(calibrated, np.random.default_rng(0))
    assert metrics.ece(calibrated, outcomes) < floor.p95 < metrics.ece(expit(margin), outcomes)


def test_a_bent_truth_is_followed_and_order_is_kept() -> None:
    margin = np.random.default_rng(1).normal(-2, 2, 40_000)
    outcomes = drawn(expit(np.where(margin > -2, margin, -2 + 0.2 * (margin + 2))))
    calibration = fit_calibration(margin, outcomes, n_bends=4)
    calibrated = calibration.probability(margin)
    straight = fit_calibration(margin, outcomes, n_bends=0).probability(margin)
    assert metrics.ece(calibrated, outcomes) < metrics.ece(straight, outcomes) / 2
    assert (np.diff(calibrated[np.argsort(margin)]) >= 0).all()


def test_a_falling_truth_does_not_turn_the_order_round() -> None:
    margin = np.random.default_rng(1).normal(0, 1, 5000)
    slopes = np.diff(fit_calibration(margin, drawn(expit(-margin))).log_odds)
    assert (slopes > 0).all()


def test_few_rows_hardly_move_the_margin() -> None:
    calibration = fit_calibration([-1.0, 0.0, 1.0], [0, 1, 0])
    assert np.abs(calibration.calibrated_log_odds([0.0])).max() < 1


def test_no_rows_leave_the_margin_as_it_is() -> None:
    assert fit_calibration([], []).calibrated_log_odds([-3.0, 2.0]).tolist() == [-3.0, 2.0]


def test_one_class_alone_stays_finite() -> None:
    assert np.isfinite(fit_calibration([-1.0, 0.5, 2.0], [0, 0, 0]).probability([0.0])).all()


def test_json_gives_the_same_numbers_back() -> None:
    calibration = MarginCalibration((-1 / 3, 2.0), (-0.1, math.pi))
    assert MarginCalibration.from_json(calibration.to_json()) == calibration


def test_log_odds_fit_without_rows_is_the_prior() -> None:
    assert fit_log_odds(np.zeros((0, 2)), [], Prior((0.5, -1.0), (1.0, 1.0))).tolist() == [0.5, -1.0]


def test_log_odds_fit_finds_the_coefficients_that_made_the_rows() -> None:
    x = np.random.default_rng(5).normal(size=50_000)
    design = np.column_stack([np.ones(len(x)), x])
    found = fit_log_odds(design, drawn(expit(-1.0 + 0.7 * x)), Prior((0.0, 0.0), (10.0, 10.0)))
    assert found == pytest.approx([-1.0, 0.7], abs=0.04)


def test_log_odds_of_certainty_are_finite() -> None:
    assert log_odds([0.0, 0.5, 1.0]) == pytest.approx([math.log(1e-6), 0.0, -math.log(1e-6)], rel=1e-4)


def test_keeping_the_level_moves_the_mean_back_and_no_slope() -> None:
    margin = np.random.default_rng(1).normal(-2, 2, 5000)
    calibration = fit_calibration(margin, drawn(expit(0.5 * margin - 1)))
    kept = keeping_level(calibration, margin)
    assert kept.probability(margin).mean() == pytest.approx(expit(margin).mean())
    assert np.diff(kept.log_odds) == pytest.approx(np.diff(calibration.log_odds))


def test_keeping_the_level_of_nothing_changes_nothing() -> None:
    assert keeping_level(MarginCalibration(), []) == MarginCalibration()
