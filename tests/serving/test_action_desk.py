"""The next best action: for every trigger that is true a message, word for word, and for any other a reason."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from serving.api_action_codes import ActionCode
from serving.api_actions import ActionAnswer
from serving.api_offer_codes import Trigger
from serving.api_offers import OfferContext
from serving.bundle import Bundle, obeying, open_bundle, write_bundle
from serving.bundle_format import PRICE_LEARNED
from serving.channels import Channel
from serving.decisioning.policy import default_policy_text, parse_policy, with_values
from serving.engine import Engine
from serving.live import epoch_us
from serving.shares import Shares
from serving.state.challenges import Line, new_challenge
from serving.state.events import Event
from serving.state.known import Earned
from tests.serving.acting import ALLOWED, NEAR_NEW_YORK, acting, ask, code, message, products
from tests.serving.happenings import after, event, known
from tests.serving.tiny import Rows, tiny_contents
from tests.serving.tiny_offers import TinyOffer, offer_groups

SAY_LESS = {"offers__min_expected_value": 1000.0}  # no offer is worth that much: what is left are plain products
WEEK_END = 24.0 * 7


@pytest.fixture(scope="module")
def engine(tiny_bundle: Bundle) -> Engine:
    return acting(tiny_bundle)


@pytest.fixture(scope="module")
def plain(tiny_bundle: Bundle) -> Engine:
    return acting(tiny_bundle, **SAY_LESS)


@pytest.fixture(scope="module")
def generous(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return the bundle of a shop that has something to give for nothing, and free delivery."""
    offers = {
        "thanks": TinyOffer((), value=3.0, cost=0.1, kind="gift", chance=0.9, channels=(Channel.EMAIL,)),
        "delivery": TinyOffer((), value=4.0, cost=0.01, kind="free_shipping", chance=0.9),
        "coffee": TinyOffer(("coffee-1",), value=2.0, cost=0.5, chance=0.9),
    }
    rows, folder = Rows(), tmp_path_factory.mktemp("bundles")
    return open_bundle(folder / write_bundle(tiny_contents(**offer_groups(rows, offers, {})), folder))


def challenge_of(engine: Engine, *lines: Line, hours: float = 10.0) -> dict[str, Any]:
    """Return what the state knows of one who was shown their challenge."""
    from serving.api import ChallengeRequest

    answer = engine.challenge(ChallengeRequest(customer_id="anna"), after(hours), "0" * 32, known(customer_id="anna"))
    kept = replace(new_challenge(17532, answer, epoch_us(after(hours))), is_shown=True, lines=lines)
    kinds = {product: engine.kinds(product) for product in ("milk-1", "bread-1", "coffee-1", "banana-1")}
    return {"challenge": kept, "kinds": kinds}


# What each trigger says


def test_wish_list(plain: Engine) -> None:
    answer = ask(plain, Trigger.WISHLIST, event("wishlist", "coffee-1", 2), event("wishlist", "brie-1", 1))
    assert products(answer) == ["coffee-1", "brie-1"]
    assert answer["channel"] == Channel.EMAIL
    assert answer["send_at"] == "2018-01-01T22:00:00Z"  # 17:00 in New York, their hour
    assert message(answer) == (
        "Still on your wish list: House Coffee",
        "House Coffee and Brie de Meaux are still on your wish list. House Coffee costs $8.00.",
    )
    assert answer["reason"]["text"] == "House Coffee is on your wish list and you have not bought it yet"


def test_basket_left_behind(plain: Engine) -> None:
    answer = ask(plain, Trigger.CART, event("cart", "salad-1", 11.75))
    assert products(answer) == ["salad-1"]
    assert answer["send_at"] == "2018-01-01T17:45:00Z"  # an hour after it was put there
    assert message(answer) == (
        "Your basket is still here",
        "You left Mixed Salad in your basket. It is still there.",
    )


def test_basket_left_behind_with_what_comes_with_any_order(generous: Bundle) -> None:
    engine = acting(generous, actions__reminder_uplift=0.0)
    answer = ask(engine, Trigger.CART, event("cart", "salad-1", 11), channel=Channel.WEB)
    assert answer["offer"]["offer_id"] == "delivery"
    assert message(answer) == (
        "Your basket, and free delivery",
        "You left Mixed Salad in your basket. Until Monday, 8 January, 12:00 pm there is free delivery.",
    )


