"""Examples: gathered in order, sampled evenly, and keys are never features."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.features.tiny import at
from training.examples import Examples, feature_columns, gather, sampled, steady_columns


def examples(n: int) -> Examples:
    labels = np.arange(n, dtype=float) % 2
    return Examples(pd.DataFrame({"spend": np.arange(n, dtype=float)}), labels, np.arange(n))


def test_keys_days_text_and_empty_columns_are_no_features() -> None:
    frame = pd.DataFrame(
        {"customer_row": [1], "last_day": [17000], "name": ["x"], "cost": [np.nan], "spend": [1.0], "is_sent": [True]}
    )
    assert feature_columns(frame) == ("spend", "is_sent")


def test_totals_that_only_grow_are_not_steady() -> None:
    frame = pd.DataFrame({"tenure_days": [3], "n_baskets": [1], "n_baskets_4w": [1], "recency_days": [2]})
    assert steady_columns(frame) == ("n_baskets_4w", "recency_days")


def test_examples_are_gathered_in_the_order_of_the_cutoffs() -> None:
    found = gather([at(2), at(0), at(3)], lambda moment: examples(moment.day - at(0).day))
    assert found.features["spend"].tolist() == [0, 1, 0, 1, 2]
    assert found.n_positive == 2


def test_nothing_gathered_is_no_rows() -> None:
    assert len(gather([], lambda _: examples(1))) == 0


def test_a_sample_keeps_the_order_and_is_never_larger() -> None:
    few = sampled(examples(100), 30, seed=1)
    assert len(few) == 30
    assert few.features["spend"].is_monotonic_increasing
    assert sampled(examples(5), 30, seed=1).features["spend"].tolist() == [0, 1, 2, 3, 4]
