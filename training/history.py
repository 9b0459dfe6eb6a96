"""What training may see: features as of a moment, and labels that had ended by another.

Every model learns through a `History`, and a history has an end. Asking for a label window that reaches past that end
raises: the embargo (a model tested at a cutoff has learned only from labels that ended before it) cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from features.asof import Moment
from features.build import FeatureStore
from features.tables import TableSet
from training.errors import EmbargoError

WEEK_DAYS = 7


@dataclass(frozen=True)
class History:
    """The features and labels known at `known_until`, over one set of checked tables."""

    store: FeatureStore
    known_until: Moment

    @property
    def tables(self) -> TableSet:
        """Return the checked tables under the features."""
        return self.store.tables

    def features(self, group: str, moment: Moment, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return a feature group as of `moment`, sorted by its grain.

        Raises
        ------
        EmbargoError
            When `moment` lies after `known_until`.
        """
        if moment.us > self.known_until.us:
            raise EmbargoError(
                f"features '{group}' were asked as of day {moment.day}, but nothing after day {self.known_until.day} "
                "may be seen here: ask for an earlier moment"
            )
        return self.store.read(group, moment, columns)

    def purchases_after(self, moment: Moment, days: int) -> pd.DataFrame:
        """Return the lines of the `days` local days that begin at `moment` (see features/labels.sql).

        Raises
        ------
        EmbargoError
            When that window ends after `known_until`.
        """
        end = moment.plus_days(days, self.tables.time_zone)
        if end.us > self.known_until.us:
            raise EmbargoError(
                f"a label window of {days} days from day {moment.day} ends after day {self.known_until.day}, "
                "where this history ends: use an earlier cutoff"
            )
        return self.store.purchases_after(moment, days)

    def until(self, moment: Moment) -> History:
        """Return the same history cut at `moment`; a later moment than its own end changes nothing."""
        return self if moment.us >= self.known_until.us else replace(self, known_until=moment)

    def cutoff_before(
        self, days: int, n: int, *, step_days: int = WEEK_DAYS, min_history_days: int = 2 * WEEK_DAYS
    ) -> list[Moment]:
        """Return the latest `n` or fewer training cutoffs whose label windows of `days` had ended, earliest first.

        They lie `step_days` apart, counted back from the end of the history, and each has at least
        `min_history_days` of the source before it. The list is empty when the history is too short.
        """
        last = self.known_until.day - days
        first = self.tables.first_day + min_history_days
        offsets = [days + step * step_days for step in range(n) if last - step * step_days >= first]
        return [self.known_until.plus_days(-offset, self.tables.time_zone) for offset in reversed(offsets)]