def test_what_is_in_the_basket_gets_no_discount(generous: Bundle) -> None:
    answer = ask(acting(generous), Trigger.CART, event("cart", "coffee-1", 11), channel=Channel.WEB)
    assert answer.get("offer", {}).get("offer_id") != "coffee"


def test_product_scanned_in_a_shop(plain: Engine) -> None:
    answer = ask(plain, Trigger.SCAN, event("scan", "bread-1", 11.9, channel="app"))
    assert (answer["channel"], answer["send_at"]) == (Channel.APP, "2018-01-01T17:00:00Z")
    assert message(answer) == (
        "Rye Bread",
        "You have just scanned Rye Bread. It costs $3.50. You last bought it on Tuesday, 26 December.",
    )


def test_visit_near_a_shop(plain: Engine) -> None:
    answer = ask(plain, Trigger.VISIT, context=NEAR_NEW_YORK, hours=13)
    assert products(answer) == ["bread-1"]
    assert message(answer) == (
        "Close by: Rye Bread",
        "Our shop within 0.1 km of you is open until 10:00 pm: a moment for Rye Bread. "
        "You last bought Rye Bread on Tuesday, 26 December.",
    )


def test_first_purchase_in_a_category(generous: Bundle) -> None:
    answer = ask(acting(generous), Trigger.FIRST_PURCHASE, event("purchase", "coffee-1", 2))
    assert (answer["kind"], answer["offer"]["offer_id"]) == ("offer", "thanks")
    assert message(answer) == (
        "A little surprise for you",
        "You tried something new: House Coffee. To say thank you there is something for you: a gift worth $3.00. "
        "You need not do anything for it; it stands until Monday, 8 January, 5:00 pm.",
    )
    assert ask(acting(generous), Trigger.PURCHASE, event("purchase", "coffee-1", 2))["text"] == answer["text"]


def test_due_for_replenishment(plain: Engine) -> None:
    answer = ask(plain, Trigger.REPLENISH, hours=36)
    assert products(answer) == ["milk-1", "bread-1"]
    assert message(answer) == (
        "Time for Whole Milk?",
        "You last bought Whole Milk on Sunday, 24 December. It may be time for Whole Milk and Rye Bread.",
    )
    assert answer["items"][0]["reason"]["code"] == "habit_due"


def test_launch_in_a_category_bought_again_and_again(plain: Engine) -> None:
    answer = ask(plain, Trigger.LAUNCH, channel=Channel.WEB)
    assert products(answer) == ["milk-2"]
    assert message(answer) == ("New: Oat Milk", "New in Dairy: Oat Milk. Oat Milk costs $3.00.")


def test_risk_of_leaving_is_never_spoken_of(tiny_bundle: Bundle) -> None:
    answer = ask(acting(tiny_bundle, actions__churn_probability=0.0, **SAY_LESS), Trigger.CHURN_RISK)
    assert products(answer) == ["bread-1", "milk-1", "yogurt-1"]
    assert message(answer) == (
        "Rye Bread and more",
        "You used to buy Rye Bread, Whole Milk and Plain Yogurt. You last bought Rye Bread on Tuesday, 26 December.",
    )
    assert not any(
        word in str(answer["text"] + answer["subject"]).lower() for word in ("leav", "miss", "risk", "churn")
    )


def test_challenge_about_to_end(plain: Engine) -> None:
    line = Line(epoch_us(after(20.0)), "e1", "milk-1", 1.0)
    answer = ask(plain, Trigger.REWARD_EXPIRING, hours=WEEK_END - 40, live=challenge_of(plain, line))
    assert (answer["kind"], products(answer)) == ("reward", ["bread-1", "coffee-1"])
    assert message(answer) == (
        "2 to go in this week's challenge",
        "You have done 1 of 3. Still to do: Rye Bread and House Coffee. All 3 by Sunday, 7 January earn you $5.00 off.",
    )
    assert answer["reason"]["text"] == "2 of 3 are left to do of this week's challenge"


