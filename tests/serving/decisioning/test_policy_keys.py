"""Every key of ``policy.toml``: it says what it does, in the range that is enforced, and something goes by it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from serving.decisioning.policy import DEFAULT_POLICY_PATH, Policy, default_policy_text
from serving.decisioning.policy_merchandising import Boost, Pin
from serving.decisioning.policy_types import Range

ROOT = Path(__file__).parents[3]
# Sections whose fields are read one after the other, or by a name that comes in: a channel, a key of the consent.
READ_BY_NAME = {"consent", "quiet_hours"}
_RANGE = re.compile(r"\[(-?[\d.]+), (-?[\d.]+)\]")

Hint = Any  # a type hint


def sections() -> dict[str, type]:
    return {name: kind for name, kind in get_type_hints(Policy).items() if name != "merchandising"}


def ranges_of(hint: Hint) -> set[Range]:
    """Return the ranges that are enforced on a field, or on all fields of a table of numbers."""
    if is_dataclass(hint):
        return {each for inner in get_type_hints(hint, include_extras=True).values() for each in ranges_of(inner)}
    return {each for each in get_args(hint)[1:] if isinstance(each, Range)}


@cache
def comments() -> dict[str, str]:
    """Return the comment of each section (`section`) and key (`section.key`): beside it, below it, or right above."""
    found: dict[str, str] = {}
    section, last, above = "", "", ""
    for line in default_policy_text().splitlines():
        text = line.partition("#")[2].strip() if '"' not in line.partition("#")[0] else _after_quotes(line)
        if header := re.match(r"\[(\w+)\]", line):
            section = last = header[1]
            found[last] = text
        elif key := re.match(r"(\w+) =", line):
            last = f"{section}.{key[1]}"
            found[last] = text or above
        elif line.startswith(" ") and "#" in line and last:
            found[last] += " " + text
        above = text if line.startswith("#") else ""
    return found


def _after_quotes(line: str) -> str:
    return re.sub(r'"(?:[^"\\]|\\.)*"', "", line).partition("#")[2].strip()


def keys() -> Iterator[tuple[str, str, Hint]]:
    for section, kind in sections().items():
        for name, hint in get_type_hints(kind, include_extras=True).items():
            yield section, name, hint


ALL = [pytest.param(*each, id=f"{each[0]}.{each[1]}") for each in keys()]


@pytest.mark.parametrize(("section", "name", "hint"), ALL)
def test_a_key_says_what_it_does_in_the_range_that_is_enforced(section: str, name: str, hint: Hint) -> None:
    own, of_section = comments()[f"{section}.{name}"], comments()[section]
    assert own or of_section, "has no comment"
    enforced = ranges_of(hint)
    said = _RANGE.findall(own) or _RANGE.findall(of_section)
    if not enforced:
        numbers = {int, float} & ({hint} | set(get_args(hint)[:1]))
        assert not numbers, "is a number without a range"
        return
    assert {Range(float(low), float(high)) for low, high in said} == enforced


def test_every_key_of_the_file_is_a_field_and_every_field_is_in_the_file() -> None:
    in_file = {each for each in comments() if "." in each}
    assert in_file == {f"{section}.{each.name}" for section, kind in sections().items() for each in fields(kind)}


@pytest.mark.parametrize(("kind", "name"), [(Pin, "rank"), (Boost, "factor")])
def test_the_ranges_of_merchants_rules_are_those_that_are_enforced(kind: type, name: str) -> None:
    line = next(each for each in default_policy_text().splitlines() if each.startswith(f"# {name} = "))
    (enforced,) = ranges_of(get_type_hints(kind, include_extras=True)[name])
    assert [Range(float(low), float(high)) for low, high in _RANGE.findall(line)] == [enforced]


def spoken_names(tree: ast.AST) -> set[str]:
    """Return all names and attributes of a module."""
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return attributes | {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def read_by_name(tree: ast.AST) -> Iterator[str]:
    """Yield what a module reads with `getattr`, as patterns: for a name that is put together, whatever it can be."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            parts = node.args[1].values if isinstance(node.args[1], ast.JoinedStr) else [node.args[1]]
            yield "".join(re.escape(str(each.value)) if isinstance(each, ast.Constant) else ".+" for each in parts)


@cache
def readers() -> dict[str, list[tuple[set[str], list[str]]]]:
    """Return, for each section, what the modules that speak of it read: names, and patterns of names."""
    kinds = {section: kind.__name__ for section, kind in sections().items()}
    found: dict[str, list[tuple[set[str], list[str]]]] = {section: [] for section in kinds}
    for path in [*(ROOT / "serving").rglob("*.py"), *(ROOT / "training").rglob("*.py")]:
        if path.name.startswith("policy") and path.parent.name == "decisioning":
            continue
        tree = ast.parse(path.read_text("utf-8"))
        names, patterns = spoken_names(tree), list(read_by_name(tree))
        for section, kind in kinds.items():
            if kind in names or {section, "policy"} <= names:
                found[section].append((names, patterns))
    return found


@pytest.mark.parametrize(("section", "name", "hint"), ALL)
def test_something_goes_by_each_key(section: str, name: str, hint: Hint) -> None:
    def goes_by(names: set[str], patterns: list[str]) -> bool:
        by_name = [each for each in patterns if each != ".+" or section in READ_BY_NAME]
        return name in names or any(re.fullmatch(each, name) for each in by_name)

    assert any(goes_by(*each) for each in readers()[section]), f"nothing reads {section}.{name}"


def test_the_file_that_ships_is_the_one_that_is_read() -> None:
    assert DEFAULT_POLICY_PATH.read_text("utf-8") == default_policy_text()
