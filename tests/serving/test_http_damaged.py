"""A document of the state that can't be used harms nobody but its own customer, and them as little as can be."""

from __future__ import annotations

import logging

import orjson
import pytest

from serving.state.keys import person_key
from serving.state.store import Document
from tests.serving.asgi import Client
from tests.serving.state.memory_store import MemoryStore

AT_US = 1_514_894_400_000_000
DAMAGES = [
    b"no document",
    b'{"v": 1}',
    orjson.dumps({"v": 1, "id": "anna", "events": [["e1", "anna", "view"]]}),
    orjson.dumps({"v": 1, "id": "anna", "events": [["e1", "anna", "view", "today", "now", "milk-1"]]}),
    orjson.dumps({"v": 1, "id": "anna", "events": [["e1", "anna", "purchase", AT_US, AT_US, "milk-1", "o1", "two"]]}),
]


def view(customer_id: str) -> dict[str, list[dict[str, str]]]:
    at = "2018-01-02T11:00:00Z"
    return {
        "events": [
            {
                "event_id": f"v-{customer_id}",
                "customer_id": customer_id,
                "type": "view",
                "at": at,
                "product_id": "milk-1",
            }
        ]
    }


@pytest.mark.parametrize("damaged", DAMAGES)
def test_a_customer_whose_document_is_damaged_is_answered_without_it(
    api: Client, store: MemoryStore, damaged: bytes
) -> None:
    store.documents[person_key("anna")] = Document(damaged, 1)

    answer = api.post("/v1/recommendations", {"customer_id": "anna"})

    assert answer.status == 200
    assert "state_unavailable" in [note["code"] for note in answer.json()["notes"]]
    assert 'tercet_state_failures_total{kind="damaged"} 1.0' in api.get("/metrics").body.decode()
    assert store.documents[person_key("anna")].value == damaged
    assert api.get("/readyz").json()["state"] == "available"


def test_the_others_are_answered_as_ever(api: Client, store: MemoryStore) -> None:
    store.documents[person_key("anna")] = Document(DAMAGES[0], 1)
    api.post("/v1/challenge", {"customer_id": "anna"})

    assert "notes" not in api.post("/v1/recommendations", {"customer_id": "cleo"}).json()
    assert api.post("/v1/events", view("cleo")).json()["accepted"] == 1


def test_nothing_is_confirmed_that_can_not_be_kept(api: Client, store: MemoryStore) -> None:
    store.documents[person_key("anna")] = Document(DAMAGES[0], 1)

    told = api.post("/v1/events", view("anna"))

    assert (told.status, told.headers["retry-after"]) == (503, "1")


def test_it_is_said_once_a_minute_and_nobody_is_named(
    api: Client, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.documents[person_key("anna")] = Document(DAMAGES[0], 1)

    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            api.post("/v1/recommendations", {"customer_id": "anna"})

    assert [record.message for record in caplog.records if "damaged" in record.message] == [
        "a document of the state is damaged: its customer is answered without it, or by a 503"
    ]
    assert "anna" not in caplog.text