def test_reward_about_to_expire(plain: Engine) -> None:
    earned = Earned("reward-1", "discount", 2.5, epoch_us(after(12 - 24 * 179)))
    answer = ask(plain, Trigger.REWARD_EXPIRING, live={"rewards": (earned,)})
    assert (answer["kind"], answer["reward_id"]) == ("reward", "reward-1")
    assert message(answer) == (
        "Yours until Tuesday, 2 January, 12:00 pm: $2.50 off",
        "You completed a challenge and earned $2.50 off. It is still waiting for you, "
        "until Tuesday, 2 January, 12:00 pm.",
    )


def test_back_in_stock(plain: Engine) -> None:
    answer = ask(plain, Trigger.BACK_IN_STOCK, event("view", "gone-1", 2), stock={("gone-1", None): 5.0})
    assert products(answer) == ["gone-1"]
    assert message(answer) == (
        "Back in stock: Sold Out Brie",
        "Sold Out Brie is in stock again. Sold Out Brie costs $9.50.",
    )


def test_what_a_customer_looks_at(plain: Engine) -> None:
    for trigger, sign in ((Trigger.VIEW, "view"), (Trigger.CLICK, "click")):
        answer = ask(plain, trigger, event(sign, "brie-1", 11.9, channel="web"))
        assert message(answer) == ("Brie de Meaux", "You are looking at Brie de Meaux. It costs $9.00.")


def test_what_a_customer_searches_for(plain: Engine) -> None:
    answer = ask(plain, Trigger.SEARCH, event("search", None, 11.9, value="bakery", channel="web"))
    assert products(answer) == ["bread-1"]  # the one that they buy, though another sells better


def test_the_same_in_german(tiny_bundle: Bundle) -> None:
    answer = ask(acting(tiny_bundle, actions__language="de", **SAY_LESS), Trigger.REPLENISH, hours=36)
    assert message(answer) == (
        "Zeit für Whole Milk?",
        "Whole Milk hast du zuletzt am Sonntag, 24. Dezember gekauft. "
        "Vielleicht ist es Zeit für Whole Milk und Rye Bread.",
    )


def test_an_offer_where_it_brings_more(engine: Engine) -> None:
    answer = ask(engine, Trigger.WISHLIST, event("wishlist", "coffee-1", 2))
    assert (answer["kind"], answer["offer"]["offer_id"]) == ("offer", "coffee-off")
    assert message(answer) == (
        "From your wish list: $2.00 off",
        "House Coffee is on your wish list. Until Monday, 8 January, 5:00 pm there is $2.00 off.",
    )


# Why there is none


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        (Trigger.WISHLIST, ActionCode.NOTHING_WISHED),
        (Trigger.CART, ActionCode.NOTHING_IN_BASKET),
        (Trigger.SCAN, ActionCode.NOTHING_SCANNED),
        (Trigger.VIEW, ActionCode.NOTHING_LOOKED_AT),
        (Trigger.CLICK, ActionCode.NOTHING_LOOKED_AT),
        (Trigger.SEARCH, ActionCode.NOTHING_LOOKED_AT),
        (Trigger.VISIT, ActionCode.NO_LOCATION),
        (Trigger.FIRST_PURCHASE, ActionCode.NOTHING_NEW),
        (Trigger.CHURN_RISK, ActionCode.NO_RISK),
        (Trigger.REWARD_EXPIRING, ActionCode.NO_REWARD),
        (Trigger.BACK_IN_STOCK, ActionCode.NOTHING_BACK),
        (Trigger.PURCHASE, ActionCode.JUST_BOUGHT),
        (Trigger.REDEEM, ActionCode.JUST_BOUGHT),
        (Trigger.SEND, ActionCode.JUST_CONTACTED),
        (Trigger.IMPRESSION, ActionCode.JUST_CONTACTED),
        (Trigger.OPEN, ActionCode.JUST_CONTACTED),
        (Trigger.DISMISS, ActionCode.TURNED_AWAY),
        (Trigger.UNCART, ActionCode.TURNED_AWAY),
        (Trigger.UNSUBSCRIBE, ActionCode.LEFT_CHANNEL),
        (Trigger.NOTIFICATION_BLOCK, ActionCode.LEFT_CHANNEL),
    ],
)
def test_a_trigger_that_nothing_makes_true_gives_no_action(
    engine: Engine, trigger: Trigger, expected: ActionCode
) -> None:
    answer = ask(engine, trigger)
    assert code(answer) == expected
    assert answer["reason"]["text"] == expected.explanation


