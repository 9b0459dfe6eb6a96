"""What is kept of an answer: enough to tell why, and to ask again; no basket where nobody is linked."""

from __future__ import annotations

import pytest

from serving.api import RecommendationsRequest
from serving.bundle import Bundle
from serving.engine import Engine
from serving.records import record_of
from serving.state.known import Trace
from tests.serving.state.builders import state_on
from tests.serving.tiny import AS_OF

REQUEST = RecommendationsRequest(customer_id="anna", k=2, basket=["bread-1"], exclude=["milk-1"], placement="home")


def test_a_record_can_be_asked_again(tiny_bundle: Bundle) -> None:
    answer = Engine(tiny_bundle).recommendations(REQUEST, AS_OF, "d1")
    record = record_of(REQUEST, answer, AS_OF, customer_id="anna", trace=Trace())
    (part,) = record.parts
    assert part.asked == {"k": 2, "basket": ["bread-1"], "exclude": ["milk-1"]}
    assert RecommendationsRequest(customer_id="anna", placement="home", **part.asked) == REQUEST
    assert [each["product_id"] for each in part.shown] == [each["product_id"] for each in answer["items"]]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"k": 10},
        {"k": 3, "max_price": 2.5},
        {"k": 10, "in_stock": True, "category": "bakery"},
        {"category": None, "k": 2},
        {"intent": "discover", "level": "category"},
        {"intent": "mixed", "basket": [], "exclude": ["milk-1"]},
        {"placement": "home", "dry_run": True, "at": "2018-01-02T00:00:00Z"},
    ],
)
def test_only_what_is_no_default_was_asked(tiny_bundle: Bundle, fields: dict[str, object]) -> None:
    request = RecommendationsRequest.model_validate({"customer_id": "anna", **fields})
    answer = Engine(tiny_bundle).recommendations(request, AS_OF, "d1")
    (part,) = record_of(request, answer, AS_OF, customer_id="anna", trace=Trace()).parts
    elsewhere = {"customer_id", "at", "placement", "dry_run"}
    assert part.asked == request.model_dump(mode="json", exclude_defaults=True, exclude=elsewhere)


def test_what_was_asked_is_kept_with_the_customer_s_part(tiny_bundle: Bundle) -> None:
    answer, state = Engine(tiny_bundle).recommendations(REQUEST, AS_OF, "d1"), state_on()
    state.record(record_of(REQUEST, answer, AS_OF, customer_id="anna", trace=Trace())).result()
    (record,) = state.records()
    assert record.parts[0].asked == {"k": 2, "basket": ["bread-1"], "exclude": ["milk-1"]}
    state.forget("anna", 2**62)
    (record,) = state.records()
    assert record.parts == ()


def test_nothing_that_was_asked_is_kept_where_nobody_is_linked(tiny_bundle: Bundle) -> None:
    answer = Engine(tiny_bundle).recommendations(REQUEST, AS_OF, "d1")
    (part,) = record_of(REQUEST, answer, AS_OF, customer_id=None, trace=Trace()).parts
    assert part.asked == {}


def test_items_are_kept_and_told_with_what_tells_why_they_were_shown(tiny_bundle: Bundle) -> None:
    answer, state = Engine(tiny_bundle).recommendations(REQUEST, AS_OF, "d1"), state_on()
    record = record_of(REQUEST, answer, AS_OF, customer_id="anna", trace=Trace())
    state.leave_record(record, state.known("anna").basis)
    found = state.decision("d1")
    assert found is not None
    assert found.record == record
    (part,) = found.record.parts
    kept = [{name: each[name] for name in ("product_id", "reason", "probability")} for each in answer["items"]]
    assert len(kept) == 2
    assert list(part.shown) == kept
