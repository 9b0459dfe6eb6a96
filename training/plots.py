"""Pictures of a model, as matplotlib figures that belong to no window and no global state.

Each function takes values and returns a ``Figure``; who logs or saves it decides where it goes. pyplot is never
imported: it keeps every figure alive and picks a window system.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]

INK = "#1f2933"
OURS = "#0b6e75"
OTHER = "#9aa5b1"
SIZE = (7.0, 4.5)


@dataclass(frozen=True)
class ReliabilityCurve:
    """Mean probability and observed share of equal-mass bins, shape ``(n_bins,)`` each, in rising order."""

    expected: FloatArray
    observed: FloatArray
    counts: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Gain:
    """One comparison to draw: ours minus a baseline, with its interval; above 0 is better."""

    label: str
    value: float
    low: float
    high: float


def reliability_curve(p: npt.ArrayLike, y: npt.ArrayLike, bins: int = 15) -> ReliabilityCurve:
    """Return the reliability curve of probabilities `p` for outcomes `y` (0 or 1); empty input gives no bins.

    Equal probabilities may fall into neighbouring bins: bins hold equally many rows, as ECE has them.

    Examples
    --------
    >>> reliability_curve([0.2, 0.4, 0.6, 0.8], [0, 0, 1, 1], bins=2).observed.tolist()
    [0.0, 1.0]
    """
    chance, outcome = np.asarray(p, dtype=np.float64), np.asarray(y, dtype=np.float64)
    order = np.argsort(chance, kind="stable")
    parts = [part for part in np.array_split(order, max(1, bins)) if len(part)]
    return ReliabilityCurve(
        expected=np.array([chance[part].mean() for part in parts]),
        observed=np.array([outcome[part].mean() for part in parts]),
        counts=np.array([len(part) for part in parts], dtype=np.int64),
    )


def gains_curve(p: npt.ArrayLike, y: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the share of rows taken (best first) and the share of outcomes found, both from 0 to 1.

    `y` may be a count or an amount; nothing to find gives a curve of zeros. Ties are taken in the order given.

    Examples
    --------
    >>> gains_curve([0.9, 0.1], [1, 0])[1].tolist()
    [0.0, 1.0, 1.0]
    """
    score, outcome = np.asarray(p, dtype=np.float64), np.asarray(y, dtype=np.float64)
    found = np.concatenate([[0.0], np.cumsum(outcome[np.argsort(-score, kind="stable")])])
    taken = np.linspace(0.0, 1.0, len(found)) if len(outcome) else np.zeros(1)
    return taken, found / found[-1] if found[-1] > 0 else np.zeros_like(found)


def calibration_figure(p: npt.ArrayLike, y: npt.ArrayLike, *, title: str, bins: int = 15) -> Figure:
    """Return predicted against observed shares by equal-mass bins, beside the line of a perfect model."""
    curve = reliability_curve(p, y, bins)
    figure, axes = canvas(title, "predicted probability (mean of the bin)", "observed share")
    top = float(max([0.01, *curve.expected, *curve.observed])) * 1.05
    axes.plot([0, top], [0, top], color=OTHER, linestyle="--", linewidth=1, label="perfect")
    axes.errorbar(
        curve.expected, curve.observed, yerr=_half_width(curve), fmt="o-", color=OURS, markersize=4, label="this model"
    )
    axes.set_xlim(0, top)
    axes.set_ylim(0, top)
    axes.legend(frameon=False)
    return figure


def lift_figure(p: npt.ArrayLike, y: npt.ArrayLike, *, title: str, groups: int = 10) -> Figure:
    """Return the outcome's mean in each tenth of the rows, best first, as a multiple of the overall mean."""
    score, outcome = np.asarray(p, dtype=np.float64), np.asarray(y, dtype=np.float64)
    parts = [part for part in np.array_split(np.argsort(-score, kind="stable"), groups) if len(part)]
    overall = float(outcome.mean()) if len(outcome) else 0.0
    lifts = [float(outcome[part].mean()) / overall if overall > 0 else 0.0 for part in parts]
    figure, axes = canvas(title, f"group of rows, best first (1 of {groups})", "times the average")
    axes.bar(range(1, len(lifts) + 1), lifts, color=OURS)
    axes.axhline(1.0, color=OTHER, linestyle="--", linewidth=1)
    axes.set_xticks(range(1, len(lifts) + 1))
    return figure


