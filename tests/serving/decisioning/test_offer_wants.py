"""What somebody wants of an offer: by product, by type, by category, and when."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serving.bundle import Bundle, obeying
from serving.candidates import Candidates, Discovery, Habit, Sign, Stretch
from serving.decisioning.offer_pairs import Wanting
from serving.decisioning.offer_tastes import TasteColumns
from serving.decisioning.offer_wants import NOBODY, Want, WantFinder, Wants, likely_first, within
from serving.decisioning.policy import default_policy
from serving.decisioning.rules import Pace
from serving.offer_shelf import OfferShelf
from serving.shelf import Shelf
from serving.state.events import EventType
from serving.taste import BundleTaste, Taste
from tests.serving.tiny import AS_OF_DAY as TODAY
from tests.serving.tiny import CUSTOMERS

POLICY = default_policy()


class Told(Taste):
    """A taste of what is told, and nothing else."""

    def __init__(self, *things: Habit | Discovery | Stretch, types: tuple[Habit, ...] = ()) -> None:
        super().__init__([0.5] * 7)
        self.things = things
        self.types = types

    def habits(self):  # type: ignore[no-untyped-def] # as its base says
        return iter(self.types)

    def again(self):  # type: ignore[no-untyped-def] # as its base says
        return iter(each for each in self.things if isinstance(each, Habit))

    def again_products(self):  # type: ignore[no-untyped-def] # as its base says
        return [each.product for each in self.again()]

    def again_of(self, products):  # type: ignore[no-untyped-def] # as its base says
        known = {each.product: each for each in self.again()}
        return [known.get(each) for each in products]

    def discoveries(self):  # type: ignore[no-untyped-def] # as its base says
        return iter(each for each in self.things if isinstance(each, Discovery))

    def stretches(self):  # type: ignore[no-untyped-def] # as its base says
        return [each for each in self.things if isinstance(each, Stretch)]


class Of:
    """What somebody wants of one offer."""

    def __init__(self, wants: Wants, offer: int) -> None:
        own = [place for place in range(len(wants.counts)) if wants.counts[place] and wants.pairs.offer[place] == offer]
        self.found: list[Want] = [wants.want(place) for place in own]
        self.p7, self.due7 = float(wants.p7[offer]), float(wants.due7[offer])
        self.n_just_bought, self.has_own = int(wants.n_just_bought[offer]), bool(wants.has_own[offer])
        self.favourite = int(wants.favourite[offer])
        speaker = int(wants.speaker[offer])
        self.strongest = None if speaker == NOBODY else wants.want(speaker)


class Shop:
    """The tiny shop's offers under the default policy with changes."""

    def __init__(self, bundle: Bundle, **changes: object) -> None:
        self.policy = replace(POLICY.offers, **changes)  # type: ignore[arg-type] # fields of several types
        self.bundle = obeying(bundle, replace(POLICY, offers=self.policy))
        self.shelf = Shelf(self.bundle, margin_rate=0.25)
        self.offers = OfferShelf(self.bundle, self.shelf)
        self.finder = WantFinder(self.shelf, self.offers, self.policy, habits=POLICY.habit, half_life_days=4.0)

    def all_wants(self, taste: Taste, **more: object) -> Wants:
        asked = Wanting(TasteColumns(taste, self.bundle), TODAY, TODAY + 7, **more)  # type: ignore[arg-type] # several
        return self.finder.find(asked)

    def wants(self, taste: Taste, offer_id: str, **more: object) -> Of:
        return Of(self.all_wants(taste, **more), self.offers.rows[offer_id])

    def row(self, product_id: str) -> int:
        return self.shelf.row_of(product_id)

    def habit(
        self, product_id: str, *, p7: float = 0.5, last: int = 8, gap: float | None = 9.0, due: float = 1.0
    ) -> Habit:
        row = self.row(product_id)
        return Habit(row, self.shelf.type[row], p7, TODAY + due, TODAY - last, gap, 1, 9)


@pytest.fixture(scope="module")
def shop(tiny_bundle: Bundle) -> Shop:
    return Shop(tiny_bundle)


def test_a_chance_of_seven_days_goes_on_at_the_same_pace() -> None:
    assert within(0.5, 7.0) == 0.5
    assert within(0.5, 28.0) == 1 - 0.5**4
    assert within(1.0, 1.0) == 1.0


