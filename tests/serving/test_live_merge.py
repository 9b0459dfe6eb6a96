from __future__ import annotations

import pytest

from serving.bundle import Bundle
from serving.candidates import Candidates
from serving.live_merge import MergedTaste
from serving.shelf import Shelf
from serving.taste import BundleTaste
from tests.serving.tiny import AS_OF_DAY, STORED


@pytest.fixture
def shelf(tiny_bundle: Bundle) -> Shelf:
    return Shelf(tiny_bundle, margin_rate=0.25)


@pytest.fixture
def candidates(tiny_bundle: Bundle, shelf: Shelf) -> Candidates:
    return Candidates(tiny_bundle, shelf)


def merged(candidates: Candidates, *customers: str) -> MergedTaste:
    return MergedTaste([BundleTaste(candidates, candidates.customer_row(each)) for each in customers])


def test_a_habit_of_both_has_the_likelier_chance_the_later_day_and_all_purchases(
    shelf: Shelf, candidates: Candidates
) -> None:
    # Milk: anna .8, 8 days ago, 9 days apart, 12 times; fay .6, yesterday, 7 days apart, 8 times.
    milk = next(merged(candidates, "anna", "fay").habits())
    assert shelf.type_names[milk.type] == "Milk"
    assert (milk.p7, AS_OF_DAY - milk.last_day, milk.gap_days, milk.n) == (pytest.approx(0.8, abs=STORED), 1, 9.0, 20)
    assert milk.due_day == AS_OF_DAY - 1 + 9


def test_habits_of_either_are_there_by_chance(shelf: Shelf, candidates: Candidates) -> None:
    both = merged(candidates, "cleo", "emil")
    assert [shelf.ids[each.product] for each in both.habits()] == ["wine-1", "milk-2", "bread-2"]
    assert [shelf.ids[each.product] for each in both.again()] == ["wine-1", "milk-2", "bread-2"]
    wine, nothing = both.again_of([shelf.row_of("wine-1"), shelf.row_of("brie-1")])
    assert wine is not None
    assert not both.is_of_several(wine)
    assert nothing is None


def test_a_stretch_is_new_to_all(shelf: Shelf, candidates: Candidates) -> None:
    # Emil's produce is what anna buys; her wine is what he buys; coffee is new to both anna and cleo.
    names = [shelf.category_names[each.category] for each in merged(candidates, "anna", "emil").stretches()]
    assert not {"Produce", "Wine", "Feminine Hygiene", "Snacks"} & set(names)
    coffee = merged(candidates, "cleo", "anna").stretches()
    best = {shelf.category_names[each.category]: each.p7 for each in coffee}
    assert best["Coffee and Tea"] == pytest.approx(0.05, abs=STORED)


def test_what_one_buys_is_no_discovery_of_the_other(shelf: Shelf, candidates: Candidates) -> None:
    found = [shelf.ids[each.product] for each in merged(candidates, "cleo", "emil").discoveries()]
    assert found == ["banana-1"]


def test_a_trip_is_that_of_any(candidates: Candidates) -> None:
    assert merged(candidates, "cleo", "emil").p_shop(1) == pytest.approx(1 - 0.8 * 0.8, abs=STORED)
    # Dora's price is not known, cleo's is.
    assert merged(candidates, "dora", "cleo").usual_price() == pytest.approx(2.5, abs=STORED)
    assert merged(candidates, "dora").usual_price() is None
