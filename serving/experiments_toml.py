"""Reads `experiments.toml`: all mistakes at once, each with its place."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from serving.decisioning.policy import default_policy_text, parsed_values, with_values
from serving.errors import ExperimentsError, PolicyError
from serving.experiments import HOLDOUT, Arm, Experiment, Experiments, Holdout, LiftPolicy

DEFAULT_PATH = Path(__file__).with_name("experiments.toml")
FILE_NAME = "experiments.toml"

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_FIXED_SECTIONS = ("shop", "consent", "state", "lists")
"""What holds for the whole shop, or went into the bundle's arrays: no arm can have its own."""

_SHARES_SLACK = 1e-9

S = TypeVar("S")
Table = Mapping[str, Any]  # Any: a TOML table


@cache
def default_experiments_text() -> str:
    """Return the text of the file that ships with tercet: no holdout, no experiment, comments and all."""
    return DEFAULT_PATH.read_text("utf-8")


def default_experiments() -> Experiments:
    """Return what holds where there is no file."""
    return parse_experiments(default_experiments_text())


def parse_experiments(text: str) -> Experiments:
    """Return what a TOML text says; ExperimentsError lists every unknown, missing or wrong key at once."""
    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError; so are endless numbers
        raise ExperimentsError(f"not TOML: {error}") from error
    mistakes = [f"{name}: unknown section" for name in found if name not in ("holdout", "lift", "experiment")]
    holdout = _section("holdout", Holdout, found, mistakes)
    lift = _section("lift", LiftPolicy, found, mistakes)
    experiments = _experiments(found.get("experiment", []), mistakes)
    if mistakes or holdout is None or lift is None:
        raise ExperimentsError("; ".join(mistakes))
    return Experiments(holdout, lift, tuple(experiments))


def _section(name: str, kind: type[S], found: Table, mistakes: list[str]) -> S | None:
    values, wrong = parsed_values(name, kind, found)
    mistakes += wrong
    return None if wrong else kind(**values)


def _experiments(tables: object, mistakes: list[str]) -> list[Experiment]:
    if not _are_tables(tables):
        mistakes.append("experiment: must be tables, each begun with [[experiment]]")
        return []
    read = [_experiment(f"experiment {i}", table, mistakes) for i, table in enumerate(tables, start=1)]
    experiments = [each for each in read if each is not None]
    mistakes += _repeated("experiment", [each.name for each in experiments])
    mistakes += _repeated("salt", [each.salt for each in experiments])
    return experiments


def _experiment(place: str, table: Table, mistakes: list[str]) -> Experiment | None:
    """Return one experiment, None where it has mistakes: these are added with the place where they stand."""
    n_before = len(mistakes)
    name = _name(place, table, mistakes)
    place = f"{place} ({name})" if name else place
    mistakes += _keys(place, table, needed=("name", "start", "end", "arm"), known=("salt",))
    if name == HOLDOUT:
        mistakes.append(f"{place}: the name {HOLDOUT!r} is taken by the holdout")
    start, end = (_moment(f"{place}.{key}", table.get(key), mistakes) for key in ("start", "end"))
    if start is not None and end is not None and start >= end:
        mistakes.append(f"{place}.end: must be after start ({start.isoformat()}), found {end.isoformat()}")
    salt = table.get("salt", name)
    if not isinstance(salt, str) or not salt:
        mistakes.append(f"{place}.salt: must be a text, found {salt!r}")
    arms = _arms(place, table.get("arm", []), mistakes)
    if len(mistakes) > n_before or start is None or end is None:
        return None
    return Experiment(name, start, end, tuple(arms), salt)


def _arms(place: str, tables: object, mistakes: list[str]) -> list[Arm]:
    if not _are_tables(tables):
        mistakes.append(f"{place}.arm: must be tables, each begun with [[experiment.arm]]")
        return []
    arms = [_arm(f"{place}, arm {i}", table, mistakes) for i, table in enumerate(tables, start=1)]
    if len(arms) < 2:
        mistakes.append(f"{place}: needs two arms or more, the first of them the control, found {len(arms)}")
    mistakes += _repeated(f"{place}, arm", [arm.name for arm in arms])
    if arms and arms[0].policy:
        mistakes.append(f"{place}, arm 1: is the control, so it has no policy of its own")
    total = sum(arm.share for arm in arms)
    if total > 1 + _SHARES_SLACK:
        mistakes.append(f"{place}: the shares of its arms add up to {total:g}, which is more than 1")
    return arms


def _arm(place: str, table: Table, mistakes: list[str]) -> Arm:
    name = _name(place, table, mistakes)
    place = f"{place} ({name})" if name else place
    mistakes += _keys(place, table, needed=("name", "share"), known=("policy",))
    share = table.get("share", 1.0 if "share" not in table else None)
    is_number = isinstance(share, int | float) and not isinstance(share, bool)
    if not is_number or not 0.0 < share <= 1.0:
        mistakes.append(f"{place}.share: must be a number above 0 and up to 1, found {share!r}")
        share = 0.0
    policy = table.get("policy", {})
    if isinstance(policy, dict):
        mistakes += _policy_mistakes(f"{place}.policy", policy)
    else:
        mistakes.append(f"{place}.policy: must be a table, begun with [experiment.arm.policy]")
        policy = {}
    return Arm(name, float(share), policy)


def _policy_mistakes(place: str, changes: Table) -> list[str]:
    """Return what is wrong with each change by itself, or else with all of them together."""
    mistakes = []
    for key, value in changes.items():
        if not isinstance(value, str | float | int):
            mistakes.append(
                f'{place}: {key!r} must be a full key in quotes with one value, as "stretch.link_bonus" = 0.5'
            )
        elif key.partition(".")[0] in _FIXED_SECTIONS:
            mistakes.append(f"{place}: {key} is the same for the whole shop, so no arm can have its own")
        else:
            mistakes += _refused({key: value}, place)
    return mistakes or _refused(changes, place)


def _refused(changes: Table, place: str) -> list[str]:
    try:
        with_values(default_policy_text(), changes)
    except PolicyError as error:
        return [f"{place}: {error}"]
    return []


def _name(place: str, table: Table, mistakes: list[str]) -> str:
    name = table.get("name", "")
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    if "name" in table:
        mistakes.append(f"{place}.name: must be small letters, digits, - and _, at most 64 of them, found {name!r}")
    return ""


def _moment(place: str, value: object, mistakes: list[str]) -> datetime | None:
    """Return a moment written as TOML's date-time or as ISO 8601 in quotes."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return moment
    mistakes.append(f"{place}: must be a moment with its zone, such as 2018-01-08T05:00:00Z, found {str(value)!r}")
    return None


def _keys(place: str, table: Table, *, needed: Sequence[str], known: Sequence[str]) -> list[str]:
    unknown = [f"{place}.{key}: unknown key" for key in table if key not in (*needed, *known)]
    return unknown + [f"{place}.{key}: missing" for key in needed if key not in table]


def _repeated(what: str, names: Sequence[str]) -> list[str]:
    return [f"{what} {each!r} stands there twice" for each in dict.fromkeys(names) if each and names.count(each) > 1]


def _are_tables(value: object) -> TypeGuard[list[Table]]:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)
