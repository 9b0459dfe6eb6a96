from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.bundle import Bundle
from serving.bundle_format import HEALTHY, INTIMATE, PRIVATE_LABEL, RECOMMENDABLE, RESTRICTED
from serving.candidates import Stretch
from serving.decisioning.challenge_parts import Draft
from serving.decisioning.merchandising import Display
from serving.decisioning.reasons import Reasons
from serving.decisioning.rules import Gone, Pace, Screen
from serving.decisioning.stretch_ranking import StretchChoice, StretchRanking
from serving.decisioning.windows import challenge_window, zone_named
from serving.numbers import Numbers
from serving.shelf import Shelf
from serving.taste import Taste
from tests.serving.tiny import AS_OF

N_PRODUCTS, N_CATEGORIES = 16, 8
LEANINGS = ((HEALTHY, 0.75), (PRIVATE_LABEL, 0.25))
HALF = tuple((-0.5 - each, 0.8) for each in range(7))
WHOLE = tuple((0.0, 1.0) for _ in range(7))
FALLING = tuple((0.0, -1.0) for _ in range(7))
PRODUCT = st.integers(-1, N_PRODUCTS - 1)
STRETCH = st.builds(
    Stretch,
    st.integers(0, N_CATEGORIES - 1),
    st.sampled_from((0.0, 0.001, 0.02, 0.02 + 1e-12, 0.3, 1.0)) | st.floats(0, 1),
    st.tuples(PRODUCT, PRODUCT, PRODUCT),
    st.integers(-1, N_CATEGORIES - 1),
    st.sampled_from((0.5, 2.0, 30.0)),
)


class Told(Taste):
    """A taste of what a test says."""

    is_cold = False

    def __init__(self, stretches: Sequence[Stretch], leanings: Sequence[tuple[int, float]]) -> None:
        super().__init__([1.0] * 7)
        self._stretches, self._leanings = stretches, leanings

    def stretches(self) -> Sequence[Stretch]:
        return self._stretches

    def leanings(self) -> Sequence[tuple[int, float]]:
        return self._leanings


def slow_product(bundle: Bundle, products: Sequence[int], floor: float | None) -> int:
    """Return which product is worth the most to show, by looking at all of them."""
    policy, shelf = bundle.policy.stretch, Shelf(bundle, margin_rate=0.25)
    best, found = -1.0, -1
    for place, product in enumerate(products):
        flags = 0 if product < 0 else shelf.flags[product]
        is_open = product >= 0 and bool(flags & RECOMMENDABLE) and not flags & (RESTRICTED | INTIMATE)
        if not is_open or not (floor is None or shelf.known_price[product] > floor):
            continue
        agreed = sum(share if flags & flag else 1.0 - share for flag, share in LEANINGS)
        worth = 1.0 - place * policy.rank_step + policy.leaning_weight * agreed
        if worth > best + 1e-9:
            best, found = worth, product
    return found


def choice_of(bundle: Bundle, stretches: Sequence[Stretch], **changes: Any) -> StretchChoice:
    policy = bundle.policy
    shelf = Shelf(bundle, margin_rate=policy.margin.rate_where_unknown)
    numbers = replace(Numbers.plain(), stretch_window=changes.get("window", HALF))
    reasons = Reasons(shelf, Pace(policy.habit, applies_rules=True))
    screen = Screen(shelf, gone=Gone(), forbidden_flags=RESTRICTED | INTIMATE)
    at = AS_OF + timedelta(hours=changes.get("hours", 1))
    zone = zone_named("America/New_York")
    assert zone is not None
    draft = Draft(
        taste=Told(stretches, LEANINGS),
        store=-1,
        window=challenge_window(at, zone),
        screen=screen,
        display=Display(shelf),
        basket_categories=set(),
        closed_types=set(),
    )
    ranking = StretchRanking(shelf, numbers, policy.stretch, reasons)
    return StretchChoice(ranking, draft, changes.get("closed", set()), changes.get("floor"))


@given(
    st.lists(STRETCH, max_size=12),
    st.sampled_from((HALF, FALLING)),
    st.sampled_from((0, 20, 100)),
    st.sets(st.integers(0, N_CATEGORIES - 1), max_size=3),
    st.sampled_from((None, 0.5, 3.0)),
)
def test_the_best_is_the_first_of_all(
    tiny_bundle: Bundle, stretches: list[Stretch], window: Any, hours: int, closed: set[int], floor: float | None
) -> None:
    choice = choice_of(tiny_bundle, stretches, window=window, hours=hours, closed=closed, floor=floor)
    ranked = choice.ranked()
    assert choice.best() == next(iter(ranked), None)
    for each in ranked:
        assert each.product == slow_product(tiny_bundle, each.stretch.products, floor)


def test_a_likelier_stretch_with_less_to_gain_comes_after(tiny_bundle: Bundle) -> None:
    shelf = Shelf(tiny_bundle, margin_rate=0.25)
    milk, brie = shelf.row_of("milk-1"), shelf.row_of("brie-1")
    assert shelf.gain[brie] > 2.5 * shelf.gain[milk] > 0.0
    stretches = [Stretch(shelf.category[milk], 0.2, (milk, -1, -1), -1, 0.0)]
    stretches.append(Stretch(shelf.category[brie], 0.1, (brie, -1, -1), -1, 0.0))
    found = choice_of(tiny_bundle, stretches).best()
    assert found is not None
    assert found.product == brie


def test_of_two_alike_the_first_listed_stands(tiny_bundle: Bundle) -> None:
    shelf = Shelf(tiny_bundle, margin_rate=0.25)
    milk = shelf.row_of("milk-1")
    alike = [Stretch(3, 0.2, (milk, -1, -1), -1, lift) for lift in (0.5, 0.0, 0.9)]
    found = choice_of(tiny_bundle, alike).best()
    assert found is not None
    assert found.stretch.lift == 0.5


def test_what_counts_is_the_categorys_margin_not_that_of_the_product_named(tiny_bundle: Bundle) -> None:
    shelf = Shelf(tiny_bundle, margin_rate=0.25)
    coffee, salad = shelf.row_of("coffee-1"), shelf.row_of("salad-1")
    found = choice_of(tiny_bundle, [Stretch(shelf.category[salad], 0.2, (coffee, -1, -1), -1, 0.0)]).best()
    assert found is not None
    # Bananas are bought by 25 % and bring .50, salads by 8 % and bring 1.50.
    assert found.value == pytest.approx(found.chance * ((0.25 * 0.5 + 0.08 * 1.5) / 0.33) ** 0.5)


def test_a_chance_counts_as_much_as_its_square_in_margin(tiny_bundle: Bundle) -> None:
    shelf = Shelf(tiny_bundle, margin_rate=0.25)
    milk, brie = shelf.row_of("milk-1"), shelf.row_of("brie-1")
    ratio = (shelf.category_gain[shelf.category[brie]] / shelf.category_gain[shelf.category[milk]]) ** 0.5
    for factor, wanted in ((0.99, brie), (1.01, milk)):
        stretches = [
            Stretch(shelf.category[brie], 0.05, (brie, -1, -1), -1, 0.0),
            Stretch(shelf.category[milk], 0.05 * ratio * factor, (milk, -1, -1), -1, 0.0),
        ]
        found = choice_of(tiny_bundle, stretches, window=WHOLE, hours=0).best()
        assert found is not None
        assert found.product == wanted
