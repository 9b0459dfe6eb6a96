"""What happened in a world, collected day by day, with the moments at which it happened."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np

from features.asof import local_midnight
from training.simulation.arrays import Bools, Floats, Ints
from training.simulation.world import DayLines, Delivered

HOUR_US = 3_600_000_000
MESSAGE_HOUR = 10
"""Messages go out at this local hour, before anybody shops, so that nobody's quiet hours are broken."""

OPENS_HOUR, CLOSES_HOUR = 11, 21

CUSTOMER = "customer"
"""The field of `DayLines` and of `Delivered` that says whose a row is."""

T = TypeVar("T")


@dataclass(frozen=True)
class Log:
    """All lines and messages in order of day, and by line and message: the moment in epoch µs, and the local day."""

    lines: DayLines
    lines_us: Ints
    lines_day: Ints
    messages: Delivered
    messages_us: Ints
    messages_day: Ints

    def of(self, place: Ints) -> Log:
        """Return what happened to some customers; `place` is each one's new number, -1 for those who are left out."""
        mine, told = place[self.lines.customer] >= 0, place[self.messages.customer] >= 0
        return Log(
            _of(self.lines, mine, place),
            self.lines_us[mine],
            self.lines_day[mine],
            _of(self.messages, told, place),
            self.messages_us[told],
            self.messages_day[told],
        )


class Logbook:
    """Collects the days of a world."""

    def __init__(self, time_zone: str) -> None:
        self._time_zone = time_zone
        self._lines: list[tuple[DayLines, Ints, Ints]] = []
        self._messages: list[tuple[Delivered, Ints, Ints]] = []

    def bought(self, day: int, lines: DayLines, hour: Floats) -> Ints:
        """Note what was bought on a day, and return when, epoch µs; `hour` is each customer's draw."""
        at_us = self.midnight_us(day) + shop_us(hour[lines.customer])
        self._lines.append((lines, at_us, np.full(len(at_us), day)))
        return at_us

    def sent(self, day: int, delivered: Delivered) -> int:
        """Note the messages of a day, and return when they went out, epoch µs."""
        at_us = self.message_us(day)
        n = len(delivered.customer)
        self._messages.append((delivered, np.full(n, at_us), np.full(n, day)))
        return at_us

    def midnight_us(self, day: int) -> int:
        """Return when a local day begins."""
        return local_midnight(day, self._time_zone).us

    def message_us(self, day: int) -> int:
        """Return when a local day's messages go out."""
        return self.midnight_us(day) + MESSAGE_HOUR * HOUR_US

    def log(self) -> Log:
        """Return all days."""
        lines, lines_us, lines_day = zip(*self._lines, strict=True)
        messages, messages_us, messages_day = zip(*self._messages, strict=True) if self._messages else ((), (), ())
        return Log(
            joined(DayLines, lines),
            _flat(lines_us),
            _flat(lines_day),
            joined(Delivered, messages) if messages else nothing_sent(),
            _flat(messages_us),
            _flat(messages_day),
        )


def shop_us(hour: Floats) -> Ints:
    """Return draws in [0, 1) as µs since midnight, within the hours in which people shop."""
    since: Ints = ((OPENS_HOUR + hour * (CLOSES_HOUR - OPENS_HOUR)) * HOUR_US).astype(np.int64)
    return since


def joined(kind: type[T], parts: tuple[T, ...]) -> T:
    """Return the parts of a dataclass of arrays, end to end."""
    names = [each.name for each in fields(kind)]  # type: ignore[arg-type]  # T is one of our dataclasses
    return kind(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _of(rows: T, mask: Bools, place: Ints) -> T:
    """Return the rows of a mask, with their customers' new numbers."""
    arrays = {name: values[mask] for name, values in vars(rows).items()}
    return type(rows)(**{**arrays, CUSTOMER: place[arrays[CUSTOMER]]})


def nothing_sent() -> Delivered:
    """Return no messages."""
    none, no = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool)
    return Delivered(none, none, no, no)


def _flat(parts: tuple[Ints, ...]) -> Ints:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
