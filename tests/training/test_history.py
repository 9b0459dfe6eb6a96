"""The embargo: nothing after the end of a history can be asked for."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import cast

import pandas as pd
import pytest

from features.asof import Moment, local_midnight
from features.build import FeatureStore
from training.errors import EmbargoError
from training.history import History

ZONE = "America/New_York"
MONDAY = local_midnight(date(2017, 10, 9), ZONE)


class RecordingStore:
    """Remembers what was asked of it."""

    def __init__(self) -> None:
        self.tables = SimpleNamespace(time_zone=ZONE, first_day=MONDAY.day - 60, last_day=MONDAY.day + 60)
        self.asked: list[tuple[str, int]] = []

    def read(self, group: str, moment: Moment, columns: object = None) -> pd.DataFrame:
        self.asked.append((group, moment.day))
        return pd.DataFrame()

    def purchases_after(self, moment: Moment, days: int) -> pd.DataFrame:
        self.asked.append(("labels", moment.day + days))
        return pd.DataFrame()


@pytest.fixture
def history() -> History:
    return History(cast(FeatureStore, RecordingStore()), known_until=MONDAY)


def test_features_may_be_asked_up_to_the_end(history: History) -> None:
    assert history.features("customers", MONDAY).empty
    with pytest.raises(EmbargoError, match="customers"):
        history.features("customers", MONDAY.plus_days(1, ZONE))


def test_a_label_window_that_ends_later_is_refused(history: History) -> None:
    assert history.purchases_after(MONDAY.plus_days(-28, ZONE), 28).empty
    with pytest.raises(EmbargoError, match="28 days"):
        history.purchases_after(MONDAY.plus_days(-27, ZONE), 28)


def test_training_cutoffs_are_weekly_and_their_labels_have_ended(history: History) -> None:
    cutoffs = history.cutoff_before(28, 3)
    assert [MONDAY.day - each.day for each in cutoffs] == [42, 35, 28]
    assert all(each == local_midnight(each.day, ZONE) for each in cutoffs)


def test_training_cutoffs_stop_where_the_source_begins(history: History) -> None:
    assert [MONDAY.day - each.day for each in history.cutoff_before(28, 99)] == [42, 35, 28]
    assert history.cutoff_before(50, 99) == []


def test_a_history_can_only_be_cut_shorter(history: History) -> None:
    earlier = MONDAY.plus_days(-7, ZONE)
    assert history.until(earlier).known_until == earlier
    assert history.until(MONDAY.plus_days(7, ZONE)).known_until == MONDAY
