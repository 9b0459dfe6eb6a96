"""No state leads to an offer that breaks a rule: random shops, events, stock, holds, budgets, policies and moments.

The rules are told again here, one by one and offer by offer, from docs/offers.md and by nothing of the code that they
hold: what is given must pass all of them, and what is withheld must break the very one that is named.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from serving.api_offer_codes import WithheldCode
from serving.api_offers import OfferContext, OfferItem, OffersAnswer, OffersRequest
from serving.bundle import Bundle, obeying
from serving.channels import CHANNELS, Channel
from serving.decisioning.policy import default_policy
from serving.engine import Engine
from serving.live import epoch_us
from serving.state.events import Event
from serving.state.holds import Hold, Spending
from serving.state.known import Known, Live, Stock
from tests.serving.happenings import event
from tests.serving.test_engine_properties import N_SHOPS, folder, shop
from tests.serving.tiny import AS_OF, CUSTOMERS, PRODUCTS
from tests.serving.tiny_offers import OFFERS, REDEEMED

__all__ = ["folder"]
ID = "0" * 32
POLICY = default_policy()
MESSAGES = (Channel.EMAIL, Channel.SMS, Channel.PUSH)
products = st.lists(st.sampled_from([*PRODUCTS, "unknown"]), max_size=5)
moments = st.floats(0, 12).map(lambda days: AS_OF + timedelta(days=days))
offer_ids = st.sampled_from(list(OFFERS))
hours = st.floats(-60, 280)
told_events = st.one_of(
    st.builds(
        lambda kind, product, at: event(kind, product, hours=at),
        st.sampled_from(["view", "cart", "uncart", "purchase", "wishlist", "dismiss", "scan", "impression"]),
        st.sampled_from([*PRODUCTS, "unknown"]),
        hours,
    ),
    st.builds(
        lambda kind, offer, channel, at: event(kind, offer_id=offer, channel=channel, hours=at),
        st.sampled_from(["send", "impression", "redeem", "dismiss", "open", "click"]),
        offer_ids,
        st.sampled_from([str(each) for each in CHANNELS]),
        hours,
    ),
    st.builds(
        lambda channel, at: event("unsubscribe", channel=channel, hours=at), st.sampled_from(["email", "sms"]), hours
    ),
)
consents = st.none() | st.fixed_dictionaries(
    {each: st.booleans() for each in ("personalize", "email", "sms", "push", "location")}
)
policies = st.fixed_dictionaries(
    {
        "ttl_hours": st.sampled_from([0.25, 24.0, 168.0]),
        "min_relevance": st.sampled_from([0.0, 0.05, 0.9]),
        "min_customer_value": st.sampled_from([0.0, 0.2, 5.0]),
        "min_expected_value": st.sampled_from([-100.0, 0.0, 0.5]),
        "due_anyway_chance": st.sampled_from([0.0, 0.5, 1.0]),
        "defend_habits": st.sampled_from([(), ("lapsing",), ("leaving", "Dairy")]),
        "full_price_score": st.sampled_from([0.0, 60.0]),
        "discount_only_return": st.sampled_from([0.0, 5.0]),
        "unspoken_share": st.sampled_from([0.0, 0.25, 1.0]),
    }
)


@dataclass(frozen=True)
class Asked:
    """One call, with all that is known."""

    bundle: Bundle
    request: OffersRequest
    at: datetime
    known: Known


@st.composite
def calls(draw: st.DrawFn, where: Path) -> Asked:
    """Return a call to a random shop."""
    bundle, _ = shop(draw(st.integers(0, N_SHOPS - 1)), where)
    bundle = obeying(bundle, replace(POLICY, offers=replace(POLICY.offers, **draw(policies))))
    at = draw(moments)
    context = OfferContext(
        basket=draw(products),
        page=draw(st.none() | st.sampled_from(["milk-1", "Dairy", "none of these"])),
        latitude=draw(st.none() | st.just(40.7)),
        longitude=draw(st.none() | st.just(-74.0)),
    )
    request = OffersRequest(
        customer_id=draw(st.sampled_from([*CUSTOMERS, "nobody"])),
        channel=draw(st.sampled_from(CHANNELS)),
        k=draw(st.integers(1, 12)),
        exclude=draw(products),
        context=context,
    )
    return Asked(bundle, request, at, draw(states(at)))


@st.composite
def states(draw: st.DrawFn, at: datetime) -> Known:
    """Return what a state may know: only what happened before the moment."""
    events = [each for each in draw(st.lists(told_events, max_size=8)) if each.at_us < epoch_us(at)]
    events.sort(key=lambda each: (each.at_us, each.event_id))
    holds = tuple(
        Hold(offer, 1.0, epoch_us(at) - 3_600_000_000, epoch_us(at) + draw(st.integers(-1, 10**11)))
        for offer in draw(st.sets(offer_ids, max_size=2))
    )
    live = Live("", events=tuple(events), consent=draw(consents), holds=holds)
    if draw(st.integers(0, 9)) == 0:
        live = replace(live, is_erased=True, erased_us=epoch_us(AS_OF) + 1)
    stock = {
        (each, draw(st.sampled_from([None, "s-ny"]))): draw(st.sampled_from([0.0, 3.0])) for each in draw(products)
    }
    spending = {each: Spending(draw(st.floats(0, 120)), draw(st.floats(0, 10))) for each in draw(st.sets(offer_ids))}
    return Known(live, Stock(1, stock) if stock else Stock(), spending=spending, may_promise=draw(st.booleans()))


def answered(asked: Asked) -> Any:
    return Engine(asked.bundle).offers(asked.request, asked.at, ID, asked.known)


def ids_of(asked: Asked, offer_id: str) -> set[str]:
    """Return the products that an offer is for and that may be recommended."""
    flags = dict(zip(asked.bundle.products.id, asked.bundle.products.flags, strict=True))
    return {each for each in OFFERS[offer_id].products if flags[each] & 1}


def is_out(asked: Asked, product: str) -> bool:
    said, flags = asked.known.stock.available, asked.bundle.products.flags
    # Who is not known, or was forgotten since the bundle, has no usual store; nor has dora.
    has_store = asked.request.customer_id in {*CUSTOMERS} - {"dora"} and not asked.known.live.is_erased
    store = said.get((product, "s-ny")) if has_store else None
    word = said.get((product, None)) if store is None else store
    known_to_bundle = bool(flags[list(asked.bundle.products.id).index(product)] & 128)
    return known_to_bundle if word is None else word <= 0


def events_of(asked: Asked, kind: str, offer_id: str) -> list[Event]:
    return [
        each
        for each in asked.known.live.events
        if each.type == kind and each.offer_id == offer_id and each.at_us >= asked.known.live.erased_us
    ]


def is_held(asked: Asked, offer_id: str, answer: Any) -> bool:
    at_us = epoch_us(asked.at)
    stands = any(each.offer_id == offer_id and each.until_us > at_us for each in asked.known.live.holds)
    return stands and answer["personalized"]


def check_facts(asked: Asked, item: OfferItem, answer: Any) -> None:
    """Check the rules that anybody can redo from the call, the shop and the state."""
    offer_id, request, live = item["offer_id"], asked.request, asked.known.live
    offer, at_us = OFFERS[offer_id], epoch_us(asked.at)
    assert request.channel in offer.channels
    assert epoch_us(AS_OF) + offer.starts * 86_400e6 <= at_us < epoch_us(AS_OF) + offer.ends * 86_400e6
    left = ids_of(asked, offer_id) - set(request.exclude)
    assert left or not offer.products
    assert not ids_of(asked, offer_id) & set(request.context.basket)
    assert not offer.products or any(not is_out(asked, each) for each in left)
    assert not set(item["product_ids"]) - left
    assert not any(is_out(asked, each) for each in item["product_ids"])
    assert not events_of(asked, "redeem", offer_id)
    dismissed = [each for each in events_of(asked, "dismiss", offer_id) if at_us - each.at_us < 28 * 86_400e6]
    assert not dismissed
    if not live.is_erased and answer["personalized"]:
        assert offer_id not in REDEEMED.get(request.customer_id, ())
    if offer.budget == offer.budget:
        assert answer["personalized"]
        assert asked.known.may_promise
        if not is_held(asked, offer_id, answer):
            cost = offer.value if offer.cost is None else offer.cost
            assert asked.known.spending.get(offer_id, Spending()).gone + cost <= offer.budget + 1e-6
    if request.channel in MESSAGES:
        check_message(asked)


def check_message(asked: Asked) -> None:
    """Check what holds for messages: consent, quiet hours (21 to 8 by the clock of New York) and caps."""
    channel, live = asked.request.channel, asked.known.live
    assert asked.known.may_promise
    assert live.consent is not None
    assert live.consent[channel]
    if channel is not Channel.EMAIL:
        local = asked.at - timedelta(hours=5)
        assert 8 <= local.hour < 21
    day = [each for each in live.events if each.type == "send" and epoch_us(asked.at) - each.at_us < 86_400e6]
    ours = [each for each in day if each.at_us >= max(live.erased_us, epoch_us(AS_OF))]
    assert len(ours) < 2


def check_values(asked: Asked, item: OfferItem, answer: Any) -> None:
    """Check the terms' ranges, both equations, and what the policy asks of them."""
    policy = asked.bundle.policy.offers
    for name in ("relevance", "timeliness", "trust", "redemption_probability", "anyway_probability"):
        assert 0.0 <= item[name] <= 1.0  # type: ignore[literal-required] # a field of the item
    for name in ("privacy_cost", "effort"):
        assert 0.01 <= item[name] <= 1.0  # type: ignore[literal-required] # a field of the item
    worth = (item["relevance"] + item["timeliness"]) * item["trust"] / (item["privacy_cost"] + item["effort"])
    assert item["customer_value"] == pytest.approx(worth, abs=2e-6)
    brings = item["incremental_margin"] - item["reward_cost"] - item["fatigue_cost"]
    assert item["expected_value"] == pytest.approx(brings, abs=2e-6)
    assert item["fatigue_cost"] >= 0.0
    assert asked.request.channel in MESSAGES or item["fatigue_cost"] == 0.0
    assert item["relevance"] >= policy.min_relevance
    assert item["customer_value"] >= policy.min_customer_value
    if not is_held(asked, item["offer_id"], answer):
        assert item["expected_value"] >= policy.min_expected_value


