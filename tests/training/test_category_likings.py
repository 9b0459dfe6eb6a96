"""What categories speak for each other: planted pairs, the future and strangers, nobody."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from features.asof import Moment
from training.category_likings import BY_BOUGHT, BY_COUNTS, likings
from training.history import History
from training.peers.ease import ease_weights


@pytest.fixture(scope="module")
def moment(shop_history: History) -> Moment:
    return shop_history.known_until.plus_days(-56, shop_history.tables.time_zone)


def test_scores_are_those_of_ease_cell_by_cell(shop_history: History, moment: Moment) -> None:
    own = shop_history.features("customer_categories", moment)
    n = len(shop_history.tables.read("categories"))
    customers = np.unique(own["customer_row"])
    asked = np.unique(own["category_row"])[:4].astype(np.int64)
    found = likings(shop_history, moment, asked, most=n)
    rows = np.repeat(customers[:5], 4).astype(np.int64)
    scores = found.features(rows, np.tile(np.arange(4), 5))
    known = np.unique(own["category_row"])
    dense = np.zeros((len(customers), len(known)))
    for customer, category, n_26w in own[["customer_row", "category_row", "n_baskets_26w"]].to_numpy():
        dense[np.searchsorted(customers, customer), np.searchsorted(known, category)] = n_26w > 0
    slow = dense @ ease_weights(sp.csr_array(dense), 300.0)
    assert scores[BY_BOUGHT].to_numpy() == pytest.approx(slow[:5, :4].ravel())
    assert scores[BY_COUNTS].std() > 0


def test_the_future_changes_nothing(shop_history: History, moment: Moment) -> None:
    asked = np.array([0, 1], dtype=np.int64)
    whole = likings(shop_history, moment, asked, most=50)
    cut = likings(shop_history.until(moment), moment, asked, most=50)
    assert (whole.of_bought == cut.of_bought).all()


def test_a_stranger_is_spoken_for_by_nothing(shop_history: History, moment: Moment) -> None:
    found = likings(shop_history, moment, np.array([0], dtype=np.int64), most=50)
    assert found.features(np.array([10_000_000]), np.array([0])).to_numpy().tolist() == [[0.0, 0.0]]


def test_a_handful_of_customers_says_nothing(thin_history: History) -> None:
    found = likings(thin_history, thin_history.known_until, np.array([0], dtype=np.int64), most=50)
    assert not found.of_bought.any()
