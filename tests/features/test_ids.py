"""Ids and rows: found, unknown, repeated, colliding."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.ids import UNKNOWN_ROW, IdIndex, find_row, hash_id


@given(st.lists(st.text(max_size=8)))
def test_every_id_is_found_in_its_own_row(ids: list[str]) -> None:
    index = IdIndex.of(ids)
    assert len(index) == len(set(ids))
    assert [index.ids[row] for row in index.rows_of(ids)] == ids


def test_rows_are_in_hash_order() -> None:
    index = IdIndex.of([f"customer-{i}" for i in range(100)])
    assert list(index.hashes) == sorted(hash_id(each) for each in index.ids)


def test_an_unknown_id_has_no_row() -> None:
    assert IdIndex.of(["a"]).row_of("b") == UNKNOWN_ROW
    assert IdIndex.of([]).row_of("b") == UNKNOWN_ROW


def test_ids_that_share_a_hash_are_told_apart() -> None:
    same = np.array([hash_id("b")] * 2, dtype=np.uint64)
    assert find_row(same, ["a", "b"], "b") == 1
    assert find_row(same, ["a", "c"], "b") == UNKNOWN_ROW
