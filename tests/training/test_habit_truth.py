from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest

from features.build import FeatureStore
from tests.features.tiny import at, line, write_tables
from training.habit_truth import HabitTruth, habit_truth
from training.history import History

FUEL = 3
LINES = [
    *(line(on, on) for on in (5, 15, 25)),  # customer 0: regular and active
    *(line(100 + on, on, product=1, customer_row=1) for on in (6, 16)),
    line(126, 26, product=FUEL, customer_row=1),  # their third trip is for fuel: not regular
    *(line(200 + on, on, product=2, customer_row=2) for on in (5, 6, 7)),  # regular
    line(30, 90, product=FUEL),
    line(31, 91, product=1),
    line(32, 92, product=2),
    line(132, 91, product=1, customer_row=1),
    line(232, 140, product=0, customer_row=2),
    line(232, 140, product=0, customer_row=2),
]


def rows(frame: pd.DataFrame) -> list[list[int]]:
    found: list[list[int]] = sorted(frame.to_numpy().tolist())
    return found


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    folder = tmp_path_factory.mktemp("shop")
    tables = write_tables(folder / "tables", LINES, products=[_product(row) for row in range(4)])
    return History(FeatureStore(tables, folder / "features"), at(150))


def _product(row: int) -> Mapping[str, Any]:
    return {"product_row": row, "is_merchandise": row != FUEL}


def truth(history: History, day: int) -> HabitTruth:
    return habit_truth(history, at(day), "product_row")


def test_who_has_three_baskets_with_merchandise_is_regular(history: History) -> None:
    assert truth(history, 80).regular.tolist() == [0, 2]


def test_who_was_there_in_eight_weeks_is_active(history: History) -> None:
    assert truth(history, 25 + 56).active.tolist() == [0]
    assert truth(history, 25 + 57).active.tolist() == []


def test_the_next_basket_is_the_first_with_merchandise_however_late(history: History) -> None:
    assert rows(truth(history, 81).next_basket) == [[0, 1], [2, 0]]
    assert rows(habit_truth(history.until(at(120)), at(81), "product_row").next_basket) == [[0, 1]]


def test_the_week_has_everyone_and_shoppers_buy_in_it(history: History) -> None:
    later = truth(history, 85)
    assert rows(later.week) == [[0, 1], [1, 1]]
    assert later.shoppers.tolist() == []
    assert habit_truth(history, at(26), "product_row").shoppers.tolist() == []


def test_fuel_alone_is_no_shopping(history: History) -> None:
    active = habit_truth(history.until(at(91)), at(81), "product_row")
    assert active.active.tolist() == [0]
    assert active.shoppers.tolist() == []


def test_at_the_end_nothing_came_after(history: History) -> None:
    end = truth(history, 150)
    assert len(end.next_basket) == len(end.week) == len(end.shoppers) == 0
