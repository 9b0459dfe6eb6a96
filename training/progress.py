"""Progress on standard error: the stage that runs, and how long those before it took."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.status import Status


class Progress:
    """Shows each stage it is told of; in a terminal with a spinner, else as one line a stage when it ends."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._status: Status | None = None
        self._stage = ""
        self._started = time.monotonic()

    def __call__(self, stage: str) -> None:
        """End the stage before, and begin this one."""
        self._end_stage()
        self._stage, self._started = stage, time.monotonic()
        if self._status is not None:
            self._status.update(stage)

    def __enter__(self) -> Progress:
        """Begin to show; the spinner only where somebody looks."""
        if self._console.is_terminal:
            self._status = self._console.status("")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop; a stage that failed is not said to be done."""
        if kind is None:
            self._end_stage()
        if self._status is not None:
            self._status.stop()

    def _end_stage(self) -> None:
        if self._stage:
            seconds = time.monotonic() - self._started
            self._console.print(f"{seconds:7.1f} s  {self._stage}", markup=False, soft_wrap=True)
            self._stage = ""
