"""The HTTP contract over the real engine: what goes in, what comes out, and a document that says both."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import TypeAdapter

from serving.api_action_codes import ActionCode
from serving.api_codes import NoteCode, ReasonCode, ShortfallCode
from serving.api_offer_codes import OfferReasonCode, Trigger, WithheldCode
from serving.bundle import Bundle
from serving.engine import Engine
from serving.http_calls import CALLS, TELLINGS, Call
from serving.http_pages import DOCUMENTED
from serving.launch import Server
from tests.contracts.schemathesis_options import OPTIONS
from tests.serving.asgi import Client, client
from tests.serving.conftest import tiny_bundle as tiny_bundle
from tests.serving.conftest import tiny_folder as tiny_folder
from tests.serving.running import NOW, publish, running
from tests.serving.tiny import CUSTOMERS, PRODUCTS

EVERY_CUSTOMER = (*CUSTOMERS, "nobody-knows-me")
DECISION = {"decision_id", "model_version", "personalized", "experiment", "currency"}
EVENT = dict(TELLINGS[0].example["events"][0])  # type: ignore[index]  # an example is an object like any other
ITEM = {"product_id", "name", "product_type", "category", "price", "reason"}


@pytest.fixture
def api(tmp_path: Path, tiny_bundle: Bundle) -> Client:
    return client(tmp_path, Engine(tiny_bundle), NOW)


@pytest.fixture
def spec(api: Client) -> Any:
    return api.get("/docs.json").json()


def questions() -> Iterator[tuple[Call, dict[str, Any]]]:
    named = {call.name: call for call in CALLS}
    challenge, recommendations, also_bought = named["challenge"], named["recommendations"], named["also-bought"]
    substitutes, scores, audiences = named["substitutes"], named["scores"], named["audiences"]
    for customer in EVERY_CUSTOMER:
        # A week of its own each: within a week the first challenge stands, whatever is asked later.
        for more in (
            {"at": "2018-01-02T12:00:00Z"},
            {"at": "2018-01-09T12:00:00Z", "basket": ["coffee-1", "what-is-this"]},
            {"at": "2018-01-16T12:00:00Z", "exclude": list(PRODUCTS)[:4], "store_id": "s-berlin"},
        ):
            yield challenge, {"customer_id": customer, "channel": "app", "placement": "home", **more}
        for intent in ("buy_again", "discover", "mixed"):
            for level in ("product", "product_type", "category"):
                yield recommendations, {"customer_id": customer, "k": 5, "intent": intent, "level": level}
        yield recommendations, {"customer_id": customer, "category": "Snacks", "max_price": 3, "max_per_category": 1}
        for channel in ("web", "email"):
            yield named["offers"], {"customer_id": customer, "channel": channel, "context": {"basket": ["milk-1"]}}
        for trigger in Trigger:
            yield named["actions"], {"customer_id": customer, "trigger": trigger, "context": {"basket": ["salad-1"]}}
    for products in ([], ["milk-1"], ["milk-1", "gone-1", "what-is-this"], ["what-is-this", "nor-this"]):
        yield also_bought, {"product_ids": products, "k": 3, "customer_id": "anna"}
    for product in ("milk-1", "coffee-1", "brie-1", "salad-1"):
        yield substitutes, {"product_id": product, "k": 2}
        yield substitutes, {"product_id": product, "customer_id": "anna", "store_id": "s-berlin"}
    yield scores, {"customer_ids": list(EVERY_CUSTOMER), "k_categories": 2}
    yield audiences, {"rule": "customer_score > 0 and not segment = 'x'", "size": 2}
    yield audiences, {"rule": "churn_probability > 2", "placement": "newsletter"}
    for seeds in (["anna"], ["nobody-knows-me", "ben"]):
        yield audiences, {"seed_customer_ids": seeds, "size": 3}


def ask(api: Client, call: Call, body: dict[str, Any]) -> Any:
    reply = api.post(call.path, body)
    assert reply.status == 200, reply.body
    return reply.json()


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_every_answer_is_what_its_type_says(api: Client, call: Call) -> None:
    adapter = TypeAdapter(call.answer)

    answers = [ask(api, asked, body) for asked, body in questions() if asked is call]

    for answer in answers:
        adapter.validate_python(answer)
        assert answer.keys() >= DECISION


def test_every_answer_is_what_the_document_says(api: Client, spec: Any) -> None:
    for call, body in questions():
        schema = spec["paths"][call.path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(ask(api, call, body), {**schema, "components": spec["components"]})


def test_items_are_whole_distinct_and_never_more_than_asked(api: Client) -> None:
    for call, body in questions():
        if call.name in ("scores", "audiences", "offers", "actions"):
            continue
        answer = ask(api, call, body)
        wanted = 3 if call.name == "challenge" else body.get("k", 10)
        ids = [item["product_id"] for item in answer["items"]]

        assert all(item.keys() >= ITEM for item in answer["items"])
        assert len(ids) == len(set(ids))
        assert not set(ids) & {*body.get("exclude", ()), *body.get("basket", ()), "gone-1"}
        assert len(ids) == wanted or (len(ids) < wanted and "shortfall" in answer)


def test_codes_come_from_the_closed_lists_and_have_a_text(api: Client) -> None:
    for call, body in questions():
        answer = ask(api, call, body)
        for item in answer.get("items", ()):
            assert ReasonCode(item["reason"]["code"]).explanation
            assert item["reason"]["text"]
        if call.name == "actions":
            assert ActionCode(answer["reason"]["code"]).explanation
            assert answer["reason"]["text"]
        if "shortfall" in answer:
            assert ShortfallCode(answer["shortfall"]["code"])
            assert answer["shortfall"]["text"]
        assert all(NoteCode(note["code"]) for note in answer.get("notes", ()))


def test_a_challenge_keeps_its_id_on_every_channel_and_through_the_week(api: Client) -> None:
    def asked(**more: Any) -> Any:
        return ask(api, CALLS[0], {"customer_id": "anna", **more})

    first = asked(channel="web")

    assert asked(channel="app", placement="till", at="2018-01-05T12:00:00Z") == first
    assert re.fullmatch("[0-9a-f]{32}", first["decision_id"])
    assert asked(at="2018-01-09T12:00:00Z")["decision_id"] != first["decision_id"]
    assert asked(exclude=["wine-1"], basket=["milk-1"]) == first


def test_one_unknown_product_is_a_404_and_several_are_ignored(api: Client) -> None:
    assert api.post("/v1/also-bought", {"product_ids": ["what-is-this"]}).status == 404
    assert api.post("/v1/substitutes", {"product_id": "what-is-this"}).status == 404
    assert ask(api, CALLS[1], {"product_ids": ["what-is-this", "nor-this"]})["ignored"] == ["what-is-this", "nor-this"]


def test_a_moment_before_the_bundle_is_a_422_on_every_call(api: Client) -> None:
    for call, body in questions():
        reply = api.post(call.path, {**body, "at": "2018-01-01T04:59:59.999Z"})

        assert reply.status == 422
        assert reply.fields == ["at"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/recommendations", {"customer_id": "anna", "k": 0}, "k"),
        ("/v1/recommendations", {"customer_id": "anna", "k": 101}, "k"),
        ("/v1/recommendations", {"customer_id": "anna", "k": 2.5}, "k"),
        ("/v1/recommendations", {"customer_id": "anna", "k": "3"}, "k"),
        ("/v1/recommendations", {"customer_id": "anna", "k": True}, "k"),
        ("/v1/recommendations", {"customer_id": "anna", "intent": "surprise"}, "intent"),
        ("/v1/recommendations", {"customer_id": "anna", "max_price": 0}, "max_price"),
        ("/v1/recommendations", {"customer_id": "anna", "max_per_category": 0}, "max_per_category"),
        ("/v1/recommendations", {"customer_id": "anna", "level": "brand"}, "level"),
        ("/v1/recommendations", {"customer_id": "anna", "store_id": "s-ny"}, "store_id"),
        ("/v1/substitutes", {"product_id": "milk-1", "exclude": []}, "exclude"),
        ("/v1/also-bought", {}, "product_ids"),
        ("/v1/also-bought", {"product_ids": "milk-1"}, "product_ids"),
        ("/v1/audiences", {}, "rule"),
        ("/v1/audiences", {"rule": "churn > 1"}, "rule"),
        ("/v1/audiences", {"rule": "churn_probability > 0.1", "seed_customer_ids": ["anna"]}, "rule"),
        ("/v1/audiences", {"seed_customer_ids": []}, "seed_customer_ids"),
        ("/v1/audiences", {"rule": "customer_score > 1", "size": 0}, "size"),
        ("/v1/audiences", {"rule": "customer_score > 1", "size": 10_001}, "size"),
        ("/v1/scores", {"customer_ids": []}, "customer_ids"),
        ("/v1/scores", {"customer_ids": ["anna"] * 1001}, "customer_ids"),
        ("/v1/scores", {"customer_ids": ["anna"], "k_categories": -1}, "k_categories"),
    ],
)
def test_what_is_out_of_range_is_named(api: Client, path: str, body: dict[str, Any], field: str) -> None:
    reply = api.post(path, body)

    assert reply.status == 422
    assert reply.fields == [field]


def test_a_whole_number_may_be_written_with_a_point(api: Client) -> None:
    assert len(api.post("/v1/recommendations", b'{"customer_id": "anna", "k": 2.0}').json()["items"]) == 2


def test_the_document_has_exactly_the_paths_that_answer(api: Client, spec: Any) -> None:
    decision_id = ask(api, CALLS[0], {"customer_id": "anna"})["decision_id"]
    assert spec["paths"].keys() == {call.path for call in (*CALLS, *TELLINGS)} | DOCUMENTED.keys()
    for path, methods in spec["paths"].items():
        asked = path.replace("{id}", decision_id if "decisions" in path else "anna")
        for method in methods:
            assert api.send(method.upper(), asked, [b"{}"]).status not in (404, 405)


@pytest.mark.parametrize("call", [*CALLS, *TELLINGS], ids=lambda call: call.name)
def test_every_call_answers_its_own_example_as_the_document_says(api: Client, spec: Any, call: Call) -> None:
    api.post("/v1/stock", {"stock": [{"product_id": "milk-1", "available": True}]})
    told = {
        "also-bought": {"product_ids": ["milk-1"]},
        "substitutes": {"product_id": "milk-1"},
        "events": {"events": [{**EVENT, "at": "2018-01-01T13:00:00"}]},
    }
    decision_id = ask(api, CALLS[0], {"customer_id": "anna"})["decision_id"]
    path = call.path.replace("{id}", decision_id if call.id_of == "decision" else "anna")
    body = b"" if call.request is None else json.dumps(told.get(call.name, call.example)).encode()

    reply = api.send(call.method, path, [body])

    assert reply.status == call.status, reply.body
    schema = spec["paths"][call.path][call.method.lower()]["responses"][str(call.status)]["content"]["application/json"]
    jsonschema.validate(reply.json(), {**schema["schema"], "components": spec["components"]})
    TypeAdapter(call.answer).validate_python(reply.json())


def test_every_field_that_goes_in_is_described(spec: Any) -> None:
    for call in (*CALLS, *TELLINGS):
        if call.request is not None:
            for name, field in spec["components"]["schemas"][call.request.__name__]["properties"].items():
                assert field.get("description"), f"{call.path} {name}"


def test_every_code_is_explained_in_the_document(spec: Any) -> None:
    for codes in (ReasonCode, ShortfallCode, NoteCode, OfferReasonCode, WithheldCode, ActionCode):
        schema = spec["components"]["schemas"][codes.__name__]
        assert schema["enum"] == [code.value for code in codes]
        assert all(f"`{code.value}`: {code.explanation}" in schema["description"] for code in codes)


def test_problems_are_what_the_document_says(api: Client, spec: Any) -> None:
    schema = {"$ref": "#/components/schemas/ProblemDocument", "components": spec["components"]}

    for reply in (api.post("/v1/scores", b"{"), api.post("/v1/scores", {}), api.get("/v1/scores"), api.get("/v2")):
        jsonschema.validate(reply.json(), schema)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("home")
    publish(home)
    with running(home) as server:
        server.wait_until_ready()
        yield server


@pytest.mark.e2e
@pytest.mark.timeout(400)
def test_schemathesis_finds_nothing(server: Server, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(OPTIONS)
    program = Path(sys.executable).with_name("schemathesis")
    options = ["--checks", "all", "--max-examples", "25", "--seed", "20180101", "--no-color"]

    done = subprocess.run(
        [program, "run", f"{server.url}/docs.json", *options], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout[-6000:]
    assert '"level":"error"' not in server.log.read_text()
