"""What became slower than the committed results say, by more than noise.

Ratios are compared on a logarithmic scale. The median of a run's rounds is uncertain by about 1.25 standard errors; the
rounds' own standard deviation is told from their median absolute deviation. A ratio became worse when it moved by more
than three times the uncertainty of both runs together, and by more than a floor: machines differ from day to day in
ways that rounds a minute apart don't show.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from tests.benchmarks.results import HIGHER, Ratio, Results

N_ERRORS = 3.0
FLOOR = 0.15
_DEVIATION_OF_MAD = 1.4826
_ERROR_OF_MEDIAN = 1.2533
_QUICK_FLOOR = 0.3


@dataclass(frozen=True)
class Verdict:
    """How a ratio stands beside the committed one. `change` is ln(now ÷ before), signed so that below 0 is worse."""

    name: str
    before: float
    now: float
    change: float
    noise: float

    @property
    def is_worse(self) -> bool:
        """Whether it is worse by more than noise."""
        return self.change < -self.noise

    @property
    def is_better(self) -> bool:
        """Whether it is better by more than noise."""
        return self.change > self.noise


@dataclass(frozen=True)
class Comparison:
    """All verdicts, or why there are none; `doubt` says why they may be wrong."""

    verdicts: tuple[Verdict, ...]
    why_none: str = ""
    doubt: str = ""

    @property
    def worse(self) -> tuple[Verdict, ...]:
        """Those that became worse by more than noise."""
        return tuple(each for each in self.verdicts if each.is_worse)


def compare(now: Results, before: Results | None) -> Comparison:
    """Return a verdict on each ratio that both runs have; none where the runs are of different things."""
    if before is None:
        return Comparison((), "there are no committed results of this bundle")
    for what in ("bundle", "client"):
        if now.about[what] != before.about[what]:
            return Comparison((), f"the committed results are of another {what}: {before.about[what]}")
    floor = _QUICK_FLOOR if now.about["quick"] or before.about["quick"] else FLOOR
    names = [name for name in now.ratios if name in before.ratios]
    verdicts = tuple(verdict(name, now.ratios[name], before.ratios[name], floor) for name in names)
    return Comparison(verdicts, doubt="; ".join(_doubts(now, before)))


def _doubts(now: Results, before: Results) -> Iterator[str]:
    """Yield each run that did not have the machine to itself: others kept more than half of its cores busy."""
    for which, run in (("this run", now), ("the committed one", before)):
        load, cores = run.about["load"]["before"][0], run.about["machine"]["cores"]
        if load > cores / 2:
            yield f"{which} began at a load of {load:g} on {cores} cores"


def verdict(name: str, now: Ratio, before: Ratio, floor: float = FLOOR) -> Verdict:
    """Return how a ratio stands beside an earlier one."""
    sign = 1.0 if now.better == HIGHER else -1.0
    change = sign * math.log(now.median / before.median)
    noise = max(math.log1p(floor), N_ERRORS * math.hypot(uncertainty(now), uncertainty(before)))
    return Verdict(name, before.median, now.median, change, noise)


def uncertainty(ratio: Ratio) -> float:
    """Return the standard error of the logarithm of the median of a ratio's rounds; 0 of a single round."""
    logs = [math.log(value) for value in ratio.values]
    middle = statistics.median(logs)
    deviation = _DEVIATION_OF_MAD * statistics.median(abs(each - middle) for each in logs)
    return _ERROR_OF_MEDIAN * deviation / math.sqrt(len(logs))


def told(comparison: Comparison) -> list[str]:
    """Return what to print of a comparison, the worst first."""
    if comparison.why_none:
        return [f"nothing to compare with: {comparison.why_none}"]
    lines = (
        [f"{comparison.doubt}: measure again on a quiet machine before you believe this"] if comparison.doubt else []
    )
    lines += [_line("slower", each) for each in sorted(comparison.worse, key=lambda each: each.change)]
    lines += [_line("faster", each) for each in comparison.verdicts if each.is_better]
    n_same = sum(not (each.is_worse or each.is_better) for each in comparison.verdicts)
    return [*lines, f"{n_same} of {len(comparison.verdicts)} ratios are what the committed results say, within noise"]


def _line(word: str, each: Verdict) -> str:
    noise = math.expm1(each.noise)
    return f"{word}: {each.name}: {each.now:.3g}, was {each.before:.3g} (noise ±{noise:.0%})"
