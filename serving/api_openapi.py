"""The OpenAPI 3.1 document, made from the models that check the requests and the types that the engine answers in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, NotRequired

from pydantic import Field, TypeAdapter, with_config
from pydantic.json_schema import JsonSchemaMode
from typing_extensions import TypedDict

from serving.api import MAX_ID_LENGTH
from serving.api_action_codes import ActionCode
from serving.api_codes import Code, NoteCode, ReasonCode, ShortfallCode
from serving.api_links import links_of
from serving.api_offer_codes import OfferReasonCode, WithheldCode
from serving.http_calls import Call

# Any throughout: JSON Schema, as the specification lays it out.
Schema = dict[str, Any]

_REFERENCE = "#/components/schemas/{model}"
_CODES: tuple[type[Code], ...] = (ReasonCode, ShortfallCode, NoteCode, OfferReasonCode, WithheldCode, ActionCode)
_REFUSALS = {
    401: "The server asks for a key, and the call shows none that it knows.",
    403: "The key does not open this call; without keys, only the server's own machine may make it.",
    429: "This key makes more calls a second than it may; try again after `Retry-After`.",
    405: "The path answers other methods.",
    422: "A field is wrong; `errors` names each one.",
    503: "Not ready, too much to do, or (for what must be kept) the state is away; try again after `Retry-After`.",
}
_KEY = {"type": "http", "scheme": "bearer", "description": "An API key, where the server asks for keys."}
_BODY_REFUSALS = {
    400: "The body is not JSON.",
    413: "The body is too large.",
    415: "The body is not sent as JSON.",
}
_IDS = {
    "decision": ("The `decision_id` of an answer.", {"type": "string", "pattern": "^[0-9a-f]{32}$"}),
    "customer": (
        "The `customer_id`, percent-encoded, a slash inside it too.",
        {"type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH},
    ),
}


@with_config(extra="forbid")
class WrongField(TypedDict):
    """What is wrong with one field."""

    field: Annotated[str, Field(description="Its path in the body, such as `basket.3`; `body` for the whole.")]
    message: str


@with_config(extra="forbid")
class ProblemDocument(TypedDict):
    """An error, as RFC 9457 has it."""

    type: str
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    errors: NotRequired[list[WrongField]]


def document(calls: Sequence[Call], pages: Mapping[str, tuple[str, str]], version: str) -> Schema:
    """Return the document of the calls and of the `pages` that answer a GET: path → (summary, media type)."""
    references, schemas = _schemas(calls)
    paths: Schema = {}
    for call in calls:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call, references)
    for path, (summary, media_type) in pages.items():
        paths[path] = {"get": _page(path, summary, media_type)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tercet",
            "version": version,
            "description": "What each customer buys again, what they might try next, what sells together, and why. "
            "Ids are strings; times are ISO 8601, UTC in answers; money is in the currency that the answer names; "
            "probabilities are 0 to 1. A field that a call does not know is a 422.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"key": _KEY}},
        "security": [{"key": []}, {}],
    }


def not_before(spec: Schema, as_of: datetime) -> Schema:
    """Return the document with the earliest moment that the bundle answers for.

    JSON Schema has no order of moments. So the pattern lets dates through from the day before `as_of`, the earliest
    that it can be anywhere on earth: what it refuses is refused by the calls as well, and they judge the rest.
    """
    first = as_of - timedelta(days=1)
    moment = {
        **spec["components"]["schemas"]["At"],
        "description": f"A moment, ISO 8601 with zone, not before the bundle's as-of, {as_of:%Y-%m-%dT%H:%M:%SZ}.",
        "pattern": f"^({_from_day(first.year, first.month, first.day)})",
        "examples": [f"{as_of + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"],
    }
    components = {**spec["components"], "schemas": {**spec["components"]["schemas"], "At": moment}}
    return {**spec, "components": components}


def _from_day(year: int, month: int, day: int) -> str:
    """Return a pattern of the dates from this one on.

    >>> _from_day(2017, 12, 30)
    '2017-12-(30|31)|(201[8-9]|20[2-9].|2[1-9]..|[3-9]...)-'
    """
    digits = f"{year:04}"
    later_years = [
        f"{digits[:place]}[{int(digit) + 1}-9]{'.' * (3 - place)}"
        for place, digit in reversed(list(enumerate(digits)))
        if digit < "9"
    ]
    days = "|".join(f"{each:02}" for each in range(day, 32))
    months = "|".join(f"{each:02}" for each in range(month + 1, 13))
    same_year = [f"{digits}-{month:02}-({days})", *([f"{digits}-({months})-"] if months else [])]
    return "|".join([*same_year, f"({'|'.join(later_years)})-"])


def _schemas(calls: Sequence[Call]) -> tuple[dict[object, Schema], Schema]:
    """Return the reference of each request model and answer type, and the definitions that they refer to."""
    wanted: list[tuple[object, JsonSchemaMode, TypeAdapter[Any]]] = []
    for call in calls:
        if call.request is not None:
            wanted.append((call.request, "validation", TypeAdapter(call.request)))
        wanted.append((call.answer, "serialization", TypeAdapter(call.answer)))
    wanted.append((ProblemDocument, "serialization", TypeAdapter(ProblemDocument)))
    made, rest = TypeAdapter.json_schemas(wanted, ref_template=_REFERENCE)
    schemas: Schema = dict(rest.get("$defs", {}))
    for code in _CODES:
        schemas[code.__name__]["description"] = _explain(code)
    return {key: dict(schema) for (key, _), schema in made.items()}, schemas


def _explain(codes: Iterable[Code]) -> str:
    return "\n".join(f"- `{code.value}`: {code.explanation}" for code in codes)


def _operation(call: Call, references: Mapping[object, Schema]) -> Schema:
    refusals = _REFUSALS | ({} if call.request is None else _BODY_REFUSALS) | dict(call.refusals)
    operation: Schema = {
        "operationId": call.name.replace("-", "_"),
        "summary": call.summary,
        "description": _text(call.request if call.request is not None else call.answer),
        "responses": {
            str(call.status): {
                "description": _text(call.answer),
                "content": {"application/json": {"schema": references[call.answer]}},
            }
        }
        | {str(status): _refusal(status, text, references) for status, text in sorted(refusals.items())},
    }
    if links := links_of(call):
        operation["responses"][str(call.status)]["links"] = links
    if call.request is not None:
        content = {"application/json": {"schema": references[call.request], "example": dict(call.example)}}
        operation["requestBody"] = {"required": True, "content": content}
    if call.id_of:
        text, schema = _IDS[call.id_of]
        operation["parameters"] = [
            {"name": "id", "in": "path", "required": True, "description": text, "schema": schema}
        ]
    return operation


def _refusal(status: int, text: str, references: Mapping[object, Schema]) -> Schema:
    response: Schema = {
        "description": text,
        "content": {"application/problem+json": {"schema": references[ProblemDocument]}},
    }
    retry_after = ("Retry-After", {"type": "integer", "minimum": 1, "description": "Seconds."})
    headers = {
        HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate", {"type": "string"}),
        HTTPStatus.METHOD_NOT_ALLOWED: ("Allow", {"type": "string"}),
        HTTPStatus.TOO_MANY_REQUESTS: retry_after,
        HTTPStatus.SERVICE_UNAVAILABLE: retry_after,
    }
    if status in headers:
        name, schema = headers[HTTPStatus(status)]
        response["headers"] = {name: {"schema": schema, "required": True}}
    return response


def _page(path: str, summary: str, media_type: str) -> Schema:
    responses: Schema = {"200": {"description": summary, "content": {media_type: {"schema": {}}}}}
    problem = {"application/problem+json": {"schema": {"$ref": _REFERENCE.format(model=ProblemDocument.__name__)}}}
    if path == "/readyz":
        responses["503"] = {
            "description": "No bundle serves yet.",
            "content": problem,
            "headers": {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "required": True}},
        }
    return {"operationId": path.strip("/").replace(".", "_") or "page", "summary": summary, "responses": responses}


def _text(described: type) -> str:
    return (described.__doc__ or "").strip()
