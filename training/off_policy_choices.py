"""Drawn decisions looked at again: with which odds another policy would have made the draw that was logged.

Each is made anew from the bundle that made it, twice: under the policy that made it, which has to come to the very odds
that were logged (else something that it was decided by is not known any more, and it is left out: whatever it drew, so
that nothing is skewed), and under the other one. Where the two would differ in more than the draw (other habits, other
rewards, other offers beside the first), the log does not say what would have come of it: that is outside of it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from pydantic import ValidationError

from features.asof import at_utc
from serving.api import ChallengeRequest, Request
from serving.api_codes import Role
from serving.api_offers import OffersRequest
from serving.decisioning.exploring import FIRST_OFFER, STRETCH
from serving.engine import Engine
from serving.state.decisions import DecisionPart, DecisionRecord
from serving.state.known import Draw, Known, Live, Stock, Trace
from training.replay import NOT_ASKED, known_then

Progress = Callable[[str], None]
Answer = Mapping[str, Any]  # Any: an answer, typed in serving/api_answers.py and serving/api_offers.py

NO_BUNDLE, OTHERWISE, NO_ARM = (
    "their bundle is not kept any more",
    "they can't be made anew as they were: what was in stock or promised then is not known any more",
    "their arm is not in experiments.toml any more",
)
_CLOSE = 1e-6
_A_STAGE = 10_000


@dataclass(frozen=True)
class Slot:
    """How a slot is asked for again: by which call, what is shown in it, and what is shown with it."""

    request: type[Request]
    ask: Callable[..., Answer]
    shown: Callable[[Answer], str | None]
    beside: Callable[[Answer], object]


@dataclass(frozen=True)
class Looked:
    """A drawn decision and the odds of another policy: `target` by option of the draw, `outside` for anything else.

    `comes_otherwise`: with the same option it would show something else beside it, so that all is outside.
    """

    customer_id: str
    at_us: int
    draw: Draw
    counts: Mapping[str, str] | None
    target: tuple[float, ...]
    outside: float
    comes_otherwise: bool = False


@dataclass
class SecondLook:
    """All drawn decisions that could be looked at again, and why others could not."""

    found: list[Looked] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


Engines = Callable[[DecisionRecord], tuple[Engine, Engine] | str]
"""The engines of a decision's own policy and of the other one, or why there are none."""


def drawn_parts(records: Iterable[DecisionRecord]) -> Iterator[tuple[DecisionRecord, DecisionPart, Draw]]:
    """Yield each draw of a customer's decision."""
    for record in records:
        for part in record.parts:
            if part.customer_id is not None:
                yield from ((record, part, draw) for draw in part.draws if draw.slot in SLOTS)


def look_again(
    records: Iterable[DecisionRecord], engines: Engines, lives: Callable[[str, int], Live], progress: Progress
) -> SecondLook:
    """Return every drawn decision with the other policy's odds; `lives` says what was known of a customer then.

    It takes some milliseconds a decision.
    """
    looked = SecondLook()
    for n, (record, part, draw) in enumerate(drawn_parts(records), start=1):
        if n % _A_STAGE == 0:
            progress(f"{n:,} decided anew")
        pair = engines(record)
        if isinstance(pair, str):
            looked.left_out[pair] += 1
            continue
        known = _known(lives(str(part.customer_id), record.at_us), (record, part, draw), n)
        again = _Again(record, part, draw, known)
        try:
            odds = _other_odds(again, pair)
        except ValidationError:
            looked.left_out[NOT_ASKED] += 1
            continue
        if odds is None:
            looked.left_out[OTHERWISE] += 1
        else:
            looked.found.append(_looked(again, odds))
    return looked


def _looked(again: _Again, odds: Mapping[str, float]) -> Looked:
    part, draw = again.part, again.draw
    target = tuple(odds.get(each.id, 0.0) for each in draw.among)
    outside = max(1.0 - sum(target), 0.0)
    return Looked(str(part.customer_id), again.record.at_us, draw, _counts(part, draw), target, outside, not odds)


