from __future__ import annotations

import math

import numpy as np
import pytest

from training.guard import ranks_better


def slow_ndcg(scores: np.ndarray, hits: np.ndarray, k: int) -> float:
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:k]
    gained = sum(1 / math.log2(place + 2) for place, i in enumerate(order) if hits[i])
    return gained / sum(1 / math.log2(place + 2) for place in range(min(int(hits.sum()), k)))


@pytest.mark.parametrize("seed", range(8))
def test_it_is_the_mean_over_groups_with_a_hit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = np.repeat(rng.permutation(30), rng.integers(1, 9, 30))
    hits = rng.random(len(groups)) < 0.3
    ours, simpler = rng.random(len(groups)), rng.random(len(groups))
    gains = [
        slow_ndcg(ours[own], hits[own], 3) - slow_ndcg(simpler[own], hits[own], 3)
        for own in (groups == group for group in np.unique(groups))
        if hits[own].any()
    ]
    assert ranks_better(ours, simpler, groups=groups, is_hit=hits, k=3) == (sum(gains) > 0)


def test_the_same_order_is_not_better() -> None:
    scores, groups, hits = np.arange(6.0), np.repeat([1, 2], 3), np.array([0, 1, 0, 0, 0, 1], dtype=bool)
    assert not ranks_better(2 * scores, scores, groups=groups, is_hit=hits)


def test_without_a_hit_ours_stands() -> None:
    nothing = np.zeros(0)
    assert ranks_better(nothing, nothing, groups=nothing.astype(np.int64), is_hit=nothing.astype(bool))
    scores, groups = np.arange(3.0), np.zeros(3, dtype=np.int64)
    assert ranks_better(scores, -scores, groups=groups, is_hit=np.zeros(3, dtype=bool))
