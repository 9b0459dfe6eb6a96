"""How a judgement of a model is said: metrics beside their baselines, with intervals, and calibration.

What each metric means stands in `training.metrics`; which tasks and baselines there are, in the model modules.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from training import metrics
from training.sums import CustomerSums

FLOOR_DRAWS = 200
"""Simulations of a perfect model behind the ECE floor; its mean settles to about 1 % of itself."""

MAX_ECE = 0.02
MIN_EXPECTED_OVER_OBSERVED = 0.9
MAX_EXPECTED_OVER_OBSERVED = 1.1


@dataclass(frozen=True)
class MetricRow:
    """One metric of one model beside one baseline; `gain` is how much better ours is, whatever the direction.

    `low`, `high`, `gain_low` and `gain_high` are the ends of 95 % intervals, bootstrapped over customers. `sums` is
    what `ours` is made of, by customer, for whoever compares two recipes (training/gate_rules.py).
    """

    model: str
    task: str
    metric: str
    ours: float
    low: float
    high: float
    baseline: str
    baseline_value: float
    gain: float
    gain_low: float
    gain_high: float
    higher_is_better: bool = True
    is_primary: bool = False
    sums: CustomerSums | None = field(default=None, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:  # Any: texts, numbers and claims
        """Return the row as plain values for JSON and tables, without the sums."""
        return {name: value for name, value in vars(self).items() if name != "sums"}


COVERAGE, TOP_SHARE = "coverage", "top-10 share"
"""What a `Guard` may be: the part of the catalogue that is ever shown; the ten best sellers' part of the answers."""


@dataclass(frozen=True)
class Guard:
    """A number that a better model must not spoil (`COVERAGE` or `TOP_SHARE`), with what it is made of."""

    task: str
    metric: str
    sums: CustomerSums = field(repr=False, compare=False)
    higher_is_better: bool = True


@dataclass(frozen=True)
class Calibration:
    """How far the probabilities can be taken at their word, over `n` pairs with `n_positive` events.

    `ece_floor_mean` and `ece_floor_p95` are what a perfect model of the same probabilities would show; expected ÷
    observed has to lie from `ratio_low` to `ratio_high`.
    """

    task: str
    ece: float
    ece_floor_mean: float
    ece_floor_p95: float
    expected_over_observed: float
    brier_skill: float
    n: int
    n_positive: int
    ratio_low: float = MIN_EXPECTED_OVER_OBSERVED
    ratio_high: float = MAX_EXPECTED_OVER_OBSERVED
    sums: CustomerSums | None = field(default=None, repr=False, compare=False)
    """What the ECE is made of, by customer; None where nobody said whose pairs they are."""

    @property
    def is_calibrated(self) -> bool:
        """Return whether ECE, expected ÷ observed and Brier skill all hold (an ECE within its floor counts)."""
        return (
            self.ece <= max(MAX_ECE, self.ece_floor_p95)
            and self.ratio_low <= self.expected_over_observed <= self.ratio_high
            and self.brier_skill > 0
        )


@dataclass(frozen=True)
class Judgement:
    """What one model showed on later weeks than it had learned from."""

    model: str
    cutoffs: tuple[str, ...]
    rows: tuple[MetricRow, ...]
    calibration: tuple[Calibration, ...] = ()
    notes: tuple[str, ...] = ()
    guards: tuple[Guard, ...] = ()
    """What the gate holds to its bounds beside the rows and the ECE."""

    @property
    def primary(self) -> tuple[MetricRow, ...]:
        """Return the rows that decide."""
        return tuple(row for row in self.rows if row.is_primary)

    @property
    def beats_baselines(self) -> bool:
        """Return whether every primary metric is better than its baseline; true when nothing could be judged."""
        return all(row.gain > 0 for row in self.primary)

    def flat(self) -> dict[str, float]:
        """Return every number under a name that MLflow accepts: `task.metric`, `.low`, `.gain_over_baseline` …."""
        numbers: dict[str, float] = {}
        for row in self.rows:
            name = _metric_name(row.task, row.metric)
            numbers |= {name: row.ours, f"{name}.low": row.low, f"{name}.high": row.high}
            numbers[f"{name}.gain_over.{_metric_name(row.baseline)}"] = row.gain
        for each in self.calibration:
            name = _metric_name(each.task)
            numbers |= {f"{name}.{key}": float(value) for key, value in vars(each).items() if key not in _NOT_MEASURED}
        for guard in self.guards:
            numbers[_metric_name(guard.task, guard.metric)] = guard.sums.value
        return {name: value for name, value in numbers.items() if np.isfinite(value)}

    def as_dict(self) -> dict[str, Any]:  # Any: a JSON object of nested records
        """Return the judgement as plain values for JSON, without what it is made of."""
        plain = asdict(replace(self, rows=(), calibration=(), guards=()))
        plain["rows"] = [row.as_dict() for row in self.rows]
        plain["calibration"] = [{k: v for k, v in vars(each).items() if k != "sums"} for each in self.calibration]
        plain["guards"] = [{"task": g.task, "metric": g.metric, "value": g.sums.value} for g in self.guards]
        return plain


