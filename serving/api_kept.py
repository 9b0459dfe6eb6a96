"""What is answered about what is kept: decisions with what came of them, and the single customer view."""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from serving.api_actions import ActionReason
from serving.api_answers import (
    ChallengeItem,
    Counts,
    Experiment,
    Positive,
    Probability,
    Progress,
    Reason,
    Reward,
    Score,
    Time,
)
from serving.api_codes import Role
from serving.api_offer_codes import ActionKind, Trigger
from serving.api_offers import OfferItem
from serving.api_writes import ConsentAnswer
from serving.channels import Channel
from serving.customer_view import Feature, KnownHabit
from serving.state.events import EventType


@with_config(extra="forbid")
class KeptEvent(TypedDict):
    """An event as it was told; a field that it did not have is left out."""

    event_id: str
    type: EventType
    at: Time
    product_id: NotRequired[str]
    order_id: NotRequired[str]
    quantity: NotRequired[float]
    amount: NotRequired[float]
    discount: NotRequired[float]
    store_id: NotRequired[str]
    offer_id: NotRequired[str]
    decision_id: NotRequired[str]
    channel: NotRequired[str]
    value: NotRequired[str]


@with_config(extra="forbid")
class Withheld(TypedDict):
    """A product (or an offer) that would have been shown, and the rule that kept it out."""

    product_id: NotRequired[str]
    offer_id: NotRequired[str]
    reason: Annotated[str, Field(description="The rule's code, such as `just_bought`.")]


@with_config(extra="forbid")
class Drawn(TypedDict):
    """A slot of the answer that was drawn at random, as `[exploration]` of policy.toml says."""

    slot: Annotated[str, Field(description="`stretch` of a challenge, `first_offer` of offers.")]
    chosen: Annotated[str, Field(description="What it fell on: a product_id or an offer_id.")]
    probability: Annotated[Probability, Field(description="The chance of that.")]
    among: Annotated[
        list[tuple[str, Probability, float]],
        Field(
            description="What it might have fallen on, by the rules: id, chance (they add up to 1), what it ranks by."
        ),
    ]
    replaced_by: NotRequired[
        Annotated[str, Field(description="What was shown instead, where it ran out before it was seen.")]
    ]


@with_config(extra="forbid")
class ShownItem(TypedDict):
    """An item as it was shown."""

    product_id: str
    reason: Reason
    role: NotRequired[Annotated[Role, Field(description="In a challenge.")]]
    probability: NotRequired[Probability]
    score: NotRequired[Positive]
    target_quantity: NotRequired[Annotated[int, Field(ge=1, description="Pieces, in a challenge.")]]
    counts: NotRequired[Annotated[Counts, Field(description="What counts towards it, in a challenge.")]]


@with_config(extra="forbid")
class SaidAction(TypedDict):
    """An action as it was answered; what it is about stands in `shown` or `offers`."""

    kind: ActionKind
    trigger: Trigger
    reason: ActionReason
    channel: NotRequired[Channel]
    send_at: NotRequired[Time]
    subject: NotRequired[str]
    text: NotRequired[str]


@with_config(extra="forbid")
class DecisionOutcome(TypedDict):
    """What came of a decision."""

    answered: Annotated[
        list[KeptEvent],
        Field(
            description="Events that name the decision, or (for as many days as policy.toml says) an offer that it "
            "gave and no other decision, by time."
        ),
    ]
    bought: Annotated[
        list[KeptEvent],
        Field(description="Purchases of what was shown, after it, for as many days as policy.toml says."),
    ]
    progress: Annotated[Progress | None, Field(description="Of a challenge, as it stands now; else null.")]


@with_config(extra="forbid")
class DecisionAnswer(TypedDict):
    """A decision as it was made, and what came of it."""

    decision_id: str
    call: Annotated[str, Field(description="As its path has it, such as `challenge` or `offers`.")]
    at: Time
    placement: str | None
    channel: str | None
    store_id: str | None
    model_version: str
    personalized: bool
    experiment: Annotated[Experiment | None, Field(description="The experiment and its arm; null where none runs.")]
    probability: Annotated[
        Probability,
        Field(
            description="Chance with which the arm was drawn, 1 without an experiment; the odds of the rest: `draws`."
        ),
    ]
    customer_id: Annotated[
        str | None, Field(description="Null where nothing links the decision to a customer, or they were forgotten.")
    ]
    shown: Annotated[list[ShownItem], Field(description="In the order of the answer; empty for scores.")]
    offers: NotRequired[Annotated[list[OfferItem], Field(description="The offers that were given, with every term.")]]
    action: NotRequired[SaidAction]
    withheld: Annotated[list[Withheld], Field(description="The best ones that a rule kept out.")]
    draws: Annotated[list[Drawn], Field(description="What was drawn at random; empty where nothing was.")]
    outcome: DecisionOutcome
    forgotten: Annotated[int, Field(ge=0, description="Customers of the decision who were forgotten since.")]


@with_config(extra="forbid")
class DecisionBrief(TypedDict):
    """A decision in the customer's view."""

    decision_id: str
    call: str
    at: Time
    placement: str | None
    channel: str | None
    shown: list[ShownItem]
    offers: NotRequired[list[OfferItem]]
    action: NotRequired[SaidAction]
    withheld: list[Withheld]
    outcome: DecisionOutcome


@with_config(extra="forbid")
class KeptChallengeAnswer(TypedDict):
    """A challenge of a week, with its progress as it stands now."""

    decision_id: str
    model_version: str
    valid_from: Time
    valid_to: Time
    shown: Annotated[bool, Field(description="Whether the customer has seen it: then its items stay.")]
    items: list[ChallengeItem]
    reward: Reward | None
    progress: Progress


@with_config(extra="forbid")
class GrantedReward(TypedDict):
    """A reward that was earned: granted once, and it stays."""

    reward_id: str
    decision_id: str
    kind: str
    value: Annotated[Positive, Field(description="Money.")]
    cost: Annotated[Positive, Field(description="Money.")]
    granted_at: Time
    redeemed_at: Time | None


@with_config(extra="forbid")
class HeldOffer(TypedDict):
    """An offer that the customer was given, the same on every channel while it is valid."""

    offer_id: str
    valid_from: Time
    valid_to: Time
    reserved: Annotated[Positive, Field(description="Money of its budget that was reserved for it; 0 without one.")]
    redeemed_at: Time | None


@with_config(extra="forbid")
class CustomerAnswer(TypedDict):
    """The single customer view."""

    customer_id: Annotated[str, Field(description="The id that stands after merges.")]
    also: Annotated[list[str], Field(description="Other ids of this customer.")]
    model_version: str
    currency: str
    features_at: Annotated[Time, Field(description="The moment that features are true for.")]
    first_seen_at: Annotated[Time | None, Field(description="When the first event or identity was told.")]
    consent: Annotated[ConsentAnswer, Field(description="As it is honoured: said, on record, or assumed.")]
    features: list[Feature]
    habits: Annotated[list[KnownHabit], Field(description="What they buy again, the most probable first.")]
    scores: Annotated[Score | None, Field(description="Null without consent to personalize, or without a bundle.")]
    events: Annotated[list[KeptEvent], Field(description="The newest first.")]
    identities: Annotated[list[str], Field(description="Kinds of identities that are linked, one for each value.")]
    decisions: Annotated[list[DecisionBrief], Field(description="The newest first, at most 50.")]
    challenges: Annotated[list[KeptChallengeAnswer], Field(description="The newest first.")]
    rewards: list[GrantedReward]
    offers: Annotated[list[HeldOffer], Field(description="Offers that they hold or held lately, the newest first.")]
