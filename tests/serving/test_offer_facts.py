"""What a call about offers is decided by: whose history, which caps, what is near."""

from __future__ import annotations

from typing import Any

import pytest

from serving.api_offers import OfferContext, OffersRequest
from serving.bundle import Bundle
from serving.channels import Channel
from serving.decisioning.offer_rules import Buyer
from serving.desk import Desk
from serving.offer_facts import OfferFacts, OfferMoment
from serving.offer_shelf import OfferShelf
from serving.state.known import NOTHING_KNOWN, Known
from tests.serving.happenings import after, event, known
from tests.serving.tiny import AS_OF_DAY, STORED


@pytest.fixture(scope="module")
def desk(tiny_bundle: Bundle) -> Desk:
    return Desk(tiny_bundle, applies_rules=True)


@pytest.fixture(scope="module")
def facts(desk: Desk) -> OfferFacts:
    return OfferFacts(desk, OfferShelf(desk.bundle, desk.shelf))


def moment(
    facts: OfferFacts,
    customer_id: str = "anna",
    told: Known = NOTHING_KNOWN,
    channel: Channel = Channel.WEB,
    hours: float = 0.0,
    **more: Any,
) -> OfferMoment:
    request = OffersRequest(customer_id=customer_id, channel=channel, **more)
    return facts.moment(request, after(hours), told, is_held_out=False)


def test_of_one_who_refuses_nothing_is_used(facts: OfferFacts) -> None:
    found = moment(facts, "ben")
    assert found.wanting is None
    assert not found.call.is_linked
    assert (found.setting.responses, found.setting.hour_fit, found.call.trust) == (None, None, 0.5)


def test_one_who_is_known_wants_until_the_offers_would_end(facts: OfferFacts) -> None:
    found = moment(facts)
    assert found.wanting is not None
    assert (found.wanting.today, found.wanting.end_day) == (AS_OF_DAY, AS_OF_DAY + 7)
    assert found.call.is_linked
    assert found.setting.trip7 == pytest.approx(0.85, abs=STORED)


def test_only_categories_of_the_last_26_weeks_are_favourites(facts: OfferFacts, desk: Desk) -> None:
    wanting = moment(facts, "cleo").wanting
    assert wanting is not None
    assert wanting.favourites is not None
    assert [desk.shelf.category_names[row] for row in wanting.favourites[0]] == ["Dairy"]


def test_redemptions_are_those_of_all_ids_that_became_one(facts: OfferFacts) -> None:
    merged = known(event("redeem", offer_id="points"), customer_id="anna", also=("fay",))
    assert set(moment(facts, told=merged, hours=2).call.redeemed) == {"points", "dairy-off"}
    assert set(moment(facts).call.redeemed) == set()


def test_what_happened_before_they_were_forgotten_is_forgotten(facts: OfferFacts) -> None:
    forgotten = known(event("redeem", offer_id="points"), customer_id="anna", is_erased=True, erased_us=10**17)
    assert set(moment(facts, told=forgotten, hours=2).call.redeemed) == set()


def test_offers_are_capped_one_by_one_and_messages_together(facts: OfferFacts) -> None:
    shown = [event("impression", offer_id="points", channel="web", hours=0.01 * i) for i in range(60)]
    call = moment(facts, told=known(*shown, customer_id="anna"), hours=2).call
    assert (set(call.capped), call.is_capped) == ({"points"}, False)
    sent = known(event("send", channel="email"), customer_id="anna", consent={"email": True, "personalize": True})
    assert moment(facts, told=sent, channel=Channel.EMAIL, hours=2).call.is_capped


def test_how_they_buy_is_told_of_known_customers_only(facts: OfferFacts) -> None:
    assert moment(facts, "emil").call.buyer is Buyer.DISCOUNT_ONLY
    assert moment(facts, "nobody").call.buyer is Buyer.MIXED


def test_the_page_is_a_product_a_category_or_nothing(facts: OfferFacts) -> None:
    shelf = facts._offers

    def on(page: str) -> set[str]:
        rows = moment(facts, context=OfferContext(page=page)).setting.on_page
        return {shelf.offers[row].id for row in rows}

    assert on("milk-1") == {"dairy-off"}
    assert on("wine") == {"wine-off"}
    assert on("no such thing") == set()


def test_the_place_is_for_those_who_consent_and_are_not_there_already(facts: OfferFacts) -> None:
    here = OfferContext(latitude=40.7, longitude=-74.0)
    agreed = known(customer_id="anna", consent={"personalize": True, "location": True})
    assert moment(facts, told=agreed, context=here).setting.km is not None
    assert moment(facts, told=agreed, context=here, channel=Channel.STORE).setting.km is None
    assert moment(facts, context=here).setting.km is None
    assert moment(facts, told=agreed, context=OfferContext(latitude=40.7)).setting.km is None
    assert moment(facts, told=agreed, context=OfferContext(latitude=0.0, longitude=0.0)).setting.km is None


def test_a_local_time_says_how_late_it_is(facts: OfferFacts) -> None:
    late = OfferContext.model_validate_json('{"local_time": "2018-01-02T23:30:00+09:00"}')
    agreed = known(customer_id="anna", consent={"personalize": True, "push": True})
    assert moment(facts, told=agreed, channel=Channel.PUSH, hours=9.5, context=late).call.is_quiet
    assert not moment(facts, told=agreed, channel=Channel.PUSH, hours=9.5).call.is_quiet
