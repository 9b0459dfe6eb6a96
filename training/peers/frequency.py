"""The peers that every repeat ranking is shown beside: popularity, personal top frequency, and decayed frequency.

A peer gives scores; only their order within a customer means anything.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment
from training import metrics
from training.history import History
from training.levels import Level

POPULARITY = "popularity"
TOP_FREQUENCY = "personal top frequency"
DECAYED = "decayed frequency"

_LEAST_STEP = (
    1e-9  # popularity only breaks ties: counts differ by 1, a share of customers by less than this times a billion
)


def own_items(history: History, moment: Moment, level: Level) -> pd.DataFrame:
    """Return every item that each customer has bought before `moment`, with a column of scores for each peer.

    `popularity` is how many customers ever bought it, `personal top frequency` the customer's baskets with it
    (ties: the more popular), `decayed frequency` those baskets halved for every 56 days of their age.
    """
    own = history.features(level.customer_group, moment, [c.CUSTOMER_ROW, level.item, c.N_BASKETS, c.N_BASKETS_H56])
    popular = history.features(level.item_group, moment, [level.item, c.N_CUSTOMERS]).set_index(level.item)
    n_customers = own[level.item].map(popular[c.N_CUSTOMERS]).to_numpy(dtype=np.float64, na_value=0.0)
    return pd.DataFrame(
        {
            c.CUSTOMER_ROW: own[c.CUSTOMER_ROW],
            level.item: own[level.item],
            POPULARITY: n_customers,
            TOP_FREQUENCY: own[c.N_BASKETS].to_numpy(dtype=np.float64) + _LEAST_STEP * n_customers,
            DECAYED: own[c.N_BASKETS_H56].to_numpy(dtype=np.float64),
        }
    )


def popular_items(history: History, moment: Moment, level: Level, n: int) -> pd.DataFrame:
    """Return the `n` items that most customers ever bought, with `rank` from 1; ties by item row."""
    items = history.features(level.item_group, moment, [level.item, c.N_CUSTOMERS])
    order = np.lexsort((items[level.item], -items[c.N_CUSTOMERS]))[:n]
    return items.iloc[order][[level.item]].assign(**{metrics.RANK: np.arange(1, len(order) + 1)}).reset_index(drop=True)


def filled(ranked: pd.DataFrame, popular: pd.DataFrame, customers: npt.ArrayLike, k: int, *, item: str) -> pd.DataFrame:
    """Return for each customer the first `k` of their ranking, filled up from what is popular and not in it.

    `ranked` has `customer_row`, `item` and `rank` from 1; `popular` has `item` and `rank`.
    """
    keys = [c.CUSTOMER_ROW, item, metrics.RANK]
    top = ranked.loc[ranked[metrics.RANK] <= k, keys]
    everyone = pd.DataFrame({c.CUSTOMER_ROW: np.unique(np.asarray(customers))})
    more = everyone.merge(popular[[item, metrics.RANK]], how="cross")
    more[metrics.RANK] += k
    both = pd.concat([top, more]).drop_duplicates([c.CUSTOMER_ROW, item], keep="first")
    both = both[both[c.CUSTOMER_ROW].isin(everyone[c.CUSTOMER_ROW])].sort_values([c.CUSTOMER_ROW, metrics.RANK])
    place = both.groupby(c.CUSTOMER_ROW).cumcount().to_numpy() + 1
    return both.assign(**{metrics.RANK: place})[place <= k].reset_index(drop=True)
