"""Rows of customers and offers with all that tells who answers: the customer, the offer's products, past answers.

A customer's features are as of the Monday on or before the sending, so that offers of one week share them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import local_midnight
from training.examples import GROWING_TOTALS, numeric_columns
from training.history import WEEK_DAYS, History

CUSTOMER = "customer_"
OWNED_SHARE = "owned_share"
REDEEMED_PER_SENT = "redeemed_per_sent"
OWNED_BASKET_SHARE = "owned_basket_share"
ANSWER_RATIO = "answer_ratio"

OF_ANSWERS = frozenset({c.N_REDEEMED_12W, c.REDEEM_RATE, c.COUPON_SHARE})
"""What a customer's features say of answers: known here by offer, and as of the sending."""

_MONDAY = 4  # 1970-01-05, as a day number
_END_DAY, _DONE, _EXPECTED, _WEEK = "_end_day", "_done", "_expected", "_week"


def described(history: History, rows: pd.DataFrame, offers: pd.DataFrame) -> pd.DataFrame:
    """Return rows of `offers` with their features, in their order.

    `offers` is the group `customer_offers` of one moment, of which `rows` are some.
    """
    return with_customers(history, with_answers(with_shares(rows), offers))


def with_shares(offers: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with how much of the offer the customer knows, and how they answered so far.

    Past answers are drawn towards 5 % as if ten more offers had been sent.
    """
    owned = offers[c.N_PRODUCTS_OWNED] / offers[c.N_OFFER_PRODUCTS].clip(lower=1)
    answered = (offers[c.N_REDEEMED_BEFORE] + 0.5) / (offers[c.N_SENT_BEFORE] + 10.0)
    baskets = offers[c.N_BASKETS_OWNED_12W] / offers[c.N_BASKETS_12W].clip(lower=1)
    return offers.assign(**{OWNED_SHARE: owned, REDEEMED_PER_SENT: answered, OWNED_BASKET_SHARE: baskets})


def with_answers(rows: pd.DataFrame, offers: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with `answer_ratio`: offers redeemed ÷ those that as many others would have, half of one added.

    Only offers that had ended by the row's sending count; who was sent none has 1. Offers of which many are redeemed
    tell less of a customer than those of which few are.
    """
    sent = offers[offers[c.IS_SENT].astype(bool) & offers[c.IS_OVER].astype(bool) & offers[c.OFFER_DAYS].notna()]
    sent = sent.assign(**{_DONE: (sent[c.N_REDEEMED] > 0).astype(np.float64)})
    by_offer = sent.groupby(c.OFFER_ROW)
    began, share = by_offer[c.SENT_DAY].transform("min"), by_offer[_DONE].transform("mean")
    ended = sent.assign(**{_END_DAY: (began + sent[c.OFFER_DAYS]).astype(np.int64), _EXPECTED: share})
    ended = ended.sort_values([_END_DAY, c.CUSTOMER_ROW], kind="stable")
    sums = ended.groupby(c.CUSTOMER_ROW)[[_DONE, _EXPECTED]].cumsum()
    known = ended[[c.CUSTOMER_ROW, _END_DAY]].assign(**{name: sums[name] for name in (_DONE, _EXPECTED)})
    asked = rows[[c.CUSTOMER_ROW, c.SENT_DAY]].astype(np.int64).assign(_place=np.arange(len(rows)))
    found = pd.merge_asof(
        asked.sort_values(c.SENT_DAY, kind="stable"),
        known.astype({c.CUSTOMER_ROW: np.int64}),
        left_on=c.SENT_DAY,
        right_on=_END_DAY,
        by=c.CUSTOMER_ROW,
    ).sort_values("_place")
    done, expected = (found[name].fillna(0.0).to_numpy(dtype=np.float64) for name in (_DONE, _EXPECTED))
    return rows.assign(**{ANSWER_RATIO: (done + 0.5) / (expected + 0.5)})


def with_customers(history: History, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the customer's features, named ``customer_…``; missing before their first trip."""
    weeks = monday_of(rows[c.SENT_DAY].to_numpy(dtype=np.int64))
    parts = [_as_of(history, int(week), rows[weeks == week]) for week in np.unique(weeks)]
    return pd.concat(parts).loc[rows.index] if parts else rows


def monday_of(days: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the day numbers of the Mondays on or before days.

    >>> monday_of(np.array([17448, 17450]))  # a Monday, 2017-10-09, and the Wednesday after it
    array([17448, 17448])
    """
    return days - (days - _MONDAY) % WEEK_DAYS


def _as_of(history: History, day: int, rows: pd.DataFrame) -> pd.DataFrame:
    customers = history.features("customers", local_midnight(day, history.tables.time_zone))
    wanted = [name for name in numeric_columns(customers) if name not in GROWING_TOTALS | OF_ANSWERS]
    found = customers.set_index(c.CUSTOMER_ROW)[wanted].add_prefix(CUSTOMER).astype(np.float32)
    found = found.reindex(rows[c.CUSTOMER_ROW].to_numpy())
    return pd.concat([rows, found.set_index(rows.index)], axis=1)
