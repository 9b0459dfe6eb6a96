from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from serving.audience_scores import ScoreColumns
from serving.bundle import Bundle, open_bundle, write_bundle
from tests.serving.tiny import AS_OF, CUSTOMERS, Rows, tiny_contents

DAY_US = 86_400 * 10**6
AS_OF_US = int(AS_OF.timestamp()) * 10**6


@pytest.fixture
def scores(tiny_bundle: Bundle) -> ScoreColumns:
    return ScoreColumns(tiny_bundle, AS_OF)


def test_numbers_are_those_of_the_bundle(scores: ScoreColumns, tiny_bundle: Bundle) -> None:
    assert scores.numbers("churn_probability") is tiny_bundle.customers.churn
    assert scores.numbers("lifetime_value") is tiny_bundle.customers.value


def test_an_hour_that_is_not_known_is_no_number(tmp_path: Path) -> None:
    contents = tiny_contents()
    hour = np.array([9, -1, 9, 9, 9, 9], dtype="|i1")
    changed = replace(contents, customers=replace(contents.customers, hour=hour))
    bundle = open_bundle(tmp_path / write_bundle(changed, tmp_path))
    assert np.isnan(ScoreColumns(bundle, AS_OF).numbers("best_hour")).tolist() == [False, True, *[False] * 4]


def test_the_next_purchase_is_never_before_the_moment_asked_about(tiny_bundle: Bundle) -> None:
    # Expected 1 to 6 days from the as-of on.
    later = ScoreColumns(tiny_bundle, AS_OF + timedelta(days=3)).numbers("next_purchase_at")
    days = (later - AS_OF_US) / DAY_US
    assert days == pytest.approx([3, 3, 3, 4, 5, 6], abs=1e-5)


def test_labels_come_with_their_rows(scores: ScoreColumns) -> None:
    rows, labels = scores.labels("best_channel")
    assert list(labels) == ["email", "store"]
    assert rows.tolist() == [-1] * len(CUSTOMERS)


def test_a_category_is_found_whatever_its_case_and_0_where_it_is_not_listed(scores: ScoreColumns) -> None:
    chances = scores.category("wine")
    assert chances is not None
    rows = Rows().customers
    assert chances[rows.row_of("emil")] > 0
    assert chances[rows.row_of("anna")] == 0
    assert scores.category("no such thing") is None
