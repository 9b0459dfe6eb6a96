"""What reaches a customer: consent, caps and quiet hours are honoured by the very next decision, whoever makes it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import pytest

from serving.api_actions import ActionsRequest
from serving.api_offer_codes import Trigger
from serving.api_offers import OffersRequest
from serving.bundle import Bundle, obeying
from serving.channels import MESSAGE_CHANNELS, Channel
from serving.decide import Decider
from serving.decision_ids import DecisionIds
from serving.decisioning.policy import default_policy_text, parse_policy, with_values
from serving.engine import Engine
from serving.live import epoch_us
from serving.state.events import Event, EventType
from serving.state.shop import State
from tests.serving.happenings import after
from tests.serving.state.builders import state_on
from tests.serving.state.memory_store import MemoryStore

T = TypeVar("T")
IDS = DecisionIds(b"k" * 32)
ASSUMED = {f"consent.{channel}": True for channel in MESSAGE_CHANNELS}
OPEN = {"offers.min_expected_value": -100.0, "offers.min_customer_value": 0.0, "offers.min_relevance": 0.0}
ONE = {"high": 1, "medium": 1, "low": 1, "silent": 1, "untested": 1}
MANY = dict.fromkeys(ONE, 9)


class Shop:
    """A state in this process and the engine that decides by it; every call is decided by a worker of its own."""

    def __init__(self, bundle: Bundle, **values: Any) -> None:
        policy = parse_policy(with_values(default_policy_text(), {**ASSUMED, **OPEN, **values}))
        self.engine = Engine(obeying(bundle, policy))
        self.store = MemoryStore()
        self.state = state_on(self.store)
        self._n_told = 0

    def read(self, work: Callable[[State], T]) -> T:
        return work(self.state)

    write = read

    def tell(self, kind: str, hours: float, **fields: Any) -> None:
        """Accept an event of `fay`, so many hours after the bundle's as-of."""
        self._n_told += 1
        at_us = epoch_us(after(hours))
        event = Event(f"told-{self._n_told}", "fay", EventType(kind), at_us, at_us, **fields)
        self.state.accept(
            [event],
            may_keep=lambda live: self.engine.may_personalize("fay", live),
            kind_of=self.engine.kinds,
            cost_of=self.engine.offer_cost,
        )

    def tell_many(self, kind: str, n: int, hours: float) -> None:
        at_us = epoch_us(after(hours))
        events = [
            Event(f"{kind}-{i}", "fay", EventType(kind), at_us + i, at_us + i, product_id="milk-1") for i in range(n)
        ]
        self.state.accept(events, may_keep=lambda _live: True, kind_of=self.engine.kinds)

    def offers(self, channel: Channel, hours: float, **fields: Any) -> dict[str, str]:
        """Return what becomes of each offer: `given`, or the code for which it is withheld."""
        answer = self._decide(OffersRequest(customer_id="fay", channel=channel, k=20, **fields), after(hours))
        given = {each["offer_id"]: "given" for each in answer["offers"]}
        return given | {each["offer_id"]: each["reason"]["code"] for each in answer["withheld"]}

    def action(self, hours: float, trigger: Trigger = Trigger.CART, **fields: Any) -> Any:
        return self._decide(ActionsRequest(customer_id="fay", trigger=trigger, **fields), after(hours))

    def _decide(self, request: Any, now: datetime) -> Any:
        return Decider(self.engine, self, IDS).decide(request, now)


Open = Callable[..., Shop]


@pytest.fixture
def shop(tiny_bundle: Bundle) -> Shop:
    return Shop(tiny_bundle)


@pytest.fixture
def opened(tiny_bundle: Bundle) -> Open:
    """Return what opens a shop with other values in its policy."""
    return lambda **values: Shop(tiny_bundle, **{key.replace("__", "."): value for key, value in values.items()})


def codes(found: dict[str, str]) -> set[str]:
    return set(found.values())


def test_messages_may_be_sent_to_who_agreed(shop: Shop) -> None:
    assert all("given" in codes(shop.offers(channel, 12.0)) for channel in MESSAGE_CHANNELS)


@pytest.mark.parametrize(
    ("kind", "fields", "closed"),
    [
        ("unsubscribe", {"channel": "email"}, {Channel.EMAIL}),
        ("unsubscribe", {"value": "sms"}, {Channel.SMS}),
        ("unsubscribe", {}, set(MESSAGE_CHANNELS)),
        ("notification_block", {}, {Channel.PUSH}),
    ],
)
def test_who_leaves_a_channel_gets_nothing_there_from_the_next_decision_on(
    shop: Shop, kind: str, fields: dict[str, str], closed: set[Channel]
) -> None:
    before = {channel: shop.offers(channel, 12.0) for channel in MESSAGE_CHANNELS}
    shop.tell(kind, 12.1, **fields)
    for channel in MESSAGE_CHANNELS:
        found = shop.offers(channel, 12.2)
        assert (codes(found) == {"no_consent"}) is (channel in closed)
        assert "given" in codes(before[channel])
    assert "given" in codes(shop.offers(Channel.WEB, 12.3))


def test_who_agrees_again_is_reached_again(shop: Shop) -> None:
    shop.tell("notification_block", 12.0)
    assert codes(shop.offers(Channel.PUSH, 12.1)) == {"no_consent"}
    yes = {"personalize": True, "email": True, "sms": True, "push": True, "location": False}
    shop.state.put_consent("fay", yes, epoch_us(after(12.2)))
    assert "given" in codes(shop.offers(Channel.PUSH, 12.3))


