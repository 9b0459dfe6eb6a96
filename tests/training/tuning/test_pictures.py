from __future__ import annotations

from matplotlib.figure import Figure

from tests.training.tuning.quadratic import SPACE
from training.tuning.pictures import history_figure, pictures, slices_figure
from training.tuning.trials import Found, Trial

SHIPPED = {"x": 8.0, "trees.n": 50, "kind": "a"}
FOUND = Found(
    (
        Trial(0, SHIPPED, (1.0, 2.0), 1.5, 1.0),
        Trial(1, {"x": 2.0, "trees.n": 5, "kind": (1, 2)}, (0.1,), None, 1.0),
        Trial(2, {"x": 3.0, "trees.n": 7, "kind": "b"}, (2.0, 3.0), 2.5, 1.0),
    ),
    {"x": 0.75, "kind": 0.25},
)


def points(figure: Figure, axes: int, line: int) -> list[tuple[float, float]]:
    drawn = figure.axes[axes].lines[line]
    return [(float(x), float(y)) for x, y in zip(drawn.get_xdata(), drawn.get_ydata(), strict=True)]


def test_the_history_shows_each_whole_trial_the_best_so_far_and_who_was_given_up() -> None:
    figure = history_figure(FOUND, title="t", metric="auc")
    assert points(figure, 0, 0) == [(0.0, 1.5), (2.0, 2.5)]
    assert points(figure, 0, 1) == [(0.0, 1.5), (2.0, 2.5)]
    assert points(figure, 0, 3) == [(1.0, 1.5)]


def test_slices_show_each_setting_with_the_best_marked() -> None:
    figure = slices_figure(FOUND, SPACE, title="t", metric="auc")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == ["x", "trees.n", "kind"]
    assert points(figure, 0, 1) == [(3.0, 2.5)]
    assert points(figure, 2, 0) == [(0.0, 1.5), (1.0, 2.5)]
    assert shown[1].get_xscale() == "log"


def test_importance_is_drawn_where_it_can_be_told() -> None:
    assert set(pictures(FOUND, SPACE, title="t", metric="auc")) == {"history.png", "slices.png", "importance.png"}
    assert set(pictures(Found(()), SPACE, title="t", metric="auc")) == {"history.png", "slices.png"}