@pytest.mark.parametrize("trigger", list(Trigger))
def test_every_trigger_has_an_answer_of_its_type_for_everybody(engine: Engine, trigger: Trigger) -> None:
    adapter = TypeAdapter(ActionAnswer)
    for customer in ("anna", "ben", "cleo", "dora", "emil", "fay", "nobody-knows-me"):
        answer = ask(engine, trigger, customer_id=customer, hours=30)
        adapter.validate_python(dict(answer), strict=False)
        code(answer)


@pytest.mark.parametrize(
    ("trigger", "sign", "end"),
    [
        (Trigger.WISHLIST, "wishlist", event("purchase", "salad-1", 3)),
        (Trigger.WISHLIST, "wishlist", event("dismiss", "salad-1", 3)),
        (Trigger.CART, "cart", event("purchase", "salad-1", 3)),
        (Trigger.CART, "cart", event("uncart", "salad-1", 3)),
        (Trigger.CART, "cart", event("dismiss", "salad-1", 3)),
        (Trigger.SCAN, "scan", event("purchase", "salad-1", 3)),
        (Trigger.BACK_IN_STOCK, "view", event("purchase", "gone-1", 3)),
    ],
)
def test_what_was_bought_or_turned_away_since_is_settled(
    engine: Engine, trigger: Trigger, sign: str, end: Event
) -> None:
    product = end.product_id
    stock: dict[tuple[str, str | None], float] = {("gone-1", None): 3.0}
    begun = event(sign, product, 2.9)
    assert ask(engine, trigger, begun, hours=3.1, stock=stock, channel=Channel.WEB)["kind"] != "none"
    assert ask(engine, trigger, begun, end, hours=3.1, stock=stock, channel=Channel.WEB)["kind"] == "none"


def test_a_sign_after_a_purchase_counts_anew(plain: Engine) -> None:
    events = (event("purchase", "salad-1", 1), event("wishlist", "salad-1", 2))
    assert products(ask(plain, Trigger.WISHLIST, *events)) == ["salad-1"]


def test_signs_fade_with_time(engine: Engine) -> None:
    assert code(ask(engine, Trigger.CART, event("cart", "salad-1", 1), hours=74)) == ActionCode.NOTHING_IN_BASKET
    assert code(ask(engine, Trigger.SCAN, event("scan", "salad-1", 1), hours=2)) == ActionCode.NOTHING_SCANNED
    old = event("wishlist", "salad-1", 1)
    assert code(ask(engine, Trigger.WISHLIST, old, hours=24 * 61 + 1)) == ActionCode.NOTHING_WISHED


def test_location_is_used_only_where_they_agreed(tiny_bundle: Bundle) -> None:
    refused = acting(tiny_bundle, consent__location=False)
    assert code(ask(refused, Trigger.VISIT, context=NEAR_NEW_YORK)) == ActionCode.NO_LOCATION_CONSENT
    visit = event("visit", None, 11.9, store_id="s-ny")
    assert code(ask(refused, Trigger.VISIT, visit)) == ActionCode.NO_LOCATION_CONSENT
    said = {"consent": {"location": True}}
    assert ask(refused, Trigger.VISIT, context=NEAR_NEW_YORK, live=said, channel=Channel.APP)["kind"] != "none"


def test_a_shop_that_is_far_or_closed_is_not_near(engine: Engine) -> None:
    far = OfferContext(latitude=40.9, longitude=-73.99)
    assert code(ask(engine, Trigger.VISIT, context=far)) == ActionCode.TOO_FAR
    assert code(ask(engine, Trigger.VISIT, context=NEAR_NEW_YORK, hours=3)) == ActionCode.CLOSED
    assert code(ask(engine, Trigger.VISIT, context=NEAR_NEW_YORK, hours=21.8)) == ActionCode.CLOSED  # 12 minutes left


def test_a_visit_tells_the_shop_by_itself(plain: Engine) -> None:
    answer = ask(plain, Trigger.VISIT, event("visit", None, 11.9, store_id="s-ny"))
    assert products(answer) == ["bread-1"]


