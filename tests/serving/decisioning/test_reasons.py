from __future__ import annotations

import pytest

from serving.bundle import Bundle
from serving.candidates import Habit, Neighbour, Stretch
from serving.decisioning.policy import default_policy
from serving.decisioning.reasons import Reasons
from serving.decisioning.rules import Pace
from serving.shelf import Shelf
from tests.serving.tiny import Rows

TODAY = 100


@pytest.fixture
def reasons(tiny_bundle: Bundle) -> Reasons:
    return Reasons(Shelf(tiny_bundle, margin_rate=0.25), Pace(default_policy().habit, applies_rules=True))


@pytest.mark.parametrize(
    ("last_day", "gap_days", "n", "code", "text"),
    [
        (92, 9.2, 5, "habit_due", "You buy this about every 9 days; the last time was 8 days ago"),
        (99, 1.2, 30, "habit_due", "You buy this about every day; the last time was yesterday"),
        (100, 1.6, 30, "habit_due", "You buy this about every 2 days; the last time was today"),
        (70, 30.0, 2, "bought_before", "You have bought this twice; the last time was 30 days ago"),
        (70, None, 1, "bought_before", "You bought this 30 days ago"),
        (99, None, 1, "bought_before", "You bought this yesterday"),
    ],
)
def test_a_habits_pace_in_words(
    reasons: Reasons, last_day: int, gap_days: float | None, n: int, code: str, text: str
) -> None:
    habit = Habit(0, 0, 0.5, 101.0, last_day, gap_days, 1, n)
    assert reasons.habit(habit, today=TODAY, end_day=107, is_type=False) == {"code": code, "text": text}


def test_a_habit_that_is_not_due_is_regular(reasons: Reasons) -> None:
    habit = Habit(0, 0, 0.5, 120.0, 95, 25.0, 1, 8)
    assert reasons.habit(habit, today=TODAY, end_day=107, is_type=True) == {
        "code": "habit_regular",
        "text": "You buy something like this about every 25 days; the last time was 5 days ago",
    }


def test_a_restricted_or_intimate_category_is_not_named(reasons: Reasons) -> None:
    rows = Rows()
    for name in ("Wine", "Feminine Hygiene"):
        stretch = Stretch(rows.categories[name], 0.1, (0, -1, -1), -1, 0.0)
        text = reasons.stretch(stretch, 0, is_linked=False, leaning=0)["text"]
        assert name not in text
        assert not reasons.can_name_category(rows.categories[name])
    assert reasons.can_name_category(rows.categories["Bakery"])


def test_together_names_the_product_unless_it_is_intimate(reasons: Reasons) -> None:
    rows = Rows()
    milk = Neighbour(0, 1.0, 2.0, 1, rows.product("milk-1"))
    assert reasons.together(milk, is_basket=True) == {
        "code": "bought_with_basket",
        "text": "In 1 basket together with Whole Milk",
    }
    tampons = milk._replace(source=rows.product("tampons-1"), support=1200)
    assert reasons.together(tampons, is_basket=False)["text"] == "In 1,200 baskets together with this"
