"""A request's body: read within bounds, and decoded as strict JSON."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, Never

import orjson

from serving.http_problems import FieldError, Problem, field_name, wrong_fields

MAX_BODY_BYTES = 1 << 20
"""1,000 ids of 200 characters fit four times over, escapes included."""

MAX_ENTRIES_BYTES = 8 << 20
"""What is told in one call: 10,000 words on stock with ids of 200 characters, 1,000 events with every field."""

_SMALL_BYTES = 1024
_MANY = _SMALL_BYTES + 1
_FLAT: frozenset[type] = frozenset({str, int, bool, type(None)})

_DRAIN_BYTES = 4 * MAX_ENTRIES_BYTES

# Any: the ASGI specification's own types.
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


async def read_body(receive: Receive, limit: int = MAX_BODY_BYTES) -> bytes:
    """Return the whole body, at most `limit` bytes; a 413 when it is larger.

    What is too large is read on for a while and dropped: a client that is cut off while it sends never gets to
    read why.
    """
    message = await _next(receive)
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False) and len(body) <= limit:
        return body
    parts, size = [body], len(body)
    while message.get("more_body", False) and size <= _DRAIN_BYTES:
        message = await _next(receive)
        body = message.get("body", b"")
        size += len(body)
        if size <= limit:
            parts.append(body)
    if size > limit:
        raise Problem(413, f"the body is larger than {limit} bytes", headers=((b"connection", b"close"),))
    return b"".join(parts)


async def _next(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message


@lru_cache(maxsize=64)
def check_content_type(value: bytes) -> None:
    """Raise a 415 unless the header's value is JSON in UTF-8; an absent one (empty) is taken for that."""
    kind, _, parameters = value.decode("latin-1").partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if kind.strip().lower() not in ("", "application/json") or charset not in ("", "charset=utf-8"):
        raise Problem(415, "send the body as JSON in UTF-8, with the header Content-Type: application/json")


# Any: the JSON object as the client wrote it; the request models say what is in it.
def decode(body: bytes) -> dict[str, Any]:
    """Return the JSON object of the body; a 400 when it is no JSON (RFC 8259), a 422 when it is no object."""
    return _flat(body) or _decode_strictly(body)


# Any: as above.
def _flat(body: bytes) -> dict[str, Any] | None:
    """Return a small object of texts and whole numbers, as nearly every call is; None for what needs a closer look.

    A list of such objects, as of events, is looked into. orjson takes the last of two members of one name: then the
    body has more quotes than the object needs.
    """
    if len(body) > _SMALL_BYTES or b"\\" in body:
        return None
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if type(found) is not dict:
        return None
    kinds = [type(value) for value in found.values()]
    n_quotes = 2 * (len(kinds) + kinds.count(str))
    if not _FLAT.issuperset(kinds):
        n_quotes += _n_quotes_in_lists(found)
    return found if body.count(b'"') == n_quotes else None


# Any: as above.
def _n_quotes_in_lists(members: Mapping[str, Any]) -> int:
    """Return how many quotes the lists of flat objects in an object need; more than a small body for other values."""
    n_quotes = 0
    for value in members.values():
        if type(value) is list:
            for entry in value:
                if type(entry) is not dict:
                    return _MANY
                kinds = [type(each) for each in entry.values()]
                n_quotes += 2 * (len(kinds) + kinds.count(str)) if _FLAT.issuperset(kinds) else _MANY
        elif type(value) not in _FLAT:
            return _MANY
    return n_quotes


# Any: as above.
def _decode_strictly(body: bytes) -> dict[str, Any]:
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Problem(400, f"the body is not UTF-8: byte {error.start} is wrong") from None
    except json.JSONDecodeError as error:
        raise Problem(400, f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise Problem(400, "the body is nested too deeply") from None
    except ValueError as error:
        raise Problem(400, f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise wrong_fields([FieldError("body", "should be a JSON object")])
    return value


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is no JSON number")


def _number(digits: str) -> int | float:
    # Python takes ever longer for ever longer whole numbers; JSON's own numbers have about 17 digits that count.
    return int(digits) if len(digits) <= 20 else float(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for position, name in enumerate(names) if name in names[:position])
        raise wrong_fields([FieldError(field_name(twice), "is given twice")])
    return members


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant, parse_int=_number)
