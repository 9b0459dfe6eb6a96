"""What annotates the fields of a policy: the range that a number must lie in; and how a value is held to it."""

from __future__ import annotations

import math
from dataclasses import dataclass, is_dataclass
from typing import Annotated, Any, get_args, get_type_hints


@dataclass(frozen=True)
class Range:
    """The least and the most that a number may be, both included."""

    low: float
    high: float


Share = Annotated[float, Range(0.0, 1.0)]


def parsed_value(value: Any, hint: Any) -> tuple[Any, str]:  # Any: a TOML value and a type hint
    """Return the value as its annotated type and an empty string, or anything and what is wrong with it."""
    kind, *extras = get_args(hint) if hasattr(hint, "__metadata__") else (hint,)
    if kind == tuple[str, ...]:
        sound = isinstance(value, list) and all(isinstance(each, str) and each.strip() for each in value)
        return (tuple(value), "") if sound else ((), "must be a list of words")
    if is_dataclass(kind):
        return _parsed_table(value, kind)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        return value, f"must be of type {kind.__name__}, found {value!r}"
    for limit in extras:
        if not (math.isfinite(value) and limit.low <= value <= limit.high):
            return value, f"must lie in {limit.low:g} to {limit.high:g}, found {value!r}"
    return value, ""


def _parsed_table(value: Any, kind: Any) -> tuple[Any, str]:  # Any: a TOML value and a dataclass of numbers
    """Return the dataclass of a table that has exactly its fields, or anything and all that is wrong with it."""
    hints = get_type_hints(kind, include_extras=True)
    if not isinstance(value, dict) or set(value) != set(hints):
        return value, f"must have exactly {', '.join(hints)}, found {value!r}"
    parsed = {key: parsed_value(value[key], hint) for key, hint in hints.items()}
    wrong = ", ".join(f"{key} {mistake}" for key, (_, mistake) in parsed.items() if mistake)
    return (value, wrong) if wrong else (kind(**{key: each for key, (each, _) in parsed.items()}), "")
