"""The calls of the HTTP API in tables: the router, the OpenAPI document and the page are made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from serving.api import (
    AlsoBoughtRequest,
    ChallengeRequest,
    RecommendationsRequest,
    ScoresRequest,
    SubstitutesRequest,
)
from serving.api_actions import ActionAnswer, ActionsRequest
from serving.api_answers import (
    AlsoBoughtAnswer,
    ChallengeAnswer,
    RecommendationsAnswer,
    ScoresAnswer,
    SubstitutesAnswer,
)
from serving.api_audiences import AudiencesAnswer, AudiencesRequest
from serving.api_kept import CustomerAnswer, DecisionAnswer
from serving.api_offers import OffersAnswer, OffersRequest
from serving.api_writes import (
    ConsentAnswer,
    ConsentBody,
    EventsAnswer,
    EventsBody,
    ForgottenAnswer,
    IdentitiesAnswer,
    IdentitiesBody,
    StockAnswer,
    StockBody,
)


@dataclass(frozen=True)
class Call:
    """One call: where it is, what goes in (None: no body) and what comes out, with which status.

    `id_of` says whose id the path holds, where it holds one; `refusals` are statuses that only some calls have.
    """

    path: str
    summary: str
    request: type[BaseModel] | None
    answer: type
    example: Mapping[str, object] = field(default_factory=dict)
    method: str = "POST"
    status: int = 200
    id_of: str = ""
    refusals: Mapping[int, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the OpenAPI document calls it, such as `also-bought`."""
        parts = [part for part in self.path.split("/")[2:] if not part.startswith("{")]
        return "-".join(parts if self.method == "POST" else [self.method.lower(), *parts])


_NO_PRODUCT = {404: "The one product that the call names is not known."}

CALLS = (
    Call(
        "/v1/challenge",
        "The customer's three products of the week: two habits and one stretch, with a reward for all three.",
        ChallengeRequest,
        ChallengeAnswer,
        {"customer_id": "1234"},
    ),
    Call(
        "/v1/also-bought",
        "What is bought together with a product, or with a whole basket.",
        AlsoBoughtRequest,
        AlsoBoughtAnswer,
        {"product_ids": ["1082185"], "k": 5},
        refusals=_NO_PRODUCT,
    ),
    Call(
        "/v1/recommendations",
        "A ranking for the customer: what to buy again, what to discover, or a mix.",
        RecommendationsRequest,
        RecommendationsAnswer,
        {"customer_id": "1234", "k": 5, "intent": "mixed"},
    ),
    Call(
        "/v1/substitutes",
        "What meets the same need as a product, in stock.",
        SubstitutesRequest,
        SubstitutesAnswer,
        {"product_id": "1082185", "k": 5},
        refusals=_NO_PRODUCT,
    ),
    Call(
        "/v1/offers",
        "Offers ranked by what they are worth to the customer and to the shop, and why others are withheld.",
        OffersRequest,
        OffersAnswer,
        {"customer_id": "1234", "channel": "web", "k": 3},
    ),
    Call(
        "/v1/actions",
        "The one next best action for a customer when something has happened or become true, or none and why.",
        ActionsRequest,
        ActionAnswer,
        {"customer_id": "1234", "trigger": "replenish"},
    ),
    Call(
        "/v1/scores",
        "Customers in numbers: risk of leaving, next purchase, value, segment, best channel and hour, categories.",
        ScoresRequest,
        ScoresAnswer,
        {"customer_ids": ["1234", "5678"], "k_categories": 3},
    ),
    Call(
        "/v1/audiences",
        "Customers like those of a list, or whose scores fit a rule, and what sets them apart.",
        AudiencesRequest,
        AudiencesAnswer,
        {"rule": "churn_probability > 0.4 and customer_score > 60", "size": 100},
    ),
)
"""Decisions."""

_EVENT = {
    "event_id": "order-77-1",
    "customer_id": "1234",
    "type": "purchase",
    "at": "2018-01-02T09:30:00Z",
    "product_id": "1082185",
    "order_id": "order-77",
    "quantity": 2,
    "amount": 1.98,
}
_NO_CUSTOMER = {404: "Nobody knows this customer."}
_NO_DECISION = {404: "No such decision was made, or it is not kept any more."}

TELLINGS = (
    Call(
        "/v1/events",
        "What customers did: bought, looked at, wished for, dismissed; shown, sent and answered messages.",
        EventsBody,
        EventsAnswer,
        {"events": [_EVENT]},
        status=202,
    ),
    Call(
        "/v1/stock",
        "What is in stock, in force from the next call on.",
        StockBody,
        StockAnswer,
        {"stock": [{"product_id": "1082185", "available": False}]},
        status=202,
    ),
    Call(
        "/v1/identities",
        "What tells that several keys are one customer.",
        IdentitiesBody,
        IdentitiesAnswer,
        {"identities": [{"customer_id": "1234", "kind": "email", "value": "someone@example.org"}]},
        status=202,
    ),
    Call(
        "/v1/decisions/{id}",
        "A decision as it was made: what was shown, what was withheld and why, and what came of it.",
        None,
        DecisionAnswer,
        method="GET",
        id_of="decision",
        refusals=_NO_DECISION,
    ),
    Call(
        "/v1/customers/{id}",
        "All that is known of a customer: features, scores, recent events, consent, decisions, challenges, rewards.",
        None,
        CustomerAnswer,
        method="GET",
        id_of="customer",
        refusals=_NO_CUSTOMER,
    ),
    Call(
        "/v1/customers/{id}/consent",
        "What the customer allows, honoured from the next call on.",
        ConsentBody,
        ConsentAnswer,
        {"personalize": True, "email": True},
        method="PUT",
        id_of="customer",
    ),
    Call(
        "/v1/customers/{id}",
        "Forget the customer: out of every answer at once.",
        None,
        ForgottenAnswer,
        method="DELETE",
        status=202,
        id_of="customer",
    ),
)
"""What is told to the server and asked of what it keeps."""
