"""The server's clock: the machine's, or one that was set to a moment at the start of the server and runs on."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime


class Clock:
    """What the time is, for every worker of one server.

    `now` None: the machine's time. Otherwise `now` was the time when the machine's clock stood at `started_at`
    (epoch seconds).
    """

    def __init__(
        self, now: datetime | None = None, started_at: float = 0.0, *, seconds: Callable[[], float] = time.time
    ) -> None:
        self._seconds = seconds
        self._offset = 0.0 if now is None else now.timestamp() - started_at

    def now(self) -> datetime:
        """Return the present moment, UTC."""
        return datetime.fromtimestamp(self._seconds() + self._offset, UTC)
