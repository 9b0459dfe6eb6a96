"""Offers and actions as they are promised: the same when asked again, held once, sent once, and never over a budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest

from serving.api_actions import ActionsRequest
from serving.api_offer_codes import Trigger
from serving.api_offers import OfferContext, OffersRequest
from serving.bundle import Bundle, obeying
from serving.channels import Channel
from serving.decide import Decider
from serving.decision_ids import DecisionIds
from serving.decisioning.policy import default_policy_text, parse_policy, with_values
from serving.engine import Engine
from serving.errors import StateUnavailable
from serving.keeping import AWAY, MustCommit
from serving.kept import customer_answer, decision_answer
from serving.live import epoch_us
from serving.state.events import Event, EventType
from serving.state.shop import State
from serving.state.stock_words import StockWord
from tests.serving.state.builders import state_on
from tests.serving.state.memory_store import MemoryStore
from tests.serving.tiny import AS_OF

T = TypeVar("T")
IDS = DecisionIds(b"k" * 32)
NOW = AS_OF + timedelta(hours=13)
WEB = OffersRequest(customer_id="anna", channel=Channel.WEB)
APP = OffersRequest(customer_id="anna", channel=Channel.APP)
CART = ActionsRequest(customer_id="anna", trigger=Trigger.CART)


class Open:
    """The way to a state in this process."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.state = state_on(self.store)

    def read(self, work: Callable[[State], T]) -> T:
        return work(self.state)

    write = read


@pytest.fixture
def door() -> Open:
    return Open()


@pytest.fixture(scope="module")
def engine(tiny_bundle: Bundle) -> Engine:
    values = {"consent.email": True, "consent.push": True, "offers.min_expected_value": -100.0}
    return Engine(obeying(tiny_bundle, parse_policy(with_values(default_policy_text(), values))))


@pytest.fixture
def decider(engine: Engine, door: Open) -> Decider:
    return Decider(engine, door, IDS)


def ask(decider: Decider, request: Any, now: datetime = NOW) -> Any:
    return decider.decide(request, now)


def given(answer: Any) -> dict[str, str]:
    """Return until when each offer is valid, by its id."""
    return {each["offer_id"]: each["valid_to"] for each in answer["offers"]}


def told(
    door: Open, engine: Engine, event_id: str, type: str, at: datetime = NOW, customer_id: str = "anna", **fields: Any
) -> Any:
    """Return what became of an event."""
    event = Event(event_id, customer_id, EventType(type), epoch_us(at), epoch_us(at), **fields)
    return door.state.accept([event], may_keep=lambda _live: True, kind_of=engine.kinds, cost_of=engine.offer_cost)


def reserved(door: Open, engine: Engine, now: datetime = NOW) -> dict[str, float]:
    found = door.state.spending(engine.budgets, at_us=epoch_us(now))
    return {offer_id: each.reserved for offer_id, each in found.items() if each.reserved}


def test_asking_again_gives_the_same_decision_and_reserves_nothing_more(
    decider: Decider, door: Open, engine: Engine
) -> None:
    first = ask(decider, WEB)
    held = reserved(door, engine)
    assert held
    again = ask(Decider(engine, door, IDS), WEB, NOW + timedelta(hours=1))
    assert again == first
    assert reserved(door, engine) == held
    assert all(held[each] == engine.offer_cost(each) for each in held)


def test_asking_again_stands_for_an_hour_of_explicit_moments_too(decider: Decider) -> None:
    first = ask(decider, WEB.model_copy(update={"at": NOW}))
    later = WEB.model_copy(update={"at": NOW + timedelta(hours=2)})
    assert ask(decider, later, NOW + timedelta(days=300)) == first
    before = WEB.model_copy(update={"at": NOW - timedelta(hours=1)})
    assert ask(decider, before)["decision_id"] != first["decision_id"]


@pytest.mark.parametrize("kind", ["view", "redeem", "dismiss", "impression", "send"])
def test_whatever_happened_decides_anew_and_leaves_what_is_held_as_it_is(
    decider: Decider, door: Open, engine: Engine, kind: str
) -> None:
    first = ask(decider, WEB)
    told(door, engine, "e1", kind, NOW + timedelta(minutes=1), product_id="milk-1", channel="web")
    again = ask(decider, WEB, NOW + timedelta(hours=2))
    assert again["decision_id"] != first["decision_id"]
    assert given(again)
    assert all(given(first).get(each, until) == until for each, until in given(again).items())


