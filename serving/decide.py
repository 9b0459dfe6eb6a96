"""Decisions with all that is known: what the server's calls and `tercet batch` share between engine and state.

The engine is asked with what the state knows of the customer and of the stock; a challenge stands as it was first
made; and what was decided is recorded. Where the state is away, the bundle alone decides, and the answer says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from serving.api import (
    AlsoBoughtRequest,
    ChallengeRequest,
    RecommendationsRequest,
    Request,
    ScoresRequest,
    SubstitutesRequest,
)
from serving.api_actions import ActionsRequest
from serving.api_answers import ChallengeAnswer, Decision
from serving.api_audiences import AudiencesRequest
from serving.api_offers import OffersRequest
from serving.audiences import Audiences
from serving.decide_offers import PromiseDecider
from serving.decision_ids import DecisionIds
from serving.engine import Engine
from serving.errors import StateUnavailable
from serving.keeping import Answered, Door, Made, MustCommit, Recorder, unknowing
from serving.live import epoch_us
from serving.records import record_of
from serving.refusals import Refusals
from serving.state.challenges import KeptChallenge
from serving.state.drafts import quick
from serving.state.known import Known, Live, Trace

_made = quick(Made)


class Decider:
    """Answers requests from one engine, by what the state behind `door` knows and has promised."""

    def __init__(
        self,
        engine: Engine,
        door: Door,
        ids: DecisionIds,
        refusals: Refusals | None = None,
        *,
        shows: bool = True,
        sends: bool = False,
    ) -> None:
        """With `shows` a challenge that is answered has been shown: from then on its items stay.

        With `sends` offers on a message channel are sent as they are answered (an action always is): the cap counts it.
        `refusals` are shared by those who decide with and without the state.
        """
        self._engine = engine
        self._door = door
        self.ids = ids
        self._refusals = refusals or Refusals()
        self._shows = shows
        self._audiences = Audiences(engine)
        self._recorder = Recorder(engine, door)
        self._promises = PromiseDecider(engine, door, ids, self._refusals, sends=sends)

    def decide(self, request: Request, now: datetime, *, may_commit: bool = True, as_text: bool = False) -> Answered:
        """Return the answer to a request, for `now` where it names no moment.

        With `as_text` scores are JSON already (`Engine.scores`).

        Raises
        ------
        MustCommit
            When something has to be written first and `may_commit` is not given.
        InvalidRequest, UnknownProduct
            As the engine does.
        """
        at = request.at or now
        match request:
            case ChallengeRequest():
                return self._challenge(request, at, now, may_commit=may_commit)
            case ScoresRequest():
                return self._scores(request, at, as_text=as_text)
            case AudiencesRequest():
                return self._audience(request, at)
            case OffersRequest() | ActionsRequest():
                return self._promises.decide(request, at, now, may_commit=may_commit)
            case RecommendationsRequest() | AlsoBoughtRequest() | SubstitutesRequest():
                return self._ranking(request, at, now)
        raise TypeError(f"{type(request).__name__} is no decision")

    def _ranking(
        self,
        request: RecommendationsRequest | AlsoBoughtRequest | SubstitutesRequest,
        at: datetime,
        now: datetime,
    ) -> Answered:
        trace = Trace()
        known = self._known(request.customer_id, request.at, trace)
        told = known or self._refusals.known(request.customer_id, trace)
        decision_id = self.ids.fresh()
        match request:
            case RecommendationsRequest():
                answer: Decision = self._engine.recommendations(request, at, decision_id, told)
            case AlsoBoughtRequest():
                answer = self._engine.also_bought(request, at, decision_id, told)
            case SubstitutesRequest():
                answer = self._engine.substitutes(request, at, decision_id, told)
        if known is None:
            return unknowing(answer)
        if not request.dry_run:
            self._recorder.record(_made(request, at, now, known), answer)
        return answer

    def _scores(self, request: ScoresRequest, at: datetime, *, as_text: bool) -> Answered:
        before_us = None if request.at is None else epoch_us(request.at)
        decision_id = self.ids.fresh()
        try:
            lives = self._door.read(lambda state: state.lives(request.customer_ids, before_us=before_us))
        except StateUnavailable:
            refused = {each: self._refusals.known(each) for each in request.customer_ids}
            return unknowing(self._engine.scores(request, at, decision_id, refused, as_text=as_text))
        known = {each: Known(live) for each, live in lives.items() if live.says_more_than(each)}
        answer = self._engine.scores(request, at, decision_id, known, as_text=as_text)
        if not request.dry_run:
            # Numbers for the shop's own use: nothing was shown to any of these customers.
            self._recorder.keep(record_of(request, answer, at, customer_id=None, trace=Trace()))
        return answer

    def _audience(self, request: AudiencesRequest, at: datetime) -> Answered:
        """Return an audience; StateUnavailable where nobody can say who has withdrawn their consent."""
        before_us = None if request.at is None else epoch_us(request.at)

        def lives(customer_ids: Sequence[str]) -> Mapping[str, Live]:
            return self._door.read(lambda state: state.lives(customer_ids, before_us=before_us))

        lives(())
        answer = self._audiences.find(request, at, self.ids.fresh(), lives)
        if not request.dry_run:
            # A list for the shop's own use: nothing was shown to any of these customers.
            self._recorder.keep(record_of(request, answer, at, customer_id=None, trace=Trace()))
        return answer

    def _challenge(self, request: ChallengeRequest, at: datetime, now: datetime, *, may_commit: bool) -> Answered:
        known = self._known(request.customer_id, request.at, Trace())
        if known is None:
            refused = self._refusals.known(request.customer_id)
            return unknowing(self._engine.challenge(request, at, self.ids.fresh(), refused))
        if not self._recorder.is_linked(request.customer_id, known.live):
            return self._common_challenge(request, at, known)
        monday = self._engine.week_of(request, at, known).first_day
        asked = _Asked(request, at, now, known, monday=monday, may_commit=may_commit)
        try:
            kept = self._standing(asked)
        except StateUnavailable:
            return unknowing(self._draft(asked))
        answer = self._draft(asked) if kept is None else self._told(asked, kept)
        return self._engine.mark_stock(answer, request, known)

    def _standing(self, asked: _Asked) -> KeptChallenge | None:
        """Return the challenge that is kept, made now if there was none; None where nothing is to be kept."""
        customer_id = asked.request.customer_id
        kept = asked.known.challenge_of(asked.monday)
        if kept is not None or asked.request.dry_run:
            return kept
        asked.check_may_commit()
        draft = self._draft(asked)
        if not draft["items"]:
            return None
        at_us = epoch_us(asked.at)
        draws = asked.trace.draws
        kept = self._door.write(lambda state: state.issue(customer_id, asked.monday, draft, at_us, draws=draws))
        self._record_challenge(asked, kept)
        return kept

    def _told(self, asked: _Asked, kept: KeptChallenge) -> ChallengeAnswer:
        """Return what is said of a kept challenge; before it is shown, what is out of stock is replaced."""
        replaced = None
        if not kept.is_shown:
            replaced = self._engine.replacement(kept.told(), asked.request, asked.at, asked.known)
        if asked.request.dry_run:
            return replaced or _as_asked(kept, asked.request).told()
        if not kept.is_shown and (self._shows or replaced is not None):
            asked.check_may_commit()
            kept = self._shown(asked, kept, replaced)
        return _as_asked(kept, asked.request).told()

    def _shown(self, asked: _Asked, kept: KeptChallenge, replaced: ChallengeAnswer | None) -> KeptChallenge:
        customer_id = asked.request.customer_id
        try:
            stands = self._door.write(
                lambda state: state.show(customer_id, asked.monday, replaced, is_shown=self._shows)
            )
        except StateUnavailable:
            return kept
        if stands is None:  # forgotten in the meantime
            return kept
        if replaced is not None:
            self._record_challenge(asked, stands)
        return stands

    def _draft(self, asked: _Asked) -> ChallengeAnswer:
        """Return the challenge as it would be made now."""
        customer_id = asked.known.live.customer_id or asked.request.customer_id
        decision_id = self.ids.of(json.dumps(["challenge", customer_id, asked.monday]))
        return self._engine.challenge(asked.request, asked.at, decision_id, asked.known)

    def _common_challenge(self, request: ChallengeRequest, at: datetime, known: Known) -> ChallengeAnswer:
        """Return what everybody without consent gets in that week and store: no id or record leads to one of them."""
        starts = max(self._engine.week_of(request, at, known).starts, self._engine.bundle.manifest.as_of)
        # What merchants banned since the week began is in no common challenge either.
        as_shown = request.model_copy(update={"at": at})
        answer = self._engine.challenge(as_shown, starts, "", known)
        shown = [item["product_id"] for item in answer["items"]]
        answer["decision_id"] = self.ids.of(json.dumps([answer["model_version"], answer["valid_to"], shown]))
        if not request.dry_run:
            self._recorder.keep(record_of(request, answer, starts, customer_id=None, trace=Trace()))
        return answer

    def _known(self, customer_id: str | None, at: datetime | None, trace: Trace) -> Known | None:
        """Return what the state knows, None when it is away."""
        before_us = None if at is None else epoch_us(at)
        try:
            known = self._door.read(lambda state: state.known(customer_id, before_us=before_us))
        except StateUnavailable:
            return None
        if customer_id is not None and at is None:
            self._refusals.see(customer_id, known.live)
        return known.traced(trace)

    def _record_challenge(self, asked: _Asked, kept: KeptChallenge) -> None:
        """Record a challenge that stands, by the draws that it was first made by: asked for again is no new draw."""
        asked.trace.draws = list(kept.challenge.draws)
        self._recorder.record(asked, kept.answer)


class Ranking:
    """Answers requests from one engine alone, as if nothing were known besides the bundle, and keeps nothing."""

    def __init__(self, engine: Engine, ids: DecisionIds) -> None:
        self._engine = engine
        self._ids = ids

    def decide(self, request: Request, now: datetime) -> Answered:
        """Return the answer to a request, for `now` where it names no moment."""
        at, decision_id = request.at or now, self._ids.fresh()
        match request:
            case ChallengeRequest():
                return self._engine.challenge(request, at, decision_id)
            case RecommendationsRequest():
                return self._engine.recommendations(request, at, decision_id)
            case AlsoBoughtRequest():
                return self._engine.also_bought(request, at, decision_id)
            case ScoresRequest():
                return self._engine.scores(request, at, decision_id)
            case OffersRequest():
                return self._engine.offers(request, at, decision_id)
            case ActionsRequest():
                return self._engine.action(request, at, decision_id)
        raise TypeError(f"{type(request).__name__} is no decision")


@dataclass(frozen=True, slots=True)
class _Asked(Made):
    """A customer's challenge of a week that is asked for."""

    request: ChallengeRequest
    monday: int
    may_commit: bool

    @property
    def trace(self) -> Trace:
        """What the record of the decision collects."""
        return self.known.trace or Trace()

    def check_may_commit(self) -> None:
        if not self.may_commit:
            raise MustCommit


def _as_asked(kept: KeptChallenge, request: Request) -> KeptChallenge:
    return kept if request.at is None else kept.as_of(epoch_us(request.at))
