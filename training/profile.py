"""What a customer's record says of messages and channels: engagement tier and best channel. Rules, not models."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment
from serving.tier import BEFORE_ANSWERED, BEFORE_SENT, MIN_SENT, PLAIN_CUTS, Tier, TierCuts
from training.history import History

FloatArray = npt.NDArray[np.float64]

HIGH, MEDIUM, LOW, SILENT, UNTESTED = (str(tier) for tier in Tier)

ANSWERED = (c.N_OPENED, c.N_CLICKED, c.N_REDEEMED)
"""What counts as an answer to a message."""

WEEKLY, MONTHLY = 12, 3
"""Trips in 12 weeks: a trip a week, a trip a month."""


def engagement_tiers(history: History, moment: Moment) -> pd.DataFrame:
    """Return `customer_row`, `engagement_tier` for everyone who ever bought.

    By messages where any are known (serving/tier.py): `untested` with fewer than three sent and none answered, `silent`
    with none answered; else by the share answered (opened, clicked or redeemed), `high`, `medium` and `low` being the
    thirds of those who answer at all. By visits in a source without messages: `high` from a trip a week over 12 weeks
    on, `medium` from one a month on, `low` below, `silent` without any.
    """
    customers = history.features("customers", moment)
    tiers = by_messages(customers) if (customers[c.N_SENT] > 0).any() else by_visits(customers)
    return pd.DataFrame({c.CUSTOMER_ROW: customers[c.CUSTOMER_ROW], c.ENGAGEMENT_TIER: tiers})


def by_messages(customers: pd.DataFrame) -> list[str]:
    """Return the tier of each row of customer features by what came of the messages sent to them."""
    sent, answered, rate = _answers(customers)
    cuts = tier_cuts(customers)
    conditions = [(answered == 0) & (sent < MIN_SENT), answered == 0, rate > cuts.high, rate > cuts.low]
    return [str(tier) for tier in np.select(conditions, [UNTESTED, SILENT, HIGH, MEDIUM], LOW)]


def tier_cuts(customers: pd.DataFrame) -> TierCuts:
    """Return where the tiers of those who answer part: thirds of them; the plain ones where nobody answers."""
    _, answered, rate = _answers(customers)
    if not (answered > 0).any():
        return PLAIN_CUTS
    low, high = np.quantile(rate[answered > 0], [1 / 3, 2 / 3])
    return TierCuts(float(low), float(high))


def _answers(customers: pd.DataFrame) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return what was sent to each customer, what they answered, and the drawn share of that, as `tier_of` has it."""
    sent = customers[c.N_SENT].to_numpy(dtype=np.float64)
    answered = customers[list(ANSWERED)].sum(axis=1).to_numpy(dtype=np.float64)
    return sent, answered, (answered + BEFORE_ANSWERED) / (sent + BEFORE_SENT)


def by_visits(customers: pd.DataFrame) -> list[str]:
    """Return the tier of each row of customer features by their trips in the last 12 weeks."""
    trips = customers[c.N_BASKETS_12W].to_numpy(dtype=np.float64)
    return [str(t) for t in np.select([trips >= WEEKLY, trips >= MONTHLY, trips > 0], [HIGH, MEDIUM, LOW], SILENT)]


def best_channels(history: History, moment: Moment) -> pd.DataFrame:
    """Return `customer_row`, `best_channel` for those whose channels are known at all.

    The message channel on which they answered most of what was sent (unless they left it), else the place where they
    shop most often; the first by name of equals.
    """
    used = history.features("customer_channels", moment)
    rate = (used[c.N_ANSWERED] + BEFORE_ANSWERED) / (used[c.N_SENT].clip(lower=used[c.N_ANSWERED]) + BEFORE_SENT)
    is_open = (used[c.N_ANSWERED] > 0) & (used[c.N_LEFT] == 0)
    ranked = used.assign(**{c.P: np.where(is_open, rate, 0.0)})
    ranked = ranked[is_open | (ranked[c.N_BASKETS] > 0)]
    ranked = ranked.sort_values(
        [c.CUSTOMER_ROW, c.P, c.N_BASKETS, c.CHANNEL], ascending=[True, False, False, True], kind="stable"
    )
    best = ranked.drop_duplicates(c.CUSTOMER_ROW)
    return best[[c.CUSTOMER_ROW, c.CHANNEL]].rename(columns={c.CHANNEL: c.BEST_CHANNEL}).reset_index(drop=True)