def test_what_could_not_be_counted_is_not_sent(shop: Shop) -> None:
    nothing_kept = {"personalize": False, "email": True, "sms": True, "push": True, "location": False}
    shop.state.put_consent("fay", nothing_kept, epoch_us(after(11.0)))
    assert all(codes(shop.offers(channel, 12.0)) == {"no_consent"} for channel in MESSAGE_CHANNELS)
    assert "given" in codes(shop.offers(Channel.WEB, 12.0))


@pytest.mark.parametrize("channel", MESSAGE_CHANNELS)
def test_a_message_that_is_reported_uses_the_cap_and_the_day_gives_it_back(opened: Open, channel: Channel) -> None:
    shop = opened(**{f"caps__{channel}_day": ONE, "caps__all_week": MANY, f"caps__{channel}_week": MANY})
    assert "given" in codes(shop.offers(channel, 10.0))
    shop.tell("send", 10.5, channel=channel.value)
    assert "cap_reached" in codes(shop.offers(channel, 11.0))
    assert "given" not in codes(shop.offers(channel, 34.49))
    assert "given" in codes(shop.offers(channel, 34.5))


def test_a_cap_counts_across_channels(opened: Open) -> None:
    shop = opened(caps__all_day=ONE)
    shop.tell("send", 10.5, channel="sms")
    assert "given" not in codes(shop.offers(Channel.EMAIL, 11.0))
    assert "given" in codes(shop.offers(Channel.WEB, 11.0))


def test_an_action_on_a_message_channel_is_a_send_that_the_next_decision_knows_of(opened: Open) -> None:
    shop = opened(
        caps__all_day=ONE,
    )
    shop.tell("cart", 9.0, product_id="brie-1")
    shop.tell("wishlist", 9.0, product_id="coffee-1")
    first = shop.action(12.0)
    assert first["channel"] in MESSAGE_CHANNELS, first
    assert "given" not in codes(shop.offers(Channel.EMAIL, 12.1))
    second = shop.action(12.2, Trigger.WISHLIST)
    assert second.get("channel") not in MESSAGE_CHANNELS
    assert shop.action(12.3) == first  # asked again: the same, and nothing is used


def test_a_message_that_waits_counts_from_when_it_goes_out(opened: Open) -> None:
    weeks = {f"caps__{name}_week": MANY for name in ("all", *MESSAGE_CHANNELS)}
    shop = opened(caps__all_day=ONE, **weeks)
    shop.tell("wishlist", 9.0, product_id="coffee-1")
    first = shop.action(12.0, Trigger.WISHLIST)
    assert first["channel"] in MESSAGE_CHANNELS
    assert first["send_at"] == "2018-01-01T22:00:00Z"  # 17:00 in New York, her hour
    shop.tell("cart", 34.0, product_id="brie-1")
    # more than a day after it was decided
    assert shop.action(40.9, channel=Channel.EMAIL)["reason"]["code"] == "cap_reached"
    assert shop.action(41.0, channel=Channel.EMAIL)["channel"] == "email"


def test_an_unsubscribe_ends_an_action_that_was_kept(opened: Open) -> None:
    shop = opened()
    shop.tell("cart", 9.0, product_id="brie-1")
    first = shop.action(12.0)
    assert first["channel"] in MESSAGE_CHANNELS
    shop.tell("unsubscribe", 12.1)
    assert shop.action(12.2).get("channel") not in MESSAGE_CHANNELS


def test_looking_around_a_lot_makes_no_message_and_no_redemption_forgotten(opened: Open) -> None:
    shop = opened(caps__email_day=ONE, caps__email_week=MANY, caps__all_week=MANY)
    shop.tell("send", 9.0, channel="email")
    shop.tell("redeem", 9.1, channel="web", offer_id="brie-off")
    shop.tell_many("view", 400, 10.0)
    found = shop.offers(Channel.EMAIL, 11.0)
    assert "given" not in codes(found)
    assert found["brie-off"] == "already_redeemed"


def test_an_offer_is_shown_as_often_as_the_policy_allows(opened: Open) -> None:
    shop = opened(caps__offer_showings_day=dict.fromkeys(ONE, 2))
    assert shop.offers(Channel.WEB, 9.0)["coffee-off"] == "given"
    for hours in (9.1, 9.2):
        shop.tell("impression", hours, channel="web", offer_id="coffee-off")
    assert shop.offers(Channel.APP, 9.3)["coffee-off"] == "cap_reached"
    assert shop.offers(Channel.EMAIL, 9.3)["coffee-off"] == "given"
    assert shop.offers(Channel.WEB, 33.1)["coffee-off"] == "given"


def test_the_same_offer_is_not_sent_again_and_again(opened: Open) -> None:
    shop = opened(caps__offer_sends_week=1)
    shop.tell("send", 9.0, channel="push", offer_id="coffee-off")
    found = shop.offers(Channel.EMAIL, 9.5)
    assert found["coffee-off"] == "cap_reached"
    assert "given" in codes(found)


def test_quiet_hours_begin_and_end_by_the_clock_although_an_answer_was_kept(shop: Shop) -> None:
    assert "given" in codes(shop.offers(Channel.SMS, 20.9))
    assert "quiet_hours" in codes(shop.offers(Channel.SMS, 21.0))
    assert "given" not in codes(shop.offers(Channel.SMS, 31.95))
    assert "given" in codes(shop.offers(Channel.SMS, 32.0))
    assert "given" in codes(shop.offers(Channel.EMAIL, 27.0))


def test_the_callers_word_on_the_customers_clock_goes_before_the_stores(shop: Shop) -> None:
    there = {"local_time": "2018-01-01T22:30:00+05:30"}  # 12:00 in New York
    assert "quiet_hours" in codes(shop.offers(Channel.SMS, 12.0, context=there))
    assert "given" in codes(shop.offers(Channel.SMS, 12.0))
