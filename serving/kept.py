"""What the state keeps, as answers say it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NotRequired, TypedDict, cast

from serving.api_answers import Progress
from serving.api_kept import (
    CustomerAnswer,
    DecisionAnswer,
    DecisionBrief,
    DecisionOutcome,
    Drawn,
    GrantedReward,
    HeldOffer,
    KeptChallengeAnswer,
    KeptEvent,
    SaidAction,
    ShownItem,
    Withheld,
)
from serving.api_offers import OfferItem
from serving.state.challenges import KeptChallenge, time_text
from serving.state.codec import draw_document
from serving.state.decisions import DecisionPart, DecisionSummary, Outcome, StoredDecision
from serving.state.events import Event
from serving.state.holds import Hold
from serving.state.person import Reward
from serving.state.shop import CustomerState

_OF_EVENTS = (
    "product_id",
    "order_id",
    "amount",
    "discount",
    "store_id",
    "offer_id",
    "decision_id",
    "channel",
    "value",
)
_NOTHING = DecisionPart(None)


class _Said(TypedDict):
    """What was shown of a decision, as both its answers tell it."""

    shown: list[ShownItem]
    offers: NotRequired[list[OfferItem]]
    action: NotRequired[SaidAction]


_OF_SHOWN = tuple(ShownItem.__annotations__)


def event_answer(event: Event) -> KeptEvent:
    """Return an event as it was told; its quantity only where it has a product."""
    told: dict[str, Any] = {"event_id": event.event_id, "type": event.type.value, "at": time_text(event.at_us)}
    told |= {name: value for name in _OF_EVENTS if (value := getattr(event, name)) is not None}
    if event.product_id is not None:
        told["quantity"] = event.quantity
    return cast("KeptEvent", told)


def decision_answer(stored: StoredDecision) -> DecisionAnswer:
    """Return a decision as it was made, and what came of it."""
    record = stored.record
    part = next(iter(record.parts), _NOTHING)
    outcome = stored.outcomes.get(part.customer_id or "", Outcome())
    progress = None if stored.challenge is None else stored.challenge.progress()
    return {
        "decision_id": record.decision_id,
        "call": record.call,
        "at": time_text(record.at_us),
        "placement": record.placement,
        "channel": record.channel,
        "store_id": record.store_id,
        "model_version": record.model_version,
        "personalized": record.is_personal,
        "experiment": cast("Any", record.experiment),
        "probability": record.probability,
        "customer_id": part.customer_id,
        **_said(part, stored.challenge),
        "withheld": _withheld(part),
        "draws": [cast("Drawn", draw_document(each)) for each in part.draws],
        "outcome": _outcome(outcome, progress),
        "forgotten": stored.n_erased,
    }


def brief(summary: DecisionSummary, progress: Progress | None) -> DecisionBrief:
    """Return a decision of the customer's view; `progress` is that of its challenge, where it was one."""
    return {
        "decision_id": summary.decision_id,
        "call": summary.call,
        "at": time_text(summary.at_us),
        "placement": summary.placement,
        "channel": summary.channel,
        **_said(summary.part, None),
        "withheld": _withheld(summary.part),
        "outcome": _outcome(summary.outcome, progress),
    }


def challenge_answer(kept: KeptChallenge) -> KeptChallengeAnswer:
    """Return a challenge with its progress."""
    told = kept.told()
    return {
        "decision_id": told["decision_id"],
        "model_version": told["model_version"],
        "valid_from": told["valid_from"],
        "valid_to": told["valid_to"],
        "shown": kept.is_shown,
        "items": told["items"],
        "reward": told["reward"],
        "progress": told["progress"],
    }


def reward_answer(reward: Reward) -> GrantedReward:
    """Return a reward that was earned."""
    return {
        "reward_id": reward.reward_id,
        "decision_id": reward.decision_id,
        "kind": reward.kind,
        "value": reward.value,
        "cost": reward.cost,
        "granted_at": time_text(reward.completed_us),
        "redeemed_at": None if reward.redeemed_us is None else time_text(reward.redeemed_us),
    }


def _outcome(outcome: Outcome, progress: Progress | None) -> DecisionOutcome:
    return {
        "answered": [event_answer(each) for each in outcome.answered],
        "bought": [event_answer(each) for each in outcome.bought],
        "progress": progress,
    }


def _said(part: DecisionPart, challenge: KeptChallenge | None) -> _Said:
    """Return what was shown; of a challenge the items that stand."""
    items = part.shown if challenge is None else cast("Iterable[Mapping[str, Any]]", challenge.answer["items"])
    products = [each for each in items if "product_id" in each]
    said: _Said = {
        "shown": [cast("ShownItem", {name: each[name] for name in _OF_SHOWN if name in each}) for each in products]
    }
    offers = [each for each in part.shown if "offer_id" in each]
    if offers:
        said["offers"] = cast("list[OfferItem]", offers)
    if part.action is not None:
        said["action"] = cast("SaidAction", part.action)
    return said


def _withheld(part: DecisionPart) -> list[Withheld]:
    withheld: list[Withheld] = []
    for each in part.withheld:
        if each.offer_id is not None:
            withheld.append({"offer_id": each.offer_id, "reason": each.reason})
        elif each.product_id is not None:
            withheld.append({"product_id": each.product_id, "reason": each.reason})
    return withheld


def held_answer(hold: Hold) -> HeldOffer:
    """Return an offer that a customer holds, or held."""
    return {
        "offer_id": hold.offer_id,
        "valid_from": time_text(hold.given_us),
        "valid_to": time_text(hold.until_us),
        "reserved": hold.cost,
        "redeemed_at": None if hold.redeemed_us is None else time_text(hold.redeemed_us),
    }


# Any: what the engine says of a customer, which has the fields of CustomerAnswer that come from the bundle.
def customer_answer(customer_id: str, kept: CustomerState | None, view: Mapping[str, Any]) -> CustomerAnswer:
    """Return the single customer view, of one whom the state, the bundle or both know."""
    progress = {each.answer["decision_id"]: each.progress() for each in (kept.challenges if kept else ())}
    told: dict[str, Any] = {
        "customer_id": kept.customer_id if kept else customer_id,
        "also": list(kept.also) if kept else [],
        **view,
        "first_seen_at": time_text(kept.first_seen_us) if kept and kept.first_seen_us is not None else None,
        "events": [event_answer(each) for each in (kept.events if kept else ())],
        "identities": list(kept.identity_kinds) if kept else [],
        "decisions": [brief(each, progress.get(each.decision_id)) for each in (kept.decisions if kept else ())],
        "challenges": [challenge_answer(each) for each in (kept.challenges if kept else ())],
        "rewards": [reward_answer(each) for each in (kept.rewards if kept else ())],
        "offers": [held_answer(each) for each in (kept.holds if kept else ())],
    }
    return cast("CustomerAnswer", told)
