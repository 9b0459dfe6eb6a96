"""Rules over scores, such as ``churn_probability > 0.4 and customer_score > 60``: a small grammar, read by hand.

::

    rule       = both { "or" both }
    both       = single { "and" single }
    single     = "not" single | "(" rule ")" | comparison
    comparison = field ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
               | field [ "not" ] "in" "(" value { "," value } ")"
    field      = a name of `FIELDS` | "categories" "[" text "]"
    value      = number | text in single or double quotes

Keywords and names may be written in any case, and ``==`` and ``<>`` do as well. Nothing is ever evaluated as code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from serving.api import moment_in
from serving.errors import InvalidRequest

Mask = npt.NDArray[np.bool_]

MAX_RULE_LENGTH = 2_000
MAX_DEPTH = 20
_LARGEST = 1e30  # what the scores' own precision can be compared with


class Kind(StrEnum):
    """What the values of a field are."""

    NUMBER = "a number"
    TEXT = "a text in quotes"
    MOMENT = "a date and time in quotes"


CATEGORIES = "categories"
FIELDS = {
    "churn_probability": Kind.NUMBER,
    "next_purchase_at": Kind.MOMENT,
    "lifetime_value": Kind.NUMBER,
    "customer_score": Kind.NUMBER,
    "segment": Kind.TEXT,
    "engagement_tier": Kind.TEXT,
    "best_channel": Kind.TEXT,
    "best_hour": Kind.NUMBER,
}
"""The fields of a score that a rule may name, besides ``categories["…"]``: the chance of buying there in 28 days."""


class Scores(Protocol):
    """The scores that a rule is asked of, one entry a customer."""

    def numbers(self, field: str) -> npt.NDArray[np.floating]:
        """Return a field's numbers (a moment as epoch microseconds), NaN where not known."""

    def labels(self, field: str) -> tuple[npt.NDArray[np.integer], Sequence[str]]:
        """Return each customer's row in the labels of a field, -1 where not known, and the labels."""

    def category(self, name: str) -> npt.NDArray[np.floating] | None:
        """Return the chances of a purchase in a category, None when there is no such category."""


Rule = Callable[[Scores], Mask]
"""Says of each customer whether they fit: ``(n_customers,)``. A comparison with what is not known doesn't hold."""


def parse_rule(text: str) -> Rule:
    """Return the rule of a text.

    Raises
    ------
    InvalidRequest
        Of the field ``rule``: with the place (characters from 1) and what was expected there.
    """
    if len(text) > MAX_RULE_LENGTH:
        raise InvalidRequest("rule", f"has more than {MAX_RULE_LENGTH:,} characters")
    parser = _Parser(_tokens(text), len(text))
    rule = parser.rule(0)
    parser.expect_end()
    return rule


class _Token(NamedTuple):
    """One word or sign; `kind` is ``number``, ``name``, ``text``, ``sign`` or ``end``, `place` counts from 1."""

    kind: str
    text: str
    place: int


