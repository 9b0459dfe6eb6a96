from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from features.build import FeatureStore
from tests.features.tiny import at, line, write_tables
from tests.training.peers.bought import TODAY, baskets_by_customer, purchases
from training.history import History
from training.peers.frequency import OwnScores
from training.peers.past_baskets import NOTHING, baskets_in_time, first_items, past_baskets


def test_baskets_stand_by_customer_the_latest_first() -> None:
    bought = purchases(np.random.default_rng(0))
    past = baskets_in_time(bought, "type_row", TODAY)
    for place, customer in enumerate(past.customers):
        mine = np.flatnonzero(past.owner == place)
        found = [set(past.matrix[[basket]].indices) for basket in mine]
        assert found == baskets_by_customer(bought)[int(customer)][::-1]
        assert past.after[mine].tolist() == list(range(len(mine)))
    assert past.age_days.max() == TODAY


def test_nothing_after_the_moment_and_no_return_counts(tmp_path: Path) -> None:
    lines = [line(0, 3, product=0), line(1, 9, product=1), line(2, 4, product=2, quantity=0.0)]
    history = History(FeatureStore(write_tables(tmp_path / "tables", lines), tmp_path / "features"), at(20))
    early, late = (past_baskets(history, at(day), "product_row") for day in (9, 10))
    assert early.counts.toarray().tolist() == [[1]]
    assert late.counts.toarray().tolist() == [[1, 1]]
    assert late.age_days.tolist() == [1, 7]


def test_own_items_without_a_score_stand_last_and_not_outside() -> None:
    past = baskets_in_time(purchases(np.random.default_rng(4), n_customers=1), "type_row", TODAY)
    own = past.owned.indices
    only_one = sp.csr_array(([1.0], ([0], [own[-1]])), shape=past.owned.shape)
    found = first_items(past, OwnScores(only_one), np.array([0]), 3, k_own=len(own) + 1)
    assert found.best.tolist() == [[own[-1], NOTHING, NOTHING]]
    assert found.own.tolist() == [[own[-1], *own[:-1], NOTHING]]


def test_before_the_first_line_there_is_nothing(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables", [line(0, 5)])
    past = past_baskets(History(FeatureStore(tables, tmp_path / "features"), at(9)), at(4), "type_row")
    assert past.counts.shape == (0, 0)
    assert first_items(past, OwnScores(past.counts), np.zeros(0, dtype=np.int64), 2).best.shape == (0, 2)


@pytest.mark.parametrize("k", [1, 3])
def test_blocks_change_nothing(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    past = baskets_in_time(purchases(np.random.default_rng(5)), "type_row", TODAY)
    rows, said = np.array([4, 0, 2]), OwnScores(past.counts)
    whole = first_items(past, said, rows, k)
    monkeypatch.setattr("training.peers.past_baskets._BLOCK_CELLS", 1)
    assert first_items(past, said, rows, k).best.tolist() == whole.best.tolist()
