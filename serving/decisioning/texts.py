"""What a message says: templates and forms of a language, from one TOML file each, filled with true things.

A file of texts has the language's forms and, for every reason to act, why in one sentence and a subject and a text for
each kind of action. `serving/texts/` has those that ship with tercet; a merchant's own come with the bundle.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache, lru_cache
from pathlib import Path
from string import Formatter
from typing import Any

from serving.api_action_codes import ActionCode
from serving.api_offer_codes import ActionKind
from serving.decisioning.text_forms import N_DAYS, N_MONTHS, PLURALS, Forms, cut
from serving.decisioning.text_templates import Fact, Facts, Template
from serving.errors import PolicyError, TextsError

TEXTS_FOLDER = Path(__file__).parent.parent / "texts"

_ALWAYS, _MAYBE, _COUNT = Fact(), Fact(may_be_missing=True), Fact(is_number=True)
_GOODS = {"product": _ALWAYS, "products": _ALWAYS, "n": _COUNT, "price": _MAYBE, "last_bought": _MAYBE}
_OFFER = {"offer": _ALWAYS, "valid_to": _ALWAYS}
_SHOP = {"distance": _MAYBE, "closes": _MAYBE}
_CHALLENGE = {"done": _COUNT, "of": _COUNT, "left": _COUNT, "ends": _ALWAYS, "reward": _MAYBE}

ITEMS, OFFER, REWARD = ActionKind.ITEMS, ActionKind.OFFER, ActionKind.REWARD
FACTS: Mapping[ActionCode, Mapping[str, Fact]] = {
    ActionCode.WISHED: _GOODS,
    ActionCode.LEFT_IN_BASKET: _GOODS,
    ActionCode.SCANNED: _GOODS,
    ActionCode.NEAR_STORE: _GOODS | _SHOP,
    ActionCode.NEW_CATEGORY: {"product": _ALWAYS},
    ActionCode.DUE: _GOODS,
    ActionCode.LAUNCHED: _GOODS | {"category": _MAYBE},
    ActionCode.KEPT_WAITING: _GOODS,
    ActionCode.BACK_IN_STOCK: _GOODS,
    ActionCode.LOOKED_AT: _GOODS,
    ActionCode.REWARD_WAITING: {"reward": _ALWAYS, "ends": _ALWAYS},
    ActionCode.CHALLENGE_ENDING: _GOODS | _CHALLENGE,
}
"""The facts that the texts of each reason may name; those of an offer have `offer` and `valid_to` besides."""

KINDS: Mapping[ActionCode, tuple[ActionKind, ...]] = dict.fromkeys(FACTS, (ITEMS, OFFER)) | {
    ActionCode.NEW_CATEGORY: (OFFER,),
    ActionCode.REWARD_WAITING: (REWARD,),
    ActionCode.CHALLENGE_ENDING: (REWARD,),
}
"""The kinds of action that there are for each reason."""

OFFER_KINDS = ("discount", "free_shipping", "points", "gift")
_PATTERNS = {
    "money": ("amount", "symbol"),
    "money_without_symbol": ("amount", "code"),
    "date": ("weekday", "day", "month"),
    "time": ("hour", "hour12", "minute", "half"),
    "moment": ("date", "time"),
    "distance": ("amount",),
}


@dataclass(frozen=True)
class Written:
    """A message in plain text, and why it is sent."""

    subject: str
    text: str
    why: str


@dataclass(frozen=True)
class _Message:
    subject: Template
    text: Template


class Language:
    """The texts of one language, checked and ready to be filled."""

    def __init__(self, forms: Forms, messages: Mapping[tuple[ActionCode, ActionKind], _Message], said: _Said) -> None:
        self.forms = forms
        self._messages = messages
        self._said = said

    def written(
        self, code: ActionCode, kind: ActionKind, facts: Facts, *, subject_chars: int, text_chars: int
    ) -> Written:
        """Return the message for a reason and a kind of action, cut to the characters that it may have."""
        message = self._messages[code, kind]
        known = {name: facts[name] for name in FACTS[code]}
        offered = known | {name: facts[name] for name in _OFFER} if kind is OFFER else known
        return Written(
            cut(_begun(message.subject.filled(offered)), subject_chars),
            cut(_begun(message.text.filled(offered)), text_chars),
            _begun(self._said.whys[code].filled(known)),
        )

    def offer_words(self, kind: str, value: str | None) -> str:
        """Return what an offer gives, in words; `value` is money as it is read, None where it is not known."""
        return self._said.offers[kind].filled({"value": value})


@dataclass(frozen=True)
class _Said:
    whys: Mapping[ActionCode, Template]
    offers: Mapping[str, Template]


@lru_cache(maxsize=16)  # making the templates takes a tenth of a second, and every arm and bundle needs them
def parse_texts(source: str) -> Language:
    """Return the language of a file of texts; TextsError lists every unknown, missing or wrong key at once."""
    try:
        found = tomllib.loads(source)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError; so are endless numbers
        raise TextsError(f"not TOML: {error}") from error
    mistakes = [f"{name}: unknown section" for name in found if name not in {"form", "offers", "messages"}]
    forms = _forms(_table(found, "form", "form", mistakes), mistakes)
    if forms is None:
        raise TextsError("; ".join(mistakes))
    reader = _Reader(forms, mistakes)
    offers = reader.offers(_table(found, "offers", "offers", mistakes))
    whys, messages = reader.messages(_table(found, "messages", "messages", mistakes))
    if mistakes:
        raise TextsError("; ".join(mistakes))
    return Language(forms, messages, _Said(whys, offers))


@cache
def shipped_texts() -> Mapping[str, str]:
    """Return the sources of the texts that ship with tercet, by language."""
    return {path.stem: path.read_text("utf-8") for path in sorted(TEXTS_FOLDER.glob("*.toml"))}


def language_named(name: str, own: Mapping[str, str]) -> Language:
    """Return a language by its name: of a merchant's own texts, else of those that ship with tercet.

    PolicyError where neither has it.
    """
    known = {**shipped_texts(), **own}
    if name not in known:
        raise PolicyError(f"actions.language: there are no texts in {name!r}, only in {', '.join(sorted(known))}")
    return parse_texts(known[name])


class _Reader:
    """Reads templates, and collects what is wrong with them."""

    def __init__(self, forms: Forms, mistakes: list[str]) -> None:
        self._forms = forms
        self._mistakes = mistakes

    def offers(self, table: Mapping[str, Any]) -> dict[str, Template]:  # Any: a TOML table
        self._report_unknown(table, OFFER_KINDS, "offers")
        facts = {"value": _MAYBE}
        return dict(self._templates(table, dict.fromkeys(OFFER_KINDS, facts), "offers"))

    def messages(
        self,
        table: Mapping[str, Any],  # Any: a TOML table
    ) -> tuple[dict[ActionCode, Template], dict[tuple[ActionCode, ActionKind], _Message]]:
        self._report_unknown(table, [str(code) for code in FACTS], "messages")
        whys: dict[ActionCode, Template] = {}
        messages = {}
        for code, facts in FACTS.items():
            place = f"messages.{code}"
            own = _table(table, code, place, self._mistakes)
            self._report_unknown(own, ["why", *map(str, KINDS[code])], place)
            whys.update((code, each) for _, each in self._templates(own, {"why": facts}, place))
            for kind in KINDS[code]:
                message = self._message(own, kind, {**facts, **_OFFER} if kind is OFFER else facts, place)
                if message is not None:
                    messages[code, kind] = message
        return whys, messages

    # Any: a TOML table.
    def _message(
        self, table: Mapping[str, Any], kind: ActionKind, facts: Mapping[str, Fact], place: str
    ) -> _Message | None:
        where = f"{place}.{kind}"
        own = _table(table, kind, where, self._mistakes)
        self._report_unknown(own, ("subject", "text"), where)
        found = dict(self._templates(own, {"subject": facts, "text": facts}, where))
        return _Message(**found) if len(found) == 2 else None

    # Any: a TOML table.
    def _templates(
        self, table: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Fact]], place: str
    ) -> Iterator[tuple[str, Template]]:
        for name, facts in wanted.items():
            source = table.get(name)
            if not isinstance(source, str):
                said = "missing" if source is None else "must be a text"
                self._mistakes.append(f"{place}.{name}: {said}")
                continue
            try:
                yield name, Template(source, facts, self._forms)
            except TextsError as error:
                self._mistakes.append(f"{place}.{name}: {error}")

    def _report_unknown(self, table: Mapping[str, Any], known: object, place: str) -> None:  # Any: a TOML table
        names = set(known) if isinstance(known, list | tuple) else set()
        self._mistakes += [f"{place}.{name}: unknown key" for name in table if name not in names]


# Any: TOML tables and values, until they are checked.
def _table(found: Mapping[str, Any], name: str, place: str, mistakes: list[str]) -> Mapping[str, Any]:
    table = found.get(name)
    if isinstance(table, dict):
        return table
    mistakes.append(f"{place}: this section is missing")
    return {}


def _forms(table: Mapping[str, Any], mistakes: list[str]) -> Forms | None:
    """Return the forms of a language, None where there are mistakes."""
    before = len(mistakes)
    names = [each.name for each in fields(Forms)]
    mistakes += [f"form.{name}: unknown key" for name in table if name not in names]
    for name in names:
        wrong = "missing" if name not in table else _form_mistake(name, table[name])
        if wrong:
            mistakes.append(f"form.{name}: {wrong}")
    if len(mistakes) > before:
        return None
    values: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in table.items()}
    return Forms(**values)


def _form_mistake(name: str, value: Any) -> str:
    """Return what is wrong with one form, an empty text where nothing is."""
    if name in {"days", "months"}:
        n = N_DAYS if name == "days" else N_MONTHS
        return "" if _are_words(value) and len(value) == n else f"must be a list of {n} words"
    if name == "symbols":
        is_sound = isinstance(value, dict) and _are_words(list(value.values()))
        return "" if is_sound else "must be a table of currency codes and their symbols"
    if name == "distance_km":
        is_sound = type(value) in {int, float} and math.isfinite(value) and value > 0
        return "" if is_sound else "must be a number above 0"
    if not isinstance(value, str):
        return "must be a text"
    if name == "plural" and value not in PLURALS:
        return f"must be one of {', '.join(PLURALS)}, found {value!r}"
    return _pattern_mistake(value, _PATTERNS[name]) if name in _PATTERNS else ""


def _pattern_mistake(pattern: str, names: tuple[str, ...]) -> str:
    known = ", ".join(f"{{{each}}}" for each in names)
    try:
        parts = list(Formatter().parse(pattern))
    except ValueError as error:
        return f"is no pattern: {error}"
    wrong = [
        part for _, part, form, conversion in parts if part is not None and (part not in names or form or conversion)
    ]
    return f"may hold {known} only" if wrong else ""


def _are_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) and each for each in value)


def _begun(text: str) -> str:
    """Return a text with its first letter as a capital."""
    return text[:1].upper() + text[1:]