def test_a_shop_that_has_none_of_it_is_no_reason_to_come(plain: Engine) -> None:
    answer = ask(plain, Trigger.VISIT, context=NEAR_NEW_YORK, stock={("bread-1", "s-ny"): 0.0})
    assert code(answer) == ActionCode.NOTHING_TO_SHOW


def test_nothing_is_due_for_one_who_has_just_bought_everything(engine: Engine) -> None:
    assert code(ask(engine, Trigger.REPLENISH, customer_id="fay")) == ActionCode.NOTHING_DUE
    assert code(ask(engine, Trigger.VISIT, context=NEAR_NEW_YORK, customer_id="fay")) == ActionCode.NOTHING_DUE


def test_a_habit_that_is_over_is_not_due(engine: Engine) -> None:
    assert code(ask(engine, Trigger.REPLENISH, hours=24 * 60)) == ActionCode.NOTHING_DUE


def test_what_is_new_is_new_only_to_those_who_buy_there(engine: Engine) -> None:
    assert code(ask(engine, Trigger.LAUNCH, customer_id="cleo")) == ActionCode.NOTHING_LAUNCHED
    assert code(ask(engine, Trigger.LAUNCH, hours=24 * 30)) == ActionCode.NOTHING_LAUNCHED


def test_a_category_that_was_bought_before_is_not_new(engine: Engine) -> None:
    assert code(ask(engine, Trigger.FIRST_PURCHASE, event("purchase", "bread-2", 2))) == ActionCode.NOTHING_NEW
    old = event("purchase", "coffee-1", 2)
    assert code(ask(engine, Trigger.FIRST_PURCHASE, old, hours=51)) == ActionCode.NOTHING_NEW


def test_a_surprise_asks_for_nothing(engine: Engine) -> None:
    assert code(ask(engine, Trigger.FIRST_PURCHASE, event("purchase", "coffee-1", 2))) == ActionCode.NO_SURPRISE


def test_one_who_has_come_back_is_no_risk(tiny_bundle: Bundle) -> None:
    anxious = acting(tiny_bundle, actions__churn_probability=0.0)
    assert code(ask(anxious, Trigger.CHURN_RISK, event("purchase", "banana-1", 2))) == ActionCode.NO_RISK


def test_one_at_risk_without_anything_to_wait_for_gets_no_message(tiny_bundle: Bundle) -> None:
    anxious = acting(tiny_bundle, actions__churn_probability=0.0, offers__min_customer_value=0.0)
    assert code(ask(anxious, Trigger.CHURN_RISK, customer_id="fay")) == ActionCode.NOTHING_TO_SHOW


def test_a_reward_is_spoken_of_only_near_its_end(engine: Engine) -> None:
    live = challenge_of(engine)
    assert code(ask(engine, Trigger.REWARD_EXPIRING, hours=WEEK_END - 49, live=live)) == ActionCode.NO_REWARD
    assert ask(engine, Trigger.REWARD_EXPIRING, hours=WEEK_END - 40, live=live)["kind"] == "reward"
    assert code(ask(engine, Trigger.REWARD_EXPIRING, hours=WEEK_END, live=live)) == ActionCode.NO_REWARD
    fresh = Earned("r", "discount", 2.5, epoch_us(after(1)))
    assert code(ask(engine, Trigger.REWARD_EXPIRING, live={"rewards": (fresh,)})) == ActionCode.NO_REWARD


def test_what_was_never_out_is_not_back(engine: Engine) -> None:
    wished = event("wishlist", "salad-1", 2)
    assert code(ask(engine, Trigger.BACK_IN_STOCK, wished, stock={("salad-1", None): 5.0})) == ActionCode.NOTHING_BACK
    gone = event("wishlist", "gone-1", 2)
    assert code(ask(engine, Trigger.BACK_IN_STOCK, gone, stock={("gone-1", None): 0.0})) == ActionCode.NOTHING_BACK


def test_without_consent_or_any_knowledge_there_is_no_action(engine: Engine) -> None:
    assert code(ask(engine, Trigger.REPLENISH, customer_id="ben")) == ActionCode.NOT_PERSONAL
    assert code(ask(engine, Trigger.REPLENISH, customer_id="nobody-knows-me")) == ActionCode.NOT_PERSONAL


