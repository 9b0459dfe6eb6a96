from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from features import columns as c
from training.boosting import BoostingConfig
from training.errors import ConfigError
from training.habit_features import IN_NEXT_BASKET, NEXT_BASKET_SIZE
from training.habit_order import OrderConfig, fit_order

TREES = BoostingConfig(n_trees=30, n_leaves=4, min_rows_per_leaf=5, row_share=1.0, feature_share=1.0, n_threads=1)


def labelled(rng: np.random.Generator, n_customers: int = 60) -> pd.DataFrame:
    """Ten pairs a customer: what was bought often lies in the next basket; every fifth customer has none yet."""
    n = 10 * n_customers
    customers, often = np.repeat(np.arange(n_customers), 10), rng.integers(0, 20, n)
    in_basket = (rng.random(n) < often / 25).astype(float)
    has_none = customers % 5 == 0
    pairs = pd.DataFrame({c.CUSTOMER_ROW: customers, c.N_BASKETS: often})
    return pairs.assign(
        **{
            IN_NEXT_BASKET: np.where(has_none, np.nan, in_basket),
            NEXT_BASKET_SIZE: np.where(has_none, np.nan, 1.0 + customers % 7),
        }
    )


def test_the_order_is_drawn_and_the_expected_number_of_items_stays() -> None:
    rng = np.random.default_rng(0)
    pairs, margin = labelled(rng), rng.normal(-2, 1, 600)
    order = fit_order(pairs, TREES, OrderConfig(share=0.5))
    drawn = order.drawn(pairs, margin)
    sums = [np.bincount(pairs[c.CUSTOMER_ROW], weights=expit(each)) for each in (margin, drawn)]
    assert sums[1] == pytest.approx(sums[0], abs=1e-6)
    often = pairs[c.N_BASKETS].to_numpy()
    assert np.corrcoef(drawn - margin, often)[0, 1] > 0.5


def test_a_share_of_nothing_changes_nothing_and_of_all_gives_the_order_of_the_next_basket() -> None:
    rng = np.random.default_rng(1)
    pairs, margin = labelled(rng), rng.normal(-2, 1, 600)
    kept, whole = (fit_order(pairs, TREES, OrderConfig(share=share)) for share in (0.0, 1.0))
    assert kept.drawn(pairs, margin) == pytest.approx(margin)
    theirs = whole.trees.margin(pairs)
    apart = whole.drawn(pairs, margin) - theirs
    by_customer = pd.Series(apart).groupby(pairs[c.CUSTOMER_ROW].to_numpy())
    assert by_customer.std().max() == pytest.approx(0, abs=1e-9)


def test_large_baskets_weigh_less() -> None:
    pairs = labelled(np.random.default_rng(2))
    small = pairs[NEXT_BASKET_SIZE] < 4
    pairs[IN_NEXT_BASKET] = small.astype(float).where(pairs[IN_NEXT_BASKET].notna())
    even, weighed = (fit_order(pairs, TREES, OrderConfig(size_power=power)) for power in (0.0, 1.0))
    assert weighed.trees.predict(pairs).mean() > even.trees.predict(pairs).mean() + 0.05


def test_shares_beyond_one_are_refused() -> None:
    for broken in ({"share": 1.5}, {"size_power": -0.1}):
        with pytest.raises(ConfigError, match="order"):
            OrderConfig(**broken)
