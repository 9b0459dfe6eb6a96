"""The server's clock: the machine's, or one that was set to a moment at the start of the server and runs on."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

STEP_SECONDS = 3_600.0
"""A clock that is put right moves by less; summer time does not move it at all."""


def _since_boot() -> float:
    """Return seconds that nobody can set, those in which the machine slept among them where the system tells."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Clock:
    """What the time is, for every worker of one server.

    `now` None: the machine's time. Otherwise `now` was the time when the machine's clock stood at `started_at`
    (epoch seconds).
    """

    def __init__(
        self,
        now: datetime | None = None,
        started_at: float = 0.0,
        *,
        seconds: Callable[[], float] = time.time,
        steady: Callable[[], float] = _since_boot,
    ) -> None:
        self._seconds, self._steady = seconds, steady
        self._apart = seconds() - steady()
        self._offset = 0.0 if now is None else now.timestamp() - started_at

    def has_stepped(self) -> bool:
        """Say whether the machine's clock was set by more than `STEP_SECONDS` since this one was made."""
        return abs(self._seconds() - self._steady() - self._apart) > STEP_SECONDS

    def now(self) -> datetime:
        """Return the present moment, UTC."""
        return datetime.fromtimestamp(self._seconds() + self._offset, UTC)
