"""What merchants put forward, move up or down, or take out: the pins, boosts and bans of ``policy.toml``.

Each is a table of its own, ``[[pins]]``, ``[[boosts]]`` or ``[[bans]]``; docs/decisions.md says what it changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, get_type_hints

from serving.api_codes import Intent
from serving.decisioning.policy_types import Range, parsed_value

KINDS = ("pins", "boosts", "bans")
PIN_CALLS = ("recommendations", "challenge", "offers")
BOOST_CALLS = ("recommendations", "challenge", "also-bought", "substitutes", "offers")
BAN_CALLS = (*BOOST_CALLS, "actions")

Bound = date | datetime | None
Table = Mapping[str, Any]  # Any: TOML values


@dataclass(frozen=True)
class Aim:
    """What a rule is about: whatever any of these names. Ids are exact, other names match whatever their case."""

    products: tuple[str, ...] = ()
    product_types: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scope:
    """When and where a rule holds: in [starts, ends), on these calls; in all placements and stores where none is named.

    A date is the local day of who asks, a moment is the same everywhere; None is open.
    """

    calls: tuple[str, ...]
    starts: Bound = None
    ends: Bound = None
    placements: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pin:
    """One place in the answer for what it is about: the first named that may be shown, else the best ranked."""

    aim: Aim
    scope: Scope
    rank: Annotated[int, Range(1, 20)] = 1
    intents: tuple[str, ...] = tuple(Intent)


@dataclass(frozen=True)
class Boost:
    """What the odds, or the score, of what it is about are multiplied by."""

    aim: Aim
    scope: Scope
    factor: Annotated[float, Range(0.1, 10)]


@dataclass(frozen=True)
class Ban:
    """What is in no answer."""

    aim: Aim
    scope: Scope


@dataclass(frozen=True)
class Merchandising:
    """All rules of a policy, each kind in the order of the file."""

    pins: tuple[Pin, ...] = ()
    boosts: tuple[Boost, ...] = ()
    bans: tuple[Ban, ...] = ()


NO_RULES = Merchandising()

_AIMS = tuple(get_type_hints(Aim))
_PLACES = ("calls", "from", "to", "placements", "stores")
_WORDS = tuple[str, ...]
_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*(pins|boosts|bans)[ \t]*\]\]", re.MULTILINE)


def parse_merchandising(found: Table, text: str) -> tuple[Merchandising, list[str]]:
    """Return the rules of a policy's TOML and all that is wrong with them, each with its number and its line."""
    mistakes: list[str] = []
    pins = tuple(
        Pin(each.aim, each.scope, each.number("rank", Pin, 1), each.choice("intents", tuple(Intent)))
        for each in _rules(found, text, "pins", mistakes)
    )
    boosts = tuple(
        Boost(each.aim, each.scope, each.number("factor", Boost)) for each in _rules(found, text, "boosts", mistakes)
    )
    bans = tuple(Ban(each.aim, each.scope) for each in _rules(found, text, "bans", mistakes))
    return Merchandising(pins, boosts, bans), mistakes


class _Rule:
    """One table in the reading: its values by name, where it stands, and what is found wrong with it."""

    def __init__(self, table: Table, place: str, calls: tuple[str, ...], mistakes: list[str]) -> None:
        self._table = table
        self._place = place
        self._mistakes = mistakes
        self.aim = Aim(**{name: self._words(name) for name in _AIMS})
        self.scope = Scope(
            self.choice("calls", calls),
            self._bound("from"),
            self._bound("to"),
            self._words("placements"),
            self._words("stores"),
        )
        if not any(name in table for name in _AIMS):
            self._wrong(f"must name what it is about: {', '.join(_AIMS)}")
        starts, ends = self.scope.starts, self.scope.ends
        if type(starts) is type(ends) and starts is not None and ends is not None and starts >= ends:
            self._wrong(f"from ({starts}) must be before to ({ends}), which is not part of it any more")

    def number(self, name: str, kind: type, default: Any = None) -> Any:  # Any: of the field's own type
        value = self._table.get(name, default)
        if value is None:
            self._wrong(f"{name} is missing")
            return value
        value, mistake = parsed_value(value, get_type_hints(kind, include_extras=True)[name])
        if mistake:
            self._wrong(f"{name} {mistake}")
        return value

    def choice(self, name: str, known: tuple[str, ...]) -> tuple[str, ...]:
        words = self._words(name) if name in self._table else tuple(str(each) for each in known)
        for each in words:
            if each not in known:
                self._wrong(f"{name}: {each!r} is none of {', '.join(known)}")
        return words

    def _words(self, name: str) -> tuple[str, ...]:
        if name not in self._table:
            return ()
        words, mistake = parsed_value(self._table[name], _WORDS)
        if not mistake and not words:
            mistake = "must name something: leave it out where it does not matter"
        if mistake:
            self._wrong(f"{name} {mistake}")
        return tuple(words)

    def _bound(self, name: str) -> Bound:
        value = self._table.get(name)
        try:
            found = _moment(value) if isinstance(value, str) else value
        except ValueError:
            found = value
        is_moment = isinstance(found, datetime) and found.tzinfo is not None
        if found is None or is_moment or type(found) is date:
            return found
        self._wrong(
            f"{name} must be a day (2018-01-08) or a moment with its zone (2018-01-08T05:00:00Z), found {value}"
        )
        return None

    def _wrong(self, mistake: str) -> None:
        self._mistakes.append(f"{self._place}: {mistake}")


def _rules(found: Table, text: str, kind: str, mistakes: list[str]) -> Iterator[_Rule]:
    """Yield the rules of a kind as they are read, adding what is wrong with them to `mistakes`."""
    tables = found.get(kind, [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        mistakes.append(f"{kind}: must be tables, each begun with [[{kind}]]")
        return
    lines = [text.count("\n", 0, each.start()) + 1 for each in _HEADER.finditer(text) if each[1] == kind]
    own, calls = {
        "pins": (("rank", "intents"), PIN_CALLS),
        "boosts": (("factor",), BOOST_CALLS),
        "bans": ((), BAN_CALLS),
    }[kind]
    for i, table in enumerate(tables):
        place = f"{kind} {i + 1}" + (f" (line {lines[i]})" if len(lines) == len(tables) else "")
        known = (*_AIMS, *_PLACES, *own)
        mistakes += [f"{place}: {name}: unknown key" for name in table if name not in known]
        yield _Rule(table, place, calls, mistakes)


def _moment(text: str) -> date | datetime:
    """Return the day or the moment of a text; a day written alone is a date."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return datetime.fromisoformat(text)
