"""Offers of the tiny shop: what is answered, what is withheld and why, and that both values can be redone by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from serving.api_codes import ShortfallCode
from serving.api_offer_codes import OfferReasonCode, WithheldCode
from serving.api_offers import OfferContext, OffersAnswer, OffersRequest
from serving.arms import ExperimentEngine
from serving.bundle import Bundle, obeying
from serving.channels import Channel
from serving.decisioning.policy import default_policy_text, parse_policy
from serving.engine import Engine
from serving.live import epoch_us
from serving.shelf import Shelf
from serving.state.holds import Hold, Spending
from serving.state.known import NOTHING_KNOWN, Known, Live, Trace
from tests.serving.happenings import after, event, known
from tests.serving.test_arms import everyone_held_out
from tests.serving.tiny import AS_OF, CUSTOMERS, Rows
from tests.serving.tiny_offers import OFFERS, TinyOffer, offer_groups

ID = "0" * 32
ALL_CONSENTS = {"personalize": True, "email": True, "sms": True, "push": True, "location": True}


def under(bundle: Bundle, text: str = "", /, **numbers: Any) -> Engine:
    """Return an engine under the default policy with other numbers in `[offers]`, and more text at its end."""
    lines = default_policy_text().split("\n")
    start = lines.index(next(each for each in lines if each.startswith("[offers]")))
    for name, value in numbers.items():
        place = next(i for i in range(start, len(lines)) if lines[i].startswith(f"{name} ="))
        lines[place] = f"{name} = {str(value).lower() if isinstance(value, bool) else value}"
    return Engine(obeying(bundle, parse_policy("\n".join(lines) + text)))


def asked(
    engine: Engine,
    customer_id: str = "anna",
    channel: Channel = Channel.WEB,
    told: Known = NOTHING_KNOWN,
    at: Any = AS_OF,
    **more: Any,
) -> Any:
    return engine.offers(OffersRequest(customer_id=customer_id, channel=channel, **more), at, ID, told)


def given(answer: Any) -> dict[str, Any]:
    return {each["offer_id"]: each for each in answer["offers"]}


def codes(answer: Any) -> dict[str, WithheldCode]:
    return {each["offer_id"]: each["reason"]["code"] for each in answer["withheld"]}


def agreed(*events: Any, **more: Any) -> Known:
    return known(*events, customer_id="anna", consent=ALL_CONSENTS, **more)


@pytest.fixture(scope="module")
def engine(tiny_bundle: Bundle) -> Engine:
    return Engine(tiny_bundle)


def test_every_answer_is_what_its_type_says_and_names_every_offer_once(engine: Engine) -> None:
    for customer in (*CUSTOMERS, "nobody"):
        for channel in Channel:
            answer = asked(engine, customer, channel)
            TypeAdapter(OffersAnswer).validate_python(answer)
            named = [*given(answer), *codes(answer)]
            assert sorted(named) == sorted(OFFERS)


def test_both_values_can_be_redone_from_the_answer(engine: Engine) -> None:
    items = [each for customer in CUSTOMERS for each in asked(engine, customer)["offers"]]
    assert items
    for item in items:
        worth = (item["relevance"] + item["timeliness"]) * item["trust"] / (item["privacy_cost"] + item["effort"])
        brings = item["incremental_margin"] - item["reward_cost"] - item["fatigue_cost"]
        assert item["customer_value"] == pytest.approx(worth, abs=1e-6)
        assert item["expected_value"] == pytest.approx(brings, abs=1e-6)
        cost = OFFERS[item["offer_id"]].cost or OFFERS[item["offer_id"]].value
        assert item["reward_cost"] == pytest.approx(item["redemption_probability"] * (0 if cost != cost else cost))


def test_the_best_come_first_and_those_below_are_said_to_be_there(engine: Engine) -> None:
    every = [each["offer_id"] for each in asked(engine)["offers"]]
    first = asked(engine, k=1)
    assert [each["offer_id"] for each in first["offers"]] == every[:1]
    assert {each for each, code in codes(first).items() if code is WithheldCode.RANKED_BELOW} == set(every[1:])
    assert "shortfall" not in first
    assert asked(engine, k=10)["shortfall"]["code"] is ShortfallCode.OFFERS_WITHHELD


def test_a_shop_without_offers_says_so(tiny_bundle: Bundle) -> None:
    bare = replace(tiny_bundle, **offer_groups(Rows(), {}, {}))
    for customer in ("anna", "nobody"):
        answer = asked(Engine(bare), customer)
        assert (answer["offers"], answer["withheld"]) == ([], [])
        assert answer["shortfall"]["code"] is ShortfallCode.NO_OFFERS


def test_who_is_not_known_gets_the_popular_answer_without_what_has_a_budget(engine: Engine) -> None:
    stranger, refused = asked(engine, "nobody"), asked(engine, "ben")
    assert stranger["offers"] == refused["offers"]
    assert stranger["offers"]
    assert not stranger["personalized"]
    assert {each["reason"]["code"] for each in stranger["offers"]} == {OfferReasonCode.POPULAR}
    budgeted = {each for each, offer in OFFERS.items() if offer.budget == offer.budget}
    assert {each for each, code in codes(stranger).items() if code is WithheldCode.NO_CONSENT} == budgeted
    texts = {each["reason"]["text"] for each in stranger["withheld"] if each["offer_id"] in budgeted}
    assert texts == {"It has a budget: it is only for customers who are known and agree to personalization."}


def test_a_guest_s_first_events_make_offers_personal(engine: Engine) -> None:
    told = known(event("view", "brie-1"), customer_id="guest")
    found = asked(engine, "guest", told=told, at=after(2))
    assert found["personalized"]
    assert given(found)["brie-off"]["reason"]["code"] is OfferReasonCode.VIEWED
    # What nothing of theirs speaks for goes by everybody's chance, as for any stranger.
    stranger = given(asked(engine, "nobody", at=after(2)))["points"]
    assert given(found)["points"]["relevance"] == stranger["relevance"]


def test_margins_are_those_of_each_product(tiny_bundle: Bundle) -> None:
    shelf = Shelf(tiny_bundle, margin_rate=0.25)
    known_one_by_one = [shelf.margin(row) for row in range(shelf.n_products)]
    assert [None if each != each else each for each in shelf.margins().tolist()] == pytest.approx(known_one_by_one)


def test_messages_need_consent_to_their_own_channel(engine: Engine) -> None:
    email = {**ALL_CONSENTS, "sms": False, "push": False}
    told = known(customer_id="anna", consent=email)
    assert given(asked(engine, channel=Channel.EMAIL, told=told))
    for channel in (Channel.SMS, Channel.PUSH):
        assert set(codes(asked(engine, channel=channel, told=told)).values()) == {WithheldCode.NO_CONSENT}
    forgotten = Known(Live("anna", is_erased=True, erased_us=epoch_us(AS_OF)))
    assert set(codes(asked(engine, channel=Channel.EMAIL, told=forgotten)).values()) == {WithheldCode.NO_CONSENT}


def test_what_is_held_comes_again_until_the_same_moment_on_each_channel(tiny_bundle: Bundle) -> None:
    engine = under(tiny_bundle)
    until = epoch_us(after(30))
    gone = {"coffee-off": Spending(reserved=100.0)}
    told = replace(agreed(holds=(Hold("coffee-off", 1.5, epoch_us(AS_OF), until),)), spending=gone)
    for channel in (Channel.WEB, Channel.APP, Channel.EMAIL):
        held = given(asked(engine, channel=channel, told=told, at=after(20)))["coffee-off"]
        assert held["valid_to"] == "2018-01-02T11:00:00Z"
    assert codes(asked(engine, told=replace(agreed(), spending=gone)))["coffee-off"] is WithheldCode.BUDGET_SPENT
    later = asked(engine, told=told, at=after(31))
    assert codes(later)["coffee-off"] is WithheldCode.BUDGET_SPENT


def test_what_was_promised_is_not_taken_back_for_its_cost(tiny_bundle: Bundle) -> None:
    dear = under(tiny_bundle, min_expected_value=1000)
    held = agreed(holds=(Hold("coffee-off", 1.5, epoch_us(AS_OF), epoch_us(after(48))),))
    assert codes(asked(dear))["coffee-off"] is WithheldCode.COSTS_MORE
    assert "coffee-off" in given(asked(dear, told=held, at=after(1)))
    redeemed = replace(
        held, live=replace(held.live, events=(event("redeem", offer_id="coffee-off", channel="web", hours=1),))
    )
    assert codes(asked(dear, told=redeemed, at=after(2)))["coffee-off"] is WithheldCode.ALREADY_REDEEMED


def test_an_offer_is_valid_for_the_policy_s_time_and_never_beyond_its_end(tiny_bundle: Bundle) -> None:
    items = given(asked(under(tiny_bundle, ttl_hours=6)))
    assert items["coffee-off"]["valid_to"] == "2018-01-01T11:00:00Z"
    assert given(asked(Engine(tiny_bundle), "cleo"))["bread-today"]["valid_to"] == "2018-01-01T17:00:00Z"


def test_budgets_are_left_alone_once_one_more_would_not_fit(engine: Engine) -> None:
    just = replace(agreed(), spending={"coffee-off": Spending(reserved=50.0, spent=48.5)})
    over = replace(agreed(), spending={"coffee-off": Spending(reserved=50.0, spent=48.6)})
    assert "coffee-off" in given(asked(engine, told=just))
    assert codes(asked(engine, told=over))["coffee-off"] is WithheldCode.BUDGET_SPENT


def test_without_the_state_nothing_is_promised(engine: Engine) -> None:
    away = replace(agreed(), may_promise=False)
    web, email = asked(engine, told=away), asked(engine, channel=Channel.EMAIL, told=away)
    assert {each for each, code in codes(web).items() if code is WithheldCode.UNAVAILABLE} == {
        "coffee-off",
        "brie-off",
        "wine-off",
    }
    assert set(codes(email).values()) == {WithheldCode.UNAVAILABLE}


def test_who_is_held_out_gets_nothing_and_is_told_so(tiny_bundle: Bundle) -> None:
    answer = asked(ExperimentEngine(tiny_bundle, everyone_held_out()))
    assert answer["offers"] == []
    assert set(codes(answer).values()) == {WithheldCode.HOLDOUT}
    assert len(codes(answer)) == len(OFFERS)
    assert answer["experiment"]["name"] == "holdout"


def test_without_rules_the_facts_of_the_call_are_all_that_counts(tiny_bundle: Bundle) -> None:
    bare = Engine(tiny_bundle, applies_rules=False)
    answer = asked(bare, exclude=["brie-1"], context=OfferContext(basket=["salad-1"]))
    assert codes(answer) == {
        "salad-mail": WithheldCode.OTHER_CHANNEL,
        "banana-next-week": WithheldCode.NOT_YET_VALID,
        "brie-off": WithheldCode.EXCLUDED,
        "wine-off": WithheldCode.EXCLUDED,
    }
    assert {"dairy-off", "free-delivery", "gone-off"} <= given(answer).keys()


def test_products_come_likeliest_first_and_never_what_may_not_be_shown(engine: Engine) -> None:
    items = given(asked(under(engine.bundle, defend_habits='["Dairy"]', min_expected_value=-100)))
    assert items["dairy-off"]["product_ids"][:2] == ["milk-1", "yogurt-1"]
    some = given(asked(engine, exclude=["coffee-1"]))["coffee-off"]["product_ids"]
    assert some == ["coffee-2"]
    out = known(customer_id="anna", stock={("coffee-1", None): 0.0})
    assert given(asked(engine, told=out))["coffee-off"]["product_ids"] == ["coffee-2"]


def test_what_is_restricted_is_offered_to_those_only_who_buy_it(engine: Engine) -> None:
    assert codes(asked(engine, "anna"))["wine-off"] is WithheldCode.EXCLUDED
    assert codes(asked(engine, "emil"))["wine-off"] is not WithheldCode.EXCLUDED


def test_the_page_and_the_basket_make_it_timely(engine: Engine) -> None:
    plain = given(asked(engine))["coffee-off"]["timeliness"]
    on_product = given(asked(engine, context=OfferContext(page="coffee-2")))["coffee-off"]["timeliness"]
    on_category = given(asked(engine, context=OfferContext(page="coffee and tea")))["coffee-off"]["timeliness"]
    beside = given(asked(engine, context=OfferContext(basket=["milk-1"])))["coffee-off"]["timeliness"]
    elsewhere = given(asked(engine, context=OfferContext(page="what is this")))["coffee-off"]["timeliness"]
    assert (plain, on_product, on_category, beside, elsewhere) == (0.5, 1.0, 1.0, 0.8, 0.5)


def test_a_message_is_timelier_near_their_hour(tiny_bundle: Bundle) -> None:
    engine = under(tiny_bundle, hour_weight=0.5)
    at_17 = given(asked(engine, channel=Channel.EMAIL, told=agreed(), at=after(17)))["coffee-off"]["timeliness"]
    at_5 = given(asked(engine, channel=Channel.EMAIL, told=agreed(), at=after(5)))["coffee-off"]["timeliness"]
    assert (at_17, at_5) == (0.5 * 0.5 + 0.5, 0.5 * 0.5)
    said = OfferContext.model_validate_json('{"local_time": "2018-01-01T17:00:00"}')
    here = given(asked(engine, channel=Channel.EMAIL, told=agreed(), at=after(5), context=said))["coffee-off"]
    assert here["timeliness"] == at_17


def test_the_place_counts_only_with_consent_and_where_a_store_must_be_visited(tiny_bundle: Bundle) -> None:
    engine = under(tiny_bundle, min_customer_value=0, min_expected_value=-100)
    near = OfferContext(latitude=40.7, longitude=-74.0)

    def mail(consents: Mapping[str, bool], context: OfferContext) -> Any:
        told = known(customer_id="anna", consent=consents)
        return given(asked(engine, channel=Channel.EMAIL, told=told, context=context))

    plain, used = mail(ALL_CONSENTS, OfferContext()), mail(ALL_CONSENTS, near)
    refused = mail({**ALL_CONSENTS, "location": False}, near)
    assert refused == plain
    assert used["salad-mail"]["effort"] > plain["salad-mail"]["effort"]
    assert used["salad-mail"]["privacy_cost"] == engine.bundle.policy.offers.privacy_location
    assert used["coffee-off"] == plain["coffee-off"]  # for the web as well


def test_merchants_pin_boost_and_ban_offers(tiny_bundle: Bundle) -> None:
    every = [each["offer_id"] for each in asked(Engine(tiny_bundle))["offers"]]
    pinned = under(tiny_bundle, f'\n[[pins]]\noffers = ["{every[-1]}"]\n')
    assert [each["offer_id"] for each in asked(pinned)["offers"]] == [every[-1], *every[:-1]]
    boosted = under(tiny_bundle, f'\n[[boosts]]\noffers = ["{every[-1]}"]\nfactor = 10\n')
    assert asked(boosted)["offers"][0]["offer_id"] == every[-1]
    banned = under(tiny_bundle, f'\n[[bans]]\noffers = ["{every[0]}"]\n')
    assert codes(asked(banned))[every[0]] is WithheldCode.EXCLUDED
    unsold = under(tiny_bundle, '\n[[bans]]\nproducts = ["coffee-1", "coffee-2"]\n')
    assert codes(asked(unsold))["coffee-off"] is WithheldCode.EXCLUDED


def test_discount_only_buyers_get_what_brings_much_and_loyal_full_price_buyers_no_discount(
    tiny_bundle: Bundle,
) -> None:
    # emil buys at a discount only, cleo at full prices.
    eager = under(tiny_bundle, discount_only_lines=0.9, discount_only_return=10, due_anyway_chance=1.0)
    calm = under(tiny_bundle, discount_only_lines=1.0, discount_only_return=10, due_anyway_chance=1.0)
    assert codes(asked(eager, "emil"))["brie-off"] is WithheldCode.COSTS_MORE
    assert "brie-off" in given(asked(calm, "emil"))
    loyal = under(tiny_bundle, full_price_score=0)
    assert codes(asked(loyal, "cleo"))["brie-off"] is WithheldCode.NEEDS_NO_DISCOUNT
    assert "points" in given(asked(loyal, "cleo"))
    generous = under(tiny_bundle, full_price_score=0, full_price_gets_discounts=True)
    assert "brie-off" in given(asked(generous, "cleo"))


def test_an_offer_that_was_turned_away_stays_away_for_a_while(engine: Engine) -> None:
    def told(days_ago: float) -> Known:
        return known(event("dismiss", offer_id="coffee-off", hours=2 - 24 * days_ago), customer_id="anna")

    assert codes(asked(engine, told=told(27), at=after(2)))["coffee-off"] is WithheldCode.EXCLUDED
    assert "coffee-off" in given(asked(engine, told=told(28), at=after(2)))


def test_the_record_names_what_was_withheld(engine: Engine) -> None:
    trace = Trace()
    answer = asked(engine, told=known(customer_id="anna", trace=trace))
    assert {each.offer_id: each.reason for each in trace.withheld} == {k: str(v) for k, v in codes(answer).items()}


def every_withheld(bundle: Bundle) -> Iterator[Any]:
    """Yield answers that have every code among them."""
    engine = Engine(bundle)
    yield asked(ExperimentEngine(bundle, everyone_held_out()))
    yield asked(engine, channel=Channel.SMS)
    yield asked(engine, told=replace(agreed(), may_promise=False))
    yield asked(engine, k=1, exclude=["brie-1"], context=OfferContext(basket=["salad-1", "crisps-1"]))
    yield asked(engine, "fay")
    yield asked(engine, at=after(24 * 12))
    yield asked(under(bundle, full_price_score=0), "cleo")
    yield asked(engine, channel=Channel.PUSH, told=agreed(), at=after(22))
    yield asked(engine, k=1)
    sends = [event("send", offer_id="coffee-off", channel="email", hours=each) for each in (1, 2, 3, 4, 5)]
    yield asked(engine, channel=Channel.EMAIL, told=agreed(*sends), at=after(6))
    yield asked(engine, told=replace(agreed(), spending={"coffee-off": Spending(spent=100.0)}))
    yield asked(under(bundle, min_relevance=0.99))


def test_every_withheld_code_is_reached(tiny_bundle: Bundle) -> None:
    met = {code for answer in every_withheld(tiny_bundle) for code in codes(answer).values()}
    assert met == set(WithheldCode)


def every_given(bundle: Bundle) -> Iterator[Any]:
    """Yield answers that have every reason among them."""
    easy: dict[str, Any] = {"min_customer_value": 0, "min_expected_value": -100, "due_anyway_chance": 1.0}
    open_to_all = under(bundle, **easy)
    yield from (asked(open_to_all, customer) for customer in (*CUSTOMERS, "nobody"))
    yield asked(under(bundle, defend_habits='["Dairy"]', **easy))
    late = under(bundle, lapsing_ratio=1.0, defend_habits="[]", **easy)
    yield asked(late, at=after(24 * 10))
    yield asked(open_to_all, "anna", at=after(24 * 3), exclude=["milk-1", "milk-2"])
    not_yet_due = replace(bundle, **offer_groups(Rows(), {"pads": TinyOffer(("tampons-1",))}, {}))
    yield asked(under(not_yet_due, ttl_hours=24, **easy))
    for kind in ("wishlist", "view"):
        yield asked(open_to_all, "emil", told=known(event(kind, "brie-1"), customer_id="emil"), at=after(2))


def test_every_reason_code_is_reached_and_has_a_text(tiny_bundle: Bundle) -> None:
    reasons = [each["reason"] for answer in every_given(tiny_bundle) for each in answer["offers"]]
    assert {each["code"] for each in reasons} == set(OfferReasonCode)
    assert all(each["text"] for each in reasons)


def test_nothing_intimate_is_ever_named(tiny_bundle: Bundle) -> None:
    quiet = {"pads": TinyOffer(("tampons-1",), value=0.1), "bread": TinyOffer(("bread-1", "tampons-1"), value=0.1)}
    bundle = replace(tiny_bundle, **offer_groups(Rows(), quiet, {}))
    engine = under(bundle, min_customer_value=0, min_expected_value=-100, due_anyway_chance=1.0)
    answer = asked(engine)
    assert given(answer).keys() == {"pads", "bread"}
    for item in answer["offers"]:
        assert not {"tampon", "feminine", "hygiene"} & set(item["reason"]["text"].lower().split())
    assert given(answer)["pads"]["privacy_cost"] == 1.0
    assert codes(asked(engine, "dora"))["pads"] is WithheldCode.EXCLUDED
    assert "tampons-1" not in given(asked(engine, "dora"))["bread"]["product_ids"]
