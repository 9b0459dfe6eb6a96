"""The days on which offers are compared: those on which they began, before the first of those that are tested."""

from __future__ import annotations

import pandas as pd

from features import columns as c
from features.asof import local_midnight
from training.backtest.coupon_task import judged_offers
from training.history import History
from training.tuning.tunable import Days

_MIN_HISTORY_DAYS = 14


def campaign_days(history: History, n: int) -> Days | None:
    """Return the days on which the `n` latest offers began that had ended before the first of those that are tested.

    None where there are no earlier ones.
    """
    tested = judged_offers(history)
    if not tested:
        return None
    zone = history.tables.time_zone
    first = local_midnight(min(each.moment.day for each in tested), zone)
    sent = history.features("customer_offers", first, [c.SENT_DAY, c.IS_SENT, c.IS_OVER])
    earlier = [day for day in _starts(sent) if day >= history.tables.first_day + _MIN_HISTORY_DAYS]
    return Days(tuple(local_midnight(day, zone) for day in reversed(earlier[-n:])), first) if earlier else None


def _starts(sent: pd.DataFrame) -> list[int]:
    """Return the days on which what has ended was sent, each once, in order."""
    ended = sent[sent[c.IS_SENT].astype(bool) & sent[c.IS_OVER].astype(bool)]
    return sorted({int(day) for day in ended[c.SENT_DAY].dropna()})
