from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from features import columns as c
from features.build import FeatureStore
from tests.features.tiny import at, line, write_tables
from tests.training.backtest.asked import AskedFrames
from training.backtest import substitutes_task
from training.backtest.observation import OURS, Findings, Observation
from training.backtest.resampling import resampled
from training.backtest.task import Served
from training.history import History
from training.substitutes_judging import POPULARITY

START = 70  # the day from which on product 0 is gone
GONE, INSTEAD, PLACEBO, OTHER = range(4)


def shop(folder: Path, *, is_gone: bool) -> Served:
    """Ten customers buy 0 until it is gone, then 1; 2 and 3 all the time. Suggested: 1 for 0, 3 for 2, 2 for 3."""
    lines, order = [], 0
    for customer in range(10):
        for week in range(-8, 4):
            bought = [PLACEBO, OTHER, GONE if week < 0 or not is_gone else INSTEAD]
            bought += [INSTEAD] if week == -3 else []
            day = START + 7 * week + customer % 7
            lines += [line(order, day, product, customer_row=customer) for product in bought]
            order += 1
    history = History(
        FeatureStore(write_tables(folder / "t", lines, [{c.CATEGORY_ROW: 0}] * 4), folder / "f"), at(START + 29)
    )
    substitute = SimpleNamespace(
        offsets=np.array([0, 1, 1, 2, 3]),
        product=np.array([INSTEAD, OTHER, PLACEBO]),
        score=np.array([1.0, 1.0, 1.0]),
    )
    n_products = len(history.tables.read("products", ["product_row"]))
    substitute.offsets = np.append(substitute.offsets, np.full(n_products - 4, 3))
    asked: Served = AskedFrames(history, at(START), {}, SimpleNamespace(substitute=substitute))
    return asked


def observation(findings: Findings, task: str) -> Observation:
    return next(each for each in findings.observations if each.task == task)


def test_the_ratio_is_that_of_the_four_sums() -> None:
    rows = Observation(
        substitutes_task.GONE,
        "ratio@5",
        {OURS: np.array([10.0, 40, 80, 20, 0, 0, 0, 20]), "peer": np.array([1.0, 1, 1, 1, 1, 1, 1, 1])},
        np.array([5, 5, 5, 5, 6, 6, 6, 6]),
        statistic="ratio_of_ratios",
        groups=np.tile(np.arange(4), 2),
    )
    values, draws = resampled(rows)
    assert values == {OURS: (40 / 10) / (40 / 80), "peer": 1.0}
    assert np.nanmax(draws[OURS]) == (40 / 10) / (20 / 80)  # the first customer twice


def test_nothing_to_compare_is_no_number() -> None:
    rows = Observation(
        "t", "ratio@5", {OURS: np.zeros(1)}, np.zeros(1, np.int64), "ratio_of_ratios", groups=np.array([1])
    )
    assert np.isnan(resampled(rows)[0][OURS])


def test_purchases_of_what_the_bundle_suggests_are_counted(tmp_path: Path) -> None:
    findings = substitutes_task.observe(shop(tmp_path, is_gone=True))
    found = observation(findings, substitutes_task.GONE)
    sums = [float(found.values[OURS][found.groups == group].sum()) for group in range(4)]
    assert sums[:2] == [10, 40]  # of product 1, before and while 0 is gone
    assert set(found.values) == {OURS, POPULARITY}
    assert resampled(found)[0][OURS] == pytest.approx((40 / 10) / (sums[3] / sums[2]))


def test_what_customers_turn_to_is_a_hit(tmp_path: Path) -> None:
    findings = substitutes_task.observe(shop(tmp_path, is_gone=True))
    assert observation(findings, substitutes_task.LEFT).values[OURS].tolist() == [1.0] * 10


def test_where_nothing_is_gone_a_note_says_so(tmp_path: Path) -> None:
    findings = substitutes_task.observe(shop(tmp_path, is_gone=False))
    assert all(each.task != substitutes_task.GONE for each in findings.observations)
    assert any("was gone" in note for note in findings.notes)
