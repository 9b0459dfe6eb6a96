from __future__ import annotations

import math
from pathlib import Path

import pytest

from features.build import FeatureStore
from tests.features.tiny import DAY_0, at, line, write_tables
from training.habit_details import habit_details
from training.habit_features import CandidateRules
from training.history import History


def history_of(tmp_path: Path, lines: list) -> History:
    return History(FeatureStore(write_tables(tmp_path / "tables", lines), tmp_path / "features"), at(100))


def test_due_is_the_last_day_and_the_shrunk_gap(tmp_path: Path) -> None:
    own = [line(order, on, product=0, quantity=2.0) for order, on in enumerate((0, 10, 20))]
    others = [line(10 + order, on, product=0, customer_row=1) for order, on in enumerate((0, 4))]
    details = habit_details(history_of(tmp_path, [*own, *others]), at(30), "product", CandidateRules(gap_weight=2.0))
    first = details[details["customer_row"] == 0].iloc[0]
    typical = (10 + 10 + 4) / 3
    assert first["due_day"] == pytest.approx(DAY_0 + 20 + (2 * 10 + 2 * typical) / 4)
    assert (first["last_day"], first["gap_days"], first["quantity"], first["n"]) == (DAY_0 + 20, 10.0, 2, 3)


def test_one_purchase_has_no_gap_and_is_due_by_the_items_typical_one(tmp_path: Path) -> None:
    lines = [line(0, 5), line(1, 0, customer_row=1), line(2, 6, customer_row=1)]
    details = habit_details(history_of(tmp_path, lines), at(30), "product")
    once = details[details["customer_row"] == 0].iloc[0]
    assert math.isnan(once["gap_days"])
    assert once["due_day"] == DAY_0 + 5 + 6


def test_where_nothing_was_bought_twice_trips_stand_in(tmp_path: Path) -> None:
    details = habit_details(history_of(tmp_path, [line(0, 0, product=0), line(1, 8, product=1)]), at(30), "product")
    assert details["due_day"].tolist() == [DAY_0 + 8, DAY_0 + 16]


def test_what_comes_later_is_not_seen(tmp_path: Path) -> None:
    details = habit_details(history_of(tmp_path, [line(0, 0), line(1, 8)]), at(8), "product")
    assert details["n"].tolist() == [1]


def test_nobody_has_bought_anything_yet(tmp_path: Path) -> None:
    assert len(habit_details(history_of(tmp_path, [line(0, 5)]), at(2), "type")) == 0
