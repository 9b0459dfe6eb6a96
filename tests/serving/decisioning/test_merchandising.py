from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from serving.bundle import Bundle
from serving.candidates import Neighbour
from serving.decisioning.merchandising import Call, Display, Merchants, unknown_names
from serving.decisioning.policy import default_policy_text, parse_policy
from serving.decisioning.policy_merchandising import Merchandising
from serving.shelf import Shelf
from serving.strings import StringTable
from serving.taste import Place
from tests.serving.tiny import AS_OF, PRODUCTS, Rows

NEW_YORK = Place(0, "s-ny", ZoneInfo("America/New_York"))
TOKYO = Place(-1, None, ZoneInfo("Asia/Tokyo"))


@pytest.fixture(scope="module")
def shop(tiny_bundle: Bundle) -> Bundle:
    """Return the tiny shop, with brands: the milk is of Alm, the coffee of Röst."""
    brands = ["Alm" if each.startswith("milk") else "Röst" * each.startswith("coffee") for each in Rows().products.ids]
    return replace(tiny_bundle, products=replace(tiny_bundle.products, brand=StringTable.of(brands)))


def rules(text: str) -> Merchandising:
    return parse_policy(default_policy_text() + text).merchandising


def display(
    shop: Bundle,
    text: str,
    call: str = "recommendations",
    at: datetime = AS_OF,
    place: Place = NEW_YORK,
    placement: str | None = None,
) -> Display:
    merchants = Merchants(shop, Shelf(shop, margin_rate=0.2), rules(text))
    return merchants.display(Call(call, at, placement, place))


def row(product_id: str) -> int:
    return Rows().product(product_id)


def banned(found: Display) -> set[str]:
    return {each for each in PRODUCTS if found.is_banned(row(each))}


BOTH_MILKS = {"milk-1", "milk-2"}


@pytest.mark.parametrize(
    ("aim", "products"),
    [
        ("products = ['milk-1', 'nothing']", {"milk-1"}),
        ("product_types = ['MILK']", BOTH_MILKS),
        ("categories = ['dairy']", {*BOTH_MILKS, "yogurt-1"}),
        ("departments = ['food']", set(PRODUCTS)),
        ("brands = ['ALM', 'röst']", {*BOTH_MILKS, "coffee-1", "coffee-2"}),
        ("offers = ['o-1']", set()),
        ("brands = ['Alm']\nproducts = ['brie-1']", {*BOTH_MILKS, "brie-1"}),
    ],
)
def test_a_ban_takes_out_all_that_it_names(shop: Bundle, aim: str, products: set[str]) -> None:
    assert banned(display(shop, f"\n[[bans]]\n{aim}\n")) == products


def test_a_product_that_is_not_known_is_not_banned(shop: Bundle) -> None:
    assert not display(shop, "\n[[bans]]\ndepartments = ['Food']\n").is_banned(-1)


@pytest.mark.parametrize(
    ("hour", "place", "is_banned"),
    [
        ("2018-01-02T04:59:59+00:00", NEW_YORK, False),  # still the 1st in New York
        ("2018-01-02T05:00:00+00:00", NEW_YORK, True),
        ("2018-01-02T04:59:59+00:00", TOKYO, True),  # the 2nd there, since 15:00 UTC of the 1st
        ("2018-01-03T14:59:59+00:00", TOKYO, True),
        ("2018-01-03T15:00:00+00:00", TOKYO, False),  # the 4th, which is not part of it
    ],
)
def test_days_are_those_of_who_asks(shop: Bundle, hour: str, place: Place, is_banned: bool) -> None:
    text = "\n[[bans]]\nproducts = ['milk-1']\nfrom = 2018-01-02\nto = 2018-01-04\n"
    assert bool(banned(display(shop, text, at=datetime.fromisoformat(hour), place=place))) == is_banned


@pytest.mark.parametrize(("second", "is_banned"), [(9, False), (10, True), (19, True), (20, False)])
def test_moments_are_the_same_everywhere(shop: Bundle, second: int, is_banned: bool) -> None:
    text = "\n[[bans]]\nproducts = ['milk-1']\nfrom = 2018-01-02T00:00:10Z\nto = '2018-01-02T01:00:20+01:00'\n"
    at = datetime(2018, 1, 2, 0, 0, second, tzinfo=UTC)
    assert all(bool(banned(display(shop, text, at=at, place=each))) == is_banned for each in (NEW_YORK, TOKYO))


def test_one_set_of_rules_answers_for_each_moment_as_it_comes(shop: Bundle) -> None:
    text = "\n[[bans]]\nproducts = ['milk-1']\nto = 2018-01-02\n[[bans]]\nproducts = ['brie-1']\nfrom = 2018-01-02\n"
    merchants = Merchants(shop, Shelf(shop, margin_rate=0.2), rules(text))
    days = [datetime(2018, 1, day, 12, tzinfo=UTC) for day in (1, 2, 1)]
    found = [banned(merchants.display(Call("offers", at, None, NEW_YORK))) for at in days]
    assert found == [{"milk-1"}, {"brie-1"}, {"milk-1"}]


def test_memory_of_days_stays_small(shop: Bundle) -> None:
    merchants = Merchants(shop, Shelf(shop, margin_rate=0.2), rules("\n[[bans]]\nproducts = ['a']\nto = 2030-01-01\n"))
    for day in range(1, 29):
        for month in range(1, 13):
            merchants.display(Call("offers", datetime(2018, month, day, tzinfo=UTC), None, NEW_YORK))
    assert len(merchants._by_call) <= 64


