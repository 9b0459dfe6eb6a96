"""The calls of the HTTP API in one table: the router, the OpenAPI document and the page are made from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from serving.api import AlsoBoughtRequest, ChallengeRequest, RecommendationsRequest, Request, ScoresRequest
from serving.api_answers import AlsoBoughtAnswer, ChallengeAnswer, RecommendationsAnswer, ScoresAnswer
from serving.decision_ids import DecisionIds


class Decide(Protocol):
    """Asks the engine: request, moment and ids in, answer out."""

    def __call__(self, engine: Any, request: Any, at: datetime, ids: DecisionIds, /) -> Mapping[str, object]:
        """Return the answer. Any: each call has its own types, which its entry in the table holds together."""


@dataclass(frozen=True)
class Call:
    """One call: where it is, what goes in, what comes out, and who answers."""

    path: str
    summary: str
    request: type[Request]
    answer: type
    decide: Decide
    example: Mapping[str, object]

    @property
    def name(self) -> str:
        """The last part of the path, such as `also-bought`."""
        return self.path.rpartition("/")[2]


def challenge_question(request: ChallengeRequest, answer: ChallengeAnswer) -> str:
    """Return what makes this challenge the one it is: customer, week, store, what is excluded and in the basket.

    Neither the bundle nor the channel: the same challenge keeps its id while these change.
    """
    products = [sorted(set(request.exclude)), sorted(set(request.basket))]
    return json.dumps([request.customer_id, answer["valid_to"], request.store_id, *products])


# Any: the engine, as above.
def _challenge(engine: Any, request: ChallengeRequest, at: datetime, ids: DecisionIds) -> ChallengeAnswer:
    # The week, and so the id, depends on the customer's own store: the engine finds it out.
    answer: ChallengeAnswer = engine.challenge(request, at, "")
    answer["decision_id"] = ids.of(challenge_question(request, answer))
    return answer


CALLS = (
    Call(
        "/v1/challenge",
        "The customer's three products of the week: two habits and one stretch, with a reward for all three.",
        ChallengeRequest,
        ChallengeAnswer,
        _challenge,
        {"customer_id": "1234"},
    ),
    Call(
        "/v1/also-bought",
        "What is bought together with a product, or with a whole basket.",
        AlsoBoughtRequest,
        AlsoBoughtAnswer,
        lambda engine, request, at, ids: engine.also_bought(request, at, ids.fresh()),
        {"product_ids": ["1082185"], "k": 5},
    ),
    Call(
        "/v1/recommendations",
        "A ranking for the customer: what to buy again, what to discover, or a mix.",
        RecommendationsRequest,
        RecommendationsAnswer,
        lambda engine, request, at, ids: engine.recommendations(request, at, ids.fresh()),
        {"customer_id": "1234", "k": 5, "intent": "mixed"},
    ),
    Call(
        "/v1/scores",
        "Customers in numbers: risk of leaving, next purchase, value, segment, best channel and hour, categories.",
        ScoresRequest,
        ScoresAnswer,
        lambda engine, request, at, ids: engine.scores(request, at, ids.fresh()),
        {"customer_ids": ["1234", "5678"], "k_categories": 3},
    ),
)
