"""Every task of the backtest, in the order of the report."""

from __future__ import annotations

from training.backtest.task import Task

TASKS: tuple[Task, ...] = ()
"""Each task's module adds its own here."""
