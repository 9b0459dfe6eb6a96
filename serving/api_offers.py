"""Offers over HTTP: what may be asked, and what is answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, NotRequired

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, with_config
from typing_extensions import TypeAliasType, TypedDict

from serving.api import Basket, Count, CustomerId, Exclude, Id, Request, StoreId, moment_in
from serving.api_answers import Decision, Money, Positive, Probability, Shortfall, Time
from serving.api_offer_codes import OfferReasonCode, WithheldCode
from serving.channels import Channel

__all__ = [
    "OfferContext",
    "OfferItem",
    "OfferReason",
    "OffersAnswer",
    "OffersRequest",
    "WithheldOffer",
    "WithheldReason",
]


# Any: what a client sent, before anything is known about it.
def _local_time(value: Any) -> datetime:
    """Return a date and time as it was written: with its offset where it has one, else without."""
    moment_in(value, needs_zone=False)
    return datetime.fromisoformat(value.upper())


LocalTime = TypeAliasType(
    "LocalTime",
    Annotated[
        datetime,
        BeforeValidator(_local_time),
        WithJsonSchema(
            {
                "type": "string",
                "format": "date-time",
                "description": "A date and time, ISO 8601. Without an offset only its time of day counts.",
            }
        ),
    ],
)


class OfferContext(BaseModel):
    """Where and when the customer is, as far as the caller knows; every field may be left out."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    latitude: Annotated[
        float | None,
        Field(ge=-90, le=90, description="Degrees north. Used only with the customer's consent for location."),
    ] = None
    longitude: Annotated[
        float | None,
        Field(ge=-180, le=180, description="Degrees east. Used only with the customer's consent for location."),
    ] = None
    local_time: Annotated[
        LocalTime | None,
        Field(description="What the customer's own clock shows: it decides quiet hours, and how near their hour is."),
    ] = None
    basket: Basket = []
    page: Annotated[Id | None, Field(description="The product_id or category of the page that the answer is for.")] = (
        None
    )


_NOWHERE = OfferContext()


def nowhere() -> OfferContext:
    """Return the context that says nothing: one for all, where pydantic would copy a default for each request."""
    return _NOWHERE


class OffersRequest(Request):
    """Offers for a customer on a channel, now."""

    customer_id: CustomerId
    channel: Annotated[Channel, Field(strict=False, description="Where the offers will be seen.")]
    k: Annotated[Count, Field(description="How many offers, 1 to 100; fewer come with a shortfall.")] = 10
    store_id: StoreId = None
    exclude: Exclude = Field(default=[])
    context: Annotated[OfferContext, Field(description="Where and when the customer is.")] = Field(
        default_factory=nowhere
    )


@with_config(extra="forbid")
class OfferReason(TypedDict):
    """Why an offer is in the answer."""

    code: OfferReasonCode
    text: Annotated[str, Field(description="What a person would say, true of the data, and no more.")]


@with_config(extra="forbid")
class WithheldReason(TypedDict):
    """Why an offer is not in the answer."""

    code: WithheldCode
    text: str


@with_config(extra="forbid")
class OfferItem(TypedDict):
    """An offer with every term of its value; docs/offers.md says how each is made."""

    offer_id: str
    kind: Annotated[str, Field(description="discount, free_shipping, points or gift.")]
    value: Annotated[
        Positive | None, Field(description="What the customer gets when they redeem it, money; null when not known.")
    ]
    product_ids: Annotated[
        list[str], Field(description="Products that it is for, the likeliest for this customer first; at most 10.")
    ]
    redemption_probability: Annotated[Probability, Field(description="Chance that they redeem it while it is valid.")]
    anyway_probability: Annotated[
        Probability, Field(description="Chance that they buy what it is for while it is valid, without any offer.")
    ]
    relevance: Annotated[Probability, Field(description="0 to 1: how surely they want what it is for.")]
    timeliness: Annotated[Probability, Field(description="0 to 1: how well the moment fits.")]
    trust: Annotated[
        Annotated[float, Field(ge=0, le=1)],
        Field(description="0 to 1: how past messages, returns and completions went."),
    ]
    privacy_cost: Annotated[Positive, Field(description="0 to 1: how much of what they told us it shows that we use.")]
    effort: Annotated[Positive, Field(description="Above 0, at most 1: what they have to do for it.")]
    customer_value: Annotated[
        Positive, Field(description="(relevance + timeliness) × trust ÷ (privacy_cost + effort).")
    ]
    incremental_margin: Annotated[Money, Field(description="Margin that it is expected to add, money.")]
    reward_cost: Annotated[Positive, Field(description="What its redemption is expected to cost the shop, money.")]
    fatigue_cost: Annotated[
        Positive, Field(description="Chance that it makes them leave the channel × what that is worth, money.")
    ]
    expected_value: Annotated[
        Money, Field(description="incremental_margin − reward_cost − fatigue_cost: to the shop, money.")
    ]
    valid_to: Annotated[Time, Field(description="Until when it stands for this customer, on every channel.")]
    reason: OfferReason


@with_config(extra="forbid")
class WithheldOffer(TypedDict):
    """An offer that is not in the answer."""

    offer_id: str
    reason: WithheldReason


@with_config(extra="forbid")
class OffersAnswer(Decision):
    """Offers ranked by what they are worth to the customer and to the shop, and those that were withheld."""

    offers: list[OfferItem]
    withheld: list[WithheldOffer]
    shortfall: NotRequired[Shortfall]
