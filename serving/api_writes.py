"""What may be told over HTTP: events, stock, identities, consent; one model for each entry, checked to the letter.

A call of many is refused as a whole only where it is no list of the right length; an entry that is wrong is listed in
`rejected` by its index, with all that is wrong with it, and the others are taken.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator, with_config
from typing_extensions import TypeAliasType, TypedDict

from serving.api import MAX_ID_LENGTH, moment_in
from serving.state.events import EventType

MAX_EVENTS = 1_000
MAX_STOCK = 10_000
MAX_IDENTITIES = 1_000
MAX_PIECES = 1_000_000
MAX_MONEY = 1e9

_BLANK_AT_AN_END = re.compile(r"\s|.*\s\Z", re.DOTALL)


# Any: what a client sent, before anything is known about it.
def _bare(value: Any) -> Any:
    """Return the text as it came; ValueError where a blank stands at an end, which the tables would take off."""
    if isinstance(value, str) and _BLANK_AT_AN_END.match(value):
        raise ValueError("should not begin or end with a blank")
    return value


# Any: as above.
def _event_moment(value: Any) -> datetime:
    return moment_in(value, needs_zone=False)


# Any: as above.
def _pieces(value: Any) -> float:
    """Return how many there are; infinitely many where only some are known of."""
    if isinstance(value, bool):
        return math.inf if value else 0.0
    if not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError("should be true, false or a count of at least 0")
    return float(value)


OwnId = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH), BeforeValidator(_bare)]
Text = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)]
Money = Annotated[float, Field(ge=-MAX_MONEY, le=MAX_MONEY, allow_inf_nan=False)]
Pieces = Annotated[
    float,
    BeforeValidator(_pieces),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "number", "minimum": 0}]}),
]
EventTime = TypeAliasType(
    "EventTime",
    Annotated[
        datetime,
        BeforeValidator(_event_moment),
        WithJsonSchema(
            {
                "type": "string",
                "format": "date-time",
                "description": "A moment, ISO 8601; UTC where it carries no zone. At most 24 hours ahead of the "
                "server's clock, and not older than the log is kept.",
            }
        ),
    ],
)


class Entry(BaseModel):
    """One entry of a call of many."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class EventEntry(Entry):
    """What a customer did, or what was done to reach them. A `purchase` is one line of an order."""

    event_id: Annotated[OwnId, Field(description="Your own id of the event: sent again, it counts once.")]
    customer_id: Annotated[OwnId, Field(description="The customer, or a guest's key; nobody need know it yet.")]
    type: Annotated[EventType, Field(strict=False, description="What happened.")]
    at: Annotated[EventTime, Field(description="When it happened.")]
    product_id: Annotated[OwnId | None, Field(description="The product. A purchase needs it.")] = None
    order_id: Annotated[OwnId | None, Field(description="The order. A purchase needs it.")] = None
    quantity: Annotated[
        float,
        Field(
            ge=-MAX_PIECES,
            le=MAX_PIECES,
            allow_inf_nan=False,
            description="Pieces; negative for a return, never 0.",
        ),
    ] = 1.0
    amount: Annotated[Money | None, Field(description="Net paid for the line, after discount, money.")] = None
    discount: Annotated[
        float | None, Field(ge=0, le=MAX_MONEY, allow_inf_nan=False, description="Taken off the line, money.")
    ] = None
    store_id: Annotated[OwnId | None, Field(description="Where.")] = None
    offer_id: Annotated[OwnId | None, Field(description="The offer, or the reward.")] = None
    decision_id: Annotated[Text | None, Field(description="The decision that it answers to.")] = None
    channel: Annotated[Text | None, Field(description="`store`, `web`, `app`, `email`, …")] = None
    value: Annotated[Text | None, Field(description="What else there is, such as the words of a search.")] = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        missing = [name for name in ("product_id", "order_id") if getattr(self, name) is None]
        if self.type is EventType.PURCHASE and missing:
            raise ValueError(f"a purchase needs {' and '.join(missing)}")
        if self.quantity == 0:
            raise ValueError("quantity should not be 0")
        return self


class StockEntry(Entry):
    """Whether a product is there, by the latest word."""

    product_id: Annotated[OwnId, Field(description="The product.")]
    store_id: Annotated[OwnId | None, Field(description="The store; without one: everywhere.")] = None
    available: Annotated[Pieces, Field(description="Whether there is any, or how many pieces.")]


