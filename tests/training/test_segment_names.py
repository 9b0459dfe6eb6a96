"""Names of segments: what sets a group apart, and no two alike."""

from __future__ import annotations

import numpy as np
import pytest

from training.segment_names import segment_names

COLUMNS = ("recency_days", "n_baskets_12w", "spend_per_basket", "n_categories_per_basket")


@pytest.mark.parametrize(
    ("centre", "name"),
    [
        ([-0.8, 1.2, 0.1, 0.9], "Frequent, broad baskets"),
        ([1.4, -1.0, 1.1, 0.2], "Lapsing, big baskets"),
        ([1.9, -1.8, -0.8, 0.0], "Gone quiet, small baskets"),
        ([0.0, 0.0, 0.0, 0.0], "Regular, average baskets"),
        ([0.2, -0.6, 0.1, -0.7], "Occasional, narrow baskets"),
    ],
)
def test_a_name_says_rhythm_and_clearest_trait(centre: list[float], name: str) -> None:
    assert segment_names(np.array([centre]), COLUMNS) == (name,)


def test_equal_names_get_another_trait() -> None:
    centres = np.array([[0, 1, 0.9, 0.6], [0, 1, 0.9, 0.1]])
    assert segment_names(centres, COLUMNS) == ("Frequent, big baskets, broad baskets", "Frequent, big baskets")


def test_groups_that_words_cannot_tell_apart_are_numbered() -> None:
    assert segment_names(np.zeros((2, 4)), COLUMNS) == (
        "Regular, average baskets",
        "Regular, average baskets (2)",
    )
