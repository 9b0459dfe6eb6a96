"""The next best action over HTTP: what may be asked, and what is answered."""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from serving.api import CustomerId, Exclude, Request, StoreId
from serving.api_action_codes import ActionCode
from serving.api_answers import Decision, Item, Money, Positive, Probability, Time
from serving.api_offer_codes import ActionKind, Trigger
from serving.api_offers import OfferContext, OfferItem, nowhere
from serving.channels import Channel

__all__ = ["ActionAnswer", "ActionReason", "ActionWorth", "ActionsRequest"]


class ActionsRequest(Request):
    """The next best action for a customer, given what has just happened or become true."""

    customer_id: CustomerId
    trigger: Annotated[Trigger, Field(strict=False, description="What has just happened, or become true.")]
    channel: Annotated[
        Channel | None,
        Field(strict=False, description="The only channel to use. Default: the one that this customer answers."),
    ] = None
    store_id: StoreId = None
    exclude: Exclude = Field(default=[])
    context: Annotated[OfferContext, Field(description="Where and when the customer is.")] = Field(
        default_factory=nowhere
    )


@with_config(extra="forbid")
class ActionReason(TypedDict):
    """Why this action, or why none."""

    code: ActionCode
    text: Annotated[str, Field(description="What a person would say, true of the data, and no more.")]


@with_config(extra="forbid")
class ActionWorth(TypedDict):
    """What an action without an offer is worth, by the terms of docs/offers.md; an offer has its own."""

    relevance: Probability
    timeliness: Probability
    trust: Probability
    privacy_cost: Positive
    effort: Positive
    customer_value: Positive
    incremental_margin: Annotated[Money, Field(description="Margin that the reminder is expected to add, money.")]
    fatigue_cost: Positive
    expected_value: Annotated[Money, Field(description="incremental_margin − fatigue_cost: to the shop, money.")]


@with_config(extra="forbid")
class ActionAnswer(Decision):
    """One action, or none and why."""

    kind: ActionKind
    trigger: Trigger
    reason: ActionReason
    offer: NotRequired[OfferItem]
    items: NotRequired[list[Item]]
    channel: NotRequired[Channel]
    send_at: NotRequired[Annotated[Time, Field(description="When to send or show it: at once, or at their hour.")]]
    subject: NotRequired[Annotated[str, Field(description="A subject line or heading, in plain text.")]]
    text: NotRequired[Annotated[str, Field(description="The message, in plain text.")]]
    worth: NotRequired[Annotated[ActionWorth, Field(description="What it is worth, where it has no offer.")]]
    reward_id: NotRequired[
        Annotated[str, Field(description="The earned reward that it is about: a `redeem` names it.")]
    ]
