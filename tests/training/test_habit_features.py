from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.asof import Moment
from features.build import FeatureStore
from tests.features.tiny import at, line, returned, write_tables
from training.habit_features import (
    CandidateRules,
    described,
    expected_gaps,
    labelled,
    learnable_columns,
    shortlist,
    surroundings,
)
from training.history import History
from training.levels import PRODUCT

RULES = CandidateRules(max_items=2, gap_weight=2.0)
LINES = [
    line(0, 0, product=0),
    line(1, 7, product=0),
    line(1, 7, product=1),
    line(2, 14, product=0),
    line(2, 14, product=2),
    line(3, 3, product=1, customer_row=1),
    line(4, 16, product=0),
    line(5, 18, product=0),
    line(5, 18, product=2),
]


def candidates(history: History, moment: Moment, rules: CandidateRules = RULES) -> pd.DataFrame:
    return described(shortlist(history, moment, PRODUCT, rules), surroundings(history, moment, PRODUCT, rules))


@pytest.fixture
def history(tmp_path: Path) -> History:
    tables = write_tables(tmp_path / "tables", LINES, returns=[returned(8, 19, product_row=2)])
    return History(FeatureStore(tables, tmp_path / "features"), at(100))


def test_candidates_are_the_largest_decayed_counts(history: History) -> None:
    pairs = candidates(history, at(15))
    assert pairs[["customer_row", "product_row", "place"]].to_numpy().tolist() == [[0, 0, 1], [0, 2, 2], [1, 1, 1]]


def test_the_share_of_recent_baskets_is_a_share(history: History) -> None:
    pairs = candidates(history, at(15), CandidateRules())
    shares = pairs.set_index(["customer_row", "product_row"])["share_h56"]
    assert shares[0, 0] == pytest.approx(1)
    decay = 2 ** (-1 / 56), 2 ** (-8 / 56), 2 ** (-15 / 56)
    assert shares[0, 1] == pytest.approx(decay[1] / sum(decay))


def test_labels_say_when_it_was_first_bought_and_who_came(history: History) -> None:
    pairs = labelled(history, at(15), candidates(history, at(15)), PRODUCT)
    assert pairs["first_day_bought"].fillna(-1).tolist() == [1, -1, -1]  # product 2 was bought on day 18 and taken back
    assert pairs["has_shopped"].tolist() == [True, True, False]


def test_nothing_that_comes_later_is_a_feature(history: History) -> None:
    pairs = labelled(history, at(15), candidates(history, at(15)), PRODUCT)
    assert not {"first_day_bought", "has_shopped", "product_row", "last_day"} & set(learnable_columns(pairs))


def test_expected_gaps_lean_on_the_item_where_own_ones_are_few() -> None:
    pairs = pd.DataFrame({"gap_mean_days": [np.nan, 4.0, 4.0], "n_baskets": [1, 2, 11]})
    gaps = expected_gaps(pairs, pd.Series([10.0, 10.0, np.nan]), 2.0)
    assert gaps.tolist() == [10.0, (1 * 4 + 2 * 10) / 3, (10 * 4 + 2 * 10) / 12]


def test_without_any_typical_gap_the_own_one_stands() -> None:
    pairs = pd.DataFrame({"gap_mean_days": [np.nan, 4.0], "n_baskets": [1, 2]})
    gaps = expected_gaps(pairs, pd.Series([np.nan, np.nan]), 2.0)
    assert math.isnan(gaps[0])
    assert gaps[1] == 4.0


def test_the_next_basket_is_told_with_its_size_however_late_and_is_unknown_to_who_has_none(history: History) -> None:
    pairs = labelled(history, at(8), candidates(history, at(8), CandidateRules()), PRODUCT)
    told = pairs.set_index(["customer_row", "product_row"])[["in_next_basket", "next_basket_size"]]
    assert told.loc[0].to_numpy().tolist() == [[1, 2], [0, 2]]  # 0 and 2 on day 14
    assert told.loc[1].isna().all().all()
    early = labelled(history.until(at(15)), at(8), candidates(history, at(8), CandidateRules()), PRODUCT)
    assert early["in_next_basket"].to_numpy()[:2].tolist() == [1, 0]
    assert not set(learnable_columns(pairs)) & {"in_next_basket", "next_basket_size"}
