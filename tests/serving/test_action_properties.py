"""Whatever a customer did, allowed and was sent: no action breaks a rule, and its texts say only what is true."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.api_action_codes import REASONS_TO_ACT, ActionCode
from serving.api_actions import ActionAnswer, ActionsRequest
from serving.api_offer_codes import Trigger
from serving.api_offers import OfferContext
from serving.bundle import Bundle
from serving.channels import MESSAGE_CHANNELS, Channel
from serving.decisioning.local_clock import clock_zone
from serving.engine import Engine
from serving.state.events import Event, EventType
from serving.state.known import Known
from tests.serving.acting import acting
from tests.serving.happenings import after, event, known
from tests.serving.tiny import CUSTOMERS, PRODUCTS

UNFIT = ("wine-1", "wine-2", "tampons-1")
_TYPES = [str(each) for each in EventType]
_CHANNELS = [*map(str, Channel), None, "fax"]

happenings = st.builds(
    lambda kind, product, hours, channel, value: event(
        kind, product, hours, channel=channel, value=value, store_id="s-ny" if kind == "visit" else None
    ),
    st.sampled_from(_TYPES),
    st.sampled_from([*PRODUCTS, "what-is-this", None]),
    st.floats(0.0, 200.0),
    st.sampled_from(_CHANNELS),
    st.sampled_from([None, "bakery", "Milk", "nonsense", *map(str, Trigger)]),
)
stocks = st.dictionaries(
    st.tuples(st.sampled_from(list(PRODUCTS)), st.sampled_from([None, "s-ny"])), st.sampled_from([0.0, 3.0]), max_size=6
)
consents = st.dictionaries(st.sampled_from(["personalize", "email", "sms", "push", "location"]), st.booleans())
contexts = st.builds(
    OfferContext,
    latitude=st.sampled_from([None, 40.7507, 52.52, 0.0]),
    longitude=st.sampled_from([None, -73.9907, 13.4, 0.0]),
    local_time=st.sampled_from([None, "2018-01-02T03:00:00Z", "2018-01-02T15:00:00+09:00"]),
    basket=st.lists(st.sampled_from([*PRODUCTS, "what-is-this"]), max_size=3),
)


@pytest.fixture(scope="module")
def engine(tiny_bundle: Bundle) -> Engine:
    return acting(tiny_bundle, quiet_hours__sms="20:00-09:00", quiet_hours__push="12:00-13:00")


class Asked:
    """One drawn call, and what the engine said."""

    def __init__(self, engine: Engine, drawn: Mapping[str, Any]) -> None:
        self.engine = engine
        self.customer: str = drawn["customer"]
        self.at = after(drawn["hours"])
        events: list[Event] = [each for each in drawn["events"] if each.at_us < self.at.timestamp() * 1e6]
        self.known: Known = known(
            *events, stock=drawn["stock"], consent=drawn["consent"] or None, customer_id=self.customer
        )
        self.request = ActionsRequest(
            customer_id=self.customer,
            trigger=drawn["trigger"],
            channel=drawn["channel"],
            exclude=drawn["exclude"],
            context=drawn["context"],
        )
        self.answer: ActionAnswer = engine.action(self.request, self.at, "0" * 32, self.known)

    @property
    def named(self) -> list[str]:
        """Return the ids of all products in the answer."""
        offered = self.answer["offer"]["product_ids"] if "offer" in self.answer else []
        return [*(each["product_id"] for each in self.answer.get("items", ())), *offered]


asked = st.fixed_dictionaries(
    {
        "customer": st.sampled_from([*CUSTOMERS, "nobody-knows-me"]),
        "hours": st.floats(0.0, 200.0),
        "events": st.lists(happenings, max_size=12),
        "stock": stocks,
        "consent": consents,
        "trigger": st.sampled_from(list(Trigger)),
        "channel": st.sampled_from([None, *Channel]),
        "exclude": st.lists(st.sampled_from(list(PRODUCTS)), max_size=3),
        "context": contexts,
    }
)
usual = settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)


@usual
@given(asked)
def test_an_answer_is_one_whole_action_or_none_with_its_reason(engine: Engine, drawn: Mapping[str, Any]) -> None:
    answer = Asked(engine, drawn).answer
    is_none = answer["kind"] == "none"
    assert (answer["reason"]["code"] in REASONS_TO_ACT) is not is_none
    for field in ("channel", "send_at", "subject", "text"):
        assert (field in answer) is not is_none
    assert ("offer" in answer) is (answer["kind"] == "offer")


@usual
@given(asked)
def test_no_action_goes_where_or_when_it_may_not(engine: Engine, drawn: Mapping[str, Any]) -> None:
    found = Asked(engine, drawn)
    if found.answer["kind"] == "none":
        return
    channel, moment = Channel(found.answer["channel"]), datetime.fromisoformat(found.answer["send_at"])
    desk = engine._desk
    assert found.request.channel in (None, channel)
    assert moment >= found.at.replace(microsecond=0)
    if channel in MESSAGE_CHANNELS:
        live = found.known.live
        shopper = desk.shopper(found.customer, None, found.at, found.known)
        clock = clock_zone(found.request.context.local_time, found.at, shopper.zone)
        contacts = desk.contacts.contacts(found.customer, live)
        assert desk.shoppers.consent(found.customer, live)[channel]
        assert not desk.contacts.quiet.is_quiet(channel, moment, clock)
        assert not desk.contacts.fatigue.cap_reached(contacts, channel, int(found.at.timestamp() * 1e6))


@usual
@given(asked)
def test_no_action_names_what_it_may_not(engine: Engine, drawn: Mapping[str, Any]) -> None:
    found = Asked(engine, drawn)
    is_out = engine._desk.is_out("s-ny", found.known)
    for product in found.named:
        assert product not in UNFIT
        assert product not in found.request.exclude
        assert not is_out(engine._shelf.row_of(product)) or found.customer == "dora"
    said = " ".join(str(found.answer.get(each, "")) for each in ("subject", "text", "reason"))
    assert not any(PRODUCTS[each][0] in said for each in UNFIT)


@usual
@given(asked)
def test_a_text_says_only_what_the_answer_has(engine: Engine, drawn: Mapping[str, Any]) -> None:
    answer = Asked(engine, drawn).answer
    if answer["kind"] == "none":
        return
    text = f"{answer['subject']} {answer['text']}"
    prices = {f"${price:,.2f}" for _, _, price, _, _ in PRODUCTS.values()}
    given = {f"${answer['offer']['value'] or 0:,.2f}"} if "offer" in answer else set()
    assert set(re.findall(r"\$[\d,.]+\d", text)) <= prices | given
    assert len(answer["subject"]) <= 60
    assert len(answer["text"]) <= (160 if answer["channel"] == Channel.SMS else 400)
    assert text.isprintable()


@usual
@given(asked)
def test_the_same_call_gets_the_same_action(engine: Engine, drawn: Mapping[str, Any]) -> None:
    assert Asked(engine, drawn).answer == Asked(engine, drawn).answer


@usual
@given(asked)
def test_what_is_wished_for_but_not_there_is_never_a_reason(engine: Engine, drawn: Mapping[str, Any]) -> None:
    found = Asked(engine, {**drawn, "events": [], "context": OfferContext(), "trigger": Trigger.WISHLIST})
    assert found.answer["reason"]["code"] in (ActionCode.NOTHING_WISHED, ActionCode.NOT_PERSONAL)
