"""What decisions said, counted for an operator: by call, role, reason and code, never by customer.

A count in a dictionary costs a tenth of one in a file that all workers share; the totals are carried over to the
metrics once a second, and before a worker ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from serving.http_metrics import Metrics

NO_ROLE: Final = "none"
PERSONAL, COMMON, COLD = "personal", "common", "cold_start"

# Any: an answer, typed in serving/api_answers.py; the calls differ in what they carry.
Said = Mapping[str, Any]


class DecisionTally:
    """Counts of decisions since they were last carried over."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._decisions: Counter[tuple[str, str]] = Counter()
        self._reasons: Counter[tuple[str, str, str]] = Counter()
        self._withheld: Counter[tuple[str, str]] = Counter()

    def note(self, path: str, answer: Said) -> None:
        """Count one answer of a call."""
        self._decisions[path, _whose(answer)] += 1
        for item in _shown(answer):
            self._reasons[path, item.get("role", NO_ROLE), item["reason"]["code"]] += 1
        shortfall = answer.get("shortfall")
        if shortfall is not None:
            self._withheld[path, shortfall["code"]] += 1
        for each in answer.get("withheld", ()):
            self._withheld[path, each["reason"]["code"]] += 1

    def flush(self) -> None:
        """Carry the counts over to the metrics, and begin anew."""
        for (path, whose), n in self._decisions.items():
            self._metrics.count_decisions(path, whose, n)
        for (path, role, reason), n in self._reasons.items():
            self._metrics.count_items(path, str(role), str(reason), n)
        for (path, code), n in self._withheld.items():
            self._metrics.count_withheld(path, str(code), n)
        for each in (self._decisions, self._reasons, self._withheld):
            each.clear()


def _whose(answer: Said) -> str:
    """Return whether an answer was a customer's own, everybody's, or that of somebody who isn't known yet."""
    if answer.get("cold_start"):
        return COLD
    return PERSONAL if answer.get("personalized") else COMMON


def _shown(answer: Said) -> Iterable[Said]:
    """Return what was decided for, each with its reason: the one action, else items or offers."""
    if "kind" in answer:
        return ({"role": answer["kind"], "reason": answer["reason"]},)
    found: Iterable[Said] = answer.get("items") or answer.get("offers") or ()
    return found
