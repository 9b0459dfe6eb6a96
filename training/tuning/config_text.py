"""A config's text with other values and its study: comments, `[quick]` and `[search]` stay as they are."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from training.config import Study, merged, nested
from training.errors import TuningError

_VALUE = re.compile(r"""^(\s*[\w.-]+\s*=\s*)("[^"]*"|'[^']*'|\[[^\]]*\]|[^\s#]+)""")
_OWN = ("quick", "search", "study")
_STUDY = "study"


def with_values(text: str, values: Mapping[str, Any], study: Study | None) -> str:
    """Return the config's text with these values, by dotted name, and its `[study]`; one that stood there goes.

    Raises
    ------
    TuningError
        When a value can't be set there: its table or value is written in a form that isn't understood.
    """
    lines = _without_study(text.splitlines())
    for name, value in values.items():
        table, _, key = name.rpartition(".")
        lines = _set(lines, table, key, toml_literal(value))
    if study is not None:
        lines = [*_trimmed(lines), "", *_study_lines(study)]
    changed = "\n".join(_trimmed(lines)) + "\n"
    _check(text, changed, values, study)
    return changed


def toml_literal(value: Any) -> str:
    """Return a number, text, truth or list as TOML.

    >>> toml_literal((1, 0.5, "x", True))
    '[1, 0.5, "x", true]'
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(toml_literal(each) for each in value)}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _set(lines: list[str], table: str, key: str, literal: str) -> list[str]:
    """Return the lines with `key` of `table` set; where it doesn't stand there yet, at the end of its table."""
    start, stop = _section(lines, table)
    for i in range(start, stop):
        match = _VALUE.match(lines[i])
        if match and match[1].partition("=")[0].strip() == key:
            return [*lines[:i], match[1] + literal + lines[i][match.end() :], *lines[i + 1 :]]
    if start >= 0:
        end = start + len(_trimmed(lines[start:stop]))
        return [*lines[:end], f"{key} = {literal}", *lines[end:]]
    place = next((i for i, line in enumerate(lines) if (_header(line) or "").partition(".")[0] in _OWN), len(lines))
    return [*_trimmed(lines[:place]), "", f"[{table}]", f"{key} = {literal}", "", *lines[place:]]


def _section(lines: list[str], table: str) -> tuple[int, int]:
    """Return where the lines of a table begin and end; the top's are those before the first header, (−1, −1): none."""
    headers = [(i, name) for i, line in enumerate(lines) if (name := _header(line)) is not None]
    start = 0 if not table else next((i + 1 for i, name in headers if name == table), -1)
    if start < 0:
        return -1, -1
    return start, next((i for i, _ in headers if i >= start), len(lines))


def _header(line: str) -> str | None:
    """Return the name of the table that a line begins, or None."""
    bare = line.split("#")[0].strip()
    return bare.strip("[]").strip() if bare.startswith("[") and bare.endswith("]") and "=" not in bare else None


def _without_study(lines: list[str]) -> list[str]:
    """Return the lines without the study, and without the comment that stands right above it."""
    start, stop = _section(lines, _STUDY)
    if start < 0:
        return lines
    first = start - 1
    while first and lines[first - 1].startswith("#"):
        first -= 1
    return [*_trimmed(lines[:first]), *([""] if lines[stop:] else []), *lines[stop:]]


def _study_lines(study: Study) -> list[str]:
    given = {name: value for name, value in dataclasses.asdict(study).items() if value is not None}
    return ["[study]", *(f"{name} = {toml_literal(value)}" for name, value in given.items())]


def _trimmed(lines: list[str]) -> list[str]:
    """Return the lines without empty ones at the end."""
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    return lines[:end]


def _check(before: str, after: str, values: Mapping[str, Any], study: Study | None) -> None:
    """Refuse a text that doesn't say what was meant."""
    meant = merged(tomllib.loads(before), nested(values))
    meant.pop(_STUDY, None)
    if study is not None:
        given = {name: value for name, value in dataclasses.asdict(study).items() if value is not None}
        meant[_STUDY] = given
    try:
        said = tomllib.loads(after)
    except tomllib.TOMLDecodeError:
        said = {}
    if json.dumps(said, sort_keys=True) != json.dumps(meant, sort_keys=True):
        raise TuningError(
            f"{', '.join(values)} can't be set in the config's text: write each on a line of its own, under its [table]"
        )
