from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from features.build import FeatureStore
from tests.features.tiny import at, line, write_tables
from tests.training.peers.bought import N_ITEMS, TODAY, baskets_by_customer, purchases
from training.errors import ConfigError
from training.history import History
from training.levels import PRODUCT
from training.metrics import rank_within
from training.peers import frequency
from training.peers.frequency import DECAYED, POPULARITY, TOP_FREQUENCY, DecayedConfig, own_items
from training.peers.past_baskets import NOTHING, PastBaskets, ScoresOfRows, baskets_in_time, first_items

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


def lists(past: PastBaskets, said: ScoresOfRows, k: int = 20) -> list[list[int]]:
    """Return each customer's list without what pads it."""
    found = first_items(past, said, np.arange(len(past.customers)), k).best
    return [[item for item in row if item != NOTHING] for row in found.tolist()]


@pytest.mark.parametrize("seed", range(5))
def test_p_top_freq_counts_baskets_and_breaks_ties_by_what_was_bought_first(seed: int) -> None:
    bought = purchases(np.random.default_rng(seed))
    past = baskets_in_time(bought, "type_row", TODAY)
    for customer, found in zip(past.customers, lists(past, frequency.p_top_freq(past)), strict=True):
        baskets = baskets_by_customer(bought)[int(customer)]
        counts = Counter(item for basket in baskets for item in sorted(basket))  # in the order first seen
        assert found == [item for item, _ in counts.most_common()]


@pytest.mark.parametrize("seed", range(5))
def test_gp_top_freq_fills_short_lists_with_what_most_customers_bought(seed: int) -> None:
    bought = purchases(np.random.default_rng(seed))
    past = baskets_in_time(bought, "type_row", TODAY)
    by_customer = baskets_by_customer(bought)
    buyers = Counter(item for baskets in by_customer.values() for item in set().union(*baskets))
    popular = sorted(range(N_ITEMS), key=lambda item: (-buyers[item], item))
    for customer, found in zip(past.customers, lists(past, frequency.gp_top_freq(past), N_ITEMS), strict=True):
        counts = Counter(item for basket in by_customer[int(customer)] for item in basket)
        own = sorted(counts, key=lambda item: (-counts[item], -buyers[item], item))
        assert found == own + [item for item in popular if item not in counts]


def test_popularity_is_the_same_list_for_everyone_and_orders_what_is_their_own() -> None:
    past = baskets_in_time(purchases(np.random.default_rng(1)), "type_row", TODAY)
    found = first_items(past, frequency.popularity(past), np.arange(len(past.customers)), 5)
    assert (found.best == found.best[0]).all()
    n_buyers = past.owned.sum(axis=0)
    for row, (first, second) in enumerate(found.own.tolist()):
        own = past.owned[[row]].indices
        assert n_buyers[first] == n_buyers[own].max()
        assert second == NOTHING or n_buyers[first] >= n_buyers[second]


@pytest.mark.parametrize("half_life", [3.0, 40.0])
def test_decayed_frequency_halves_a_basket_for_every_half_life_of_its_age(half_life: float) -> None:
    bought = purchases(np.random.default_rng(3))
    past = baskets_in_time(bought, "type_row", TODAY)
    scores = frequency.decayed(past, DecayedConfig(half_life)).scores(np.arange(len(past.customers))).toarray()
    slow = np.zeros_like(scores)
    once = bought.drop_duplicates(["customer_row", "order_row", "type_row"])
    for customer, item, on in once[["customer_row", "type_row", "ordered_day"]].to_numpy().tolist():
        slow[past.customers.tolist().index(customer), item] += 0.5 ** ((TODAY - on) / half_life)
    assert scores == pytest.approx(slow)


def test_a_half_life_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="half_life_days"):
        DecayedConfig(0.0)
