"""What is answered over HTTP: plain dictionaries, typed, so that the engine builds them without a model in between.

The OpenAPI document is made from these types, and a test checks the engine's answers against them
(`pydantic.TypeAdapter(ChallengeAnswer).validate_python(answer)`). Times are ISO 8601 in UTC, money is in the currency
that the answer names, probabilities are 0 to 1.
"""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from serving.api_codes import Level, NoteCode, ReasonCode, Role, ShortfallCode

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Money = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


@with_config(extra="forbid")
class Reason(TypedDict):
    """Why: a code, and what a person would say."""

    code: Annotated[ReasonCode, Field(description="One of a closed list.")]
    text: Annotated[str, Field(description="What a person would say, true of the data, and no more.")]


@with_config(extra="forbid")
class Shortfall(TypedDict):
    """Why there are fewer items than were asked for."""

    code: ShortfallCode
    text: str


@with_config(extra="forbid")
class Note(TypedDict):
    """What to know about the data that the answer rests on."""

    code: NoteCode
    text: str


@with_config(extra="forbid")
class Experiment(TypedDict):
    """The experiment that the customer is in."""

    name: str
    arm: str


@with_config(extra="forbid")
class Decision(TypedDict):
    """What every decision carries."""

    decision_id: Annotated[str, Field(pattern="^[0-9a-f]{32}$", description="128 random bits in hexadecimal.")]
    model_version: Annotated[str, Field(description="The bundle that answered.")]
    personalized: Annotated[
        bool, Field(description="False without consent and for unknown customers: then a popular, in-season answer.")
    ]
    experiment: Annotated[Experiment | None, Field(description="Null where none runs.")]
    currency: Annotated[str, Field(description="ISO 4217 code of all money in the answer.")]
    notes: NotRequired[
        Annotated[
            list[Note], Field(description="What to know about the data behind this answer; left out when nothing.")
        ]
    ]


@with_config(extra="forbid")
class Item(TypedDict):
    """A product in an answer."""

    product_id: str
    name: str
    product_type: Annotated[str, Field(description="The kind of thing, finer than the category.")]
    category: str
    price: Annotated[Positive | None, Field(description="Price of one piece, money; null when not known.")]
    reason: Reason
    last_bought_at: NotRequired[
        Annotated[Time, Field(description="When they last bought it, or what it counts by; only if they have.")]
    ]
    due_at: NotRequired[
        Annotated[Time | None, Field(description="When they are expected to buy it next; null when no pace is known.")]
    ]
    usual_quantity: NotRequired[Annotated[int, Field(ge=1, description="Pieces they usually buy at once.")]]


@with_config(extra="forbid")
class Counts(TypedDict):
    """What a purchase must be of to count towards an item."""

    level: Level
    id: Annotated[str, Field(description="A product_id, a product_type or a category, by `level`.")]


@with_config(extra="forbid")
class ChallengeItem(Item):
    """One of the three items of a challenge."""

    role: Role
    probability: Annotated[
        Probability, Field(description="Chance that it is done within the challenge's window, 0 to 1, at `valid_from`.")
    ]
    target_quantity: Annotated[int, Field(ge=1, description="Pieces that net purchases must reach.")]
    counts: Counts
    done: bool
    out_of_stock: NotRequired[
        Annotated[bool, Field(description="True where it has run out since the challenge was shown; else left out.")]
    ]


@with_config(extra="forbid")
class Reward(TypedDict):
    """What the customer gets for all three."""

    kind: Annotated[str, Field(description="`discount`, `points`, … as in policy.toml.")]
    value: Annotated[Positive, Field(description="What it is worth to the customer, money.")]
    cost: Annotated[Positive, Field(description="What it costs the shop when it is granted, money.")]


@with_config(extra="forbid")
class Progress(TypedDict):
    """How far the customer has come."""

    done: Annotated[int, Field(ge=0, le=3)]
    of: Annotated[int, Field(ge=0, le=3)]
    completed_at: Time | None
    reward_id: str | None


