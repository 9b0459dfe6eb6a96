"""Challenges and decisions as they are kept, over HTTP; each worker is an application over the same store."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from serving.api import ChallengeRequest
from serving.bundle import Bundle
from serving.decide import Decider
from serving.engine import Engine
from tests.serving.asgi import NOW, Client, client
from tests.serving.state.memory_store import MemoryStore

CHALLENGE = "/v1/challenge"

Worker = Callable[[], Client]


@pytest.fixture
def worker(tmp_path: Path, tiny_bundle: Bundle, store: MemoryStore) -> Worker:
    """Starts another worker of the same shop."""
    return lambda: client(tmp_path, Engine(tiny_bundle), NOW, store)


@pytest.fixture
def api(worker: Worker) -> Client:
    return worker()


def challenge(api: Client, customer_id: str = "anna", **more: Any) -> Any:
    reply = api.post(CHALLENGE, {"customer_id": customer_id, **more})
    assert reply.status == 200, reply.body
    return reply.json()


def products(answer: Any) -> list[str]:
    return [item["product_id"] for item in answer["items"]]


def buy(api: Client, item: Any, event_id: str, quantity: float = 1, at: str = "2018-01-02T13:00:00Z") -> Any:
    """Tell that anna bought (or returned) an item's product."""
    event = {
        "event_id": event_id,
        "customer_id": "anna",
        "type": "purchase",
        "at": at,
        "product_id": item["product_id"],
        "order_id": f"order-{event_id}",
        "quantity": quantity,
    }
    reply = api.post("/v1/events", {"events": [event]})
    assert reply.status == 202, reply.body
    return reply.json()


def test_a_challenge_is_the_same_on_every_channel_worker_and_question(worker: Worker) -> None:
    first = challenge(worker(), channel="web")

    assert challenge(worker(), channel="app", placement="till", basket=["milk-1"], exclude=products(first)) == first


def test_what_is_excluded_when_it_is_first_made_is_never_in_it(worker: Worker, api: Client) -> None:
    usual = products(challenge(api, dry_run=True))

    first = challenge(api, exclude=usual[:1])

    assert usual[0] not in products(first)
    assert challenge(worker()) == first


def test_two_first_calls_at_once_get_the_same_challenge(worker: Worker) -> None:
    workers = [worker() for _ in range(8)]
    # Each asks for something else, so that whoever is first can be told from the answer.
    excluded = [["milk-1"], ["yogurt-1"], ["bread-1"], ["wine-1"], [], ["coffee-1"], ["brie-1"], ["salad-1"]]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda each, exclude: challenge(each, exclude=exclude), workers, excluded))

    assert all(answer == answers[0] for answer in answers)
    assert challenge(worker()) == answers[0]


def test_a_dry_run_answers_what_would_be_and_keeps_nothing(api: Client, store: MemoryStore) -> None:
    tried = challenge(api, dry_run=True)
    api.post("/v1/recommendations", {"customer_id": "anna", "dry_run": True})
    api.post("/v1/scores", {"customer_ids": ["anna"], "dry_run": True})
    assert store.documents == {}

    first = challenge(api)

    assert first == tried
    assert challenge(api, dry_run=True, exclude=products(first)) == first


def test_progress_follows_purchases_and_the_reward_is_granted_once(worker: Worker, api: Client) -> None:
    first = challenge(api)
    one, two, three = first["items"]

    buy(api, one, "e1", one["target_quantity"])
    after_one = challenge(worker())
    assert [item["done"] for item in after_one["items"]] == [True, False, False]
    assert after_one["progress"] == {"done": 1, "of": 3, "completed_at": None, "reward_id": None}

    buy(api, two, "e2", two["target_quantity"])
    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(lambda each: buy(each, three, "e3", three["target_quantity"]), [api, worker()]))
    assert sorted((each["accepted"], each["duplicates"]) for each in told) == [(0, 1), (1, 0)]
    buy(api, three, "e3", three["target_quantity"])

    progress = challenge(api)["progress"]
    assert (progress["done"], progress["completed_at"]) == (3, "2018-01-02T13:00:00Z")
    (reward,) = api.get("/v1/customers/anna").json()["rewards"]
    assert (reward["reward_id"], reward["decision_id"]) == (progress["reward_id"], first["decision_id"])


def test_a_return_takes_progress_back_until_the_reward_is_granted(api: Client) -> None:
    one, two, three = challenge(api)["items"]
    buy(api, one, "e1", one["target_quantity"])
    buy(api, one, "e2", -one["target_quantity"])
    assert challenge(api)["progress"]["done"] == 0

    for place, item in enumerate((one, two, three)):
        buy(api, item, f"again-{place}", item["target_quantity"])
    buy(api, three, "late", -three["target_quantity"])

    assert challenge(api)["progress"]["done"] == 3