def test_nothing_is_named_that_is_out_excluded_or_not_fit_to_be_named(engine: Engine) -> None:
    for product, more in (
        ("salad-1", {"stock": {("salad-1", None): 0.0}}),
        ("salad-1", {"exclude": ["salad-1"]}),
        ("tampons-1", {}),
        ("wine-1", {}),
    ):
        answer = ask(engine, Trigger.WISHLIST, event("wishlist", product, 2), **more)
        assert code(answer) == ActionCode.NOTHING_TO_SHOW


def test_nobody_is_sent_a_message_about_what_they_look_at(engine: Engine) -> None:
    seen = event("view", "brie-1", 11.9)
    assert code(ask(engine, Trigger.VIEW, seen, channel=Channel.EMAIL)) == ActionCode.PLACES_ONLY


def test_a_channel_without_consent_is_not_used(engine: Engine) -> None:
    assert code(ask(engine, Trigger.REPLENISH, channel=Channel.SMS)) == ActionCode.NO_CHANNEL
    left = {"consent": {"email": False}}
    assert code(ask(engine, Trigger.REPLENISH, channel=Channel.EMAIL, live=left)) == ActionCode.NO_CHANNEL
    assert ask(engine, Trigger.REPLENISH, live=left)["channel"] == Channel.WEB


def test_caps_hold(engine: Engine) -> None:
    sent = [event("send", None, hours, channel="email") for hours in (8, 9, 10, 11)]
    assert code(ask(engine, Trigger.REPLENISH, *sent, channel=Channel.EMAIL)) == ActionCode.CAP_REACHED
    assert ask(engine, Trigger.REPLENISH, *sent)["channel"] == Channel.WEB


def test_what_happens_now_is_not_sent_at_night(tiny_bundle: Bundle) -> None:
    night = acting(tiny_bundle, quiet_hours__email="10:00-14:00", **SAY_LESS)
    answer = ask(night, Trigger.VISIT, context=NEAR_NEW_YORK, channel=Channel.EMAIL)
    assert code(answer) == ActionCode.QUIET_HOURS
    there = NEAR_NEW_YORK.model_copy(update={"local_time": datetime(2018, 1, 1, 9, 0, tzinfo=UTC)})
    assert ask(night, Trigger.VISIT, context=there, channel=Channel.EMAIL)["kind"] != "none"


def test_a_message_must_be_worth_its_fatigue(tiny_bundle: Bundle) -> None:
    timid = acting(tiny_bundle, actions__reminder_uplift=0.0, **SAY_LESS)
    assert code(ask(timid, Trigger.REPLENISH, channel=Channel.EMAIL)) == ActionCode.NOT_WORTH_IT
    assert ask(timid, Trigger.REPLENISH)["channel"] == Channel.WEB  # showing it tires nobody


def test_a_message_is_not_sent_twice_for_what_has_not_changed(plain: Engine) -> None:
    wish, sent = event("wishlist", "coffee-1", 2), event("send", None, 3, channel="email", value="wished")
    asked: dict[str, Any] = {"hours": 48.0, "channel": Channel.EMAIL}
    assert code(ask(plain, Trigger.WISHLIST, wish, sent, **asked)) == ActionCode.SAID_ALREADY
    anew = event("wishlist", "brie-1", 4)
    assert products(ask(plain, Trigger.WISHLIST, wish, sent, anew, **asked)) == ["brie-1", "coffee-1"]


def test_whatever_was_asked_about_is_told_with_its_worth(plain: Engine) -> None:
    worth = ask(plain, Trigger.REPLENISH)["worth"]
    value = (worth["relevance"] + worth["timeliness"]) * worth["trust"] / (worth["privacy_cost"] + worth["effort"])
    assert worth["customer_value"] == pytest.approx(value, abs=1e-5)
    assert worth["expected_value"] == pytest.approx(worth["incremental_margin"] - worth["fatigue_cost"])


