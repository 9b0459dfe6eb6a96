from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from features.build import FeatureStore
from tests.features.tiny import at, line, write_tables
from tests.training.backtest.asked import AskedFrames
from training.backtest import basket_task
from training.backtest.basket_task import BEYOND, ONE, POPULARITY, REST, observe
from training.backtest.observation import OURS, Fact, Findings, Observation
from training.backtest.task import Served
from training.baskets import Baskets
from training.history import History

# Before day 30: 0 and 1 four times together, 2 twice with 3, 4 alone; product 5 is only sold after.
BEFORE = [[0, 1], [0, 1], [0, 1], [0, 1, 2, 3], [2, 3], [4]]
AFTER = [[0, 1], [2, 3, 5], [4], [5, 4], [0, 1, 2]]


@dataclass(frozen=True)
class Pairs(AskedFrames):
    """Answers 1 to 0 and 0 to 1, 3 to 2 and 2 to 3, in the order of what is asked; a basket as the union."""

    def also_bought(self, queries: Sequence[Sequence[int]], k: int) -> pd.DataFrame:
        other = {0: 1, 1: 0, 2: 3, 3: 2}
        rows = []
        for query, basket in enumerate(queries):
            found = [other[each] for each in basket if each in other and other[each] not in basket]
            rows += [(query, product, rank, 1.0 / rank) for rank, product in enumerate(found[:k], start=1)]
        return pd.DataFrame(rows, columns=["query", "product_row", "rank", "score"], dtype=np.float64).astype(
            {"query": int, "product_row": int, "rank": int}
        )


def served(folder: Path, after: list[list[int]]) -> Served:
    lines = [
        line(order, start + order, product, customer_row=order % 2)
        for start, first, baskets in ((0, 0, BEFORE), (20, 20, after))
        for order, basket in enumerate(baskets, first)
        for product in basket
    ]
    tables = write_tables(folder / "tables", lines)
    asked: Served = Pairs(History(FeatureStore(tables, folder / "features"), at(120)), at(30), {})
    return asked


@pytest.fixture
def findings(tmp_path: Path) -> Findings:
    return observe(served(tmp_path, AFTER))


def observation(findings: Findings, task: str, metric: str) -> Observation:
    return next(each for each in findings.observations if (each.task, each.metric) == (task, metric))


def fact(findings: Findings, name: str) -> Fact:
    return next(each for each in findings.facts if each.name == name)


def test_only_baskets_of_two_products_that_were_known_are_judged(findings: Findings) -> None:
    assert observation(findings, ONE, "recall@10").customers.tolist() == [0, 1, 0]  # orders 20, 21 and 24


def test_what_is_served_is_compared_with_the_rest_of_the_basket(findings: Findings) -> None:
    recall = observation(findings, ONE, "recall@10").values[OURS]
    assert recall[:2].tolist() == [1, 1]
    assert recall[2] in {0, 1 / 2}  # 2 has no friend in the basket; 0 and 1 have one of two


def test_a_product_left_out_is_looked_for_in_the_answer_to_the_rest(findings: Findings) -> None:
    places = observation(findings, REST, "MRR@100").values[OURS]
    assert places[:2].tolist() == [1, 1]
    hits = observation(findings, REST, "hit@10").values[OURS]
    assert hits[:2].tolist() == [1, 1]


def test_without_products_beyond_the_best_sellers_nothing_is_said_of_them(findings: Findings) -> None:
    assert np.isnan(observation(findings, BEYOND, "recall@10").values[OURS]).all()


def test_every_peer_stands_beside_us(findings: Findings) -> None:
    for each in findings.observations:
        assert set(each.values) == {OURS, POPULARITY, *basket_task.PEERS}


def test_the_facts_count_best_sellers_and_products_shown(findings: Findings) -> None:
    assert fact(findings, "top-10 share").by_ranker[OURS] == 1.0  # all five are among the ten
    drawn = observation(findings, ONE, "recall@10")
    assert fact(findings, "coverage").by_ranker[OURS] <= 4 / 5
    assert fact(findings, "share of queries without an answer").by_ranker == dict.fromkeys(drawn.values, 0.0)


def test_what_is_shown_most_is_listed_by_name(findings: Findings) -> None:
    (table,) = findings.tables
    assert 1 <= len(table.rows) <= 4


def test_without_later_baskets_a_note_says_so(tmp_path: Path) -> None:
    found = observe(served(tmp_path, [[4], [5, 4]]))
    assert found.observations == ()
    assert found.notes


def test_a_place_beyond_the_hundredth_is_none() -> None:
    assert basket_task.within([100.0, 101.0]).tolist() == [100, np.inf]


def test_peers_learn_from_no_basket() -> None:
    none = Baskets(csr_array((0, 4)), np.zeros(0, dtype=np.int64))
    assert all(peer.similar.nnz == 0 for peer in basket_task.fitted_peers(none).values())
