"""What may be asked after an answer, with which of its values: the links of the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from serving.http_calls import CALLS, Call

Link = Mapping[str, Any]  # Any: as the OpenAPI specification lays it out

_OF_THE_BODY = "$request.body#/"
_CUSTOMER_ID = "customer_id"
_ENTRIES = ("events", "identities")


def links_of(call: Call) -> dict[str, Link]:
    """Return the links of a call's answer by name, none where nothing follows from it."""
    return dict(_links(call))


def _links(call: Call) -> Iterator[tuple[str, Link]]:
    if call in CALLS:
        text = "Tells this decision's story later on."
        yield "decision", _link("get_decisions", text, "$response.body#/decision_id")
    if call.name == "challenge":
        yield "shown", _shown()
    place = _customer_place(call)
    if place is None:
        return
    yield "customer", _link("get_customers", "All that is known of the customer.", place)
    yield "consent", _link("put_customers_consent", "What the customer allows.", place)
    yield "forget", _link("delete_customers", "Forgets the customer.", place)
    if call not in CALLS:
        text = "What the customer is shown from now on."
        yield "next", {"operationId": "challenge", "description": text, "requestBody": {_CUSTOMER_ID: place}}


def _customer_place(call: Call) -> str | None:
    """Return where a call names a customer, the first of several; None where it names none."""
    if call.id_of == "customer":
        return "$request.path.id"
    if call.request is None:
        return None
    names = call.request.model_fields
    if _CUSTOMER_ID in names:
        return _OF_THE_BODY + _CUSTOMER_ID
    return next((f"{_OF_THE_BODY}{each}/0/{_CUSTOMER_ID}" for each in _ENTRIES if each in names), None)


def _link(operation: str, text: str, id_: str) -> Link:
    return {"operationId": operation, "description": text, "parameters": {"id": id_}}


def _shown() -> Link:
    """Return how to tell that a challenge was shown."""
    event = {
        "event_id": "shown-{$response.body#/decision_id}",
        _CUSTOMER_ID: _OF_THE_BODY + _CUSTOMER_ID,
        "type": "impression",
        "at": "$response.body#/valid_from",
        "decision_id": "$response.body#/decision_id",
    }
    text = "Tells that the challenge was shown; `at` is the moment at which it was."
    return {"operationId": "events", "description": text, "requestBody": {"events": [event]}}