@settings(max_examples=100, deadline=None)
@given(drawn=st.data())
def test_no_state_leads_to_an_offer_that_breaks_a_rule(drawn: st.DataObject, folder: Path) -> None:
    asked = drawn.draw(calls(folder))
    answer = answered(asked)
    TypeAdapter(OffersAnswer).validate_python(answer)
    ids = [each["offer_id"] for each in answer["offers"]]
    assert len(ids) == len(set(ids)) <= asked.request.k
    assert ("shortfall" in answer) == (len(ids) < asked.request.k)
    assert sorted([*ids, *(each["offer_id"] for each in answer["withheld"])]) == sorted(OFFERS)
    for item in answer["offers"]:
        check_facts(asked, item, answer)
        check_values(asked, item, answer)
        until = min(epoch_us(asked.at) + asked.bundle.policy.offers.ttl_hours * 3_600e6, math.inf)
        if not is_held(asked, item["offer_id"], answer):
            assert epoch_us(datetime.fromisoformat(item["valid_to"])) <= until


@settings(max_examples=40, deadline=None)
@given(drawn=st.data())
def test_what_is_withheld_breaks_the_rule_that_is_named(drawn: st.DataObject, folder: Path) -> None:
    asked = drawn.draw(calls(folder))
    answer, at_us = answered(asked), epoch_us(asked.at)
    for each in answer["withheld"]:
        offer, code = OFFERS[each["offer_id"]], each["reason"]["code"]
        assert each["reason"]["text"]
        if code is WithheldCode.OTHER_CHANNEL:
            assert asked.request.channel not in offer.channels
        elif code is WithheldCode.NOT_YET_VALID:
            assert at_us < epoch_us(AS_OF) + offer.starts * 86_400e6
        elif code is WithheldCode.EXPIRED:
            assert at_us >= epoch_us(AS_OF) + offer.ends * 86_400e6
        elif code is WithheldCode.BUDGET_SPENT:
            assert offer.budget == offer.budget
        elif code is WithheldCode.QUIET_HOURS:
            assert asked.request.channel in (Channel.SMS, Channel.PUSH)
        elif code is WithheldCode.RANKED_BELOW:
            assert len(answer["offers"]) == asked.request.k
        elif code is WithheldCode.UNAVAILABLE:
            assert not asked.known.may_promise


@settings(max_examples=15, deadline=None)
@given(drawn=st.data())
def test_the_same_call_has_the_same_answer(drawn: st.DataObject, folder: Path) -> None:
    asked = drawn.draw(calls(folder))
    assert answered(asked) == answered(asked)
