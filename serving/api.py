"""What may be asked over HTTP: one request model for each call, checked to the letter of the contract.

A field that is not known, has the wrong type or is out of range is a breach that names the field; nothing is converted
silently (`"10"` is not a number, `true` is not 1). A field whose default is null may be sent as null.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from typing_extensions import TypeAliasType

from serving.api_codes import Intent, Level

MAX_ID_LENGTH = 200
MAX_BASKET = 1_000
MAX_K = 100
MAX_CUSTOMERS = 1_000

_DATE_AND_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?(?P<zone>[Zz]|[+-]\d\d(:?\d\d)?)?")


# Any: what a client sent, before anything is known about it.
def moment_in(value: Any, *, needs_zone: bool) -> datetime:
    """Return the moment in UTC; ValueError for anything but an ISO 8601 date and time.

    Without a zone it is UTC, or an error where one is needed.
    """
    match = _DATE_AND_TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected an ISO 8601 date and time with zone, such as 2017-11-20T09:30:00-05:00")
    if match["zone"] is None and needs_zone:
        raise ValueError("the time needs a zone: end it with Z or an offset such as -05:00")
    try:
        moment = datetime.fromisoformat(value.upper())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"no such moment: {error}") from None


# Any: as above.
def _moment(value: Any) -> datetime:
    return moment_in(value, needs_zone=True)


# Any: as above.
def whole(value: Any) -> Any:
    """Return 10 for 10.0, which JSON does not tell apart; everything else as it came."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)]
At = TypeAliasType(
    "At",
    Annotated[
        datetime,
        BeforeValidator(_moment),
        WithJsonSchema(
            {
                "type": "string",
                "format": "date-time",
                "description": "A moment, ISO 8601 with zone, not before the bundle's as-of.",
            }
        ),
    ],
)
CustomerId = Annotated[Id, Field(description="The customer. One who is not known gets a popular, in-season answer.")]
StoreId = Annotated[
    Id | None, Field(description="The store that the answer is for. Default: the customer's usual one.")
]
Exclude = Annotated[
    list[Id],
    Field(max_length=MAX_BASKET, description="product_ids that must not be in the answer. Unknown ones do no harm."),
]
Basket = Annotated[
    list[Id],
    Field(
        max_length=MAX_BASKET,
        description="product_ids in the basket now: never in the answer, and a hint of what goes with it.",
    ),
]
Count = Annotated[int, Field(ge=1, le=MAX_K), BeforeValidator(whole)]
K = Annotated[Count, Field(description="How many items, 1 to 100; fewer come with a shortfall.")]


class Request(BaseModel):
    """The fields that any decision may carry."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    at: Annotated[
        At | None,
        Field(description="The moment to answer for, from what happened before it. Default: the server's clock."),
    ] = None
    placement: Annotated[
        str | None,
        Field(
            max_length=MAX_ID_LENGTH,
            description="Where the answer is shown, in your own words; kept with the decision.",
        ),
    ] = None
    dry_run: Annotated[bool, Field(description="True: nothing about this call is kept. The answer is the same.")] = (
        False
    )


class ChallengeRequest(Request):
    """A customer's three-item challenge of the week: two habits and one stretch."""

    customer_id: CustomerId
    store_id: StoreId = None
    channel: Annotated[
        str | None,
        Field(
            max_length=MAX_ID_LENGTH,
            description="Where it is shown: `store`, `web`, `app`. The challenge is the same on each.",
        ),
    ] = None
    exclude: Exclude = Field(default_factory=list)
    basket: Basket = Field(default_factory=list)


class AlsoBoughtRequest(Request):
    """What is bought together with a product, or with a whole basket."""

    product_ids: Annotated[
        list[Id],
        Field(
            max_length=MAX_BASKET,
            description="The product of a product page, or the products of a basket. An unknown one among several "
            "is listed in `ignored`; an unknown one alone is a 404.",
        ),
    ]
    k: K = 10
    customer_id: Annotated[Id | None, Field(description="Who is looking, if known.")] = None
    exclude: Exclude = Field(default_factory=list)
    store_id: StoreId = None
    basket: ClassVar[Sequence[str]] = ()


class SubstitutesRequest(Request):
    """What meets the same need as a product that is out of stock, or not wanted."""

    exclude: ClassVar[Sequence[str]] = ()
    basket: ClassVar[Sequence[str]] = ()
    product_id: Annotated[Id, Field(description="The product to stand in for. One that is not known is a 404.")]
    k: K = 10
    customer_id: Annotated[Id | None, Field(description="Who is looking, if known.")] = None
    store_id: StoreId = None


class RecommendationsRequest(Request):
    """A ranking for a customer: what to buy again, what to discover, or a mix."""

    customer_id: CustomerId
    k: K = 10
    intent: Annotated[
        Intent,
        Field(
            strict=False,
            description="`buy_again`: bought before. `discover`: never bought before. `mixed`: both, by probability.",
        ),
    ] = Intent.MIXED
    category: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MAX_ID_LENGTH,
            description="Only this category (its name, as in the products table).",
        ),
    ] = None
    exclude: Exclude = Field(default_factory=list)
    basket: Basket = Field(default_factory=list)
    in_stock: Annotated[
        bool,
        Field(description="Leave out what is known to be out of stock; it is never shown, so false changes nothing."),
    ] = True
    max_price: Annotated[
        float | None,
        Field(
            gt=0,
            allow_inf_nan=False,
            description="Highest price of one piece, money; products without a known price are left out then.",
        ),
    ] = None
    max_per_category: Annotated[
        Count | None, Field(description="At most this many items of one category, 1 to 100. Default: no limit.")
    ] = None
    level: Annotated[
        Level,
        Field(
            strict=False,
            description="The best products, or the best types or categories, each shown by its best product.",
        ),
    ] = Level.PRODUCT


class ScoresRequest(Request):
    """What is known about customers in numbers."""

    customer_ids: Annotated[
        list[Id],
        Field(
            min_length=1, max_length=MAX_CUSTOMERS, description="1 to 1,000 customers; the answer keeps their order."
        ),
    ]
    k_categories: Annotated[
        int,
        Field(ge=0, le=MAX_K, description="How many categories each, most probable first, 0 to 100."),
        BeforeValidator(whole),
    ] = 10
