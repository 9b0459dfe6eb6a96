from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from features.build import FeatureStore
from tests.features.tiny import at, line, write_tables
from training.history import History
from training.levels import PRODUCT
from training.metrics import rank_within
from training.peers.frequency import DECAYED, POPULARITY, TOP_FREQUENCY, filled, own_items, popular_items

LINES = [
    line(0, 0, product=0),
    line(1, 1, product=0),
    line(2, 60, product=1),
    line(3, 2, product=1, customer_row=1),
    line(4, 2, product=2, customer_row=2),
    line(5, 3, product=1, customer_row=2),
]


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(FeatureStore(write_tables(tmp_path / "tables", LINES), tmp_path / "features"), at(100))


def best(history: History, peer: str, customer: int) -> list[int]:
    own = own_items(history, at(61), PRODUCT)
    ranked = rank_within(own, ["customer_row"], peer, tie="product_row")
    return ranked.loc[ranked["customer_row"] == customer, "product_row"].tolist()


def test_top_frequency_counts_baskets_and_decayed_frequency_forgets(history: History) -> None:
    assert best(history, TOP_FREQUENCY, 0) == [0, 1]
    assert best(history, DECAYED, 0) == [1, 0]
    assert best(history, POPULARITY, 0) == [1, 0]


def test_equal_counts_go_to_the_more_popular(history: History) -> None:
    assert best(history, TOP_FREQUENCY, 2) == [1, 2]


def test_popular_items_are_those_of_most_customers(history: History) -> None:
    popular = popular_items(history, at(61), PRODUCT, 2)
    assert popular.to_numpy().tolist() == [[1, 1], [0, 2]]


def test_short_lists_are_filled_with_what_is_popular_and_not_in_them() -> None:
    ranked = pd.DataFrame({"customer_row": [5, 5, 6], "product_row": [9, 1, 7], "rank": [1, 2, 1]})
    popular = pd.DataFrame({"product_row": [1, 2, 3], "rank": [1, 2, 3]})
    lists = filled(ranked, popular, [5, 8], 3, item="product_row")
    assert lists.groupby("customer_row")["product_row"].apply(list).to_dict() == {5: [9, 1, 2], 8: [1, 2, 3]}
    assert lists.groupby("customer_row")["rank"].apply(list).to_dict() == {5: [1, 2, 3], 8: [1, 2, 3]}
