"""`tercet replay`: past decisions made anew under another policy, and what would have changed.

Each decision is made twice more from the bundle that made it, for its own moment, by what was known of the customer
then: once under that bundle's policy, once under the other. What differs between the two is the policy's doing. Each
stands alone: what another policy would have shown or sent before is not known to it. How often the first of the two
shows what was recorded says how far the rest can be taken at its word. Of the stock and the budgets of then only that
is known which the record of the decision says: what was shown was there, what was withheld for want of it was not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from features.asof import at_utc, local_midnight, moment_at
from serving.api import AlsoBoughtRequest, ChallengeRequest, RecommendationsRequest, SubstitutesRequest
from serving.api_actions import ActionsRequest
from serving.api_offer_codes import WithheldCode
from serving.api_offers import OffersRequest
from serving.arms import as_without_consent
from serving.bundle import obeying, open_bundle
from serving.decisioning.policy import Policy, parse_policy
from serving.decisioning.rules import Withheld
from serving.engine import Engine
from serving.errors import BundleError
from serving.experiments import HOLDOUT
from serving.renamed import version_now
from serving.state.decisions import DecisionPart, DecisionRecord
from serving.state.holds import Spending
from serving.state.known import Known, Live, Stock, Trace
from serving.state.opening import FILE
from serving.state.shop import State
from training.errors import ReplayError
from training.home import Home, read_policy
from training.log_source import open_if_there
from training.replay_found import Redone, Replayed, recorded_of
from training.replay_policy import policy_changes
from training.replay_text import replay_text

WEEK_US = 7 * 86_400_000_000
NO_CUSTOMER, NO_BUNDLE, NO_ITEMS, HELD_OUT, NOT_ASKED = (
    "no customer is linked to them",
    "their bundle is not kept any more, or not to be read",
    "nothing was shown",
    "the customer is held out, and gets none by any policy",
    "what was asked is not kept as it is asked now",
)

# Any: each call has its own types of request and answer.
_CALLS: Mapping[str, tuple[Any, Callable[..., Any]]] = {
    "challenge": (ChallengeRequest, Engine.challenge),
    "recommendations": (RecommendationsRequest, Engine.recommendations),
    "also-bought": (AlsoBoughtRequest, Engine.also_bought),
    "substitutes": (SubstitutesRequest, Engine.substitutes),
    "offers": (OffersRequest, Engine.offers),
    "actions": (ActionsRequest, Engine.action),
}
# Calls of which an answer that gives nothing is one that could have been another.
_PROMISES = frozenset({"offers", "actions"})
_ALL_GONE = Spending(spent=math.inf)

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ReplayJob:
    """What is to be decided anew: decisions in [from_at, to_at) (by default the last seven days with any).

    `policy` None is the home's own policy.toml: what the next bundle will carry.
    """

    policy: Path | None = None
    from_at: datetime | date | None = None
    to_at: datetime | date | None = None
    state: str = field(default=FILE, repr=False)


class Engines(NamedTuple):
    """One bundle under its own policy, and under the other."""

    own: Engine
    other: Engine


class Redecider:
    """Makes decisions anew, each from the bundle that made it; bundles are opened once."""

    def __init__(self, place: Home, policy: Policy, state: State) -> None:
        self._place = place
        self._policy = policy
        self._state = state
        self._engines: dict[str, Engines | None] = {}
        self._generations = count(1)

    def redone(self, record: DecisionRecord, part: DecisionPart) -> Redone | str:
        """Return what the two policies answer, or why that can't be told."""
        is_held_out = record.experiment is not None and record.experiment["name"] == HOLDOUT
        if part.customer_id is None:
            return NO_CUSTOMER
        if is_held_out and record.call in _PROMISES:
            return HELD_OUT
        if not part.shown and record.call not in _PROMISES:
            return NO_ITEMS
        engines = self.engines(record.model_version)
        if engines is None:
            return NO_BUNDLE
        model, ask = _CALLS[record.call]
        asked = {**part.asked, "customer_id": part.customer_id, "placement": record.placement}
        try:
            request = model.model_validate_json(json.dumps(asked))
        except ValidationError:
            return NOT_ASKED
        live = live_then(self._state, part.customer_id, record)
        known = known_then(live, record, part, generation=next(self._generations))
        if is_held_out:
            known = as_without_consent(known)
        at, traces = at_utc(record.at_us), (Trace(), Trace())
        own, other = (
            ask(engine, request, at, record.decision_id, replace(known, trace=trace))
            for engine, trace in zip(engines, traces, strict=True)
        )
        return Redone(record.call, record.decision_id, own, other, *traces)

    def engines(self, version: str) -> Engines | None:
        """Return the bundle of that version under both policies; None where it can't be had."""
        if version not in self._engines:
            self._engines[version] = self._opened(version)
        return self._engines[version]

    def changes(self) -> dict[str, tuple[str, ...]]:
        """Return what the other policy says differently, by the versions whose decisions were made anew."""
        return {
            version: policy_changes(engines.own.bundle.policy, self._policy)
            for version, engines in self._engines.items()
            if engines is not None
        }

    def _opened(self, version: str) -> Engines | None:
        try:
            bundle = open_bundle(self._place.bundle(version_now(self._place.folder, version)), verify=False)
        except BundleError:
            return None
        return Engines(Engine(bundle), Engine(obeying(bundle, self._policy)))