def test_for_a_moment_only_what_happened_before_it_counts(api: Client) -> None:
    one, *_ = challenge(api)["items"]
    buy(api, one, "e1", one["target_quantity"], at="2018-01-03T09:00:00Z")

    assert challenge(api)["progress"]["done"] == 1
    assert challenge(api, at="2018-01-03T09:00:00Z")["progress"]["done"] == 0
    assert challenge(api, at="2018-01-03T09:00:00.000001Z")["progress"]["done"] == 1


@pytest.mark.parametrize(
    ("at", "valid_to"),
    [
        # New York: clocks go forward on Sunday 11 March and back on Sunday 4 November 2018, both at 2 o'clock.
        ("2018-03-12T03:59:59Z", "2018-03-12T04:00:00Z"),
        ("2018-03-12T04:00:00Z", "2018-03-19T04:00:00Z"),
        ("2018-11-05T04:59:59Z", "2018-11-05T05:00:00Z"),
        ("2018-11-05T05:00:00Z", "2018-11-12T05:00:00Z"),
    ],
)
def test_weeks_turn_on_monday_in_the_zone_of_the_usual_store(api: Client, at: str, valid_to: str) -> None:
    answer = challenge(api, at=at)

    assert (answer["valid_from"], answer["valid_to"]) == (at, valid_to)
    assert challenge(api, at=valid_to)["decision_id"] != answer["decision_id"]


def test_what_was_shown_stays_and_is_marked_when_it_runs_out(api: Client) -> None:
    first = challenge(api)
    gone = products(first)[0]

    api.post("/v1/stock", {"stock": [{"product_id": gone, "available": False}]})
    answer = challenge(api)

    assert products(answer) == products(first)
    assert [item.get("out_of_stock", False) for item in answer["items"]] == [True, False, False]


@pytest.mark.parametrize("seen", ["impression", "send", "open", "click", "view", None])
def test_what_nobody_has_seen_is_replaced_when_it_runs_out(api: Client, tiny_bundle: Bundle, seen: str | None) -> None:
    issuing = Decider(Engine(tiny_bundle), api.shop.door, api.shop.current_ids, shows=False)
    first = issuing.decide(ChallengeRequest(customer_id="anna"), NOW)
    gone = products(first)[0]
    if seen is not None:
        event = {"event_id": "s1", "customer_id": "anna", "type": seen, "at": "2018-01-02T11:00:00Z"}
        api.post("/v1/events", {"events": [{**event, "decision_id": first["decision_id"], "channel": "email"}]})
    api.post("/v1/stock", {"stock": [{"product_id": gone, "available": False}]})

    tried, answer, again = challenge(api, dry_run=True), challenge(api), challenge(api)

    is_replaced = seen in ("view", None)
    assert (gone not in products(answer)) is is_replaced
    assert any(item.get("out_of_stock") for item in answer["items"]) is not is_replaced
    assert tried == answer == again
    assert (answer["decision_id"], answer["valid_to"]) == (first["decision_id"], first["valid_to"])
    assert [item["role"] for item in answer["items"]] == ["habit", "habit", "stretch"]
    assert products({"items": api.get(f"/v1/decisions/{first['decision_id']}").json()["shown"]}) == products(answer)


def test_a_customer_without_consent_gets_the_common_challenge_and_leaves_no_trace(
    api: Client, store: MemoryStore
) -> None:
    ben = challenge(api, "ben")
    api.put("/v1/customers/cleo/consent", {})
    cleo = challenge(api, "cleo", store_id="s-ny")

    assert not ben["personalized"]
    assert challenge(api, "ben", at="2018-01-04T12:00:00Z") == ben
    kept = [key for key in store.documents if not key.startswith("decision/")]
    assert kept == ["person/cleo"]  # what cleo said of consent, and no more
    assert not any(b"ben" in document.value for document in store.documents.values())
    assert b"cleo" not in b"".join(store.documents[key].value for key in store.documents if key not in kept)
    stored = api.get(f"/v1/decisions/{cleo['decision_id']}").json()
    assert (stored["customer_id"], products({"items": stored["shown"]})) == (None, products(cleo))


def test_one_whom_nobody_knows_has_a_challenge_of_their_own(worker: Worker, api: Client) -> None:
    first = challenge(api, "guest-1", basket=["milk-1"])

    assert challenge(worker(), "guest-1") == first
    assert challenge(api, "guest-2")["decision_id"] != first["decision_id"]


def test_a_decision_tells_its_whole_story(api: Client) -> None:
    first = challenge(api, channel="app", placement="home")
    buy(api, first["items"][0], "e1", 5)
    opened = {"event_id": "o1", "customer_id": "anna", "type": "open", "at": "2018-01-02T12:30:00Z"}
    api.post("/v1/events", {"events": [{**opened, "decision_id": first["decision_id"], "channel": "app"}]})

    story = api.get(f"/v1/decisions/{first['decision_id']}").json()

    assert {name: story[name] for name in ("call", "at", "placement", "channel", "experiment", "probability")} == {
        "call": "challenge",
        "at": "2018-01-02T12:00:00Z",
        "placement": "home",
        "channel": "app",
        "experiment": None,
        "probability": 1.0,
    }
    assert (story["customer_id"], story["model_version"]) == ("anna", first["model_version"])
    assert [(each["product_id"], each["role"], each["reason"]) for each in story["shown"]] == [
        (each["product_id"], each["role"], each["reason"]) for each in first["items"]
    ]
    assert [event["event_id"] for event in story["outcome"]["answered"]] == ["o1"]
    assert [event["event_id"] for event in story["outcome"]["bought"]] == ["e1"]
    assert story["outcome"]["progress"]["done"] == 1


