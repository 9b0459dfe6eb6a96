"""Which handler answers what: paths as they stand, and paths that hold one id, whatever the id is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from serving.api import MAX_ID_LENGTH
from serving.http_body import Receive, Scope
from serving.http_problems import Answer, FieldError, Problem, wrong_fields

OTHER_PATHS = "other"
"""What counters and logs call a path that is none of ours: it is the client's to invent, and may hold anything."""

_ID = "{id}"
_PLACE = 3  # of the id in a path that is split at its slashes: /v1/customers/{id}/…


class Exchange(NamedTuple):
    """One request in the hands of its handler: the id that its path holds (empty: none), and when its time is up.

    `until` is a moment of `time.perf_counter`.
    """

    scope: Scope
    receive: Receive
    id: str
    until: float


Handler = Callable[[Exchange], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """A path as the OpenAPI document writes it, what answers each method there, and the id that the request's has.

    `problem` is why the request leads nowhere; then there are no methods.
    """

    path: str
    methods: Mapping[str, Handler]
    id: str = ""
    problem: Problem | None = None


class Routes:
    """Finds the route of a request: one look-up for a plain path, one more for one with an id."""

    def __init__(self, handlers: Mapping[str, Mapping[str, Handler]]) -> None:
        self._plain = {path: Route(path, methods) for path, methods in handlers.items() if _ID not in path}
        self._with_id = {
            _shape(path.encode().split(b"/")): (path, methods) for path, methods in handlers.items() if _ID in path
        }

    def find(self, scope: Scope) -> Route:
        """Return where the request leads; a path that a client invented is never in it."""
        found = self._plain.get(scope["path"])
        if found is not None:
            return found
        # Only the path as it was sent tells a slash inside an id from one that ends it.
        parts = scope.get("raw_path", b"").partition(b"?")[0].split(b"/")
        held = self._with_id.get(_shape(parts)) if len(parts) > _PLACE and parts[_PLACE] else None
        if held is None:
            return Route(OTHER_PATHS, {}, problem=Problem(404, "there is no such path; /docs.json lists them all"))
        path, methods = held
        try:
            return Route(path, methods, _id_of(parts[_PLACE]))
        except ValueError as error:
            return Route(path, {}, problem=wrong_fields([FieldError("id", str(error))]))


def _shape(parts: list[bytes]) -> tuple[bytes, ...]:
    return (*parts[:_PLACE], *parts[_PLACE + 1 :], b"%d" % len(parts))


def _id_of(part: bytes) -> str:
    """Return the id that stands in the path; ValueError when it can be none."""
    try:
        found = unquote_to_bytes(part).decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    if len(found) > MAX_ID_LENGTH:
        raise ValueError(f"has more than {MAX_ID_LENGTH} characters")
    return found
