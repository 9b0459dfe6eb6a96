"""A peer of one task as something to tune: where its days lie, and what settings reach there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from features.asof import Moment
from training.backtest.task import Task
from training.history import History
from training.tuning.tunable import Days, Reached, Tunable, days_before

FOLDER = "peers/"

_HISTORY_DAYS = 56  # peers learn from what was bought, most of them not from label windows


@dataclass(frozen=True)
class Peer:
    """A peer of some tasks: its settings' class, the metric in words, and what settings reach at a cutoff.

    Attributes
    ----------
    tasks
        Those that its settings are for, the one that it is tuned for first: it is compared before the first test of
        any of them.
    reached
        What settings reach: (config, what was known on the first test day, cutoff).
    history_days
        How much of the source a cutoff has before it.
    days
        The days to compare on, where these are no cutoffs at equal distances.
    """

    tasks: tuple[Task, ...]
    config_class: type[Any]
    metric: str
    reached: Callable[[Any, History, Moment], Reached]
    history_days: int = _HISTORY_DAYS
    days: Callable[[History], Days | None] | None = None

    def tunable(self, name: str, module: str) -> Tunable:
        """Return it under the name of its config, ``peers/<peer>-<task>``; `module` has the code of `reached`."""
        days = self.days or partial(
            days_before,
            window_days=self.tasks[0].window_days,
            tests=[(task.window_days, task.n_cutoffs) for task in self.tasks],
            history_days=self.history_days,
        )
        modules = (self.config_class.__module__, module)
        return Tunable(FOLDER + name, self.config_class, self.metric, self.reached, days, modules)
