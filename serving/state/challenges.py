"""Challenges as they are kept: the answer as first given, the purchases of its window, and what they come to.

Progress is always counted again from all purchases of the window, so it is the same in whatever order they came.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from serving.api_answers import ChallengeAnswer, ChallengeItem, Progress
from serving.state.known import Draw

Kinds = Mapping[str, tuple[str, str]]
"""product_id → its (product_type, category), of the products that customers bought."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_ALMOST = 1e-9  # pieces: quantities such as 0.1 kg add up to a little less than the whole number they stand for


def us_of(text: str) -> int:
    """Return an ISO 8601 time as epoch microseconds.

    >>> us_of("1970-01-01T00:00:01Z")
    1000000
    """
    return (datetime.fromisoformat(text) - _EPOCH) // _US


def time_text(us: int) -> str:
    """Return epoch microseconds as answers write a time.

    >>> time_text(1_000_000)
    '1970-01-01T00:00:01Z'
    """
    return (_EPOCH + timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Line(NamedTuple):  # not a dataclass: it is read and written by the hundred with each event
    """One purchase of a challenge's window, or a return (negative quantity)."""

    at_us: int
    event_id: str
    product_id: str
    quantity: float


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge with the purchases of its window [starts_us, ends_us), in order of (at_us, event_id).

    `completed_us` is the moment of the purchase that made the last item done, None while one is open. Once it is set,
    the challenge stays completed, and `reward_id` granted (None where the challenge has no reward). `draws` are those
    by which it was first made: they stand with it, whatever is shown in place of what ran out.
    """

    monday_day: int
    answer: ChallengeAnswer
    at_us: int
    starts_us: int
    ends_us: int
    is_shown: bool = False
    lines: tuple[Line, ...] = ()
    completed_us: int | None = None
    reward_id: str | None = None
    draws: tuple[Draw, ...] = ()

    @property
    def decision_id(self) -> str:
        """The id under which it was decided."""
        return self.answer["decision_id"]

    def holds(self, at_us: int) -> bool:
        """Return whether a purchase of that moment counts."""
        return self.starts_us <= at_us < self.ends_us

    def is_touched_by(self, lines: Iterable[Line]) -> bool:
        """Return whether these may change it: one is in its window, or tells more of what was bought in it."""
        products = {line.product_id for line in self.lines}
        return any(self.holds(line.at_us) or line.product_id in products for line in lines)


@dataclass(frozen=True, slots=True)
class KeptChallenge:
    """What the state says of a challenge, now or (`as_of`) at an earlier moment.

    `answer` is as it was first given; `quantities` are the net pieces that count towards each of its items.
    """

    answer: ChallengeAnswer
    monday_day: int
    at_us: int
    is_shown: bool
    quantities: tuple[float, ...]
    is_done: tuple[bool, ...]
    completed_us: int | None
    reward_id: str | None
    challenge: Challenge
    kinds: Kinds

    @property
    def decision_id(self) -> str:
        """The id under which it was decided, the same on every call of the week."""
        return self.challenge.decision_id

    def progress(self) -> Progress:
        """Return how far the customer has come, as answers say it."""
        return {
            "done": sum(self.is_done),
            "of": len(self.is_done),
            "completed_at": None if self.completed_us is None else time_text(self.completed_us),
            "reward_id": self.reward_id,
        }

    def told(self) -> ChallengeAnswer:
        """Return the answer with each item's `done` and the progress of this moment.

        The answer and its items are copies, to add fields to at will; what these hold is shared.
        """
        answer = self.answer.copy()
        answer["items"] = [item.copy() for item in answer["items"]]
        for item, is_done in zip(answer["items"], self.is_done, strict=True):
            item["done"] = is_done
        answer["progress"] = self.progress()
        return answer

    def as_of(self, before_us: int) -> KeptChallenge:
        """Return what stood when only purchases strictly before `before_us` had happened."""
        return kept(self.challenge, self.kinds, before_us)


def new_challenge(monday_day: int, answer: ChallengeAnswer, at_us: int, draws: Sequence[Draw] = ()) -> Challenge:
    """Return the challenge of an answer, with no purchases yet."""
    starts_us, ends_us = us_of(answer["valid_from"]), us_of(answer["valid_to"])
    return Challenge(monday_day, answer, at_us, starts_us, ends_us, draws=tuple(draws))


def kept(challenge: Challenge, kinds: Kinds, before_us: int | None = None) -> KeptChallenge:
    """Return what stands of a challenge, from all its purchases or those strictly before a moment."""
    lines = [line for line in challenge.lines if before_us is None or line.at_us < before_us]
    quantities = net_quantities(challenge, lines, kinds)
    is_completed = challenge.completed_us is not None and (before_us is None or challenge.completed_us < before_us)
    reached = tuple(is_completed or enough for enough in _reached(challenge, quantities))
    return KeptChallenge(
        challenge.answer,
        challenge.monday_day,
        challenge.at_us,
        challenge.is_shown,
        quantities,
        reached,
        challenge.completed_us if is_completed else None,
        challenge.reward_id if is_completed else None,
        challenge,
        kinds,
    )


def net_quantities(challenge: Challenge, lines: Iterable[Line], kinds: Kinds) -> tuple[float, ...]:
    """Return the net pieces towards each item; exact whatever the order of the lines."""
    parts: list[list[float]] = [[] for _ in challenge.answer["items"]]
    for line in lines:
        for item in counted_items(challenge.answer["items"], line.product_id, kinds):
            parts[item].append(line.quantity)
    return tuple(math.fsum(each) for each in parts)


def counted_items(items: Iterable[ChallengeItem], product_id: str, kinds: Kinds) -> list[int]:
    """Return which items a product counts towards; its own id counts even when its type is not known."""
    product_type, category = kinds.get(product_id, (None, None))
    ids = {"product": product_id, "product_type": product_type, "category": category}
    return [place for place, item in enumerate(items) if ids[item["counts"]["level"]] == item["counts"]["id"]]


def with_lines(challenge: Challenge, lines: Iterable[Line], kinds: Kinds, reward_id: str) -> Challenge:
    """Return the challenge with more purchases, each counted once, and completed when they do that.

    `reward_id` is what is granted on completion, where the challenge has a reward. What was completed stays so; an
    earlier purchase that comes to be known later may only move the moment of completion forward in time.
    """
    known = {line.event_id: line for line in challenge.lines}
    known |= {line.event_id: line for line in lines if challenge.holds(line.at_us) and line.event_id not in known}
    grown = replace(challenge, lines=tuple(sorted(known.values(), key=lambda line: (line.at_us, line.event_id))))
    is_completed = challenge.completed_us is not None
    if not is_completed and not _is_all(_reached(grown, net_quantities(grown, grown.lines, kinds))):
        return grown
    completed_us = _completion_us(grown, kinds)
    if not is_completed:
        granted = None if challenge.answer["reward"] is None else reward_id
        return replace(grown, completed_us=completed_us or grown.lines[-1].at_us, reward_id=granted)
    moments = [us for us in (challenge.completed_us, completed_us) if us is not None]
    return replace(grown, completed_us=min(moments))


def _completion_us(challenge: Challenge, kinds: Kinds) -> int | None:
    """Return the first moment, in order of time, by which all items were done; None when there is none."""
    items = challenge.answer["items"]
    sums = [0.0] * len(items)
    for at_us, lines in groupby(challenge.lines, key=_moment):
        for line in lines:
            for item in counted_items(items, line.product_id, kinds):
                sums[item] += line.quantity
        if _is_all(_reached(challenge, sums)):
            return at_us
    return None


def _moment(line: Line) -> int:
    return line.at_us


def _reached(challenge: Challenge, quantities: Iterable[float]) -> tuple[bool, ...]:
    items = challenge.answer["items"]
    return tuple(
        quantity >= item["target_quantity"] - _ALMOST for item, quantity in zip(items, quantities, strict=True)
    )


def _is_all(reached: tuple[bool, ...]) -> bool:
    """Return whether all items are done; a challenge without items never is."""
    return bool(reached) and all(reached)
