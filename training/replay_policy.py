"""What one policy says differently from another, in lines that a person can read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from serving.decisioning.policy import Policy
from serving.decisioning.policy_merchandising import Ban, Boost, Pin

_MOST_WORDS = 5


def policy_changes(own: Policy, other: Policy) -> tuple[str, ...]:
    """Return a line for each key of `other` that differs: what it was, and what it is."""
    return tuple(_changes("", own, other))


def _changes(name: str, own: Any, other: Any) -> Iterator[str]:  # Any: a value of a policy
    if own == other:
        return
    if is_dataclass(own) and not isinstance(own, Pin | Boost | Ban):
        for each in fields(own):
            inner = each.name if name in ("", "merchandising") else f"{name}.{each.name}"
            yield from _changes(inner, getattr(own, each.name), getattr(other, each.name))
    elif isinstance(own, tuple):
        gone, new = ([each for each in one if each not in two] for one, two in ((own, other), (other, own)))
        if not gone and not new:
            yield f"{name}: in another order"
        for what, listed in (("without", gone), ("with", new)):
            if listed:
                yield f"{name}: {what} {_listed(listed)}"
    else:
        yield f"{name}: {own} → {other}"


def _listed(values: list[Any]) -> str:  # Any: words, or merchants' rules
    if isinstance(values[0], Pin | Boost | Ban):
        return f"{len(values)} rule{'' if len(values) == 1 else 's'}"
    more = f" and {len(values) - _MOST_WORDS} more" if len(values) > _MOST_WORDS else ""
    return ", ".join(map(str, values[:_MOST_WORDS])) + more