def test_nothing_wanted_is_no_want(shop: Shop) -> None:
    wants = shop.wants(Told(), "dairy-off")
    assert wants.found == []
    assert wants.p7 == 0.0
    assert wants.strongest is None


def test_types_count_as_if_independent_and_what_is_one_type_once(shop: Shop) -> None:
    milk, yogurt = shop.habit("milk-1", p7=0.5), shop.habit("yogurt-1", p7=0.4)
    assert shop.wants(Told(milk, yogurt), "dairy-off").p7 == pytest.approx(1 - 0.5 * 0.6)
    as_type = shop.habit("milk-1", p7=0.6)
    wants = shop.wants(Told(milk, types=(as_type,)), "dairy-off")
    assert wants.p7 == pytest.approx(0.6)


def test_a_type_counts_by_the_share_of_its_sales_that_the_offer_has(shop: Shop) -> None:
    crisps = shop.habit("crisps-1", p7=0.6)
    assert shop.wants(Told(types=(crisps,)), "points").p7 == pytest.approx(0.6)
    brie = shop.habit("gone-1", p7=0.6)
    assert shop.wants(Told(types=(brie,)), "brie-off").p7 == pytest.approx(0.6 * 0.04 / (0.04 + 0.05))


def test_what_was_just_bought_is_not_wanted_and_is_remembered(shop: Shop) -> None:
    wants = shop.wants(Told(shop.habit("milk-1", last=1, due=8.0)), "dairy-off")
    assert (wants.n_just_bought, wants.found, wants.p7) == (1, [], 0.0)
    assert wants.has_own
    of_its_type = shop.wants(
        Told(Discovery(shop.row("milk-2"), 0.3), types=(shop.habit("milk-1", last=1, due=8.0),)), "dairy-off"
    )
    assert of_its_type.found == []


def test_what_is_excluded_is_not_wanted(shop: Shop) -> None:
    taste = Told(shop.habit("milk-1"), Discovery(shop.row("yogurt-1"), 0.2))
    closed = {shop.row("milk-1"), shop.row("yogurt-1")}
    assert shop.wants(taste, "dairy-off", closed=closed).found == []


def test_only_a_habit_that_is_due_and_not_defended_would_be_bought_anyway(shop: Shop, tiny_bundle: Bundle) -> None:
    due, later = shop.habit("milk-1", p7=0.5), shop.habit("milk-1", p7=0.5, due=20.0)
    assert shop.wants(Told(due), "dairy-off").due7 == pytest.approx(0.5)
    assert shop.wants(Told(later), "dairy-off").due7 == 0.0
    defending = Shop(tiny_bundle, defend_habits=("dairy",))
    assert defending.wants(Told(due), "dairy-off").due7 == 0.0
    leaving = Shop(tiny_bundle, defend_habits=("leaving",))
    assert leaving.wants(Told(due), "dairy-off", may_leave=True).due7 == 0.0
    assert leaving.wants(Told(due), "dairy-off").due7 == pytest.approx(0.5)


def test_a_habit_lapses_after_so_many_of_its_gaps(shop: Shop) -> None:
    def is_lapsing(last: int, gap: float | None) -> bool:
        return shop.wants(Told(shop.habit("milk-1", last=last, gap=gap)), "dairy-off").found[0].is_lapsing

    assert not is_lapsing(18, 9.0)
    assert is_lapsing(19, 9.0)
    assert not is_lapsing(400, None)


@pytest.mark.parametrize(
    ("due", "last", "gap", "moment"),
    [
        (0.0, 9, 9.0, 1.0),  # due today
        (4.5, 4, 9.0, 0.5),  # half a gap before
        (9.0, 4, 9.0, 0.0),
        (-9.0, 18, 9.0, 1.0),  # a gap late: about to lapse
        (-27.0, 36, 9.0, 0.5),  # four gaps since the last time: half gone
        (0.0, 9, None, 0.5),
    ],
)
def test_it_is_time_from_when_it_is_due_until_it_lapses(
    shop: Shop, due: float, last: int, gap: float | None, moment: float
) -> None:
    habit = shop.habit("wine-1", due=due, last=last, gap=gap)
    assert shop.wants(Told(habit), "wine-off").found[0].moment == pytest.approx(moment)