def test_calls_placements_and_stores_bound_a_rule(shop: Bundle) -> None:
    text = "\n[[bans]]\nproducts = ['milk-1']\ncalls = ['offers']\nplacements = ['home', 'till']\nstores = ['s-ny']\n"
    assert banned(display(shop, text, "offers", placement="home"))
    assert not banned(display(shop, text, "offers", placement="kiosk"))
    assert not banned(display(shop, text, "offers"))
    assert not banned(display(shop, text, "offers", place=TOKYO, placement="till"))
    assert not banned(display(shop, text, "challenge", placement="home"))


def test_boosts_multiply_and_are_held_to_what_one_may_be(shop: Bundle) -> None:
    found = display(
        shop,
        "\n[[boosts]]\nbrands = ['Alm']\nfactor = 5\n[[boosts]]\nproducts = ['milk-2']\nfactor = 0.5\n"
        "[[boosts]]\nproducts = ['milk-1']\nfactor = 4\n",
    )
    assert math.exp(found.step(row("milk-2"))) == pytest.approx(2.5)
    assert math.exp(found.step(row("milk-1"))) == pytest.approx(10)
    assert found.step(row("brie-1")) == 0.0
    assert found.boosted(0.5, row("milk-2")) == pytest.approx(2.5 / 3.5)
    assert found.boosted(0.5, row("brie-1")) == 0.5


def test_a_list_keeps_its_order_but_for_what_is_boosted(shop: Bundle) -> None:
    # Chances within 7 days: yogurt .12, salad .08, brie .04, coffee-1 .06: brie holds coffee-1 to its own .04.
    listed = [row(each) for each in ("yogurt-1", "salad-1", "brie-1", "coffee-1")]
    boost = "\n[[boosts]]\nproducts = ['coffee-1']\nfactor = {}\n"
    for factor, place in (("1.0", 3), ("1.5", 2), ("2.5", 1), ("10", 0)):
        found = list(display(shop, boost.format(factor)).ordered("any", lambda: iter(listed)))
        assert found.index(row("coffee-1")) == place
        assert [each for each in found if each != row("coffee-1")] == listed[:3]
    assert list(display(shop, "").ordered("any", lambda: iter(listed))) == listed
    assert list(display(shop, boost.format(2)).ordered("none", lambda: iter(()))) == []


def test_scores_are_boosted_for_the_order_only(shop: Bundle) -> None:
    found = [Neighbour(row("milk-1"), 0.5, 1.0, 1, 0), Neighbour(row("brie-1"), 0.3, 1.0, 1, 0)]
    boosted = display(shop, "\n[[boosts]]\nproducts = ['brie-1']\nfactor = 2\n").by_score(found)
    assert boosted == found[::-1]
    assert display(shop, "").by_score(found) is found


def test_a_pin_has_what_it_names_first_then_the_best_sellers_of_its_kinds(shop: Bundle) -> None:
    text = (
        "\n[[pins]]\nproducts = ['brie-1', 'nothing', 'milk-2']\ncategories = ['Coffee and Tea']\nrank = 3\n"
        "[[pins]]\nbrands = ['Alm']\nintents = ['mixed']\n[[pins]]\noffers = ['o-2', 'o-1']\nrank = 2\n"
    )
    found = display(shop, text)
    assert [pin.rank for pin in found.pins] == [1, 3]
    first, second = found.pins
    assert first.intents == ("mixed",)
    assert first.best == (row("milk-1"), row("milk-2"))
    assert second.named == (row("brie-1"), row("milk-2"))
    assert set(second.best) == {row("brie-1"), row("milk-2"), row("coffee-1"), row("coffee-2")}
    assert dict(found.pinned_offers) == {"o-2": 2, "o-1": 2}


def test_offers_go_by_their_own_rules_and_those_of_what_they_are_for(shop: Bundle) -> None:
    text = (
        "\n[[boosts]]\noffers = ['o-1']\nfactor = 2\n[[boosts]]\nproducts = ['milk-1']\nfactor = 3\n"
        "[[bans]]\noffers = ['o-2']\n[[bans]]\nproducts = ['brie-1']\n"
    )
    found = display(shop, text, "offers")
    assert found.offer_factor("o-1", row("milk-1")) == pytest.approx(6)
    assert found.offer_factor("o-1", -1) == 2
    assert found.offer_factor("o-3", row("milk-2")) == 1
    assert found.bans_offer("o-2", ())
    assert found.bans_offer("o-3", [row("brie-1")])
    assert not found.bans_offer("o-3", [row("brie-1"), row("milk-1")])
    assert not found.bans_offer("o-3", ())


def test_without_rules_nothing_is_made_of_a_call(shop: Bundle) -> None:
    found = display(shop, "")
    assert found.flags is not None
    assert (found.pins, found.has_boosts, banned(found)) == ((), False, set())
    assert found.boosted(0.3, 0) == 0.3
    assert found.offer_factor("o-1", 0) == 1.0


def test_names_that_no_bundle_knows_are_told(shop: Bundle) -> None:
    text = (
        "\n[[pins]]\nproducts = ['milk-1', 'milk-9']\n[[boosts]]\nbrands = ['alm', 'Alp']\nfactor = 2\n"
        "[[bans]]\ncategories = ['dairy']\nproduct_types = ['Silk']\nstores = ['s-mars']\n"
    )
    assert unknown_names(shop, rules(text)) == [
        "pins 1: the bundle knows no product 'milk-9'",
        "boosts 1: the bundle knows no brand 'Alp'",
        "bans 1: the bundle knows no store 's-mars'",
        "bans 1: the bundle knows no product type 'Silk'",
    ]
    assert unknown_names(shop, rules("")) == []
