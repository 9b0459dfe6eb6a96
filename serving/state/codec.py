"""State documents as bytes: JSON with a schema number, so that a newer tercet's are refused in one clear line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, fields
from operator import attrgetter
from typing import Any, cast

import orjson

from serving.errors import StateDamaged, StateUnfit
from serving.state.challenges import Challenge, Line
from serving.state.consent import Said
from serving.state.drafts import draft_of
from serving.state.events import Event, EventType
from serving.state.holds import Hold
from serving.state.known import Draw, Earned, Live, Odds, Tried
from serving.state.person import Person, Reward
from serving.state.store import DAMAGED

SCHEMA = 1
"""Of what documents are written as, but those of decisions."""

NEWEST = 2
"""Of what documents of decisions are written as, and the newest that is read."""

MISSHAPEN = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What comes of reading a document that is JSON, and not the document that it should be."""

Raw = dict[str, Any]  # Any: a document's own JSON
_TYPES = {each.value: each for each in EventType}
_ID, _CUSTOMER, _TYPE, _AT = range(4)  # places in an event's row
_fields_of_event = attrgetter(*(each.name for each in fields(Event)))
_HEAD = b'{"v":%d,"id":' % SCHEMA
_find_doings = re.compile(rb'"(?:events|consent|also|into)":').search
_ENDS, _IS_SHOWN, _COMPLETED = 4, 5, 7
"""Places in the row of a challenge."""

_Draft = draft_of(Event)  # a customer may have 200


def encode(document: Mapping[str, object]) -> bytes:
    """Return a document as bytes, with its schema number where it has one."""
    return orjson.dumps({"v": SCHEMA, **document})


def decode(value: bytes) -> Raw:
    """Return a document; StateUnfit when a newer version wrote it, StateDamaged when it is no document at all."""
    try:
        raw = orjson.loads(value)
        schema = raw["v"]
        is_newer = schema > NEWEST
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise StateDamaged(DAMAGED) from error
    if is_newer:
        raise StateUnfit(
            f"the state was written by a newer tercet (schema {schema}, this one reads up to {NEWEST}); update this one"
        )
    return raw  # type: ignore[no-any-return]  # JSON has no type, and its schema has just been checked


def event_row(event: Event) -> list[object]:
    """Return an event as its fields in order, without the empty ones at the end."""
    row = list(_fields_of_event(event))
    while row[-1] is None:
        row.pop()
    return row


def event_of(row: Sequence[Any]) -> Event:  # Any: JSON values in the order of Event's fields
    """Return the event of a row."""
    draft = _Draft(row[_ID], row[_CUSTOMER], _TYPES[row[_TYPE]], *row[_AT:])
    draft.__class__ = Event
    return cast(Event, draft)


def blank(customer_id: str) -> Raw:
    """Return the document of a customer of whom nothing is known."""
    return {"v": SCHEMA, "id": customer_id}


def encode_person(person: Person) -> bytes:
    """Return a person's document."""
    full: dict[str, object] = {
        "id": person.customer_id,
        "events": [event_row(event) for event in person.events],
        "kinds": person.kinds,
        "consent": {key: [said.is_given, said.at_us] for key, said in person.consent.items()},
        "challenges": [_challenge_row(each) for each in person.challenges.values()],
        "rewards": [astuple(reward) for reward in person.rewards],
        "also": person.also,
        "hidden": person.hidden,
        "identities": person.identities,
        "first": person.first_seen_us,
        "cut": person.cut_us,
        "holds": [astuple(hold) for hold in person.holds],
    }
    return encode({key: value for key, value in full.items() if value not in (None, [], {}, ())})


def person_of(raw: Raw) -> Person:
    """Return the person of a document; StateDamaged where it is none."""
    try:
        return Person(
            raw["id"],
            tuple(map(event_of, raw.get("events", ()))),
            _kinds_of(raw),
            {key: Said(*said) for key, said in raw.get("consent", {}).items()},
            {row[0]: _challenge_of(row) for row in raw.get("challenges", ())},
            tuple(Reward(*row) for row in raw.get("rewards", ())),
            tuple(raw.get("also", ())),
            tuple(raw.get("hidden", ())),
            tuple(raw.get("identities", ())),
            raw.get("first"),
            raw.get("cut"),
            _holds_of(raw),
        )
    except MISSHAPEN as error:
        raise StateDamaged(DAMAGED) from error


def challenge_in(raw: Raw, monday_day: int) -> Challenge | None:
    """Return the challenge of a week in a document, without making the rest of the person; None where there is none."""
    try:
        return next((_challenge_of(row) for row in raw.get("challenges", ()) if _monday(row) == monday_day), None)
    except MISSHAPEN as error:
        raise StateDamaged(DAMAGED) from error


