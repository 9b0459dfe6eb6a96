"""Frozen, typed settings from TOML: a model's config, its quick variant and its search space.

A file `training/configs/<model>.toml` holds the config's fields at the top (nested dataclasses as tables), and beside
them three tables of its own: `[quick]`, what `--quick` changes, `[search]`, the space that `tercet tune` searches, by
dotted field name, and `[study]`, the search that the values come from::

    n_cutoffs = 12
    [trees]
    n_trees = 150
    [quick]
    n_cutoffs = 8
    [search]
    "trees.learning_rate" = {low = 0.02, high = 0.2, log = true}
    "trees.n_leaves" = {choices = [31, 63]}
    [study]
    name = "churn-20171009"
    trials = 40
    cutoffs = ["2017-07-17", "2017-08-14"]
    metric = "auc"
    value = 0.859
    data_digest = "3a0c9f"
    date = "2017-12-31"

A home's own `<home>/configs/<model>.toml` has the same form (training/home_configs.py). Unknown keys, wrong types, and
search names that no field has are errors, all listed at once.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from importlib import resources
from typing import Any, TypeVar

from training.errors import ConfigError

_QUICK = "quick"
_SEARCH = "search"
_STUDY = "study"

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class SearchRange:
    """A range, or a set of choices, that a tuner may draw one config field from."""

    name: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()  # Any: a choice has the field's own type

    def __post_init__(self) -> None:
        """Refuse a space that is neither a range nor a set of choices."""
        is_range = self.low is not None and self.high is not None and self.low < self.high
        if is_range == bool(self.choices):
            raise ConfigError(f"search space of {self.name}: give either low < high, or choices")
        if self.log and (self.low is None or self.low <= 0):
            raise ConfigError(f"search space of {self.name}: a logarithmic range starts above 0, found {self.low}")


@dataclasses.dataclass(frozen=True)
class Study:
    """Where a config's values come from: the search that chose or confirmed them.

    Attributes
    ----------
    name, trials
        The study as MLflow has it, and how many settings it tried, the shipped ones among them.
    cutoffs, metric, value
        On which cutoffs (ISO dates) it judged them, by what, and what the chosen ones reached there.
    data_digest, date
        The checked tables that it saw, and the day up to which these were known.
    seed
        What it drew with; None for a search by hand.
    shipped_value, gain, gain_low, gain_high
        What the settings before it reached, how much better the chosen ones are, and the 95 % interval of that by
        customer; None where it isn't known.
    """

    name: str
    trials: int
    cutoffs: tuple[str, ...]
    metric: str
    value: float
    data_digest: str
    date: str
    seed: int | None = None
    shipped_value: float | None = None
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None

    def __post_init__(self) -> None:
        """Refuse a study that tried nothing."""
        if self.trials < 1:
            raise ConfigError(f"[study] trials must be at least 1, found {self.trials}")


def load_config(cls: type[T], name: str, *, is_quick: bool = False) -> T:
    """Return the shipped config `<name>.toml` as a frozen `cls`; with `is_quick`, its `[quick]` table on top."""
    return parse_config(cls, shipped_text(name), where=f"configs/{name}.toml", is_quick=is_quick)


def load_search(cls: type[Any], name: str) -> tuple[SearchRange, ...]:
    """Return the search space that stands beside the shipped config `name`, in file order; empty without one."""
    return parse_search(cls, shipped_text(name), where=f"configs/{name}.toml")


def load_study(name: str) -> Study | None:
    """Return the study that the shipped config `name` comes from; None where it names none."""
    return parse_study(shipped_text(name), where=f"configs/{name}.toml")


def shipped_text(name: str) -> str:
    """Return the text of `training/configs/<name>.toml`."""
    file = resources.files("training") / "configs" / f"{name}.toml"
    if not file.is_file():
        raise ConfigError(f"no config named {name!r}: training/configs/{name}.toml does not exist")
    return file.read_text(encoding="utf-8")


def parse_config(cls: type[T], text: str, *, where: str, is_quick: bool = False) -> T:
    """Return a frozen `cls` from TOML text; fields that the text leaves out keep their defaults."""
    table = _table(text, where)
    quick = table.pop(_QUICK, {})
    table.pop(_SEARCH, None)
    table.pop(_STUDY, None)
    errors: list[str] = []
    _check_keys(cls, quick, f"{_QUICK}.", errors)
    return build_config(cls, merged(table, quick) if is_quick else table, where=where, errors=errors)


def parse_search(cls: type[Any], text: str, *, where: str) -> tuple[SearchRange, ...]:
    """Return the search ranges of TOML text, each checked against the fields of `cls`."""
    hints = field_hints(cls)
    table: Mapping[str, Any] = _table(text, where).get(_SEARCH, {})
    allowed = {field.name for field in dataclasses.fields(SearchRange)} - {"name"}
    errors = [f"[search] {name}: no such field" for name in table if name not in hints]
    for name, space in table.items():
        extra = sorted(set(space) - allowed) if isinstance(space, Mapping) else ["(not a table)"]
        errors += [f"[search] {name}: unknown key {key}" for key in extra]
        errors += [] if extra or name not in hints else _misfits(name, space, hints[name])
    if errors:
        raise ConfigError(f"{where}: " + "; ".join(errors))
    return tuple(_construct(SearchRange, {"name": name, **space}) for name, space in table.items())


def parse_study(text: str, *, where: str) -> Study | None:
    """Return the study of TOML text, checked; None where it has no `[study]`."""
    table = _table(text, where).get(_STUDY)
    if table is None:
        return None
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: [study] is {table!r}, expected a table")
    required = (field.name for field in dataclasses.fields(Study) if field.default is dataclasses.MISSING)
    errors = [f"[study] {name} is missing" for name in required if name not in table]
    return build_config(Study, table, where=f"{where}: [study]", errors=errors)


def build_config(cls: type[T], table: Mapping[str, Any], *, where: str, errors: list[str] | None = None) -> T:
    """Return a frozen `cls` from a plain nested mapping (a TOML table, or trial values merged over one)."""
    found = [] if errors is None else errors
    _check_keys(cls, table, "", found)
    if found:
        raise ConfigError(f"{where}: " + "; ".join(found))
    try:
        return _construct(cls, table)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def field_names(cls: type[Any]) -> list[str]:
    """Return the dotted names of all fields of a config class."""
    return list(field_hints(cls))


def field_hints(cls: type[Any], prefix: str = "") -> dict[str, Any]:
    """Return the type of every field of a config class, by dotted name."""
    hints = typing.get_type_hints(cls)
    found: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            found |= field_hints(hint, f"{prefix}{field.name}.")
        else:
            found[prefix + field.name] = hint
    return found


def field_value(config: Any, name: str) -> Any:
    """Return the value of a config's field by its dotted name."""
    for part in name.split("."):
        config = getattr(config, part)
    return config


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by dotted name as nested tables.

    >>> nested({"a": 1, "t.x": 2})
    {'a': 1, 't': {'x': 2}}
    """
    result: dict[str, Any] = {}
    for name, value in values.items():
        *tables, last = name.split(".")
        part: dict[str, Any] = {last: value}
        for table in reversed(tables):
            part = {table: part}
        result = merged(result, part)
    return result


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return `below` with the values of `above` laid over it, table by table.

    >>> merged({"a": 1, "t": {"x": 1, "y": 2}}, {"t": {"y": 3}})
    {'a': 1, 't': {'x': 1, 'y': 3}}
    """
    result = dict(below)
    for key, value in above.items():
        under = result.get(key)
        is_table = isinstance(value, Mapping) and isinstance(under, Mapping)
        result[key] = merged(under, value) if is_table else value  # type: ignore[arg-type]  # is_table says both are mappings
    return result