def test_another_channel_gives_the_same_offers_as_they_were_promised(
    decider: Decider, door: Open, engine: Engine
) -> None:
    on_web = ask(decider, WEB)
    held = reserved(door, engine)
    in_app = ask(decider, APP, NOW + timedelta(hours=3))
    both = given(on_web).keys() & given(in_app).keys()
    assert both
    assert all(given(on_web)[each] == given(in_app)[each] for each in both)
    assert {each: reserved(door, engine)[each] for each in held} == held
    assert ask(decider, WEB, NOW + timedelta(hours=4)) == on_web


@pytest.mark.parametrize(
    "change",
    [
        {"channel": Channel.APP},
        {"k": 2},
        {"exclude": ["brie-1"]},
        {"context": OfferContext(basket=["milk-1"])},
        {"context": OfferContext(page="milk-1")},
    ],
)
def test_another_question_is_another_decision(decider: Decider, change: dict[str, Any]) -> None:
    first = ask(decider, WEB)
    assert ask(decider, WEB.model_copy(update=change))["decision_id"] != first["decision_id"]


@pytest.mark.parametrize("change", [{"placement": "top"}, {"context": OfferContext(local_time="2018-01-01T18:00:00Z")}])
def test_where_it_is_shown_and_the_clock_on_the_wall_change_nothing(decider: Decider, change: dict[str, Any]) -> None:
    told_time = WEB.model_copy(update={"context": OfferContext(local_time="2018-01-01T17:00:00Z")})
    first = ask(decider, WEB if "placement" in change else told_time)
    assert ask(decider, WEB.model_copy(update=change)) == first


def test_consent_and_stock_of_what_is_in_it_decide_anew_and_other_stock_does_not(
    decider: Decider, door: Open, engine: Engine
) -> None:
    first = ask(decider, WEB)
    shown = {each for offer in first["offers"] for each in offer["product_ids"]}
    door.state.put_stock([StockWord("gone-1", None, 0.0)])
    assert ask(decider, WEB) == first
    door.state.put_stock([StockWord(each, None, 0.0) for each in sorted(shown)])
    second = ask(decider, WEB)
    assert second["decision_id"] != first["decision_id"]
    door.state.put_consent("anna", {"personalize": True, "email": True}, epoch_us(NOW))
    assert ask(decider, WEB)["decision_id"] != second["decision_id"]


def test_another_bundle_or_policy_decides_anew(decider: Decider, door: Open, engine: Engine) -> None:
    first = ask(decider, WEB)
    manifest = replace(engine.bundle.manifest, version="20180102-ffffffff")
    other = Engine(replace(engine.bundle, manifest=manifest))
    assert ask(Decider(other, door, IDS), WEB)["decision_id"] != first["decision_id"]


def test_an_answer_is_over_when_the_policy_says_so_or_an_offer_ends(
    tiny_bundle: Bundle, decider: Decider, door: Open, engine: Engine
) -> None:
    first = ask(decider, WEB)
    ends = min(given(first).values())
    hours = engine.bundle.policy.offers.repeat_hours
    over = min(NOW + timedelta(hours=hours), datetime.fromisoformat(ends))
    assert ask(decider, WEB, over - timedelta(seconds=1)) == first
    assert ask(decider, WEB, over)["decision_id"] != first["decision_id"]


