"""Pictures of a study: how it went, what mattered, and where each setting did well."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training import plots
from training.tuning.space import Dimension, Space
from training.tuning.trials import Found, Trial

_COLUMNS = 3
_SIZE = (3.4, 2.7)


def pictures(found: Found, space: Space, *, title: str, metric: str) -> dict[str, Figure]:
    """Return the pictures of a study by file name; importance only where it can be told."""
    drawn = {
        "history.png": history_figure(found, title=f"{title}: trials", metric=metric),
        "slices.png": slices_figure(found, space, title=f"{title}: each setting", metric=metric),
    }
    if found.importance:
        drawn["importance.png"] = plots.shares_figure(
            found.importance, title=f"{title}: what matters", unit="share of what moves the value (PED-ANOVA)"
        )
    return drawn


def history_figure(found: Found, *, title: str, metric: str) -> Figure:
    """Return the value of every whole trial in order, the best so far, and where trials were given up."""
    figure, axes = plots.canvas(title, "trial (0: what ships)", metric)
    whole = [(trial.number, trial.value) for trial in found.trials if trial.value is not None]
    if whole:
        numbers, values = np.array(whole, dtype=np.float64).T
        axes.plot(numbers, values, "o", color=plots.OURS, markersize=4, label="trial")
        axes.step(
            numbers, np.maximum.accumulate(values), where="post", color=plots.INK, linewidth=1, label="best so far"
        )
        axes.axhline(values[0], color=plots.OTHER, linestyle="--", linewidth=1, label="shipped")
        pruned = [trial.number for trial in found.trials if trial.is_pruned]
        axes.plot(pruned, np.full(len(pruned), values.min()), "x", color=plots.OTHER, markersize=5, label="given up")
        axes.legend(frameon=False, fontsize=8)
    return figure


def slices_figure(found: Found, space: Space, *, title: str, metric: str) -> Figure:
    """Return for each setting the values of the whole trials by what it was; the best trial is marked."""
    n = len(space.dimensions)
    n_rows = max(1, -(-n // _COLUMNS))
    figure = Figure(figsize=(_SIZE[0] * _COLUMNS, _SIZE[1] * n_rows + 0.4), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", color=plots.INK, fontsize=11)
    grid = figure.subplots(n_rows, _COLUMNS, squeeze=False, sharey=True).ravel()
    for axes, dimension in zip(grid, space.dimensions, strict=False):
        _slice(axes, found, dimension)
    for axes in grid[n:]:
        axes.set_visible(False)
    grid[0].set_ylabel(metric, color=plots.INK)
    return figure


def _slice(axes: Axes, found: Found, dimension: Dimension) -> None:
    whole = [(_place(dimension, each), each.value) for each in found.trials if each.value is not None]
    if whole:
        places, values = np.array(whole, dtype=np.float64).T
        axes.plot(places, values, "o", color=plots.OURS, markersize=4, alpha=0.7)
        best = int(np.argmax(values))
        axes.plot(places[best : best + 1], values[best : best + 1], "o", color=plots.INK, markersize=7)
    if dimension.kind == "choice":
        axes.set_xticks(range(len(dimension.choices)), [str(each) for each in dimension.choices], fontsize=8)
    elif dimension.log:
        axes.set_xscale("log")
    axes.set_title(dimension.name, fontsize=9, color=plots.INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _place(dimension: Dimension, trial: Trial) -> float:
    return float(dimension.drawn(trial.settings[dimension.name]))
