"""Decisions as records: what is kept of an answer so that it can be looked up, explained and measured later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from serving.api import (
    AlsoBoughtRequest,
    ChallengeRequest,
    RecommendationsRequest,
    Request,
    ScoresRequest,
    SubstitutesRequest,
)
from serving.api_actions import ActionsRequest
from serving.api_audiences import AudiencesRequest
from serving.api_codes import Role
from serving.api_offers import OffersRequest
from serving.decisioning.exploring import STRETCH
from serving.live import epoch_us
from serving.state.decisions import DecisionPart, DecisionRecord
from serving.state.known import Draw, Trace

# What tells later why an item was shown and what was promised of it; names and prices stand in the catalogue.
_KEPT_FIELDS = ("product_id", "role", "reason", "probability", "score", "target_quantity", "counts")

_CALLS: dict[type[Request], str] = {
    ChallengeRequest: "challenge",
    RecommendationsRequest: "recommendations",
    AlsoBoughtRequest: "also-bought",
    ScoresRequest: "scores",
    SubstitutesRequest: "substitutes",
    AudiencesRequest: "audiences",
    OffersRequest: "offers",
    ActionsRequest: "actions",
}

# Who asks and for when stands elsewhere in the record.
_NOT_ASKED = {"customer_id", "customer_ids", "at", "placement", "dry_run"}


def call_of(request: Request) -> str:
    """Return the name of the call that a request is for, as its path has it."""
    return _CALLS[type(request)]


Answered = Mapping[str, Any]  # Any: an answer, typed in serving/api_answers.py


def as_shown(draws: Iterable[Draw], answer: Answered) -> tuple[Draw, ...]:
    """Return the draws as they fell, each with what an answer shows in place of what ran out before it was seen."""
    stretch = next((item["product_id"] for item in answer.get("items", ()) if item.get("role") == Role.STRETCH), None)
    return tuple(
        replace(each, replaced_by=stretch) if each.slot == STRETCH and stretch not in (None, each.chosen) else each
        for each in draws
    )


def record_of(
    request: Request, answer: Answered, at: datetime, *, customer_id: str | None, trace: Trace
) -> DecisionRecord:
    """Return the record of a decision for one customer, or (None) for somebody whom nothing may link to it."""
    shown = tuple({name: item[name] for name in _KEPT_FIELDS if name in item} for item in answer.get("items", ()))
    # What somebody has in the basket is nobody's business once it can't be forgotten with them.
    asked = {} if customer_id is None else request.model_dump(mode="json", exclude_defaults=True, exclude=_NOT_ASKED)
    draws = () if customer_id is None else as_shown(trace.draws, answer)
    return DecisionRecord(
        answer["decision_id"],
        call_of(request),
        epoch_us(at),
        answer["model_version"],
        (DecisionPart(customer_id, shown, tuple(trace.withheld), asked, draws),),
        placement=request.placement,
        channel=getattr(request, "channel", None),
        store_id=getattr(request, "store_id", None),
        experiment=answer["experiment"],
        is_personal=answer["personalized"],
    )
