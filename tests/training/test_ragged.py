"""Ragged groups: offsets, cuts and ties."""

from __future__ import annotations

import numpy as np
import pandas as pd

from training.ragged import best_of_each, offsets_of


def test_offsets_cover_owners_without_entries() -> None:
    assert offsets_of(np.array([1, 1, 3]), 5).tolist() == [0, 0, 2, 2, 3, 3]
    assert offsets_of(np.array([], dtype=np.int64), 2).tolist() == [0, 0, 0]


def test_the_best_of_each_owner_come_first_and_ties_do_not_depend_on_order() -> None:
    frame = pd.DataFrame({"owner": [1, 0, 0, 0], "score": [1.0, 5.0, 7.0, 5.0], "item": [9, 4, 2, 3]})
    expected = [(0, 2), (0, 3), (1, 9)]
    for each in (frame, frame.iloc[::-1]):
        best = best_of_each(each, "owner", "score", n=2, ties=["item"])
        assert list(zip(best["owner"], best["item"], strict=True)) == expected