_NOT_MEASURED = ("task", "ratio_low", "ratio_high", "sums")


def calibration_of(
    task: str,
    probabilities: npt.NDArray[np.float64],
    outcomes: npt.NDArray[np.float64],
    *,
    customers: npt.NDArray[np.int64] | None = None,
    bins: int = 20,
    seed: int = 0,
) -> Calibration:
    """Return the calibration of probabilities against outcomes (0 or 1), both of shape ``(n,)``.

    With each pair's `customers`, it can be compared with another recipe's.
    """
    floor = metrics.ece_floor(probabilities, np.random.default_rng(seed), bins=bins, draws=FLOOR_DRAWS)
    return Calibration(
        task=task,
        ece=metrics.ece(probabilities, outcomes, bins=bins),
        ece_floor_mean=floor.mean,
        ece_floor_p95=floor.p95,
        expected_over_observed=metrics.expected_over_observed(probabilities, outcomes),
        brier_skill=metrics.brier_skill(probabilities, outcomes),
        n=len(probabilities),
        n_positive=int(outcomes.sum()),
        sums=None if customers is None else ece_sums(probabilities, outcomes, customers, bins=bins),
    )


def ece_sums(
    probabilities: npt.NDArray[np.float64],
    outcomes: npt.NDArray[np.float64],
    customers: npt.NDArray[np.int64],
    *,
    bins: int = 20,
) -> CustomerSums:
    """Return the ECE as sums by customer: the mean of (chance − outcome), turned to count up in each bin.

    Bins and directions stay as they are when customers are drawn, so an interval from it is one to first order.
    """
    order = np.argsort(probabilities, kind="stable")
    errors = probabilities[order] - outcomes[order]
    starts = metrics.bin_starts(len(order), bins) if len(order) else np.zeros(0, dtype=np.int64)
    direction = np.where(np.add.reduceat(errors, starts) >= 0, 1.0, -1.0) if len(order) else np.zeros(0)
    sizes = np.diff(starts, append=len(order))
    return CustomerSums.of(errors * np.repeat(direction, sizes), customers[order])


def table_text(judgements: Iterable[Judgement]) -> str:
    """Return the judgements as an aligned table that a person can read."""
    header = ["model", "task", "metric", "ours", "[95 %]", "baseline", "its value", "gain [95 %]"]
    body = [_row_cells(row) for judgement in judgements for row in judgement.rows]
    return aligned([header, *body])


def calibration_text(judgements: Iterable[Judgement]) -> str:
    """Return the calibrations as an aligned table that a person can read."""
    header = ["model", "task", "n", "events", "ECE", "floor (95 %)", "expected ÷ observed", "Brier skill", "holds"]
    body = [
        [
            judgement.model,
            each.task,
            f"{each.n:,}",
            f"{each.n_positive:,}",
            f"{each.ece:.4f}",
            f"{each.ece_floor_mean:.4f} ({each.ece_floor_p95:.4f})",
            f"{each.expected_over_observed:.3f}",
            f"{each.brier_skill:.3f}",
            "yes" if each.is_calibrated else "no",
        ]
        for judgement in judgements
        for each in judgement.calibration
    ]
    return aligned([header, *body])


def _row_cells(row: MetricRow) -> list[str]:
    return [
        row.model,
        row.task,
        f"{row.metric}{' *' if row.is_primary else ''}",
        f"{row.ours:.4f}",
        f"[{row.low:.4f}, {row.high:.4f}]",
        row.baseline,
        f"{row.baseline_value:.4f}",
        f"{row.gain:+.4f} [{row.gain_low:+.4f}, {row.gain_high:+.4f}]",
    ]


def aligned(rows: list[list[str]]) -> str:
    """Return rows of cells, the header first, as a table with columns of equal width."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _metric_name(*parts: str) -> str:
    kept = "".join(char if char.isalnum() or char in "_-/" else "_" for char in ".".join(parts).replace("@", "_at_"))
    return kept.strip("_")
