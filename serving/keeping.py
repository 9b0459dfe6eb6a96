"""The way from decisions to the state: what may be asked of it, and how decisions are recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar, cast

from serving.api import Request
from serving.api_actions import ActionsRequest
from serving.api_codes import NoteCode
from serving.api_offers import OffersRequest
from serving.engine import Engine
from serving.errors import StateUnavailable
from serving.live import epoch_us
from serving.records import Circumstances, record_of
from serving.state.decisions import DecisionRecord
from serving.state.known import NO_BASIS, Known, Live, Trace
from serving.state.shop import State

T = TypeVar("T")

Answered = Mapping[str, Any]  # Any: an answer, typed in serving/api_answers.py


_WITH_PLACE = frozenset({OffersRequest, ActionsRequest})
"""Requests that may tell where somebody is; by their type, as pydantic takes its time over `isinstance`."""


class MustCommit(Exception):
    """The answer has to be written before it is given, and whoever asked can't wait here."""


class Door(Protocol):
    """The way to the state; both raise StateUnavailable when it is away."""

    def read(self, work: Callable[[State], T]) -> T:
        """Return what `work` reads."""
        ...

    def write(self, work: Callable[[State], T]) -> T:
        """Return what `work` writes."""
        ...


class _Away:
    """The way to a state that is away, whenever it is asked."""

    def read(self, _work: Callable[[State], T]) -> T:
        raise StateUnavailable("the state is away")

    write = read


AWAY: Door = _Away()


@dataclass(frozen=True, slots=True)
class Made:
    """What a decision was made from: for the moment `at`, when the server's clock said `now`."""

    request: Request
    at: datetime
    now: datetime
    known: Known


class Recorder:
    """Keeps the decisions of one engine, so that they can be looked up later."""

    def __init__(self, engine: Engine, door: Door) -> None:
        self._engine = engine
        self._door = door

    def record(self, made: Made, answer: Answered) -> None:
        """Have a decision kept, under the customer's id where that may be."""
        known = made.known
        asked_id: str | None = getattr(made.request, "customer_id", None)
        is_linked = asked_id is not None and self.is_linked(asked_id, known.live)
        has_place = asked_id is not None and type(made.request) in _WITH_PLACE
        record = record_of(
            made.request,
            answer,
            made.at,
            customer_id=(known.live.customer_id or asked_id) if is_linked else None,
            trace=known.trace or Trace(),
            circumstances=Circumstances(
                self._engine.odds(answer["experiment"]),
                epoch_us(made.now),
                has_place and self._engine.may_locate(asked_id or "", known.live),
            ),
        )
        self.keep(record, known.basis)

    def is_linked(self, customer_id: str, live: Live) -> bool:
        """Return whether what is decided may be kept under the customer's id.

        Not without their consent, nor once they were forgotten, until something new is told of them.
        """
        return not live.is_gone and self._engine.may_personalize(customer_id, live)

    def keep(self, record: DecisionRecord, basis: Mapping[str, int] = NO_BASIS) -> None:
        """Have the record written some time soon: the answer doesn't wait, and stands whatever becomes of it."""
        try:  # not `suppress`, which takes as long as the clocks around it
            self._door.write(lambda state: state.leave_record(record, basis))
        except StateUnavailable:
            return


# Any: an answer of any call.
def unknowing(answer: Any) -> Answered:
    """Return the answer with a note that what happened since the bundle is not in it."""
    note = {"code": NoteCode.STATE_UNAVAILABLE, "text": NoteCode.STATE_UNAVAILABLE.explanation}
    answer["notes"] = [*answer.get("notes", ()), note]
    return cast("Answered", answer)