def test_what_a_rule_kept_out_is_told_with_the_rule(api: Client) -> None:
    api.post("/v1/stock", {"stock": [{"product_id": "milk-1", "available": False}]})
    answer = api.post(
        "/v1/recommendations", {"customer_id": "anna", "exclude": ["bread-1"], "intent": "buy_again"}
    ).json()

    story = api.get(f"/v1/decisions/{answer['decision_id']}").json()

    withheld = {each["product_id"]: each["reason"] for each in story["withheld"]}
    assert (withheld["milk-1"], withheld["bread-1"]) == ("out_of_stock", "excluded")
    assert products({"items": story["shown"]}) == products(answer)


def test_scores_are_a_decision_in_which_nobody_stands(api: Client) -> None:
    answer = api.post("/v1/scores", {"customer_ids": ["anna", "ben"]}).json()

    story = api.get(f"/v1/decisions/{answer['decision_id']}").json()

    assert (story["call"], story["customer_id"], story["shown"]) == ("scores", None, [])


def test_the_customer_view_has_everything_in_it(api: Client) -> None:
    first = challenge(api)
    buy(api, first["items"][0], "e1")
    api.post("/v1/identities", {"identities": [{"customer_id": "anna", "kind": "email", "value": "a@example.org"}]})
    shown = api.post("/v1/recommendations", {"customer_id": "anna"}).json()

    view = api.get("/v1/customers/anna").json()

    assert (view["features_at"], view["currency"]) == ("2018-01-01T05:00:00Z", first["currency"])
    assert all(feature["unit"] for feature in view["features"])
    assert view["scores"]["customer_id"] == "anna"
    assert [(event["event_id"], event["quantity"]) for event in view["events"]] == [("e1", 1)]
    assert view["identities"] == ["email"]
    assert {each["decision_id"] for each in view["decisions"]} == {first["decision_id"], shown["decision_id"]}
    assert [each["decision_id"] for each in view["challenges"]] == [first["decision_id"]]
    assert view["consent"]["personalize"] is True
    assert b"example.org" not in api.get("/v1/customers/anna").body


def test_one_known_from_events_only_has_a_view_and_one_whom_nobody_knows_none(api: Client) -> None:
    event = {"event_id": "v1", "customer_id": "guest-1", "type": "view", "at": "2018-01-02T11:00:00Z"}
    api.post("/v1/events", {"events": [{**event, "product_id": "milk-1"}]})

    view = api.get("/v1/customers/guest-1").json()

    assert (view["customer_id"], view["first_seen_at"]) == ("guest-1", "2018-01-02T12:00:00Z")
    assert [event["event_id"] for event in view["events"]] == ["v1"]
    assert api.get("/v1/customers/guest-2").status == 404


def test_while_the_state_is_away_a_challenge_is_answered_but_not_promised(api: Client, store: MemoryStore) -> None:
    store.is_away = True
    answer = challenge(api)
    store.is_away = False

    assert [note["code"] for note in answer["notes"]][-1] == "state_unavailable"
    assert len(answer["items"]) == 3
    assert store.documents == {}
    assert api.get(f"/v1/decisions/{answer['decision_id']}").status == 404


def test_a_refusal_holds_while_the_state_is_away(api: Client, store: MemoryStore) -> None:
    api.put("/v1/customers/anna/consent", {})
    api.delete("/v1/customers/cleo")
    paths = (CHALLENGE, "/v1/recommendations")
    store.is_away = True

    asked = {each: [api.post(path, {"customer_id": each}).json() for path in paths] for each in ("anna", "cleo", "fay")}
    scores = api.post("/v1/scores", {"customer_ids": ["anna", "fay"]}).json()["scores"]

    assert [answer["personalized"] for each in asked.values() for answer in each] == [False] * 4 + [True] * 2
    assert [score["churn_probability"] is None for score in scores] == [True, False]


def test_what_can_be_read_decides_even_where_nothing_can_be_written(api: Client, store: MemoryStore) -> None:
    api.put("/v1/customers/anna/consent", {"personalize": False})
    api.put("/v1/customers/cleo/consent", {"personalize": True})
    store.is_read_only = True

    assert not challenge(api, "anna")["personalized"]
    answer = challenge(api, "cleo")
    assert answer["personalized"]
    assert [note["code"] for note in answer["notes"]][-1] == "state_unavailable"
