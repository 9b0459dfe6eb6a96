"""Pairs: cells are where they should be, and their features are those of the three tables."""

from __future__ import annotations

import numpy as np
import pytest

from features.asof import Moment
from training.history import History
from training.pairs import BASE_RATE, CUSTOMER, PAIR, PairGrid, pair_grid


@pytest.fixture(scope="module")
def grid(shop_history: History, shop_cutoff: Moment) -> PairGrid:
    return pair_grid(shop_history, shop_cutoff, active_days=56, min_base_rate=0.01, most=20)


def test_categories_are_those_that_enough_buy_at_most_so_many(
    grid: PairGrid, shop_history: History, shop_cutoff: Moment
) -> None:
    categories = shop_history.features("categories", shop_cutoff).set_index("category_row")["buyer_share_4w"]
    kept, others = categories[grid.categories], categories.drop(grid.categories)
    assert len(grid.categories) <= 20
    assert kept.min() >= max(0.01, others.max() if len(grid.categories) == 20 else 0.0)


def test_features_of_a_cell_are_those_of_its_pair(grid: PairGrid, shop_history: History, shop_cutoff: Moment) -> None:
    cells = np.arange(0, len(grid), 37)
    frame = grid.rows(cells).join(grid.features(cells))
    owned = shop_history.features("customer_categories", shop_cutoff)
    joined = frame.merge(owned, on=["customer_row", "category_row"], how="left")
    assert joined[PAIR + "n_baskets"].equals(joined["n_baskets"].astype("float32"))
    customers = shop_history.features("customers", shop_cutoff).set_index("customer_row")["recency_days"]
    assert (frame[CUSTOMER + "recency_days"].to_numpy() == customers[frame["customer_row"]].to_numpy()).all()
    assert frame[PAIR + "n_baskets"].isna().any()
    assert frame[BASE_RATE].between(0.01, 1).all()


def test_bought_marks_the_cells_of_purchases(grid: PairGrid, shop_history: History, shop_cutoff: Moment) -> None:
    lines = shop_history.purchases_after(shop_cutoff, 28)
    cells = np.flatnonzero(grid.bought(lines))
    pairs = set(lines[lines["is_purchase"]][["customer_row", "category_row"]].itertuples(index=False, name=None))
    found = set(grid.rows(cells).itertuples(index=False, name=None))
    assert found == {pair for pair in pairs if pair[0] in grid.customers and pair[1] in grid.categories}


def test_nobody_active_is_an_empty_grid(shop_history: History, shop_cutoff: Moment) -> None:
    empty = pair_grid(shop_history, shop_cutoff, active_days=0, min_base_rate=0.01, most=20)
    assert len(empty) == 0
    assert len(empty.features(np.zeros(0, dtype=np.int64))) == 0
    assert not empty.bought(shop_history.purchases_after(shop_cutoff, 28)).any()


def test_a_grid_of_some_features_has_these_in_the_order_given(grid: PairGrid) -> None:
    cells = np.arange(0, len(grid), 37)
    names = [CUSTOMER + "recency_days", PAIR + "spend", PAIR + "n_baskets", "unknown"]

    some = grid.only(names).features(cells)

    assert list(some.columns) == [PAIR + "spend", PAIR + "n_baskets", CUSTOMER + "recency_days"]
    assert some.equals(grid.features(cells)[list(some.columns)])