def gains_figure(scores: Mapping[str, npt.ArrayLike], y: npt.ArrayLike, *, title: str) -> Figure:
    """Return cumulative gains of one or more named scores for the same outcomes; the first is drawn strong."""
    figure, axes = canvas(title, "share of rows contacted, best first", "share of outcomes found")
    axes.plot([0, 1], [0, 1], color=OTHER, linestyle="--", linewidth=1, label="at random")
    for i, (name, score) in enumerate(scores.items()):
        taken, found = gains_curve(score, y)
        axes.plot(taken, found, color=OURS if i == 0 else None, linewidth=2 if i == 0 else 1, label=name)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False)
    return figure


def importance_figure(importance: Mapping[str, float], *, title: str, n: int = 20) -> Figure:
    """Return the `n` most important features as shares of the total, the most important on top."""
    total = sum(importance.values()) or 1.0
    best = sorted(importance.items(), key=lambda pair: (-pair[1], pair[0]))[:n][::-1]
    figure, axes = canvas(title, "share of the total gain", "")
    axes.barh([name for name, _ in best], [value / total for _, value in best], color=OURS)
    axes.tick_params(axis="y", labelsize=8)
    return figure


def comparison_figure(gains: Sequence[Gain], *, title: str, unit: str = "ours minus baseline, 95 % interval") -> Figure:
    """Return ours minus each baseline with its interval, one line each; right of the dashed line is better."""
    figure, axes = canvas(title, unit, "")
    rows = np.arange(len(gains))[::-1]
    for row, gain in zip(rows, gains, strict=True):
        axes.plot([gain.low, gain.high], [row, row], color=OURS if gain.low > 0 else OTHER, linewidth=3)
        axes.plot([gain.value], [row], "o", color=INK, markersize=5)
    axes.axvline(0.0, color=OTHER, linestyle="--", linewidth=1)
    axes.set_yticks(rows, [gain.label for gain in gains], fontsize=8)
    axes.set_ylim(-0.7, max(len(gains) - 0.3, 0.7))
    return figure


def looks_figure(days: npt.ArrayLike, looks: Sequence[Gain], *, title: str, unit: str) -> Figure:
    """Return a value and its interval as they looked on one day after the other; `days` are dates."""
    figure, axes = canvas(title, "", unit)
    lows, highs = [each.low for each in looks], [each.high for each in looks]
    axes.fill_between(days, lows, highs, color=OURS, alpha=0.25, linewidth=0, label="always-valid 95 % interval")
    axes.plot(days, [each.value for each in looks], color=INK, linewidth=1.5, label=looks[-1].label)
    axes.axhline(0.0, color=OTHER, linestyle="--", linewidth=1)
    axes.tick_params(axis="x", labelsize=8, rotation=30)
    axes.legend(frameon=False)
    return figure


def shares_figure(shares: Mapping[str, float], *, title: str, unit: str) -> Figure:
    """Return named shares as bars in the order given (sizes of segments, hours of the day)."""
    figure, axes = canvas(title, unit, "")
    names = list(shares)[::-1]
    axes.barh(names, [shares[name] for name in names], color=OURS)
    axes.tick_params(axis="y", labelsize=8)
    return figure


def canvas(title: str, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    """Return an empty figure in the common look, with its one pair of axes."""
    figure = Figure(figsize=SIZE, layout="constrained")
    axes: Axes = figure.subplots()
    axes.set_title(title, loc="left", color=INK, fontsize=11)
    axes.set_xlabel(x_label, color=INK)
    axes.set_ylabel(y_label, color=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _half_width(curve: ReliabilityCurve) -> FloatArray:
    """Return half the 95 % interval of each observed share (normal approximation)."""
    return 1.96 * np.sqrt(curve.observed * (1.0 - curve.observed) / np.maximum(curve.counts, 1))
