"""Changes of single values in a JSON document, so that they get past its parser to what reads the values."""

from __future__ import annotations

import json
from typing import Any

_PLACE_BYTES = 2


def with_another_value(text: str | bytes, data: bytes) -> Any:
    """Return the document with one of its values replaced, None where `data` says none.

    The first two bytes say which, in the order of the text, the whole first; the others are the value as JSON.
    """
    try:
        value = json.loads(data[_PLACE_BYTES:])
    except (ValueError, RecursionError):
        return None
    found = {"": json.loads(text)}
    places = _places(found)
    holder, name = places[int.from_bytes(data[:_PLACE_BYTES], "big") % len(places)]
    holder[name] = value
    return found[""]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return where each value stands: what holds it, and under which name or number there."""
    if isinstance(value, dict):
        pairs: list[tuple[Any, Any]] = [(name, each) for name, each in value.items()]
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    else:
        return []
    return [place for name, each in pairs for place in [(value, name), *_places(each)]]


def value_seeds(n_places: int) -> list[bytes]:
    """Return changes to begin with: values of each kind in places all over a document of so many."""
    values = [
        b"null",
        b"true",
        b"-1",
        b"1e308",
        b"NaN",
        b"Infinity",
        b'""',
        b'"x"',
        b"[]",
        b"[null]",
        b"{}",
        b'{"a":1}',
    ]
    values += [b"1" * 30, b"[[1,2],[3,4]]", b'"\\ud800"', b"0.5", b'"9999-12-31T23:59:59+14:00"']
    return [(place * 7 % n_places).to_bytes(_PLACE_BYTES, "big") + value for place, value in enumerate(values * 3)]
