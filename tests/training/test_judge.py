"""Judgements: what counts as beating a baseline, and the names that MLflow sees."""

from __future__ import annotations

import re

import numpy as np

from training.judge import Calibration, Judgement, MetricRow, calibration_of, calibration_text, table_text


def row(gain: float, *, is_primary: bool = True, metric: str = "recall@10") -> MetricRow:
    return MetricRow(
        model="habit", task="next basket, types", metric=metric, ours=0.3, low=0.2, high=0.4, baseline="P-TopFreq",
        baseline_value=0.3 - gain, gain=gain, gain_low=gain - 0.1, gain_high=gain + 0.1, is_primary=is_primary,
    )  # fmt: skip


def judgement(*rows: MetricRow, calibration: tuple[Calibration, ...] = ()) -> Judgement:
    return Judgement("habit", ("2017-10-09",), rows, calibration)


def test_only_primary_metrics_decide() -> None:
    assert judgement(row(0.1), row(-0.1, is_primary=False)).beats_baselines
    assert not judgement(row(0.1), row(-0.01)).beats_baselines
    assert not judgement(row(0.0)).beats_baselines


def test_flat_names_are_ones_that_mlflow_accepts() -> None:
    names = judgement(row(0.1)).flat()
    assert names["next_basket__types_recall_at_10.low"] == 0.2
    assert all(re.fullmatch(r"[A-Za-z0-9_./-]+", name) for name in names)


def test_flat_leaves_out_what_is_not_a_number() -> None:
    assert not [name for name, value in judgement(row(float("nan"))).flat().items() if np.isnan(value)]


def test_probabilities_of_the_events_themselves_are_calibrated() -> None:
    rng = np.random.default_rng(1)
    p = rng.uniform(0, 1, 5000)
    y = (rng.uniform(0, 1, 5000) < p).astype(float)
    assert calibration_of("chance", p, y).is_calibrated
    assert not calibration_of("chance", p / 2, y).is_calibrated


def test_never_is_not_calibrated_though_its_ece_is_small() -> None:
    y = np.zeros(5000)
    y[:5] = 1
    never = calibration_of("rare", np.full(5000, 1e-6), y)
    assert never.ece < 0.02
    assert not never.is_calibrated


def test_tables_name_every_row() -> None:
    p = np.array([0.5, 0.5])
    each = judgement(row(0.1), calibration=(calibration_of("chance", p, np.array([0.0, 1.0])),))
    assert "recall@10 *" in table_text([each])
    assert "chance" in calibration_text([each])