_TOKEN = re.compile(
    r"(?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?(?![\w.]))"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<text>\"[^\"]*\"|'[^']*')"
    r"|(?P<sign><=|>=|!=|<>|==|[=<>()\[\],])"
)
_SIGNS = {"==": "=", "<>": "!="}
_COMPARE: dict[str, Callable[[npt.NDArray[np.floating], float], Mask]] = {
    "=": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    place = 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        match = _TOKEN.match(text, place)
        if match is None:
            what = "this text has no closing quote" if text[place] in "\"'" else f"{text[place]!r} means nothing here"
            raise _wrong(place + 1, what)
        word = match[0]
        kind = str(match.lastgroup)
        found.append(_Token(kind, _SIGNS.get(word, word) if kind == "sign" else word, place + 1))
        place = match.end()
    return found


class _Parser:
    """Reads tokens from left to right; each method takes what it can and returns its rule."""

    def __init__(self, tokens: Sequence[_Token], length: int) -> None:
        self._tokens = tokens
        self._place = 0
        self._end = _Token("end", "", length + 1)

    def rule(self, depth: int) -> Rule:
        parts = [self._both(depth)]
        while self._took_word("or"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else lambda scores: np.logical_or.reduce([part(scores) for part in parts])

    def expect_end(self) -> None:
        if self._next is not self._end:
            raise self._unexpected("`and`, `or` or the end")

    def _both(self, depth: int) -> Rule:
        parts = [self._single(depth)]
        while self._took_word("and"):
            parts.append(self._single(depth))
        return parts[0] if len(parts) == 1 else lambda scores: np.logical_and.reduce([part(scores) for part in parts])

    def _single(self, depth: int) -> Rule:
        if depth > MAX_DEPTH:
            raise _wrong(self._next.place, f"more than {MAX_DEPTH} parentheses or `not` inside each other")
        if self._took_word("not"):
            inner = self._single(depth + 1)
            return lambda scores: ~inner(scores)
        if self._took_sign("("):
            rule = self.rule(depth + 1)
            self._expect_sign(")")
            return rule
        return self._comparison()

    def _comparison(self) -> Rule:
        field = self._field()
        is_not = self._took_word("not")
        if is_not or self._next_word == "in":
            if not self._took_word("in"):
                raise self._unexpected("`in`")
            values = self._values(field)
            return _within(field, values, is_not=is_not)
        sign = self._take()
        if sign.kind != "sign" or sign.text not in _COMPARE:
            raise self._unexpected("one of = != < <= > >= in", sign)
        if field.kind is Kind.TEXT and sign.text not in ("=", "!="):
            raise _wrong(sign.place, f"{field.name} is a text: compare it with =, != or in")
        return _compared(field, sign.text, self._value(field))

    def _field(self) -> _Field:
        token = self._take()
        name = token.text.lower()
        if token.kind == "name" and name == CATEGORIES:
            self._expect_sign("[")
            category = self._take()
            if category.kind != "text":
                raise self._unexpected("a category in quotes", category)
            self._expect_sign("]")
            return _Field(name, Kind.NUMBER, category.text[1:-1], category.place)
        if token.kind != "name" or name not in FIELDS:
            raise self._unexpected(f'one of {", ".join(FIELDS)}, categories["…"]', token)
        return _Field(name, FIELDS[name], "", token.place)

    def _values(self, field: _Field) -> list[float | str]:
        self._expect_sign("(")
        values = [self._value(field)]
        while self._took_sign(","):
            values.append(self._value(field))
        self._expect_sign(")")
        return values

    def _value(self, field: _Field) -> float | str:
        token = self._take()
        if token.kind != ("number" if field.kind is Kind.NUMBER else "text"):
            raise self._unexpected(f"{field.kind} to compare {field.name} with", token)
        if field.kind is Kind.NUMBER:
            if abs(float(token.text)) > _LARGEST:
                raise _wrong(token.place, "this number is too large")
            return float(token.text)
        if field.kind is Kind.TEXT:
            return token.text[1:-1]
        try:
            return moment_in(token.text[1:-1], needs_zone=True).timestamp() * 1e6
        except ValueError as error:
            raise _wrong(token.place, str(error)) from None

    @property
    def _next(self) -> _Token:
        return self._tokens[self._place] if self._place < len(self._tokens) else self._end

    @property
    def _next_word(self) -> str:
        return self._next.text.lower() if self._next.kind == "name" else ""

    def _take(self) -> _Token:
        token = self._next
        self._place += 1
        return token

    def _took_word(self, word: str) -> bool:
        if self._next_word != word:
            return False
        self._place += 1
        return True

    def _took_sign(self, sign: str) -> bool:
        if self._next.kind != "sign" or self._next.text != sign:
            return False
        self._place += 1
        return True

    def _expect_sign(self, sign: str) -> None:
        if not self._took_sign(sign):
            raise self._unexpected(f"`{sign}`")

    def _unexpected(self, expected: str, token: _Token | None = None) -> InvalidRequest:
        found = token or self._next
        what = "the end" if found.kind == "end" else f"`{found.text}`"
        return _wrong(found.place, f"expected {expected}, found {what}")


@dataclass(frozen=True, slots=True)
class _Field:
    """What a comparison is of; `category` is a name where the field is ``categories``."""

    name: str
    kind: Kind
    category: str
    place: int

    def numbers(self, scores: Scores) -> npt.NDArray[np.floating]:
        if self.name != CATEGORIES:
            return scores.numbers(self.name)
        found = scores.category(self.category)
        if found is None:
            raise _wrong(self.place, f"there is no category {self.category!r}")
        return found

    def codes(self, scores: Scores, values: Sequence[float | str]) -> tuple[npt.NDArray[np.integer], list[int]]:
        """Return the label rows of the customers, and those of the labels that `values` name, whatever their case."""
        wanted = {str(each).casefold() for each in values}
        rows, labels = scores.labels(self.name)
        return rows, [row for row, label in enumerate(labels) if label.casefold() in wanted]


def _compared(field: _Field, sign: str, value: float | str) -> Rule:
    if field.kind is Kind.TEXT:
        return _within(field, [value], is_not=sign == "!=")
    compare, number = _COMPARE[sign], float(value)

    def fits(scores: Scores) -> Mask:
        numbers = field.numbers(scores)
        found: Mask = compare(numbers, number) & ~np.isnan(numbers)
        return found

    return fits


def _within(field: _Field, values: Sequence[float | str], *, is_not: bool) -> Rule:
    def fits(scores: Scores) -> Mask:
        if field.kind is Kind.TEXT:
            rows, wanted = field.codes(scores, values)
            listed: Mask = (np.isin(rows, wanted) != is_not) & (rows >= 0)
            return listed
        numbers = field.numbers(scores)
        wanted_numbers = np.array([float(each) for each in values], dtype=numbers.dtype)
        found: Mask = (np.isin(numbers, wanted_numbers) != is_not) & ~np.isnan(numbers)
        return found

    return fits


def _wrong(place: int, what: str) -> InvalidRequest:
    return InvalidRequest("rule", f"at character {place}: {what}")
