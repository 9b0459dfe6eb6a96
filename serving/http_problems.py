"""Answers as bytes, and every error in the one form that clients meet: application/problem+json (RFC 9457)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any

import orjson
from pydantic import ValidationError

_MAX_ERRORS = 50
_MAX_FIELD = 200

Headers = tuple[tuple[bytes, bytes], ...]

JSON_TYPE: Headers = ((b"content-type", b"application/json"),)
PROBLEM_TYPE: Headers = ((b"content-type", b"application/problem+json"),)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, ready to send; `content-length` is added with the rest of the fixed headers."""

    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field, by its path, such as `basket.3`."""

    field: str
    message: str


class Problem(Exception):
    """Raised where a request can't be answered, with all that the answer needs."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Headers = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers

    def answer(self) -> Answer:
        """Return the problem document."""
        status = HTTPStatus(self.status)
        # Any: a JSON document of mixed values.
        document: dict[str, Any] = {
            "type": "about:blank",
            "title": status.phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = [{"field": each.field, "message": each.message} for each in self.errors[:_MAX_ERRORS]]
        return Answer(self.status, PROBLEM_TYPE + self.headers, orjson.dumps(document))


def not_ready(detail: str, retry_after: int) -> Problem:
    """Return a 503 that says when to try again, in seconds."""
    return Problem(503, detail, headers=((b"retry-after", str(retry_after).encode()),))


class TooBusy(Problem):
    """Raised where a worker has more to do than it can: a 503, and no more work than that."""

    def __init__(self) -> None:
        super().__init__(503, "too many requests at once", headers=((b"retry-after", b"1"),))

    def answer(self) -> Answer:
        """Return the problem document, which is always the same."""
        return _too_busy()


@cache
def _too_busy() -> Answer:
    return Problem.answer(TooBusy())


def not_allowed(allowed: Sequence[str]) -> Problem:
    """Return a 405 that names the methods of the path."""
    methods = ", ".join(allowed)
    return Problem(405, f"this path answers {methods}", headers=((b"allow", methods.encode()),))


def wrong_fields(errors: Sequence[FieldError]) -> Problem:
    """Return a 422 that names the fields; its detail repeats the first."""
    first = f"{errors[0].field}: {errors[0].message}" if errors else "the request breaks the contract"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Problem(422, first + more, errors=errors)


def invalid(error: ValidationError) -> Problem:
    """Return a 422 with one entry for each breach that pydantic found; a value that was sent is never repeated."""
    return wrong_fields(breaches(error))


def breaches(error: ValidationError) -> list[FieldError]:
    """Return each breach that pydantic found, with its field; a value that was sent is never repeated."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [FieldError(field_name(*each["loc"]), _message(each["type"], each["msg"])) for each in found]


def field_name(*path: str | int) -> str:
    """Return the path of a field as text that is safe to encode, at most 200 characters; `body` for the whole.

    >>> field_name("basket", 3)
    'basket.3'
    """
    joined = ".".join(map(str, path)) or "body"
    return joined.encode("utf-8", "replace").decode()[:_MAX_FIELD]


def _message(kind: str, text: str) -> str:
    if kind == "extra_forbidden":
        return "this call has no such field"
    if kind == "string_unicode":
        return "not valid Unicode: half of a surrogate pair stands alone"
    return text.removeprefix("Value error, ").replace("Input should be", "should be")