class IdentityEntry(Entry):
    """One way to recognise a customer. The value is kept only as a keyed hash."""

    customer_id: Annotated[OwnId, Field(description="The customer.")]
    kind: Annotated[Text, Field(description="`email`, `phone`, `loyalty_card`, `device`, …")]
    value: Annotated[Text, Field(description="The address, number or key itself.")]


class ConsentBody(BaseModel):
    """A customer's whole consent; what is left out is false."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    personalize: Annotated[bool, Field(description="Use what they bought in this shop.")] = False
    email: Annotated[bool, Field(description="Send messages there.")] = False
    sms: Annotated[bool, Field(description="Send messages there.")] = False
    push: Annotated[bool, Field(description="Send messages there.")] = False
    location: Annotated[bool, Field(description="Use where they are.")] = False


class _Listed:
    """Documents the entries of a list as the model says, and that any other object is no error of the whole call."""

    def __init__(self, entry: type[Entry]) -> None:
        self._entry = entry

    # Any: pydantic's core schema and JSON Schema.
    def __get_pydantic_json_schema__(self, _schema: Any, handler: Any) -> dict[str, Any]:
        other = {"type": "object", "description": "Anything else is listed in `rejected`, and the others are taken."}
        return {"anyOf": [handler(self._entry.__pydantic_core_schema__), other]}


# Any: an entry as the client wrote it, before its own model has looked at it.
Written = dict[str, Any]


class EntriesBody(BaseModel):
    """A call of many."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class EventsBody(EntriesBody):
    """Events, in any order, late or early; one that was sent before does no harm."""

    events: Annotated[
        list[Annotated[Written, _Listed(EventEntry)]],
        Field(min_length=1, max_length=MAX_EVENTS, description="1 to 1,000 events."),
    ]


class StockBody(EntriesBody):
    """What is in stock; each word holds until the next one."""

    stock: Annotated[
        list[Annotated[Written, _Listed(StockEntry)]],
        Field(min_length=1, max_length=MAX_STOCK, description="1 to 10,000 words; of two on the same, the later."),
    ]


class IdentitiesBody(EntriesBody):
    """What tells that several keys are one customer: a value that two share makes them one."""

    identities: Annotated[
        list[Annotated[Written, _Listed(IdentityEntry)]],
        Field(min_length=1, max_length=MAX_IDENTITIES, description="1 to 1,000 identities."),
    ]


@with_config(extra="forbid")
class Rejected(TypedDict):
    """An entry that was not taken."""

    index: Annotated[int, Field(ge=0, description="Its place in the call, from 0.")]
    error: Annotated[str, Field(description="What is wrong with it, by field.")]


@with_config(extra="forbid")
class EventsAnswer(TypedDict):
    """What became of the events: what is accepted is durable, and decides from the next call on, on every worker."""

    accepted: Annotated[int, Field(ge=0, description="Events taken now.")]
    duplicates: Annotated[int, Field(ge=0, description="Events whose `event_id` was taken before.")]
    rejected: list[Rejected]


@with_config(extra="forbid")
class StockAnswer(TypedDict):
    """What became of the words on stock: what is accepted is in force from the next call on, until the next word."""

    accepted: Annotated[int, Field(ge=0)]
    rejected: list[Rejected]


@with_config(extra="forbid")
class Merged(TypedDict):
    """Two ids that turned out to be one customer."""

    customer_id: Annotated[str, Field(description="The id that was merged; it goes on to work.")]
    into: Annotated[str, Field(description="The id that stays.")]


@with_config(extra="forbid")
class IdentitiesAnswer(TypedDict):
    """What became of the identities."""

    accepted: Annotated[int, Field(ge=0)]
    merged: list[Merged]
    rejected: list[Rejected]


@with_config(extra="forbid")
class ConsentAnswer(TypedDict):
    """The customer's consent as it stands from the next call on."""

    personalize: bool
    email: bool
    sms: bool
    push: bool
    location: bool


@with_config(extra="forbid")
class ForgottenAnswer(TypedDict):
    """The customer is out of every answer; what is stored goes with the next pipeline run or `tercet erase`."""

    accepted: bool