def test_interest_is_timely_on_its_day_and_neutral_after_a_while(shop: Shop) -> None:
    def moment(days_ago: int) -> float:
        found = Discovery(shop.row("brie-1"), 0.2, Sign(EventType.VIEW, TODAY - days_ago))
        return shop.wants(Told(found), "brie-off").found[0].moment

    assert moment(0) == 1.0
    assert moment(4) == 0.5
    assert moment(30) == POLICY.offers.neutral_timeliness


def test_a_stretch_is_worth_what_the_offer_has_of_its_category(shop: Shop) -> None:
    category = shop.shelf.category_row_of("Coffee and Tea")
    by_best = Stretch(category, 0.3, (shop.row("coffee-2"), -1, -1), -1, float("nan"))
    (want,) = shop.wants(Told(by_best), "coffee-off").found
    assert (want.product, want.p7) == (shop.row("coffee-2"), 0.3)
    cheese = shop.shelf.category_row_of("Cheese Counter")
    elsewhere = Stretch(cheese, 0.3, (shop.row("gone-1"), -1, -1), -1, float("nan"))
    (want,) = shop.wants(Told(elsewhere), "brie-off").found
    assert want.p7 == pytest.approx(0.3 * 0.04 / 0.09)


def test_restricted_products_are_wanted_by_those_only_who_buy_them(shop: Shop) -> None:
    assert shop.wants(Told(Discovery(shop.row("wine-1"), 0.5)), "wine-off").found == []
    assert len(shop.wants(Told(shop.habit("wine-1")), "wine-off").found) == 1


def test_a_favourite_category_counts_by_its_share(shop: Shop) -> None:
    dairy = shop.shelf.category_row_of("Dairy")
    wants = shop.wants(Told(), "dairy-off", favourites=(np.array([dairy]), np.array([0.8])))
    assert wants.p7 == pytest.approx(0.8)
    assert wants.favourite == dairy


def test_the_likeliest_products_come_first_then_what_sells_best_and_none_twice(shop: Shop) -> None:
    offer = shop.offers.named("dairy-off")
    assert offer is not None
    wants = shop.all_wants(Told(shop.habit("yogurt-1", p7=0.2), shop.habit("milk-2", p7=0.3)))
    named = [(shop.shelf.ids[row], is_own) for row, is_own in likely_first(wants, offer)]
    assert named == [("milk-2", True), ("yogurt-1", True), ("milk-1", False)]


def test_the_bundle_s_arrays_say_what_its_taste_says(shop: Shop, tiny_bundle: Bundle) -> None:
    """The quick way, by arrays, and the way of tastes that live events have moved must agree."""
    for customer in CUSTOMERS:
        candidates = Candidates(tiny_bundle, shop.shelf)
        taste = BundleTaste(candidates, candidates.customer_row(customer))
        retold = Told(*taste.again(), *taste.discoveries(), *taste.stretches(), types=tuple(taste.habits()))
        quick, slow = shop.all_wants(taste), shop.all_wants(retold)
        for name in ("p7", "due7", "n_just_bought", "has_open", "has_own", "margin", "extra", "weight"):
            assert getattr(quick, name) == pytest.approx(getattr(slow, name)), name
        # By their texts: an unknown lift is NaN, which is never the same.
        assert [repr(quick.want(i)) for i in quick.speaker if i >= 0] == [
            repr(slow.want(i)) for i in slow.speaker if i >= 0
        ]


def test_due_and_just_bought_are_those_of_the_pace(shop: Shop) -> None:
    pace = Pace(POLICY.habit, applies_rules=True)
    for last, gap, due in ((1, 9.0, 8.0), (3, 9.0, 6.0), (4, 9.0, 5.0), (2, None, 1.0), (3, None, 1.0), (5, 7.0, 6.9)):
        habit = shop.habit("milk-1", last=last, gap=gap, due=due)
        wants = shop.wants(Told(habit), "dairy-off")
        assert bool(wants.n_just_bought) == pace.is_just_bought(habit, TODAY)
        assert bool(wants.due7) == (pace.is_due(habit, TODAY + 7) and not wants.n_just_bought)


def test_a_large_shop_is_summed_as_a_small_one(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    taste = Told(shop.habit("milk-1"), shop.habit("yogurt-1"), types=(shop.habit("milk-2", p7=0.7),))
    small = shop.all_wants(taste).p7
    monkeypatch.setattr("serving.decisioning.offer_wants._MOST_GROUPS", 0)
    assert Shop(shop.bundle).all_wants(taste).p7 == pytest.approx(small)
