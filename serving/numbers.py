"""The few numbers of a bundle: how chances convert between windows, and the joint chance of completion."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving.errors import BundleError

WINDOW_DAYS = 7
COMPLETION_KEYS = ("intercept", "log_joint", "logit_shop")


@dataclass(frozen=True)
class Numbers:
    """The calibrations of a bundle (``numbers.json``).

    `habit_window` and `stretch_window` hold a pair (a, b) for each h of 1 to 7 days: the chance within h days is
    σ(a + b·logit(p7)). `population_window` is the share of a 7-day chance that falls in the first h days, ascending,
    0 to 1. `completion` holds the coefficients of the joint chance (serving/decisioning/completion.py),
    `population_completion` the chance that three popular products of three categories are all bought in a week.
    """

    habit_window: tuple[tuple[float, float], ...]
    stretch_window: tuple[tuple[float, float], ...]
    population_window: tuple[float, ...]
    completion: Mapping[str, float]
    population_completion: float

    def to_json(self) -> str:
        """Return the text of ``numbers.json``."""
        return json.dumps(
            {
                "habit_window": self.habit_window,
                "stretch_window": self.stretch_window,
                "population_window": self.population_window,
                "completion": dict(self.completion),
                "population": {"completion": self.population_completion},
            },
            indent=1,
        )

    @classmethod
    def plain(cls) -> Numbers:
        """Return the numbers of a bundle for which nothing was fitted: even days, independent items."""
        share = tuple(h / WINDOW_DAYS for h in range(1, WINDOW_DAYS + 1))
        window = tuple((math.log(each), 1.0) for each in share)
        coefficients = {"intercept": 0.0, "log_joint": 1.0, "logit_shop": 0.0}
        return cls(window, window, share, coefficients, 1e-6)


def numbers_from_json(text: str) -> Numbers:
    """Return the numbers of ``numbers.json``; BundleError in one line when anything is missing or not finite."""
    try:
        found = json.loads(text)
        numbers = Numbers(
            _pairs(found["habit_window"]),
            _pairs(found["stretch_window"]),
            tuple(float(each) for each in found["population_window"]),
            {str(key): float(value) for key, value in found["completion"].items()},
            float(found["population"]["completion"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(f"numbers.json can't be read: {error!r}") from error
    _check(numbers)
    return numbers


def _pairs(found: Any) -> tuple[tuple[float, float], ...]:  # Any: parsed JSON, checked here
    return tuple((float(a), float(b)) for a, b in found)


def _check(numbers: Numbers) -> None:
    for name in ("habit_window", "stretch_window", "population_window"):
        if len(getattr(numbers, name)) != WINDOW_DAYS:
            raise BundleError(f"numbers.json: {name} needs an entry for each of {WINDOW_DAYS} days")
    unknown = set(numbers.completion) ^ set(COMPLETION_KEYS)
    if unknown:
        raise BundleError(f"numbers.json: completion must have exactly {', '.join(COMPLETION_KEYS)}")
    flat = [x for pair in numbers.habit_window + numbers.stretch_window for x in pair]
    flat += [*numbers.population_window, *numbers.completion.values(), numbers.population_completion]
    if not all(map(math.isfinite, flat)):
        raise BundleError("numbers.json: every number must be finite")
    shares = (*numbers.population_window, numbers.population_completion)
    if not all(0.0 <= each <= 1.0 for each in shares):
        raise BundleError("numbers.json: population_window and population.completion must lie in 0 to 1")