def live_then(state: State, customer_id: str, record: DecisionRecord) -> Live:
    """Return what was known of a customer: what had been accepted by then, or what was before the moment asked for.

    A decision for now goes by every accepted event, whatever its own time: a message that is to go out later counts.
    """
    if record.made_us not in (None, record.at_us):
        return state.live(customer_id, before_us=record.at_us)
    live = state.live(customer_id)
    return replace(live, events=tuple(each for each in live.events if each.accepted_us < record.at_us))


def known_then(live: Live, record: DecisionRecord, part: DecisionPart, *, generation: int = 1) -> Known:
    """Return what a decision was made by besides its bundle, as far as that is known: `live` is as of its moment.

    What it showed was in stock; what it withheld as out of stock was not; budgets that it found spent were.
    `generation` tells this stock from that of other decisions.
    """
    holds = tuple(each for each in live.held_at(record.at_us) if each.given_us < record.at_us)
    stock: dict[tuple[str, str | None], float] = {
        (each.product_id, None): 0.0
        for each in part.withheld
        if each.product_id is not None and each.reason == Withheld.OUT_OF_STOCK
    }
    stock |= {(product_id, None): math.inf for product_id in part.product_ids()}
    spent = [each.offer_id for each in part.withheld if each.reason == WithheldCode.BUDGET_SPENT]
    spending = {offer_id: _ALL_GONE for offer_id in spent if offer_id is not None}
    return Known(replace(live, holds=holds), Stock(generation, stock), spending=spending)


def replay(home: Path, job: ReplayJob, progress: Progress) -> str:
    """Return what another policy would have changed, as tables that a person can read.

    Raises
    ------
    ReplayError
        When there is nothing to decide anew.
    PolicyError
        When the policy holds mistakes.
    StateUnavailable
        When the state can't be read.
    """
    place = Home(home)
    policy = parse_policy(place.policy_text()) if job.policy is None else read_policy(job.policy)[1]
    opened = open_if_there(home, job.state)
    if opened is None:
        raise ReplayError(f"{home} keeps no state yet, so nothing was decided")
    with closing(opened):
        progress("read decisions")
        found = Replayed(*_window(job, opened.state, place))
        progress("decide anew")
        _redecide(found, opened.state, Redecider(place, policy, opened.state))
    if not found.calls:
        reasons = "; ".join(f"{n:,}: {why}" for why, n in found.left_out.most_common()) or "there are none"
        raise ReplayError(f"no decision of that time can be made anew: {reasons}")
    return replay_text(found, str(job.policy or place.policy_path))


def _redecide(found: Replayed, state: State, redecider: Redecider) -> None:
    for record in state.records():
        if not found.from_us <= record.at_us < found.to_us or record.call not in _CALLS:
            continue
        for part in record.parts:
            redone = redecider.redone(record, part)
            if isinstance(redone, str):
                found.left_out[redone] += 1
                continue
            is_own = record.experiment is None or record.experiment["name"] == HOLDOUT
            found.add(redone, recorded_of(part) if is_own else None)
    found.policies.update(redecider.changes())


def _window(job: ReplayJob, state: State, place: Home) -> tuple[int, int]:
    """Return the first moment and the one after the last; a date is its local midnight in the champion's time zone."""
    latest_us = max((head.at_us for head in state.decided()), default=None)
    if latest_us is None:
        raise ReplayError("no decision is kept")
    version = place.champion()
    zone = "UTC" if version is None else open_bundle(place.bundle(version), verify=False).manifest.time_zone
    to_us = latest_us + 1 if job.to_at is None else _epoch_us(job.to_at, zone)
    from_us = to_us - WEEK_US if job.from_at is None else _epoch_us(job.from_at, zone)
    if from_us >= to_us:
        raise ReplayError("--from must be before --to")
    return from_us, to_us


def _epoch_us(at: datetime | date, zone: str) -> int:
    return moment_at(at, zone).us if isinstance(at, datetime) else local_midnight(at, zone).us
