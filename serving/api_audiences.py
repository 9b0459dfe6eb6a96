"""The call for an audience: which customers, how many, and what is answered of them."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import BeforeValidator, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from serving.api import Id, Request, whole
from serving.api_answers import Decision, Probability, Shortfall
from serving.audience_rules import MAX_RULE_LENGTH

Group = Literal["seeds", "best_customers"]
NumberName = Literal["churn_probability", "lifetime_value", "customer_score"]
LabelName = Literal["segment", "engagement_tier", "best_channel"]
MAX_AUDIENCE = 10_000
MAX_SEEDS = 10_000


class AudiencesRequest(Request):
    """Customers who are like a list of seeds, or whose scores fit a rule; give one of the two."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": [name], "properties": {name: {"type": kind}}}
                for name, kind in (("seed_customer_ids", "array"), ("rule", "string"))
            ]
        }
    )

    seed_customer_ids: Annotated[
        list[Id] | None,
        Field(
            min_length=1,
            max_length=MAX_SEEDS,
            description="Customers to find the like of. They are not in the answer; those who are not known, "
            "or may not be used, count for nothing.",
        ),
    ] = None
    rule: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MAX_RULE_LENGTH,
            description="A condition on scores, such as `churn_probability > 0.4 and (segment in ('Regulars') or "
            "categories['Coffee'] > 0.2)`: and, or, not, parentheses, = != < <= > >=, in. A comparison with what is "
            "not known does not hold.",
        ),
    ] = None
    size: Annotated[
        int,
        Field(ge=1, le=MAX_AUDIENCE, description="At most this many customers, 1 to 10,000."),
        BeforeValidator(whole),
    ] = 1_000


@with_config(extra="forbid")
class AudienceMember(TypedDict):
    """One customer of an audience."""

    customer_id: str
    similarity: Annotated[
        Probability, Field(description="How like the seeds they are, 0 (like anybody) to 1; by a rule 1.")
    ]


@with_config(extra="forbid")
class Overlap(TypedDict):
    """How much of another group an audience takes in: by it one sees what the audience adds."""

    group: Annotated[
        Group,
        Field(
            description="`seeds`: those that may be used; one counts when they are at least as like the seeds as the "
            "last customer of the answer. `best_customers`: as many as `size` says, by customer_score."
        ),
    ]
    of: Annotated[int, Field(ge=0, description="Customers in that group.")]
    customers: Annotated[int, Field(ge=0, description="How many of them the audience takes in.")]
    share: Annotated[Probability, Field(description="The same as a share of the group; 0 of an empty one.")]


@with_config(extra="forbid")
class ProfileScore(TypedDict):
    """A score's mean."""

    score: NumberName
    mean: Annotated[float, Field(allow_inf_nan=False, description="Over the audience.")]
    everyone: Annotated[float, Field(allow_inf_nan=False, description="Over all customers who may be used.")]
    difference: Annotated[
        float, Field(allow_inf_nan=False, description="Audience less everyone, in standard deviations of everyone.")
    ]


@with_config(extra="forbid")
class ProfileShare(TypedDict):
    """How many have a label."""

    score: LabelName
    value: str
    share: Annotated[Probability, Field(description="Of the audience.")]
    everyone: Annotated[Probability, Field(description="Of all customers who may be used.")]


@with_config(extra="forbid")
class ProfileCategory(TypedDict):
    """How likely they buy in a category."""

    category: str
    probability: Annotated[Probability, Field(description="Mean chance of a purchase within 28 days, audience.")]
    everyone: Annotated[Probability, Field(description="The same over all customers who may be used.")]
    lift: Annotated[
        float, Field(ge=0, allow_inf_nan=False, description="Times likelier, each with one point added; 1 is alike.")
    ]


@with_config(extra="forbid")
class Profile(TypedDict):
    """What sets an audience apart; empty lists where it has nobody."""

    scores: Annotated[list[ProfileScore], Field(description="The largest difference first.")]
    shares: Annotated[list[ProfileShare], Field(description="By score; in each the largest difference first.")]
    categories: Annotated[list[ProfileCategory], Field(description="The ten highest by lift, best first.")]


@with_config(extra="forbid")
class AudiencesAnswer(Decision):
    """An audience; only customers who agree to be personalized, and nobody who is held out."""

    customers: Annotated[
        list[AudienceMember],
        Field(description="By seeds: the most similar first; by a rule: the highest customer_score first."),
    ]
    size: Annotated[int, Field(ge=0, description="How many customers there are in the answer.")]
    fitting: Annotated[
        int,
        Field(
            ge=0,
            description="How many fit by the model alone: by seeds those with any similarity. Those who have "
            "withdrawn their consent since are still among them.",
        ),
    ]
    overlap: Overlap
    profile: Profile
    shortfall: NotRequired[Shortfall]
