"""Decisions as records: what is kept of an answer so that it can be looked up, explained and measured later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple

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
from serving.state.decisions import DecisionPart, DecisionRecord, Items
from serving.state.drafts import quick
from serving.state.known import Draw, Trace

# What tells later why an item was shown and what was promised of it; names and prices stand in the catalogue.
_KEPT_OF_ACTION = ("kind", "trigger", "reason", "channel", "send_at", "subject", "text")

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


_decision_record, _decision_part = quick(DecisionRecord), quick(DecisionPart)
_PLACE = {"latitude", "longitude"}
_PLAIN_TYPES = frozenset({str, int, float, bool})


class Circumstances(NamedTuple):
    """How a decision was made: with which odds of its arm, and when by the server's clock (None: for that moment).

    Where somebody was is only kept `with_place`, which is for them to say.
    """

    odds: float = 1.0
    made_us: int | None = None
    with_place: bool = False


PLAIN = Circumstances()


def call_of(request: Request) -> str:
    """Return the name of the call that a request is for, as its path has it."""
    return _CALLS[type(request)]


Answered = Mapping[str, Any]  # Any: an answer, typed in serving/api_answers.py


def as_shown(draws: Sequence[Draw], answer: Answered) -> tuple[Draw, ...]:
    """Return the draws as they fell, each with what an answer shows in place of what ran out before it was seen."""
    if not draws:
        return ()
    stretch = next((item["product_id"] for item in answer.get("items", ()) if item.get("role") == Role.STRETCH), None)
    return tuple(
        replace(each, replaced_by=stretch) if each.slot == STRETCH and stretch not in (None, each.chosen) else each
        for each in draws
    )


def record_of(
    request: Request,
    answer: Answered,
    at: datetime,
    *,
    customer_id: str | None,
    trace: Trace,
    circumstances: Circumstances = PLAIN,
) -> DecisionRecord:
    """Return the record of a decision for one customer, or (None) for somebody whom nothing may link to it."""
    items, offers = _kept_of(answer.get("items", ())), offers_of(answer)
    shown = (*items, *offers) if offers else items
    # What somebody has in the basket is nobody's business once it can't be forgotten with them.
    asked = {} if customer_id is None else _asked(request, with_place=circumstances.with_place)
    action = {name: answer[name] for name in _KEPT_OF_ACTION if name in answer} if "trigger" in answer else None
    draws = () if customer_id is None else as_shown(trace.draws, answer)
    return _decision_record(
        answer["decision_id"],
        call_of(request),
        epoch_us(at),
        answer["model_version"],
        (_decision_part(customer_id, shown, tuple(trace.withheld), asked, draws, action),),
        request.placement,  # by their place: names take twice as long
        answer.get("channel") or _field(request, "channel"),
        _field(request, "store_id"),
        answer["experiment"],
        circumstances.odds,
        answer["personalized"],
        circumstances.made_us,
    )


def _field(request: Request, name: str) -> str | None:
    """Return a field that not every request has; pydantic takes its time to say that there is none."""
    value: str | None = vars(request).get(name)
    return value


# Any: the fields of an item.
def _kept_of(items: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return of each item what is kept; those of one answer have the same fields, two at least, as far as these go."""
    if not items:
        return ()
    names = [name for name in _KEPT_FIELDS if name in items[0]]
    return Items(names, [*map(itemgetter(*names), items)])


def offers_of(answer: Answered) -> tuple[Mapping[str, Any], ...]:  # Any: the fields of an OfferItem
    """Return the offers that an answer gives: those of offers, or the one of an action."""
    offer = answer.get("offer")
    return tuple(answer.get("offers", ())) if offer is None else (offer,)


@cache
def _defaults_of(model: type[Request]) -> Mapping[str, object]:
    """Return the default of each field of a request, in their order."""
    return {name: field.get_default(call_default_factory=True) for name, field in model.model_fields.items()}


def _asked(request: Request, *, with_place: bool) -> dict[str, Any]:  # Any: a field of a request
    values = vars(request)
    given = {name: values[name] for name in request.model_fields_set if name not in _NOT_ASKED}
    if not given:
        return {}
    if _PLAIN_TYPES.issuperset(map(type, given.values())):
        # What `model_dump` says of these, in a tenth of the time.
        defaults = _defaults_of(type(request))
        return {name: given[name] for name, default in defaults.items() if name in given and given[name] != default}
    asked = request.model_dump(mode="json", exclude_defaults=True, exclude=_NOT_ASKED)
    if not with_place and "context" in asked:
        context = {name: value for name, value in asked["context"].items() if name not in _PLACE}
        asked = {name: value for name, value in asked.items() if name != "context"}
        asked |= {"context": context} if context else {}
    return asked
