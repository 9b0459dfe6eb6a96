"""The few numbers of a bundle: how chances convert between windows, and the joint chance of completion."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from serving.channels import CHANNELS
from serving.errors import BundleError
from serving.tier import PLAIN_CUTS, TierCuts

WINDOW_DAYS = 7
COMPLETION_KEYS = ("intercept", "log_joint", "logit_shop")
FOLD_IN_KEYS = ("regularization", "confidence", "strength")
PLAIN_FOLD_IN = {"regularization": 1.0, "confidence": 1.0, "strength": 1.0}


@dataclass(frozen=True)
class Numbers:
    """The calibrations of a bundle (``numbers.json``).

    `habit_window` and `stretch_window` hold a pair (a, b) for each h of 1 to 7 days: the chance within h days is
    σ(a + b·logit(p7)). `population_window` is the share of a 7-day chance that falls in the first h days, ascending,
    0 to 1. `completion` holds the coefficients of the joint chance (serving/decisioning/completion.py),
    `population_completion` the chance that three popular products of three categories are all bought in a week.
    `fold_in` says how factors were learned and customers are folded in (serving/fold_in.py): all above 0. `leaving` has
    for each channel how often anybody left it, and how many messages were sent there. `tiers` has the shares of answers
    at which engagement tiers part.
    """

    habit_window: tuple[tuple[float, float], ...]
    stretch_window: tuple[tuple[float, float], ...]
    population_window: tuple[float, ...]
    completion: Mapping[str, float]
    population_completion: float
    fold_in: Mapping[str, float] = field(default_factory=lambda: dict(PLAIN_FOLD_IN))
    leaving: Mapping[str, tuple[int, int]] = field(default_factory=lambda: dict.fromkeys(CHANNELS, (0, 0)))
    tiers: TierCuts = PLAIN_CUTS

    def to_json(self) -> str:
        """Return the text of ``numbers.json``."""
        return json.dumps(
            {
                "habit_window": self.habit_window,
                "stretch_window": self.stretch_window,
                "population_window": self.population_window,
                "completion": dict(self.completion),
                "population": {"completion": self.population_completion},
                "fold_in": dict(self.fold_in),
                "leaving": dict(self.leaving),
                "tiers": asdict(self.tiers),
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


def between_days(by_day: Sequence[float], days: float) -> float:
    """Return what a sequence says for `days` (above 0, at most 7): its first entry is one day's, and 0 days have 0.

    Examples
    --------
    >>> between_days([0.25, 0.5], 2.0), between_days([0.25, 0.5], 1.5), between_days([0.25, 0.5], 0.5)
    (0.5, 0.375, 0.125)
    """
    whole = int(days)
    low = by_day[whole - 1] if whole else 0.0
    return low if whole == days else low + (days - whole) * (by_day[whole] - low)


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
            {str(key): float(value) for key, value in found["fold_in"].items()},
            {str(key): (int(n_left), int(n_sent)) for key, (n_left, n_sent) in found["leaving"].items()},
            TierCuts(float(found["tiers"]["low"]), float(found["tiers"]["high"])),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
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
    if set(numbers.fold_in) != set(FOLD_IN_KEYS) or not all(each > 0.0 for each in numbers.fold_in.values()):
        raise BundleError(f"numbers.json: fold_in must have exactly {', '.join(FOLD_IN_KEYS)}, all above 0")
    if set(numbers.leaving) != set(CHANNELS) or any(n < 0 for pair in numbers.leaving.values() for n in pair):
        raise BundleError(f"numbers.json: leaving must have exactly {', '.join(CHANNELS)}, two counts each")
    if not 0.0 <= numbers.tiers.low <= numbers.tiers.high:
        raise BundleError("numbers.json: tiers.low must be at least 0, and at most tiers.high")
    flat = [x for pair in numbers.habit_window + numbers.stretch_window for x in pair]
    flat += [*numbers.population_window, *numbers.completion.values(), numbers.population_completion]
    flat += [*numbers.fold_in.values(), numbers.tiers.low, numbers.tiers.high]
    if not all(map(math.isfinite, flat)):
        raise BundleError("numbers.json: every number must be finite")
    shares = (*numbers.population_window, numbers.population_completion)
    if not all(0.0 <= each <= 1.0 for each in shares):
        raise BundleError("numbers.json: population_window and population.completion must lie in 0 to 1")
