from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import topk
from training.topk import place_in_run, run_starts, top_of_each


def test_the_best_of_each_group_come_best_first() -> None:
    groups = np.array([7, 7, 7, 3, 3])
    scores = np.array([0.1, 0.9, 0.5, 0.2, 0.4])
    assert top_of_each(groups, scores, 2).tolist() == [1, 2, 4, 3]


def test_equal_scores_keep_their_order() -> None:
    assert top_of_each(np.zeros(3, dtype=int), np.ones(3), 3).tolist() == [0, 1, 2]


def test_nothing_gives_nothing() -> None:
    nothing = np.zeros(0, dtype=int)
    assert top_of_each(nothing, np.zeros(0), 3).tolist() == []
    assert run_starts(nothing).tolist() == []
    assert place_in_run(nothing).tolist() == []


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1000)), max_size=60), st.integers(1, 5))
def test_it_is_what_sorting_everything_gives(rows: list[tuple[int, int]], k: int) -> None:
    groups = np.sort(np.array([group for group, _ in rows], dtype=np.int64))
    scores = np.array([score for _, score in rows], dtype=np.float64) + np.arange(len(rows)) / 1000
    order = np.lexsort((-scores, groups))
    assert top_of_each(groups, scores, k).tolist() == order[place_in_run(groups[order]) < k].tolist()


def test_large_inputs_are_taken_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    groups, scores = np.repeat(np.arange(50), 8), np.random.default_rng(1).random(400)
    whole = top_of_each(groups, scores, 3)
    monkeypatch.setattr(topk, "_BLOCK_CELLS", 20)
    assert top_of_each(groups, scores, 3).tolist() == whole.tolist()
