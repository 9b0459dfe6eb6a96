"""Segments: planted groups come back, everyone has one, few customers get a rule."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.asof import Moment
from training.config import load_config, load_search
from training.history import History
from training.segments import (
    RULE_NAMES,
    FittedSegments,
    SegmentsConfig,
    SegmentsModel,
    choose_number,
    figures,
    fit_scaling,
    judge,
    nearest,
    rule_groups,
)

CONFIG = SegmentsConfig(max_groups=5)


@pytest.fixture(scope="module")
def fitted(shop_history: History, shop_cutoff: Moment) -> FittedSegments:
    return SegmentsModel(CONFIG).fit(shop_history.until(shop_cutoff))


def test_everyone_has_one_segment_and_names_are_different(
    fitted: FittedSegments, shop_history: History, shop_cutoff: Moment
) -> None:
    predicted = fitted.predict(shop_history, shop_cutoff)
    assert predicted["customer_row"].is_unique
    assert set(predicted["segment"]) == set(fitted.names)
    assert len(set(fitted.names)) == len(fitted.names) >= 3
    assert predicted["segment"].value_counts(normalize=True).min() >= CONFIG.min_share


def test_segments_tell_later_trips(fitted: FittedSegments, shop_history: History, shop_cutoff: Moment) -> None:
    judgement = judge({shop_cutoff: fitted}, shop_history)
    assert judgement.beats_baselines
    assert set(figures({shop_cutoff: fitted}, shop_history)) == {"segments.png", "importance.png"}


def test_the_same_history_gives_the_same_segments(
    fitted: FittedSegments, shop_history: History, shop_cutoff: Moment
) -> None:
    again = SegmentsModel(CONFIG).fit(shop_history.until(shop_cutoff))
    assert again.names == fitted.names
    assert np.array_equal(again.centres, fitted.centres)


def test_few_customers_get_the_rule_and_it_says_so(thin_history: History) -> None:
    fitted = SegmentsModel(CONFIG).fit(thin_history)
    predicted = fitted.predict(thin_history, thin_history.known_until)
    assert set(predicted["segment"]) <= set(RULE_NAMES)
    assert "rule" in fitted.notes[0]


def test_the_rule_reads_recency_before_frequency() -> None:
    customers = pd.DataFrame({"recency_days": [3, 3, 40], "n_baskets_12w": [20, 2, 20]})
    assert [RULE_NAMES[group] for group in rule_groups(customers)] == [
        "Frequent shoppers", "Occasional shoppers", "Gone quiet",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stability", "number"), [({3: 0.9, 4: 0.8, 5: 0.1}, 4), ({3: 0.2, 4: 0.3}, 4), ({3: 0.3, 4: 0.3}, 3)]
)
def test_the_largest_stable_number_is_taken_else_the_most_stable(stability: dict[int, float], number: int) -> None:
    assert choose_number(stability, 0.7) == number


def test_missing_values_lie_at_the_median_and_far_ones_at_three_deviations() -> None:
    frame = pd.DataFrame({"spend": [*np.arange(99.0), np.nan], "fixed": 1.0})
    scaling = fit_scaling(frame, ["spend", "fixed"])
    assert scaling.columns == ("spend",)
    points = scaling.apply(pd.DataFrame({"spend": [np.nan, 49.0, 1e12]}))[:, 0]
    assert points[0] == pytest.approx(points[1])
    assert points[2] == 3.0


def test_a_point_belongs_to_the_first_of_equally_near_centres() -> None:
    assert nearest(np.array([[0.0], [9.0]]), np.array([[-1.0], [1.0]])).tolist() == [0, 1]


def test_the_shipped_config_is_read() -> None:
    assert load_config(SegmentsConfig, "segments").min_groups == 3
    assert [each.name for each in load_search(SegmentsConfig, "segments")] == ["min_stability"]
