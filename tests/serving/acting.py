"""Asks the tiny shop's engine for actions, told in hours after its bundle's as-of: Monday 00:00 in New York."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.api_actions import ActionAnswer, ActionsRequest
from serving.api_offer_codes import Trigger
from serving.api_offers import OfferContext
from serving.bundle import Bundle, obeying
from serving.decisioning.policy import default_policy_text, parse_policy, with_values
from serving.engine import Engine
from serving.state.events import Event
from tests.serving.happenings import after, known

NEAR_NEW_YORK = OfferContext(latitude=40.7507, longitude=-73.9907)
ALLOWED: Mapping[str, str | float | bool] = {
    "shop.time_zone": "America/New_York",
    "consent.email": True,
    "consent.location": True,
}


def acting(bundle: Bundle, **changes: str | float | bool) -> Engine:
    """Return the engine under a policy that allows e-mail and location; `changes` by key, `__` for a dot."""
    values = {**ALLOWED, **{key.replace("__", "."): value for key, value in changes.items()}}
    return Engine(obeying(bundle, parse_policy(with_values(default_policy_text(), values))))


def ask(
    engine: Engine,
    trigger: Trigger,
    *events: Event,
    hours: float = 12.0,
    customer_id: str = "anna",
    stock: Mapping[tuple[str, str | None], float] | None = None,
    live: Mapping[str, Any] | None = None,  # Any: fields of Live
    **asked: Any,  # Any: fields of a request
) -> ActionAnswer:
    """Return the action for a trigger so many hours after the as-of, by these events."""
    request = ActionsRequest(customer_id=customer_id, trigger=trigger, **asked)
    told = known(*events, stock=stock, customer_id=customer_id, **(live or {}))
    return engine.action(request, after(hours), "0" * 32, told)


def message(answer: ActionAnswer) -> tuple[str, str]:
    """Return the subject and the text of an action."""
    return answer["subject"], answer["text"]


def code(answer: ActionAnswer) -> str:
    """Return the reason's code; an answer without an action has nothing else, one with an action all of a message."""
    parts = {"channel", "send_at", "subject", "text"} & answer.keys()
    assert len(parts) == (0 if answer["kind"] == "none" else 4)
    return str(answer["reason"]["code"])


def products(answer: ActionAnswer) -> list[str]:
    """Return the ids of an action's items."""
    return [each["product_id"] for each in answer.get("items", [])]