@dataclass(frozen=True)
class _Again:
    """One decision that is to be made anew."""

    record: DecisionRecord
    part: DecisionPart
    draw: Draw
    known: Known

    def answer(self, engine: Engine, wanted: str | None = None) -> tuple[Answer, Draw | None]:
        """Return what an engine answers, with the wanted option where it has it, and its draw."""
        slot = SLOTS[self.draw.slot]
        trace = Trace(wanted={} if wanted is None else {self.draw.slot: wanted})
        asked = {**self.part.asked, "customer_id": self.part.customer_id, "placement": self.record.placement}
        request = slot.request.model_validate_json(json.dumps(asked))
        known = replace(self.known, trace=trace)
        answer = slot.ask(engine, request, at_utc(self.record.at_us), self.record.decision_id, known)
        return answer, next((each for each in trace.draws if each.slot == self.draw.slot), None)


def _other_odds(again: _Again, engines: tuple[Engine, Engine]) -> dict[str, float] | None:
    """Return the other policy's odds by option, empty where it shows something else beside whatever it draws.

    None where the decision can't be made anew as it was.
    """
    own, other = engines
    slot = SLOTS[again.draw.slot]
    answer, draw = again.answer(other)
    shown = slot.shown(answer)
    odds = {each.id: each.probability for each in draw.among} if draw else {} if shown is None else {shown: 1.0}
    likely = max((each.id for each in again.draw.among if odds.get(each.id)), key=lambda each: odds[each], default=None)
    own_answer, own_draw = again.answer(own, likely)
    if own_draw is None or not _is_same(own_draw, again.draw):
        return None
    if likely is None:
        return odds
    if shown != likely:
        answer, _ = again.answer(other, likely)
    return odds if slot.beside(answer) == slot.beside(own_answer) else {}


def _is_same(draw: Draw, logged: Draw) -> bool:
    found, expected = ({each.id: each.probability for each in one.among} for one in (draw, logged))
    return found.keys() == expected.keys() and all(abs(found[each] - expected[each]) < _CLOSE for each in found)


def _known(live: Live, again: tuple[DecisionRecord, DecisionPart, Draw], generation: int) -> Known:
    """Return what was known: all that might have been drawn was in stock."""
    record, part, draw = again
    known = known_then(live, record, part, generation=generation)
    if draw.slot != STRETCH:
        return known
    there: dict[tuple[str, str | None], float] = {(each.id, None): inf for each in draw.among}
    return replace(known, stock=Stock(generation, {**known.stock.available, **there}))


def _counts(part: DecisionPart, draw: Draw) -> Mapping[str, str] | None:
    """Return what counts towards the stretch that was shown."""
    if draw.slot != STRETCH:
        return None
    return next((item["counts"] for item in part.shown if item.get("role") == Role.STRETCH), None)


def _stretch(answer: Answer) -> str | None:
    return next((item["product_id"] for item in answer["items"] if item["role"] == Role.STRETCH), None)


def _beside_stretch(answer: Answer) -> object:
    return [(item["product_id"], item["target_quantity"]) for item in answer["items"]], answer["reward"]


def _first_offer(answer: Answer) -> str | None:
    return next((offer["offer_id"] for offer in answer["offers"]), None)


def _beside_first(answer: Answer) -> object:
    """Return the first offer and, in whatever order, the others: their order is taken to change nothing."""
    offers = [(offer["offer_id"], offer["valid_to"]) for offer in answer["offers"]]
    return offers[:1], frozenset(offers[1:])


SLOTS: Mapping[str, Slot] = {
    STRETCH: Slot(ChallengeRequest, Engine.challenge, _stretch, _beside_stretch),
    FIRST_OFFER: Slot(OffersRequest, Engine.offers, _first_offer, _beside_first),
}
