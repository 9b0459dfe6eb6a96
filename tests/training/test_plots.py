"""Pictures: the curves behind them, and that every figure draws without pyplot."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from training import plots


def bars(axes: Axes) -> list[Rectangle]:
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]


def test_reliability_bins_hold_equally_many_rows_in_rising_order() -> None:
    curve = plots.reliability_curve([0.9, 0.1, 0.5, 0.3], [1, 0, 1, 0], bins=2)
    assert curve.counts.tolist() == [2, 2]
    assert curve.expected == pytest.approx([(0.1 + 0.3) / 2, (0.5 + 0.9) / 2])
    assert curve.observed.tolist() == [0.0, 1.0]


def test_reliability_of_nothing_has_no_bins() -> None:
    assert len(plots.reliability_curve([], []).expected) == 0


def test_gains_take_the_best_first() -> None:
    taken, found = plots.gains_curve([0.1, 0.8, 0.5], [0, 3, 1])
    assert taken == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert found == pytest.approx([0, 3 / 4, 1, 1])


def test_gains_of_nothing_found_are_zero() -> None:
    assert plots.gains_curve([0.4, 0.2], [0, 0])[1].tolist() == [0, 0, 0]


def test_lift_is_a_multiple_of_the_average() -> None:
    figure = plots.lift_figure([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0], title="lift", groups=2)
    assert [bar.get_height() for bar in bars(figure.axes[0])] == [2.0, 0.0]


def test_importance_shows_the_largest_on_top_as_shares() -> None:
    figure = plots.importance_figure({"a": 1.0, "b": 3.0, "c": 0.0}, title="importance", n=2)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert [bar.get_width() for bar in bars(axes)] == [1 / 4, 3 / 4]


@pytest.mark.parametrize("n", [0, 1, 50])
def test_every_figure_draws(n: int) -> None:
    rng = np.random.default_rng(7)
    p = rng.random(n)
    y = (rng.random(n) < p).astype(float)
    figures = [
        plots.calibration_figure(p, y, title="t"),
        plots.lift_figure(p, y, title="t"),
        plots.gains_figure({"ours": p, "baseline": 1 - p}, y, title="t"),
        plots.importance_figure({}, title="t"),
        plots.comparison_figure([plots.Gain("x", 0.1, -0.1, 0.2)] * min(n, 1), title="t"),
        plots.shares_figure({"a": 1.0}, title="t", unit="share"),
    ]
    for figure in figures:
        assert isinstance(figure, Figure)
        target = io.BytesIO()
        figure.savefig(target, format="png")
        assert target.getvalue().startswith(b"\x89PNG")


def test_pyplot_is_never_imported() -> None:
    code = "import sys, training.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
