"""Calls one after the other, each with what the one before gave (the document's links): schemathesis finds nothing."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any, get_type_hints

import hypothesis
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig

from serving.api_links import links_of
from serving.bundle import Bundle
from serving.engine import Engine
from serving.http_body import Receive, Scope, Send
from serving.http_calls import CALLS, TELLINGS, Call
from tests.contracts.schemathesis_options import OPTIONS
from tests.contracts.test_http import tiny_bundle as tiny_bundle
from tests.contracts.test_http import tiny_folder as tiny_folder
from tests.serving.asgi import Client, client
from tests.serving.running import NOW

LINKED = [(call, name) for call in (*CALLS, *TELLINGS) for name in links_of(call)]


@pytest.fixture
def api(tmp_path: Path, tiny_bundle: Bundle) -> Client:
    return client(tmp_path, Engine(tiny_bundle), NOW)


class Counted:
    """The application, and how often each call gave which status."""

    def __init__(self, api: Client) -> None:
        self.api = api
        self.counts: Counter[tuple[str, str, int]] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = self.api.app.path_of(scope)

        async def counted(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.counts[scope["method"], path, message["status"]] += 1
            await send(message)

        headers = [(name, value) for name, value in scope["headers"] if name != b"host"]  # no machine has its name
        await self.api.app({**scope, "headers": headers, "client": ("127.0.0.1", 1)}, receive, counted)


def test_links_name_calls_and_values_that_they_take(api: Client) -> None:
    paths = api.get("/docs.json").json()["paths"]
    operations = {each["operationId"]: each for methods in paths.values() for each in methods.values()}
    for call, name in LINKED:
        link = paths[call.path][call.method.lower()]["responses"][str(call.status)]["links"][name]
        target = operations[link["operationId"]]

        assert {each["name"] for each in target.get("parameters", ())} == set(link.get("parameters", {}))
        assert ("requestBody" in link) <= ("requestBody" in target)
        for expression in re.findall(r"\$(?:request|response)[\w.#/]*", str(link)):
            assert expression in _givable(call)


def _givable(call: Call) -> set[str]:
    """Return what a call and its answer can give to the next."""
    asked = () if call.request is None else call.request.model_fields
    given = {f"$request.body#/{name}" for name in asked} | {f"$request.body#/{name}/0/customer_id" for name in asked}
    given |= {f"$response.body#/{name}" for name in get_type_hints(call.answer)}
    return given | ({"$request.path.id"} if call.id_of else set())


def test_calls_that_follow_from_each_other_keep_the_contract(api: Client, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(OPTIONS)
    counted = Counted(api)
    config = SchemathesisConfig.from_path(tmp_path / "schemathesis.toml")
    schema = schemathesis.openapi.from_asgi("/docs.json", counted, config=config)

    counts = counted.counts
    met = (
        ("GET", "/v1/decisions/{id}", 200),
        ("DELETE", "/v1/customers/{id}", 202),
        ("GET", "/v1/customers/{id}", 200),
    )
    for seed in range(30):  # one of them in three meets not all, and which one that is may change with any module
        hypothesis.seed(seed)(schema.as_state_machine()).run(
            settings=hypothesis.settings(
                max_examples=5,
                stateful_step_count=8,
                deadline=None,
                database=None,
                suppress_health_check=list(hypothesis.HealthCheck),
            )
        )
        assert not [each for each in counts if each[2] >= 500]
        if all(counts[each] for each in met):
            return
    pytest.fail(f"of {met} only {[each for each in met if counts[each]]} were met")
