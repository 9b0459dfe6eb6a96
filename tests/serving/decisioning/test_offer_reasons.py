"""Why offers are made: who speaks, what a reason shows, and what it says."""

from __future__ import annotations

import numpy as np
import pytest

from serving.bundle import Bundle
from serving.candidates import Discovery, Neighbour, Sign, Stretch
from serving.decisioning.offer_reasons import POPULAR, OfferReasons
from serving.decisioning.offer_wants import FAVOURITE, NOBODY
from serving.decisioning.reasons import Reasons
from serving.decisioning.rules import Pace
from serving.state.events import EventType
from serving.taste import Taste
from tests.serving.decisioning.test_offer_wants import POLICY, TODAY, Shop, Told


@pytest.fixture(scope="module")
def shop(tiny_bundle: Bundle) -> Shop:
    return Shop(tiny_bundle)


@pytest.fixture(scope="module")
def reasons(shop: Shop) -> OfferReasons:
    pace = Pace(POLICY.habit, applies_rules=True)
    return OfferReasons(shop.shelf, shop.offers, Reasons(shop.shelf, pace), shop.policy, pace)


def said(shop: Shop, reasons: OfferReasons, taste: Taste, offer_id: str, **more: object) -> tuple[str, str, float]:
    """Return the code, the text and the privacy cost of an offer's reason."""
    wants, row = shop.all_wants(taste, **more), shop.offers.rows[offer_id]
    speakers = reasons.speakers(wants)
    why = reasons.why(wants, row, int(speakers[row]), end_day=TODAY + 7)
    return str(why.code), reasons.text(why, today=TODAY)["text"], float(reasons.privacy_costs(wants, speakers)[row])


def test_nothing_known_is_the_popular_reason_and_shows_nothing(shop: Shop, reasons: OfferReasons) -> None:
    assert reasons.why(None, 0, NOBODY, end_day=TODAY) is POPULAR
    assert said(shop, reasons, Told(), "brie-off") == (
        "popular",
        "One of the offers of these days",
        shop.policy.privacy_popular,
    )


def test_a_habit_says_its_pace_and_a_lapsing_one_only_its_past(shop: Shop, reasons: OfferReasons) -> None:
    due = said(shop, reasons, Told(shop.habit("milk-1")), "dairy-off")
    assert due == ("habit_due", "You buy Whole Milk about every 9 days; the last time was 8 days ago", 0.2)
    lapsing = said(shop, reasons, Told(shop.habit("milk-1", last=40, due=-30.0)), "dairy-off")
    assert lapsing[:2] == ("habit_defended", "You have bought Whole Milk 9 times; the last time was 40 days ago")
    later = said(shop, reasons, Told(shop.habit("milk-1", due=7.5, last=5)), "dairy-off")
    assert later[0] == "bought_before"
    by_type = said(shop, reasons, Told(types=(shop.habit("milk-1"),)), "dairy-off")
    assert by_type[1].startswith("You buy Milk about every 9 days")


@pytest.mark.parametrize(
    ("kind", "days_ago", "code", "text"),
    [
        (EventType.WISHLIST, 1, "wished", "You put Brie de Meaux on your wish list yesterday"),
        (EventType.VIEW, 0, "viewed", "You looked at Brie de Meaux today"),
        (EventType.SCAN, 3, "viewed", "You scanned Brie de Meaux 3 days ago"),
    ],
)
def test_interest_says_what_they_did(
    shop: Shop, reasons: OfferReasons, kind: EventType, days_ago: int, code: str, text: str
) -> None:
    found = Discovery(shop.row("brie-1"), 0.2, Sign(kind, TODAY - days_ago))
    assert said(shop, reasons, Told(found), "brie-off") == (code, text, shop.policy.privacy_interest)


def test_what_goes_with_something_names_it(shop: Shop, reasons: OfferReasons) -> None:
    neighbour = Neighbour(shop.row("brie-1"), 1.0, 2.0, 12, shop.row("bread-1"))
    found = Discovery(shop.row("brie-1"), 0.2, Sign(EventType.VIEW, TODAY), neighbour)
    code, text, cost = said(shop, reasons, Told(found), "brie-off")
    assert (code, text) == ("likely", "In 12 baskets together with Rye Bread, which you looked at lately")
    assert cost == shop.policy.privacy_interest


def test_what_customers_like_them_buy_shows_less(shop: Shop, reasons: OfferReasons) -> None:
    plain = said(shop, reasons, Told(Discovery(shop.row("brie-1"), 0.2)), "brie-off")
    assert plain == ("likely", "Customers with habits like yours buy Brie de Meaux", shop.policy.privacy_similar)
    stretch = Stretch(shop.shelf.category_row_of("Coffee and Tea"), 0.3, (shop.row("coffee-1"), -1, -1), -1, np.nan)
    new = said(shop, reasons, Told(stretch), "coffee-off")
    assert new[::2] == ("stretch", shop.policy.privacy_similar)


def test_a_favourite_category_speaks_where_it_is_louder_and_may_be_named(shop: Shop, reasons: OfferReasons) -> None:
    dairy = shop.shelf.category_row_of("Dairy")
    favourite = (np.array([dairy]), np.array([0.9]))
    loud = said(shop, reasons, Told(), "dairy-off", favourites=favourite)
    assert loud == ("favourite_category", "You have bought Dairy in the last 26 weeks", shop.policy.privacy_category)
    habit = said(shop, reasons, Told(shop.habit("milk-1", p7=0.9, due=0.0)), "dairy-off", favourites=favourite)
    assert habit[0] == "habit_due"
    wine = (np.array([shop.shelf.category_row_of("Wine")]), np.array([0.9]))
    wants = shop.all_wants(Told(), favourites=wine)
    assert FAVOURITE not in reasons.speakers(wants)