def live_of_raw(raw: Raw, erased_us: int | None) -> Live:
    """Return what the engine gets of a person's document; as `person.live_of`, without making the rest of it."""
    try:
        hidden = raw.get("hidden", ())
        return Live(
            raw["id"],
            tuple(each for each in raw.get("also", ()) if each not in hidden),
            tuple(map(event_of, raw.get("events", ()))),
            {key: said[0] for key, said in raw.get("consent", {}).items()} or None,
            erased_us is not None,
            erased_us or 0,
            _holds_of(raw),
            tuple(Tried(row[_ENDS], row[_COMPLETED]) for row in raw.get("challenges", ()) if row[_IS_SHOWN]),
            _open_challenge(raw),
            _kinds_of(raw),
            tuple(Earned(row[0], row[2], row[3], row[5]) for row in raw.get("rewards", ()) if row[6] is None),
        )
    except MISSHAPEN as error:
        raise StateDamaged(DAMAGED) from error


def consenting(raw: Raw, erased_us: int | None) -> Live:
    """Return what consent is judged by of a person's document: who they are and what they said, none of their events.

    StateDamaged where it is no person's document.
    """
    return _brief(raw, erased_us, ())


def with_doings(raw: Raw, erased_us: int | None) -> Live:
    """Return the same with their events; what they hold, or were promised, is left out."""
    return _brief(raw, erased_us, raw.get("events", ()))


def tells_doings(value: bytes) -> bool:
    """Return whether a document has to be decoded to know who a customer is, what they said and what they did.

    One of nothing but challenges, rewards or offers says none of that; to see so takes a fifth of decoding it. Inside
    a text a quotation mark would have a backslash before it.
    """
    return not value.startswith(_HEAD) or _find_doings(value) is not None


def _brief(raw: Raw, erased_us: int | None, rows: Iterable[Sequence[Any]]) -> Live:  # Any: as in `event_of`
    try:
        hidden = raw.get("hidden", ())
        also = tuple(each for each in raw["also"] if each not in hidden) if "also" in raw else ()
        consent = {key: said[0] for key, said in raw["consent"].items()} if "consent" in raw else None
        events = tuple(map(event_of, rows))
        return Live(raw["id"], also, events, consent or None, erased_us is not None, erased_us or 0)
    except MISSHAPEN as error:
        raise StateDamaged(DAMAGED) from error


def _open_challenge(raw: Raw) -> Challenge | None:
    """Return the newest challenge where it was shown and is not completed."""
    newest = max(raw.get("challenges", ()), key=_monday, default=None)
    if newest is None or not newest[_IS_SHOWN] or newest[_COMPLETED] is not None:
        return None
    return _challenge_of(newest)


def _monday(row: Sequence[Any]) -> int:  # Any: JSON values in the order of Challenge's fields
    day: int = row[0]
    return day


def _kinds_of(raw: Raw) -> dict[str, tuple[str, str]]:
    return {product_id: (kind[0], kind[1]) for product_id, kind in raw.get("kinds", {}).items()}


def _holds_of(raw: Raw) -> tuple[Hold, ...]:
    return tuple(Hold(*row) for row in raw.get("holds", ()))


def _challenge_row(challenge: Challenge) -> list[object]:
    row = [
        challenge.monday_day,
        challenge.answer,
        challenge.at_us,
        challenge.starts_us,
        challenge.ends_us,
        challenge.is_shown,
        [tuple(line) for line in challenge.lines],
        challenge.completed_us,
        challenge.reward_id,
    ]
    return [*row, [draw_document(each) for each in challenge.draws]] if challenge.draws else row


def _challenge_of(row: Sequence[Any]) -> Challenge:  # Any: JSON values in the order of Challenge's fields
    monday_day, answer, at_us, starts_us, ends_us, is_shown, lines, completed_us, reward_id, *more = row
    purchases = tuple(map(Line._make, lines))
    draws = tuple(draw_of(each) for documents in more for each in documents)
    return Challenge(monday_day, answer, at_us, starts_us, ends_us, is_shown, purchases, completed_us, reward_id, draws)


def draw_document(draw: Draw) -> dict[str, object]:
    """Return a draw as it is kept, and told of a decision."""
    replaced = {} if draw.replaced_by is None else {"replaced_by": draw.replaced_by}
    among = [list(each) for each in draw.among]
    return {"slot": draw.slot, "chosen": draw.chosen, "probability": draw.probability, "among": among, **replaced}


def draw_of(raw: Raw) -> Draw:
    """Return the draw of a document."""
    among = tuple(Odds(*each) for each in raw["among"])
    return Draw(raw["slot"], raw["chosen"], raw["probability"], among, raw.get("replaced_by"))
