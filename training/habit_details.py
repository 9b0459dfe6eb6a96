"""When a habit is due, how much of it is usual, and what is known of it: facts and simple expectations, no model."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features import columns as c
from features.asof import Moment
from training.habit_features import CandidateRules, expected_gaps
from training.history import History
from training.levels import LevelName, level_named


def habit_details(
    history: History, moment: Moment, level: LevelName, rules: CandidateRules | None = None
) -> pd.DataFrame:
    """Return what is known as of `moment` of every item that a customer has bought, by customer and item.

    Columns: `customer_row`, the item's row, `due_day` (local day number: the last day and the expected gap, may be
    fractional), `last_day`, `gap_days` (own mean gap; NaN after a single basket), `quantity` (usual, whole, at least 1)
    and `n` (baskets with it). The expected gap is the own one, shrunk to the item's typical gap; where neither is known
    the customer's mean gap between trips stands in, and due is never before the last day.
    """
    at = level_named(level)
    own = history.features(at.customer_group, moment, [c.CUSTOMER_ROW, at.item, *_OWN])
    items = history.features(at.item_group, moment, [at.item, c.GAP_MEAN_DAYS])
    item_gap = own[at.item].map(items.set_index(at.item)[c.GAP_MEAN_DAYS])
    customers = history.features("customers", moment, [c.CUSTOMER_ROW, c.GAP_MEAN_DAYS, c.TENURE_DAYS])
    trip_gap = customers[c.GAP_MEAN_DAYS].fillna(customers[c.TENURE_DAYS]).set_axis(customers[c.CUSTOMER_ROW])
    expected = expected_gaps(own, item_gap, (rules or CandidateRules()).gap_weight)
    fallback = own[c.CUSTOMER_ROW].map(trip_gap).to_numpy(dtype=np.float64, na_value=0.0)
    gap = np.where(np.isfinite(expected), expected, fallback)
    return pd.DataFrame(
        {
            c.CUSTOMER_ROW: own[c.CUSTOMER_ROW],
            at.item: own[at.item],
            c.DUE_DAY: own[c.LAST_DAY].to_numpy(dtype=np.float64) + gap,
            c.LAST_DAY: own[c.LAST_DAY],
            c.GAP_DAYS: own[c.GAP_MEAN_DAYS].astype(np.float64),
            c.QUANTITY: own[c.QUANTITY_USUAL].astype(np.int32),
            c.N: own[c.N_BASKETS],
        }
    )


_OWN = (c.LAST_DAY, c.GAP_MEAN_DAYS, c.QUANTITY_USUAL, c.N_BASKETS)
