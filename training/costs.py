"""What each stage of a long run took: wall and CPU seconds, and the most memory that the process held meanwhile."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from training.judge import aligned

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_CLEAR_PEAK = "5"  # proc(5): the peak of resident memory becomes what is held now
_MEBIBYTE = 2**20


@dataclass(frozen=True)
class Cost:
    """What one stage took.

    `cpu_seconds` are of all threads of the process, and of children that ended: what the feature store builds ahead
    meanwhile is in them. `peak_mb` is the most resident memory (MiB) while the stage ran, all of the process; where the
    system can't say that of a stage (other than Linux), the most since the process began.
    """

    stage: str
    wall_seconds: float
    cpu_seconds: float
    peak_mb: float

    def flat(self, prefix: str = "cost") -> dict[str, float]:
        """Return the numbers by name: ``cost.wall_seconds`` …, for MLflow."""
        return {
            f"{prefix}.wall_seconds": self.wall_seconds,
            f"{prefix}.cpu_seconds": self.cpu_seconds,
            f"{prefix}.peak_mb": self.peak_mb,
        }


@dataclass
class Meter:
    """Costs of stages in the order in which they ended; stages may lie within others, whose costs hold theirs."""

    costs: list[Cost] = field(default_factory=list)
    _peaks: list[float] = field(default_factory=list, repr=False)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the body under a name; it is measured when it raises as well."""
        self._open()
        wall, cpu = time.perf_counter(), _cpu_seconds()
        try:
            yield
        finally:
            self.costs.append(Cost(name, time.perf_counter() - wall, _cpu_seconds() - cpu, self._close()))

    def cost(self, name: str) -> Cost:
        """Return the cost of all stages of a name together: seconds added up, the highest peak; zeros for none."""
        return total(name, (each for each in self.costs if each.stage == name))

    def _open(self) -> None:
        if self._peaks:
            self._peaks[-1] = max(self._peaks[-1], _peak_mb())
        _forget_peak()
        self._peaks.append(0.0)

    def _close(self) -> float:
        peak = max(self._peaks.pop(), _peak_mb())
        if self._peaks:
            self._peaks[-1] = max(self._peaks[-1], peak)
        return peak


def total(name: str, costs: Iterable[Cost]) -> Cost:
    """Return several costs as one: seconds added up, the highest peak.

    Examples
    --------
    >>> total("both", [Cost("a", 1.0, 2.0, 30.0), Cost("b", 0.5, 0.5, 40.0)])
    Cost(stage='both', wall_seconds=1.5, cpu_seconds=2.5, peak_mb=40.0)
    """
    kept = list(costs)
    return Cost(
        name,
        sum(each.wall_seconds for each in kept),
        sum(each.cpu_seconds for each in kept),
        max((each.peak_mb for each in kept), default=0.0),
    )


def costs_text(costs: Iterable[Cost]) -> str:
    """Return costs as an aligned table that a person can read."""
    header = ["stage", "wall s", "CPU s", "peak MiB"]
    rows = [
        [each.stage, f"{each.wall_seconds:.1f}", f"{each.cpu_seconds:.1f}", f"{each.peak_mb:,.0f}"] for each in costs
    ]
    return aligned([header, *rows])


def _cpu_seconds() -> float:
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


def _peak_mb() -> float:
    """Return the most resident memory since it was last forgotten, MiB."""
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
        return next(float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MEBIBYTE


def _forget_peak() -> None:
    try:
        _CLEAR.write_text(_CLEAR_PEAK, encoding="ascii")
    except OSError:
        return  # peaks are then those since the process began
