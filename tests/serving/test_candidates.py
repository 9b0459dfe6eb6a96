from __future__ import annotations

import pytest

from serving.bundle import Bundle
from serving.bundle_format import PRIVATE_LABEL
from serving.candidates import Candidates
from serving.numbers import between_days
from serving.shelf import Shelf
from tests.serving.tiny import AS_OF_DAY, HABITS


@pytest.fixture
def shelf(tiny_bundle: Bundle) -> Shelf:
    return Shelf(tiny_bundle, margin_rate=0.25)


@pytest.fixture
def candidates(tiny_bundle: Bundle, shelf: Shelf) -> Candidates:
    return Candidates(tiny_bundle, shelf)


def test_habits_come_by_chance_with_all_that_is_known(shelf: Shelf, candidates: Candidates) -> None:
    habits = list(candidates.habits(candidates.customer_row("anna")))
    expected = sorted(HABITS["anna"], key=lambda each: -each[2])
    assert [shelf.ids[each.product] for each in habits] == [each[1] for each in expected]
    milk = habits[0]
    assert (milk.gap_days, milk.quantity, milk.n, AS_OF_DAY - milk.last_day) == (9.0, 2, 12, 8)
    assert habits[-1].gap_days is None


def test_who_has_nothing_has_no_candidates(candidates: Candidates) -> None:
    dora = candidates.customer_row("dora")
    assert not list(candidates.habits(dora))
    assert not list(candidates.again(dora))
    assert not candidates.stretches(dora)
    assert candidates.usual_price(dora) is None
    assert candidates.usual_store(dora) == -1


def test_what_is_not_known_has_no_row(candidates: Candidates) -> None:
    assert candidates.customer_row("") == candidates.customer_row("nobody") == -1
    assert candidates.store_row(None) == candidates.store_row("nowhere") == -1
    assert list(candidates.popular_in_store(-1)) == []


def test_consent_is_what_was_said_else_what_is_assumed(candidates: Candidates) -> None:
    anna, ben, cleo = (candidates.customer_row(each) for each in ("anna", "ben", "cleo"))
    assert candidates.consents(anna, "personalize", assumed=False)
    assert not candidates.consents(ben, "personalize", assumed=True)
    assert [candidates.consents(cleo, "email", assumed=each) for each in (True, False)] == [True, False]


def test_leanings_are_those_that_are_known(candidates: Candidates) -> None:
    assert candidates.leanings(candidates.customer_row("cleo")) == [(PRIVATE_LABEL, pytest.approx(0.9))]


@pytest.mark.parametrize("days", [0.25, 1.0, 2.5, 6.75, 7.0])
def test_a_trip_between_two_days_is_as_likely_as_between_their_chances(
    tiny_bundle: Bundle, candidates: Candidates, days: float
) -> None:
    anna = candidates.customer_row("anna")
    by_day = tiny_bundle.customers.p_shop[anna].tolist()
    assert candidates.p_shop(anna, days) == between_days(by_day, days)


def test_neighbours_add_up_without_those_asked_about(shelf: Shelf, candidates: Candidates) -> None:
    found = candidates.neighbours([shelf.row_of("milk-1"), shelf.row_of("bread-1"), shelf.row_of("milk-1")])
    assert [shelf.ids[each.product] for each in found] == ["coffee-1", "brie-1", "gone-1", "banana-1"]
    coffee = found[0]
    # Milk's link (.4) is the stronger one, bread adds .1.
    assert coffee.score == pytest.approx(0.4 + 0.1)
    assert (shelf.ids[coffee.source], coffee.support) == ("milk-1", 20)
    assert candidates.neighbours([]) == []


def test_products_are_found_by_id_and_categories_by_name(shelf: Shelf) -> None:
    assert shelf.ids[shelf.row_of("milk-1")] == "milk-1"
    assert shelf.row_of("nothing") == -1
    assert shelf.rows_of(["milk-1", "nothing", "milk-1"]) == {shelf.row_of("milk-1")}
    assert shelf.category_names[shelf.category_row_of("dairy")] == "Dairy"
    assert shelf.category_row_of("nothing") == -1


def test_margins_are_known_or_a_share_of_the_price_or_nothing(shelf: Shelf) -> None:
    known, by_price, unknown = (shelf.row_of(each) for each in ("milk-1", "bread-2", "crisps-2"))
    assert shelf.margin(known) == pytest.approx(0.4)
    assert shelf.margin(by_price) == pytest.approx(0.25 * 2.5)
    assert shelf.margin(unknown) is None
    assert shelf.price(unknown) is None
    assert [shelf.has_cost(each) for each in (known, by_price)] == [True, False]
