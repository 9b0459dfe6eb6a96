"""Experiments over HTTP: every decision says its arm, and each first one is recorded with its odds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serving.arms import ExperimentEngine
from serving.bundle import Bundle
from serving.experiments import HOLDOUT, Experiments
from serving.experiments_toml import default_experiments, parse_experiments
from tests.serving.asgi import NOW, Client, client
from tests.serving.held_out import text_that
from tests.serving.state.builders import state_on
from tests.serving.state.memory_store import MemoryStore

HELD_OUT, TREATED = {"name": HOLDOUT, "arm": HOLDOUT}, {"name": "points", "arm": "treated"}


@pytest.fixture
def plan() -> Experiments:
    return parse_experiments(text_that(holds_out="anna", treats="cleo"))


@pytest.fixture
def engine(tiny_bundle: Bundle, plan: Experiments) -> ExperimentEngine:
    return ExperimentEngine(tiny_bundle, plan)


@pytest.fixture
def api(tmp_path: Path, engine: ExperimentEngine, store: MemoryStore) -> Client:
    return client(tmp_path, engine, NOW, store)


def ask(api: Client, call: str, customer_id: str, **more: Any) -> Any:
    reply = api.post(f"/v1/{call}", {"customer_id": customer_id, **more})
    assert reply.status == 200, reply.body
    return reply.json()


@pytest.mark.parametrize("call", ["challenge", "recommendations"])
def test_every_decision_says_its_arm(api: Client, call: str) -> None:
    assert ask(api, call, "anna")["experiment"] == HELD_OUT
    assert ask(api, call, "cleo")["experiment"] == TREATED
    assert ask(api, call, "ben")["experiment"] is None  # has refused: there is nothing to compare


def test_who_is_held_out_keeps_one_common_challenge_all_week(api: Client) -> None:
    first, second = ask(api, "challenge", "anna"), ask(api, "challenge", "anna", placement="cart")
    assert not first["personalized"]
    assert first["decision_id"] == second["decision_id"]
    common = [item["product_id"] for item in ask(api, "challenge", "ben")["items"]]
    assert [item["product_id"] for item in first["items"]] == common


def test_first_decisions_of_all_arms_are_recorded_with_their_odds(api: Client, store: MemoryStore) -> None:
    for customer_id in ("anna", "cleo"):
        ask(api, "challenge", customer_id)
        ask(api, "challenge", customer_id)
    found = {head.customer_ids: (head.experiment, head.probability) for head in state_on(store).decided()}
    assert found == {("anna",): (HELD_OUT, 0.2), ("cleo",): (TREATED, 0.75)}


def test_a_decision_can_be_looked_up_with_its_arm_and_odds(api: Client) -> None:
    made = ask(api, "recommendations", "cleo")
    kept = api.get(f"/v1/decisions/{made['decision_id']}").json()
    assert kept["experiment"] == TREATED
    assert kept["probability"] == 0.75


def test_a_promised_challenge_keeps_its_arm_when_the_experiments_change(api: Client, engine: ExperimentEngine) -> None:
    promised = ask(api, "challenge", "cleo")
    assert promised["reward"]["kind"] == "points"
    engine.obey(default_experiments())
    assert ask(api, "challenge", "cleo") == promised
    assert ask(api, "recommendations", "cleo")["experiment"] is None


def test_a_dry_run_exposes_nobody(api: Client, store: MemoryStore) -> None:
    assert ask(api, "challenge", "anna", dry_run=True)["experiment"] == HELD_OUT
    assert list(state_on(store).decided()) == []


def test_without_the_state_the_arms_are_the_same(api: Client, store: MemoryStore) -> None:
    with_state = ask(api, "recommendations", "cleo")
    store.is_away = True
    without = ask(api, "recommendations", "cleo")
    assert without["experiment"] == with_state["experiment"] == TREATED
    assert ask(api, "challenge", "anna")["experiment"] == HELD_OUT