def _table(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError; so are endless numbers
        raise ConfigError(f"{where} is not TOML: {error}") from error


def _check_keys(cls: type[Any], table: Mapping[str, Any], prefix: str, errors: list[str]) -> None:
    hints = typing.get_type_hints(cls)
    known = {field.name for field in dataclasses.fields(cls)}
    for key, value in table.items():
        if key not in known:
            errors.append(f"unknown key {prefix}{key} (known: {', '.join(sorted(known))})")
        elif dataclasses.is_dataclass(hints[key]) and isinstance(value, Mapping):
            _check_keys(hints[key], value, f"{prefix}{key}.", errors)
        elif not _fits(value, hints[key]):
            errors.append(f"{prefix}{key} is {value!r}, expected {_type_name(hints[key])}")


def _misfits(name: str, space: Mapping[str, Any], hint: Any) -> list[str]:
    """Return what of a search range the field can't hold."""
    ends = [space[key] for key in ("low", "high") if key in space]
    values = [*ends, *space.get("choices", ())]
    errors = [f"[search] {name}: {value!r} is no {_type_name(hint)}" for value in values if not _fits(value, hint)]
    if ends and not any(part in (int, float) for part in (hint, *typing.get_args(hint))):
        errors.append(f"[search] {name}: a range is for numbers; give choices")
    return errors


def _fits(value: Any, hint: Any) -> bool:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in args)
    if origin is typing.Literal:
        return value in args
    if origin is tuple:
        return isinstance(value, (list, tuple)) and all(_fits(item, args[0]) for item in value)
    if hint is type(None):
        return value is None
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _type_name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)


def _construct(cls: type[T], table: Mapping[str, Any]) -> T:
    hints = typing.get_type_hints(cls)
    return cls(**{key: _value(value, hints[key]) for key, value in table.items()})


def _value(value: Any, hint: Any) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _construct(hint, value)
    if typing.get_origin(hint) is tuple:
        return tuple(value)
    return float(value) if hint is float else value