def test_a_budget_goes_to_as_many_as_it_pays_for_and_is_back_when_they_did_not_come(
    tiny_bundle: Bundle, decider: Decider, door: Open, engine: Engine
) -> None:
    cost, budget = engine.offer_cost("brie-off"), engine.budgets["brie-off"]
    assert cost is not None
    n_paid = int(budget // cost)
    answers = {
        each: ask(decider, OffersRequest(customer_id=each, channel=Channel.WEB))
        for each in ("anna", "fay", "emil", "cleo")
    }
    got = [each for each, answer in answers.items() if "brie-off" in given(answer)]
    assert len(got) == n_paid
    others = [answer for answer in answers.values() if "brie-off" not in given(answer)]
    codes = [
        each["reason"]["code"] for answer in others for each in answer["withheld"] if each["offer_id"] == "brie-off"
    ]
    assert "budget_spent" in codes
    late = NOW + timedelta(hours=engine.bundle.policy.offers.ttl_hours, minutes=1)
    assert reserved(door, engine, late).get("brie-off", 0.0) == 0.0
    (first,) = [each for each in answers if "brie-off" not in given(answers[each])][:1]
    again = ask(decider, OffersRequest(customer_id=first, channel=Channel.WEB), late)
    assert "brie-off" in given(again)


def test_a_dry_run_keeps_nothing_and_shows_what_stands(decider: Decider, door: Open, engine: Engine) -> None:
    dry = WEB.model_copy(update={"dry_run": True})
    ask(decider, dry)
    assert door.store.documents == {}
    first = ask(decider, WEB)
    before = dict(door.store.documents)
    assert ask(decider, dry) == first
    assert ask(decider, APP.model_copy(update={"dry_run": True}))["decision_id"] != first["decision_id"]
    assert door.store.documents == before


def test_who_can_not_wait_is_told_and_gets_what_stands_at_once(decider: Decider) -> None:
    with pytest.raises(MustCommit):
        decider.decide(WEB, NOW, may_commit=False)
    first = ask(decider, WEB)
    assert decider.decide(WEB, NOW, may_commit=False) == first
    assert decider.decide(WEB.model_copy(update={"k": 1, "dry_run": True}), NOW, may_commit=False)["offers"]


def test_who_may_not_be_linked_gets_no_budget_and_nothing_is_kept_of_them(
    decider: Decider, door: Open, engine: Engine
) -> None:
    door.state.put_consent("anna", {}, epoch_us(NOW))
    answer = ask(decider, WEB)
    assert not given(answer).keys() & engine.budgets.keys()
    assert door.state.live("anna").holds == ()
    assert not any(key.startswith(("kept/", "held/", "of/")) for key in door.store.documents)


def test_an_answer_that_is_decided_while_something_happens_is_decided_again(
    decider: Decider, door: Open, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    promise = door.state.promise
    asked: list[str] = []

    def interrupted(*args: Any, **named: Any) -> Any:
        asked.append("promise")
        if len(asked) == 1:
            told(door, engine, "e1", "redeem", offer_id="dairy-off")
        return promise(*args, **named)

    monkeypatch.setattr(door.state, "promise", interrupted)
    answer = ask(decider, WEB)
    assert len(asked) == 2
    assert "dairy-off" not in given(answer)


def test_two_calls_at_once_get_the_same_answer(
    decider: Decider, door: Open, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    promise = door.state.promise
    others: list[Any] = []

    def overtaken(*args: Any, **named: Any) -> Any:
        if not others:
            others.append(None)
            others[0] = ask(Decider(engine, door, IDS), WEB, NOW + timedelta(seconds=1))
        return promise(*args, **named)

    monkeypatch.setattr(door.state, "promise", overtaken)
    assert ask(decider, WEB) == others[0]


def test_a_budget_that_others_took_meanwhile_is_not_given(
    decider: Decider, door: Open, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    promise = door.state.promise
    taken: list[Any] = []

    def taking(*args: Any, **named: Any) -> Any:
        if not taken:
            taken.append(told(door, engine, "e1", "redeem", customer_id="zoe", offer_id="brie-off"))
            told(door, engine, "e2", "redeem", customer_id="zoe", offer_id="brie-off")
        return promise(*args, **named)

    monkeypatch.setattr(door.state, "promise", taking)
    answer = ask(decider, WEB)
    assert "brie-off" not in given(answer)
    assert "brie-off" not in reserved(door, engine)
    assert "budget_spent" in [each["reason"]["code"] for each in answer["withheld"] if each["offer_id"] == "brie-off"]


def test_without_the_state_offers_with_a_budget_and_messages_wait(door: Open, engine: Engine) -> None:
    away = Decider(engine, AWAY, IDS)
    answer = ask(away, WEB)
    assert given(answer)
    assert not given(answer).keys() & engine.budgets.keys()
    assert [each["code"] for each in answer["notes"]] == ["state_unavailable"]
    by_mail = ask(away, OffersRequest(customer_id="anna", channel=Channel.EMAIL))
    assert by_mail["offers"] == []
    assert {each["reason"]["code"] for each in by_mail["withheld"]} >= {"unavailable"}
    with pytest.raises(StateUnavailable):
        ask(away, CART)


def test_a_state_that_takes_nothing_gives_no_budget_and_recovers(decider: Decider, door: Open, engine: Engine) -> None:
    door.store.is_read_only = True
    answer = ask(decider, WEB)
    assert not given(answer).keys() & engine.budgets.keys()
    with pytest.raises(StateUnavailable):
        ask(decider, in_basket(door, engine))
    door.store.is_read_only = False
    assert given(ask(decider, WEB)).keys() & engine.budgets.keys()


def in_basket(door: Open, engine: Engine, channel: Channel = Channel.EMAIL) -> ActionsRequest:
    """Return what asks about a basket that anna has left, on a channel, once it has been told."""
    if not door.store.is_read_only:
        told(door, engine, "cart", "cart", NOW - timedelta(hours=8), product_id="milk-1", channel="web")
    return CART.model_copy(update={"channel": channel})


def test_an_action_on_a_message_channel_is_a_send_at_once_and_once(
    decider: Decider, door: Open, engine: Engine
) -> None:
    request = in_basket(door, engine)
    action = ask(decider, request)
    assert action["kind"] != "none"
    (sent,) = [each for each in door.state.live("anna").events if each.type is EventType.SEND]
    assert (sent.decision_id, sent.channel, sent.at_us) == (action["decision_id"], "email", epoch_us(NOW))
    assert ask(decider, request, NOW + timedelta(minutes=20)) == action
    done = told(
        door, engine, "mine", "send", NOW + timedelta(hours=1), decision_id=action["decision_id"], channel="email"
    )
    assert (done.accepted, done.duplicates) == (0, 1)
    assert ask(decider, request, NOW + timedelta(minutes=30)) == action
    assert sum(each.type is EventType.SEND for each in door.state.live("anna").events) == 1


def test_an_action_on_a_page_sends_nothing_and_none_is_asked_again_when_the_quarter_is_over(
    decider: Decider, door: Open, engine: Engine
) -> None:
    ask(decider, in_basket(door, engine, Channel.WEB))
    none = ask(decider, ActionsRequest(customer_id="anna", trigger=Trigger.BACK_IN_STOCK))
    assert none["kind"] == "none"
    assert all(each.type is not EventType.SEND for each in door.state.live("anna").events)
    request = ActionsRequest(customer_id="anna", trigger=Trigger.BACK_IN_STOCK)
    assert ask(decider, request, NOW + timedelta(minutes=14)) == none
    assert ask(decider, request, NOW + timedelta(minutes=15))["decision_id"] != none["decision_id"]


def test_a_list_on_a_message_channel_is_sent_as_it_is_answered(door: Open, engine: Engine) -> None:
    by_mail = OffersRequest(customer_id="anna", channel=Channel.EMAIL)
    answer = ask(Decider(engine, door, IDS, sends=True), by_mail)
    assert answer["offers"]
    (sent,) = door.state.live("anna").events
    assert (sent.type, sent.channel, sent.decision_id) == (EventType.SEND, "email", answer["decision_id"])


def test_what_was_promised_can_be_looked_up_with_what_came_of_it(decider: Decider, door: Open, engine: Engine) -> None:
    answer = ask(decider, WEB)
    offer_id = next(iter(given(answer)))
    told(door, engine, "r1", "redeem", NOW + timedelta(hours=1), offer_id=offer_id)
    told(door, engine, "i1", "impression", NOW, decision_id=answer["decision_id"])
    stored = door.state.decision(answer["decision_id"])
    assert stored is not None
    story: Any = decision_answer(stored)
    assert story["offers"] == answer["offers"]
    assert (story["shown"], story["channel"], story["customer_id"]) == ([], "web", "anna")
    assert {each["offer_id"]: each["reason"] for each in story["withheld"]} == {
        each["offer_id"]: each["reason"]["code"] for each in answer["withheld"]
    }
    assert [each["event_id"] for each in story["outcome"]["answered"]] == ["i1", "r1"]
    kept = door.state.customer("anna")
    view: Any = customer_answer("anna", kept, {})
    held = {each["offer_id"]: each for each in view["offers"]}
    assert held.keys() == given(answer).keys()
    assert (held[offer_id]["valid_to"], held[offer_id]["redeemed_at"]) == (
        given(answer)[offer_id],
        "2018-01-01T19:00:00Z",
    )
    assert view["decisions"][0]["offers"] == answer["offers"]


def test_an_action_can_be_looked_up_as_it_was_said(decider: Decider, door: Open, engine: Engine) -> None:
    action = ask(decider, in_basket(door, engine))
    stored = door.state.decision(action["decision_id"])
    assert stored is not None
    story: Any = decision_answer(stored)
    names = ("kind", "trigger", "reason", "channel", "send_at", "subject", "text")
    assert story["action"] == {name: action[name] for name in names}
    assert story["channel"] == "email"
    assert [each["type"] for each in story["outcome"]["answered"]] == ["send"]


@pytest.mark.parametrize("agrees", [True, False])
def test_where_they_were_is_kept_only_with_their_consent(
    decider: Decider, door: Open, engine: Engine, agrees: bool
) -> None:
    door.state.put_consent("anna", {"personalize": True, "location": agrees}, epoch_us(NOW))
    here = WEB.model_copy(update={"context": OfferContext(latitude=51.5, longitude=-0.1, page="milk-1")})
    stored = door.state.decision(ask(decider, here)["decision_id"])
    assert stored is not None
    place = {"latitude": 51.5, "longitude": -0.1} if agrees else {}
    assert stored.record.parts[0].asked["context"] == {"page": "milk-1", **place}
