from __future__ import annotations

from dataclasses import replace

import pytest

from serving.bundle import Bundle
from serving.bundle_format import RESTRICTED
from serving.candidates import Habit
from serving.decisioning.policy import default_policy
from serving.decisioning.rules import Gone, Pace, Screen, Withheld, price_and_category
from serving.shelf import Shelf
from serving.state.known import Trace

POLICY = replace(default_policy().habit, just_bought_share=0.5, just_bought_days=3.0, regular_purchases=3)
TODAY = 100


def habit(last_day: int = 90, due_day: float = 100.0, gap_days: float | None = 10.0, n: int = 5) -> Habit:
    return Habit(0, 0, 0.5, due_day, last_day, gap_days, 1, n)


@pytest.mark.parametrize(
    ("last_day", "gap_days", "just_bought"),
    [(96, 10.0, True), (95, 10.0, False), (98, None, True), (97, None, False), (TODAY, 0.5, True), (TODAY, 0.0, False)],
)
def test_just_bought_is_within_the_share_of_the_own_gap(
    last_day: int, gap_days: float | None, *, just_bought: bool
) -> None:
    pace = Pace(POLICY, applies_rules=True)
    assert pace.is_just_bought(habit(last_day=last_day, gap_days=gap_days), TODAY) is just_bought


def test_due_is_before_the_end_of_the_time_asked_about_or_long_ago() -> None:
    pace = Pace(POLICY, applies_rules=True)
    assert [pace.is_due(habit(due_day=day), 107) for day in (50.0, 106.9, 107.0)] == [True, True, False]
    slack = Pace(replace(POLICY, due_slack_days=2.0), applies_rules=True)
    assert slack.is_due(habit(due_day=108.5), 107)


def test_a_pace_needs_purchases_and_a_gap() -> None:
    pace = Pace(POLICY, applies_rules=True)
    assert [pace.is_regular(each) for each in (habit(n=3), habit(n=2), habit(gap_days=None))] == [True, False, False]


def test_without_rules_nothing_is_just_bought_and_all_is_due() -> None:
    pace = Pace(POLICY, applies_rules=False)
    assert not pace.is_just_bought(habit(last_day=TODAY), TODAY)
    assert pace.is_due(habit(due_day=1e6), TODAY)


def test_a_screen_says_why_and_remembers(tiny_bundle: Bundle) -> None:
    shelf = Shelf(tiny_bundle, margin_rate=0.25)
    rows = [shelf.row_of(each) for each in ("wine-1", "milk-1", "bread-1", "brie-1", "coffee-1", "salad-1")]
    wine, milk, bread, brie, coffee, _ = rows
    trace = Trace(limit=4)
    screen = Screen(
        shelf,
        gone=Gone(excluded={milk}, in_basket={bread}, dismissed={brie}),
        forbidden_flags=RESTRICTED,
        is_out=lambda product: product == coffee,
        trace=trace,
    )
    reasons = [
        Withheld.RESTRICTED,
        Withheld.EXCLUDED,
        Withheld.IN_BASKET,
        Withheld.DISMISSED,
        Withheld.OUT_OF_STOCK,
        None,
    ]
    assert [screen.withheld(each) for each in rows] == reasons
    assert screen.withheld(wine) is Withheld.RESTRICTED
    assert screen.met == set(reasons) - {None}
    assert [(each.product_id, each.reason) for each in trace.withheld] == [
        ("wine-1", "restricted"),
        ("milk-1", "excluded"),
        ("bread-1", "in_basket"),
        ("brie-1", "dismissed"),
    ]


def test_a_calls_own_filters(tiny_bundle: Bundle) -> None:
    shelf = Shelf(tiny_bundle, margin_rate=0.25)
    milk, oat, tin = (shelf.row_of(each) for each in ("milk-1", "milk-2", "crisps-2"))
    assert price_and_category(shelf, None, -1) is None
    reason = price_and_category(shelf, 2.0, shelf.category_row_of("DAIRY"))
    assert reason is not None
    assert [reason(each) for each in (milk, oat, tin)] == [None, Withheld.TOO_DEAR, Withheld.OTHER_CATEGORY]
    cheap = price_and_category(shelf, 100.0, -1)
    assert cheap is not None
    assert cheap(tin) is Withheld.TOO_DEAR