def test_true_triggers_are_those_that_give_an_action(plain: Engine) -> None:
    events = (event("cart", "salad-1", 11), event("wishlist", "coffee-1", 2))
    found = plain.true_triggers("anna", after(12), known(*events, customer_id="anna"))
    assert found == (Trigger.CART, Trigger.WISHLIST, Trigger.REPLENISH, Trigger.LAUNCH)
    assert plain.true_triggers("ben", after(12), known(customer_id="ben")) == ()
    for trigger in Trigger:
        is_true = trigger in found
        assert is_true or trigger in (Trigger.VIEW, Trigger.CLICK) or ask(plain, trigger, *events)["kind"] == "none"


def test_texts_of_a_merchant_travel_with_the_bundle(tmp_path: Path) -> None:
    from serving.decisioning.texts import shipped_texts

    own = shipped_texts()["en"].replace("Time for {{ product }}?", "Psst, {{ product }}")
    values: dict[str, Any] = {"actions.language": "shop", "consent.email": True}
    contents = replace(tiny_contents(values), texts={"shop": own})
    bundle = open_bundle(tmp_path / write_bundle(contents, tmp_path))
    assert ask(Engine(bundle), Trigger.REPLENISH)["subject"] == "Psst, Rye Bread"


def test_a_visit_by_an_event_says_no_distance(plain: Engine) -> None:
    answer = ask(plain, Trigger.VISIT, event("visit", None, 11.9, store_id="s-ny"))
    assert answer["text"].startswith("Our shop is open until 10:00 pm: a moment for Rye Bread.")


def test_what_was_returned_is_no_first_purchase(generous: Bundle) -> None:
    bought, returned = event("purchase", "coffee-1", 2), event("purchase", "coffee-1", 3, quantity=-1.0)
    assert code(ask(acting(generous), Trigger.FIRST_PURCHASE, bought, returned)) == ActionCode.NOTHING_NEW


def test_another_product_that_is_back_is_news(tiny_bundle: Bundle) -> None:
    plain = acting(tiny_bundle, actions__reminder_uplift=1.0, **SAY_LESS)
    sent = event("send", "brie-1", 3, channel="email", value="back_in_stock")
    viewed = (event("view", "gone-1", 2), event("view", "brie-1", 1))
    asked: dict[str, Any] = {"hours": 48.0, "channel": Channel.EMAIL, "stock": {("gone-1", None): 5.0}}
    assert products(ask(plain, Trigger.BACK_IN_STOCK, *viewed, sent, **asked)) == ["gone-1"]
    again = event("send", "gone-1", 3, channel="email", value="back_in_stock")
    assert code(ask(plain, Trigger.BACK_IN_STOCK, *viewed, again, **asked)) == ActionCode.SAID_ALREADY


def test_a_learned_price_is_not_promised(tmp_path: Path) -> None:
    contents = tiny_contents(ALLOWED)
    learned = replace(contents.products, flags=contents.products.flags | np.uint16(PRICE_LEARNED))
    bundle = open_bundle(tmp_path / write_bundle(replace(contents, products=learned), tmp_path))
    answer = ask(acting(bundle, **SAY_LESS), Trigger.WISHLIST, event("wishlist", "coffee-1", 2))
    assert answer["text"] == "House Coffee is still on your wish list."


def test_what_merchants_ban_is_in_no_action(tiny_bundle: Bundle) -> None:
    rules = '\n[[bans]]\nproducts = ["coffee-1"]\n'
    engine = Engine(obeying(tiny_bundle, parse_policy(with_values(default_policy_text(), ALLOWED) + rules)))
    assert code(ask(engine, Trigger.WISHLIST, event("wishlist", "coffee-1", 2))) == ActionCode.NOTHING_TO_SHOW


def test_a_habit_by_type_is_told_as_one(tiny_bundle: Bundle) -> None:
    again = tiny_bundle.again
    columns = {each.name: getattr(again, each.name)[:0] for each in fields(again)}
    none = replace(again, **columns | {"offsets": np.zeros_like(again.offsets), "p7": Shares.of([])})
    answer = ask(acting(replace(tiny_bundle, again=none), **SAY_LESS), Trigger.REPLENISH)
    assert answer["text"] == "It may be time for Rye Bread."
    assert answer["items"][0]["reason"]["text"].startswith("You buy something like this about every 6 days")
