"""The space of a search: what each setting may be, the shipped value always among it."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from training.config import SearchRange, field_hints, field_value

_DIGITS = 4

Kind = Literal["int", "float", "choice"]


@dataclass(frozen=True)
class Dimension:
    """What one setting may be: from `low` to `high`, or one of `choices` (numbers, texts, or tuples of them)."""

    name: str
    kind: Kind
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()  # Any: a choice has the field's own type

    def read(self, drawn: Any) -> Any:
        """Return a drawn number or the place of a choice as the setting's value; floats have four digits."""
        if self.kind == "choice":
            return self.choices[int(drawn)]
        return int(drawn) if self.kind == "int" else float(f"{drawn:.{_DIGITS}g}")

    def drawn(self, value: Any) -> float | int:
        """Return what would have to be drawn for a value: the way back of `read`."""
        if self.kind == "choice":
            return self.choices.index(value)
        return int(value) if self.kind == "int" else float(value)


@dataclass(frozen=True)
class Space:
    """All dimensions of a search, with what ships."""

    dimensions: tuple[Dimension, ...]
    shipped: Mapping[str, Any]  # Any: settings of several types

    @classmethod
    def of(cls, config: Any, ranges: Sequence[SearchRange]) -> Space:
        """Return the space of a config's `[search]`, made wider where what ships lies outside it."""
        hints = field_hints(type(config))
        shipped = {each.name: field_value(config, each.name) for each in ranges}
        return cls(tuple(_dimension(each, hints[each.name], shipped[each.name]) for each in ranges), shipped)

    def read(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Return what was drawn as settings, by dotted name."""
        return {each.name: each.read(drawn[each.name]) for each in self.dimensions}

    def drawn(self, settings: Mapping[str, Any]) -> dict[str, float | int]:
        """Return what would have to be drawn for these settings."""
        return {each.name: each.drawn(settings[each.name]) for each in self.dimensions}

    def record(self) -> list[list[Any]]:
        """Return the space as plain values, by which it is known again."""
        return [[each.name, each.kind, each.low, each.high, each.log, list(each.choices)] for each in self.dimensions]


def _dimension(given: SearchRange, hint: Any, shipped: Any) -> Dimension:
    if given.choices:
        choices = tuple(tuple(each) if isinstance(each, list) else each for each in given.choices)
        return Dimension(given.name, "choice", choices=choices if shipped in choices else (*choices, shipped))
    if given.low is None or given.high is None or shipped is None:
        return Dimension(given.name, "choice", choices=(shipped,))  # a field without a value has no place in a range
    kind: Kind = "int" if int in (hint, *typing.get_args(hint)) else "float"
    low, high = min(given.low, float(shipped)), max(given.high, float(shipped))
    if given.log and low <= 0:
        return Dimension(given.name, kind, given.low, high, given.log)
    return Dimension(given.name, kind, low, high, given.log)
