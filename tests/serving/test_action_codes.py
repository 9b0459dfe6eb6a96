"""docs/actions.md: every code is reached by a call, and explained as the code says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from serving.api_action_codes import ActionCode
from serving.api_actions import ActionAnswer, ActionsRequest
from serving.api_offer_codes import Trigger
from serving.arms import ExperimentEngine
from serving.bundle import Bundle, open_bundle, write_bundle
from serving.channels import Channel
from serving.decisioning.policy_actions import ActionsPolicy
from serving.decisioning.texts import FACTS
from serving.engine import Engine
from serving.experiments_toml import parse_experiments
from serving.live import epoch_us
from serving.state.challenges import Line
from serving.state.events import EventType
from serving.state.known import Earned
from tests.serving.acting import NEAR_NEW_YORK, acting, ask, code
from tests.serving.happenings import after, event, known
from tests.serving.held_out import text_that
from tests.serving.test_action_desk import SAY_LESS, challenge_of
from tests.serving.tiny import Rows, tiny_contents
from tests.serving.tiny_offers import TinyOffer, offer_groups

TEXT = (Path(__file__).parents[2] / "docs" / "actions.md").read_text()
T, C = Trigger, ActionCode
CART = event("cart", "salad-1", 11)
WISH = event("wishlist", "coffee-1", 2)
SENT = [event("send", None, hours, channel="email") for hours in (8, 9, 10, 11)]
TOLD = event("send", None, 3, channel="email", value="wished")
MILK = Line(epoch_us(after(20.0)), "e1", "milk-1", 1.0)
EMAIL: dict[str, Any] = {"channel": Channel.EMAIL}


@pytest.fixture(scope="module")
def plain(tiny_bundle: Bundle) -> Engine:
    return acting(tiny_bundle, **SAY_LESS)


@pytest.fixture(scope="module")
def reached(plain: Engine, tiny_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, ActionAnswer]:
    """Return an answer for each way to a code, by the code that it is to have."""
    anxious = acting(tiny_bundle, actions__churn_probability=0.0, **SAY_LESS)
    shy = acting(tiny_bundle, consent__location=False)
    noon = acting(tiny_bundle, quiet_hours__email="10:00-14:00", **SAY_LESS)
    timid = acting(tiny_bundle, actions__reminder_uplift=0.0, **SAY_LESS)
    gift = {"thanks": TinyOffer((), value=3.0, cost=0.1, kind="gift", chance=0.9)}
    folder = tmp_path_factory.mktemp("bundles")
    kind = acting(open_bundle(folder / write_bundle(tiny_contents(**offer_groups(Rows(), gift, {})), folder)))
    earned = {"rewards": (Earned("reward-1", "discount", 2.5, epoch_us(after(12 - 24 * 179))),)}
    new = event("purchase", "coffee-1", 2)
    far = NEAR_NEW_YORK.model_copy(update={"latitude": 41.5})
    ways: dict[ActionCode, Callable[[], ActionAnswer]] = {
        C.WISHED: lambda: ask(plain, T.WISHLIST, WISH, event("wishlist", "brie-1", 1)),
        C.LEFT_IN_BASKET: lambda: ask(plain, T.CART, CART),
        C.SCANNED: lambda: ask(plain, T.SCAN, event("scan", "bread-1", 11.9)),
        C.NEAR_STORE: lambda: ask(plain, T.VISIT, context=NEAR_NEW_YORK),
        C.NEW_CATEGORY: lambda: ask(kind, T.FIRST_PURCHASE, new),
        C.DUE: lambda: ask(plain, T.REPLENISH, hours=36),
        C.LAUNCHED: lambda: ask(plain, T.LAUNCH),
        C.KEPT_WAITING: lambda: ask(anxious, T.CHURN_RISK),
        C.REWARD_WAITING: lambda: ask(plain, T.REWARD_EXPIRING, live=earned),
        C.CHALLENGE_ENDING: lambda: ask(plain, T.REWARD_EXPIRING, hours=128, live=challenge_of(plain, MILK)),
        C.BACK_IN_STOCK: lambda: ask(plain, T.BACK_IN_STOCK, event("view", "gone-1", 2), stock={("gone-1", None): 5.0}),
        C.LOOKED_AT: lambda: ask(plain, T.VIEW, event("view", "brie-1", 11.9)),
        C.NOTHING_WISHED: lambda: ask(plain, T.WISHLIST),
        C.NOTHING_IN_BASKET: lambda: ask(plain, T.CART),
        C.NOTHING_SCANNED: lambda: ask(plain, T.SCAN),
        C.NOTHING_LOOKED_AT: lambda: ask(plain, T.VIEW),
        C.NO_LOCATION: lambda: ask(plain, T.VISIT),
        C.NO_LOCATION_CONSENT: lambda: ask(shy, T.VISIT, context=NEAR_NEW_YORK),
        C.TOO_FAR: lambda: ask(plain, T.VISIT, context=far),
        C.CLOSED: lambda: ask(plain, T.VISIT, context=NEAR_NEW_YORK, hours=3),
        C.NOTHING_NEW: lambda: ask(plain, T.FIRST_PURCHASE),
        C.NO_SURPRISE: lambda: ask(plain, T.FIRST_PURCHASE, new),
        C.NOTHING_DUE: lambda: ask(plain, T.REPLENISH, customer_id="fay"),
        C.NOTHING_LAUNCHED: lambda: ask(plain, T.LAUNCH, customer_id="cleo"),
        C.NO_RISK: lambda: ask(plain, T.CHURN_RISK),
        C.NO_REWARD: lambda: ask(plain, T.REWARD_EXPIRING),
        C.NOTHING_BACK: lambda: ask(plain, T.BACK_IN_STOCK),
        C.HOLDOUT: lambda: held_out(tiny_bundle),
        C.NOT_PERSONAL: lambda: ask(plain, T.REPLENISH, customer_id="ben"),
        C.LEFT_CHANNEL: lambda: ask(plain, T.UNSUBSCRIBE),
        C.TURNED_AWAY: lambda: ask(plain, T.DISMISS),
        C.JUST_BOUGHT: lambda: ask(plain, T.PURCHASE),
        C.JUST_CONTACTED: lambda: ask(plain, T.OPEN),
        C.SAID_ALREADY: lambda: ask(plain, T.WISHLIST, WISH, TOLD, hours=48, **EMAIL),
        C.NOTHING_TO_SHOW: lambda: ask(plain, T.WISHLIST, event("wishlist", "tampons-1", 2)),
        C.PLACES_ONLY: lambda: ask(plain, T.VIEW, event("view", "brie-1", 11.9), **EMAIL),
        C.NO_CHANNEL: lambda: ask(plain, T.REPLENISH, channel=Channel.SMS),
        C.CAP_REACHED: lambda: ask(plain, T.REPLENISH, *SENT, **EMAIL),
        C.QUIET_HOURS: lambda: ask(noon, T.VISIT, context=NEAR_NEW_YORK, **EMAIL),
        C.NOT_WORTH_IT: lambda: ask(timid, T.REPLENISH, **EMAIL),
    }
    return {expected: way() for expected, way in ways.items()}


def held_out(bundle: Bundle) -> ActionAnswer:
    engine = ExperimentEngine(bundle, parse_experiments(text_that(holds_out="anna", treats="cleo")))
    request = ActionsRequest(customer_id="anna", trigger=T.REPLENISH)
    return engine.action(request, after(12), "0" * 32, known(customer_id="anna"))


def test_every_code_is_reached_by_a_call(reached: Mapping[str, ActionAnswer]) -> None:
    assert {expected: code(answer) for expected, answer in reached.items()} == {each: each for each in ActionCode}


def test_the_messages_on_the_page_are_those_that_are_sent(reached: Mapping[str, ActionAnswer]) -> None:
    acts = {each: answer for each, answer in reached.items() if answer["kind"] != "none" and each != C.REWARD_WAITING}
    told = [each for each, answer in acts.items() if f"**{answer['subject']}**: {answer['text']} |" in TEXT]
    assert told == list(acts)


def test_every_code_is_explained_as_the_code_says() -> None:
    table = TEXT[TEXT.index("## Why, and why none") : TEXT.index("## The texts")]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{each.value}` | {each.explanation} |" for each in ActionCode]


def test_every_trigger_is_described() -> None:
    table = TEXT[TEXT.index("## Triggers") : TEXT.index("## Why, and why none")]
    assert all(f"`{each.value}`" in table for each in Trigger)


def test_every_fact_is_named() -> None:
    facts = TEXT[TEXT.index("| facts | of |") :]
    assert all(f"`{name}`" in facts for known_facts in FACTS.values() for name in known_facts)


def test_every_number_of_the_policy_that_the_page_names_is_there() -> None:
    names = {each.name for each in fields(ActionsPolicy)} - {"language", "max_items"}
    assert all(f"`{name}`" in TEXT for name in names)


def test_every_event_type_is_a_trigger() -> None:
    assert {each.value for each in EventType} < {each.value for each in Trigger}
