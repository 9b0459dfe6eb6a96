"""What is told over HTTP: what is taken, what is rejected and why, and what stands afterwards."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from serving.bundle import Bundle
from serving.engine import Engine
from serving.http_body import MAX_ENTRIES_BYTES
from serving.http_shop import ANSWER_SECONDS
from serving.state.committer import EncodedCommit
from serving.state.file_store import FileStore
from tests.serving.asgi import NOW, Client, client
from tests.serving.state.memory_store import MemoryStore

PURCHASE = {
    "event_id": "e1",
    "customer_id": "anna",
    "type": "purchase",
    "at": "2018-01-02T11:00:00Z",
    "product_id": "milk-1",
    "order_id": "o1",
}
VIEW = {"event_id": "v1", "customer_id": "anna", "type": "view", "at": "2018-01-02T11:00:00Z", "product_id": "milk-1"}


def tell(api: Client, *events: dict[str, Any]) -> Any:
    reply = api.post("/v1/events", {"events": list(events)})
    assert reply.status == 202, reply.body
    return reply.json()


def error(api: Client, **changes: Any) -> str:
    """What is said against an event that is right but for these changes; None takes a field away."""
    event = {name: value for name, value in {**PURCHASE, **changes}.items() if value is not None}
    told = tell(api, event)
    assert (told["accepted"], told["duplicates"]) == (0, 0)
    assert [each["index"] for each in told["rejected"]] == [0]
    return str(told["rejected"][0]["error"])


def test_an_event_is_accepted_once_however_often_it_is_sent(api: Client) -> None:
    assert tell(api, PURCHASE, VIEW) == {"accepted": 2, "duplicates": 0, "rejected": []}
    assert tell(api, PURCHASE) == {"accepted": 0, "duplicates": 1, "rejected": []}
    assert tell(api, VIEW, {**VIEW, "event_id": "v2"}) == {"accepted": 1, "duplicates": 1, "rejected": []}


def test_an_event_sent_twice_in_one_call_counts_once(api: Client) -> None:
    assert tell(api, VIEW, VIEW) == {"accepted": 1, "duplicates": 1, "rejected": []}


def test_a_wrong_event_is_rejected_by_its_place_and_the_others_are_taken(api: Client) -> None:
    told = tell(api, VIEW, {"type": "view"}, {**VIEW, "event_id": "v2"}, {**VIEW, "event_id": "v3", "colour": "red"})

    assert (told["accepted"], [each["index"] for each in told["rejected"]]) == (2, [1, 3])
    assert told["rejected"][1]["error"] == "colour: this call has no such field"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"event_id": None}, "event_id: Field required"),
        ({"event_id": ""}, "event_id"),
        ({"event_id": "x" * 201}, "event_id"),
        ({"customer_id": 17}, "customer_id: should be a valid string"),
        ({"customer_id": " anna"}, "customer_id: should not begin or end with a blank"),
        ({"customer_id": "\ud800"}, "customer_id"),
        ({"type": "buy"}, "type"),
        ({"type": 3}, "type"),
        ({"product_id": None}, "a purchase needs product_id"),
        ({"order_id": None, "product_id": None}, "a purchase needs product_id and order_id"),
        ({"quantity": 0}, "quantity should not be 0"),
        ({"quantity": True}, "quantity"),
        ({"quantity": "2"}, "quantity"),
        ({"quantity": 1e7}, "quantity"),
        ({"amount": "1.99"}, "amount"),
        ({"amount": 1e10}, "amount"),
        ({"discount": -1}, "discount"),
        ({"at": "yesterday"}, "at: expected an ISO 8601 date and time"),
        ({"at": "2018-01-02"}, "at: expected an ISO 8601 date and time"),
        ({"at": 1514890800}, "at"),
        ({"at": "2018-01-03T12:00:00.001Z"}, "at: is more than 24 hours ahead of the server's clock"),
        ({"at": "2016-01-03T11:59:59Z"}, "at: is older than events are kept, 730 days"),
    ],
)
def test_what_is_wrong_with_an_event_is_said(api: Client, changes: dict[str, Any], said: str) -> None:
    assert said in error(api, **changes)


def test_a_value_that_was_sent_is_never_repeated(api: Client) -> None:
    said = error(api, customer_id=["anna@example.org"], type="anna@example.org", quantity="anna@example.org")

    assert "anna" not in said


@pytest.mark.parametrize(
    "changes",
    [
        {"at": "2018-01-02T11:00:00"},
        {"at": "2018-01-03T12:00:00Z"},
        {"at": "2018-01-02T06:00:00-05:00"},
        {"quantity": -1},
        {"quantity": 0.25, "amount": -3.5, "discount": 0},
        {"customer_id": "nobody knows me/%2F\u00e9"},
        {"product_id": "a product that nobody sells"},
    ],
)
def test_what_is_unusual_but_right_is_taken(api: Client, changes: dict[str, Any]) -> None:
    assert tell(api, {**PURCHASE, **changes})["accepted"] == 1


def test_a_time_without_zone_is_utc(api: Client) -> None:
    tell(api, {**VIEW, "at": "2018-01-02T11:00:00"})

    (event,) = api.get("/v1/customers/anna").json()["events"]
    assert event["at"] == "2018-01-02T11:00:00Z"


@pytest.mark.parametrize(
    ("path", "name", "most"),
    [("/v1/events", "events", 1000), ("/v1/stock", "stock", 10_000), ("/v1/identities", "identities", 1000)],
)
def test_what_is_no_list_of_the_right_length_is_refused_as_a_whole(
    api: Client, path: str, name: str, most: int
) -> None:
    for body, field in (
        ({}, name),
        ({name: {}}, name),
        ({name: []}, name),
        ({name: [{}] * (most + 1)}, name),
        ({name: [{}, 3]}, f"{name}.1"),
        ({name: [{}], "more": 1}, "more"),
    ):
        reply = api.post(path, body)

        assert reply.status == 422, body
        assert reply.fields == [field]
    assert api.post(path, {name: [{}] * most}).status == 202


def test_the_limit_of_the_body_holds_the_longest_call(api: Client) -> None:
    words = [{"product_id": f"{n:0200}", "store_id": "s" * 200, "available": 12345} for n in range(10_000)]

    assert api.post("/v1/stock", {"stock": words}).json() == {"accepted": 10_000, "rejected": []}
    assert api.post("/v1/stock", b"[" + b" " * MAX_ENTRIES_BYTES).status == 413


def test_out_of_stock_holds_from_the_next_call_until_the_next_word(api: Client) -> None:
    def shown() -> bool:
        answer = api.post("/v1/recommendations", {"customer_id": "anna", "k": 100}).json()
        return "milk-1" in [item["product_id"] for item in answer["items"]]

    assert shown()
    for available, is_shown in ((False, False), (3, True), (0, False), (True, True)):
        reply = api.post("/v1/stock", {"stock": [{"product_id": "milk-1", "available": available}]})
        assert (reply.status, reply.json()) == (202, {"accepted": 1, "rejected": []})
        assert shown() is is_shown


def test_a_word_on_stock_that_is_wrong_is_rejected(api: Client) -> None:
    told = api.post("/v1/stock", {"stock": [{"product_id": "milk-1", "available": -1}, {"available": True}]}).json()

    assert told["accepted"] == 0
    assert told["rejected"][0] == {"index": 0, "error": "available: should be true, false or a count of at least 0"}


def test_a_value_that_two_customers_share_makes_them_one(api: Client) -> None:
    card = {"kind": "email", "value": "Ann@Example.org"}
    told = api.post("/v1/identities", {"identities": [{"customer_id": "anna", **card}]}).json()
    assert told == {"accepted": 1, "merged": [], "rejected": []}

    guest = {"customer_id": "guest-1", "kind": "email", "value": " ann@example.org"}
    blank = {"customer_id": "guest-2", "kind": "phone", "value": "---"}
    told = api.post("/v1/identities", {"identities": [{"customer_id": ""}, blank, guest]}).json()

    assert (told["accepted"], told["merged"]) == (1, [{"customer_id": "guest-1", "into": "anna"}])
    assert sorted(each["index"] for each in told["rejected"]) == [0, 1]
    assert api.get("/v1/customers/guest-1").json()["customer_id"] == "anna"


class SlowDisk(FileStore):
    """A file on a disk that takes 5 ms for a flush, whatever disk this machine has."""

    n_flushes = 0

    def _apply(self, batch: Sequence[EncodedCommit]) -> Sequence[bool]:
        self.n_flushes += 1
        time.sleep(0.005)
        return super()._apply(batch)


def test_the_longest_call_of_identities_is_done_in_time_and_makes_one_of_those_who_share(
    tmp_path: Path, tiny_bundle: Bundle
) -> None:
    state = SlowDisk(tmp_path / "state.db")
    api = client(tmp_path, Engine(tiny_bundle), NOW, state)
    shared = [{"customer_id": f"c{n:03}", "kind": "email", "value": f"{n % 500}@example.org"} for n in range(1000)]

    began = time.process_time()
    reply = api.post("/v1/identities", {"identities": shared})
    took = time.process_time() - began
    state.close()

    assert reply.status == 202
    assert state.n_flushes < 300  # one for each would be a thousand
    assert took < ANSWER_SECONDS  # of the processor: others who are busy on this machine don't count
    assert reply.json()["accepted"] == 1000
    merged = {(each["customer_id"], each["into"]) for each in reply.json()["merged"]}
    assert merged == {(f"c{n + 500:03}", f"c{n:03}") for n in range(500)}


def test_consent_is_the_whole_object_and_honoured_from_the_next_call_on(api: Client) -> None:
    def is_personal() -> bool:
        return bool(api.post("/v1/recommendations", {"customer_id": "anna"}).json()["personalized"])

    assert is_personal()
    reply = api.put("/v1/customers/anna/consent", {"email": True})
    assert reply.status == 200
    assert reply.json() == {"personalize": False, "email": True, "sms": False, "push": False, "location": False}
    assert not is_personal()
    api.put("/v1/customers/anna/consent", {"personalize": True})
    assert is_personal()


@pytest.mark.parametrize(
    ("body", "field"), [({"personalise": True}, "personalise"), ({"email": "yes"}, "email"), ({"sms": None}, "sms")]
)
def test_a_consent_that_is_wrong_is_refused(api: Client, body: Any, field: str) -> None:
    reply = api.put("/v1/customers/anna/consent", body)

    assert (reply.status, reply.fields) == (422, [field])


def test_without_consent_an_event_is_only_counted(api: Client, store: MemoryStore) -> None:
    api.put("/v1/customers/anna/consent", {})

    assert tell(api, PURCHASE)["accepted"] == 1
    assert api.get("/v1/customers/anna").json()["events"] == []
    assert not [key for key in store.documents if key.startswith("log/")]


def test_a_customer_who_is_forgotten_is_out_of_every_answer_at_once(api: Client) -> None:
    tell(api, PURCHASE)

    assert api.delete("/v1/customers/anna").status == 202
    for path in ("/v1/recommendations", "/v1/challenge"):
        answer = api.post(path, {"customer_id": "anna"}).json()
        assert (answer["personalized"], answer["cold_start"]) == (False, True)
    assert api.get("/v1/customers/anna").status == 404
    assert api.delete("/v1/customers/anna").status == 202
    assert api.delete("/v1/customers/whoever").status == 202


def test_a_customer_who_comes_back_after_being_forgotten_is_a_new_one(
    api: Client, tmp_path: Path, tiny_bundle: Bundle, store: MemoryStore
) -> None:
    api.delete("/v1/customers/anna")
    later = client(tmp_path, Engine(tiny_bundle), NOW + timedelta(seconds=1), store)
    tell(later, {**VIEW, "at": "2018-01-02T12:00:01Z"})

    view = later.get("/v1/customers/anna").json()

    assert [event["event_id"] for event in view["events"]] == ["v1"]
    assert view["habits"] == []


def test_an_id_in_a_path_may_hold_anything(api: Client) -> None:
    tell(api, {**VIEW, "customer_id": "a/b c%?\u00e9/consent"})

    reply = api.get("/v1/customers/a%2Fb%20c%25%3F%C3%A9%2Fconsent")

    assert reply.status == 200
    assert reply.json()["customer_id"] == "a/b c%?\u00e9/consent"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/customers/", 404),
        ("/v1/customers", 404),
        ("/v1/customers/a/b", 404),
        ("/v1/customers/a/", 404),
        ("/v1/customers/%FF", 422),
        ("/v1/customers/" + "a" * 201, 422),
        ("/v1/decisions/" + "0" * 32, 404),
        ("/v1/decisions/%2F", 404),
    ],
)
def test_a_path_without_a_good_id_leads_nowhere(api: Client, path: str, status: int) -> None:
    assert api.get(path).status == status


def test_a_path_with_an_id_answers_its_own_methods_only(api: Client) -> None:
    assert api.post("/v1/customers/anna", {}).headers["allow"] == "GET, HEAD, DELETE"
    assert api.get("/v1/customers/anna/consent").headers["allow"] == "PUT"
    assert api.get("/v1/customers/anna", query="k=1").fields == ["k"]


def test_while_the_state_is_away_nothing_told_is_confirmed_and_decisions_go_on(api: Client, store: MemoryStore) -> None:
    store.is_away = True
    told = (
        api.post("/v1/events", {"events": [VIEW]}),
        api.post("/v1/stock", {"stock": [{"product_id": "milk-1", "available": True}]}),
        api.post("/v1/identities", {"identities": [{"customer_id": "anna", "kind": "email", "value": "x"}]}),
        api.put("/v1/customers/anna/consent", {}),
        api.delete("/v1/customers/anna"),
        api.get("/v1/customers/anna"),
        api.get("/v1/decisions/" + "0" * 32),
    )
    answer = api.post("/v1/challenge", {"customer_id": "anna"}).json()

    assert {(each.status, each.headers["retry-after"]) for each in told} == {(503, "1")}
    assert [note["code"] for note in answer["notes"]][-1] == "state_unavailable"
    assert len(answer["items"]) == 3
    assert api.get("/readyz").json()["state"] == "unavailable"
    store.is_away = False
    assert tell(api, VIEW)["accepted"] == 1
    assert "state_unavailable" not in str(api.post("/v1/challenge", {"customer_id": "anna"}).json())
    assert api.get("/readyz").json()["state"] == "available"


def test_what_becomes_of_events_is_counted_without_anybody_in_it(api: Client, store: MemoryStore) -> None:
    tell(api, VIEW, VIEW, {})
    store.is_away = True
    api.post("/v1/events", {"events": [VIEW]})
    api.post("/v1/scores", {"customer_ids": ["anna"]})

    counted = api.get("/metrics").body.decode()

    assert 'tercet_events_total{outcome="accepted"} 1.0' in counted
    assert 'tercet_events_total{outcome="duplicate"} 1.0' in counted
    assert 'tercet_events_total{outcome="rejected"} 1.0' in counted
    assert 'tercet_state_failures_total{kind="write"} 1.0' in counted
    assert "tercet_decisions_without_state_total 1.0" in counted
    assert "anna" not in counted


def test_what_is_told_before_there_is_a_bundle_is_kept_for_the_first_one(
    tmp_path: Path, tiny_bundle: Bundle, store: MemoryStore
) -> None:
    bare = client(tmp_path / "bare", None, NOW, store)
    assert tell(bare, PURCHASE)["accepted"] == 1
    assert bare.put("/v1/customers/cleo/consent", {}).status == 200
    assert bare.get("/v1/customers/anna").status == 503

    first = client(tmp_path / "first", Engine(tiny_bundle), NOW, store)

    assert [event["event_id"] for event in first.get("/v1/customers/anna").json()["events"]] == ["e1"]
    assert not first.post("/v1/recommendations", {"customer_id": "cleo"}).json()["personalized"]


def test_the_clock_that_events_are_held_against_is_the_server_s(api: Client) -> None:
    machine_now = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()

    assert "ahead of the server's clock" in error(api, at=machine_now)