@with_config(extra="forbid")
class ChallengeAnswer(Decision):
    """A customer's three-item challenge."""

    items: Annotated[
        list[ChallengeItem], Field(max_length=3, description="Habit, habit, stretch; fewer with a shortfall.")
    ]
    completion_probability: Annotated[
        Probability, Field(description="Chance that all are done within the window, 0 to 1, at `valid_from`.")
    ]
    reward: Annotated[
        Reward | None, Field(description="Null where none pays: no price is known, or an item may not be rewarded.")
    ]
    expected_value: Annotated[Money, Field(description="Expected extra margin less the reward's expected cost, money.")]
    valid_from: Time
    valid_to: Annotated[Time, Field(description="The end of the week, Monday 00:00 in the store's time zone.")]
    progress: Progress
    cold_start: Annotated[bool, Field(description="True when nothing is known of this customer.")]
    shortfall: NotRequired[Shortfall]


@with_config(extra="forbid")
class AlsoBoughtItem(Item):
    """A product that is bought together with those asked about."""

    score: Annotated[Positive, Field(description="What the list is ordered by; comparable within one answer.")]
    lift: Annotated[Positive, Field(description="How many times more often together than by chance; 1 is chance.")]
    support: Annotated[int, Field(ge=0, description="Baskets that held both.")]


@with_config(extra="forbid")
class AlsoBoughtAnswer(Decision):
    """What is bought together with the products asked about."""

    items: list[AlsoBoughtItem]
    ignored: Annotated[list[str], Field(description="product_ids of the call that are not known, in its order.")]
    shortfall: NotRequired[Shortfall]


@with_config(extra="forbid")
class SubstituteItem(Item):
    """A product that meets the same need as the one asked about."""

    score: Annotated[
        float, Field(allow_inf_nan=False, description="What the list is ordered by; comparable within it.")
    ]


@with_config(extra="forbid")
class SubstitutesAnswer(Decision):
    """What meets the same need as a product, in stock, best first."""

    items: list[SubstituteItem]
    shortfall: NotRequired[Shortfall]


@with_config(extra="forbid")
class RankedItem(Item):
    """A recommended product."""

    probability: Annotated[
        Probability, Field(description="Chance that the customer buys it (or its level) within 7 days, 0 to 1.")
    ]


@with_config(extra="forbid")
class RecommendationsAnswer(Decision):
    """A ranking for one customer, best first."""

    items: list[RankedItem]
    cold_start: Annotated[bool, Field(description="True when nothing is known of this customer.")]
    shortfall: NotRequired[Shortfall]


@with_config(extra="forbid")
class LifetimeValue(TypedDict):
    """What a customer is expected to spend."""

    value: Annotated[Money, Field(description="Expected spend in the horizon, money.")]
    horizon_days: Annotated[int, Field(ge=1)]
    currency: str


@with_config(extra="forbid")
class CategoryChance(TypedDict):
    """How likely a customer buys from a category."""

    category: str
    probability: Annotated[Probability, Field(description="Chance of a purchase there within 28 days, 0 to 1.")]


@with_config(extra="forbid")
class Score(TypedDict):
    """A customer in numbers."""

    customer_id: str
    churn_probability: Annotated[
        Probability | None, Field(description="Chance of no purchase in the next 28 days; null when not known.")
    ]
    next_purchase_at: Annotated[Time | None, Field(description="When the next trip is expected.")]
    lifetime_value: LifetimeValue | None
    customer_score: Annotated[float | None, Field(ge=0, le=100, description="Standing among all customers, 0 to 100.")]
    segment: str | None
    engagement_tier: str | None
    best_channel: str | None
    best_hour: Annotated[int | None, Field(ge=0, le=23, description="Local hour in which they shop most.")]
    categories: Annotated[list[CategoryChance], Field(description="Most probable first.")]
    features_at: Annotated[Time, Field(description="The moment that the numbers are true for.")]
    cold_start: bool


@with_config(extra="forbid")
class ScoresAnswer(Decision):
    """Customers in numbers, in the order asked."""

    scores: list[Score]
