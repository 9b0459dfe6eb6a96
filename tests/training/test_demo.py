from __future__ import annotations

import socket
from math import prod
from pathlib import Path

import pytest

from serving.api import ChallengeRequest
from serving.bundle import Bundle
from serving.champion import write_champion
from serving.decisioning.policy import parse_policy
from serving.engine import Engine
from tests.serving.running import publish
from training import demo
from training.errors import TrainingError
from training.home import Home
from training.progress import Progress


@pytest.fixture
def home(tmp_path: Path) -> Home:
    publish(tmp_path)
    return Home(tmp_path)


def test_a_second_run_reuses_the_champion(home: Home) -> None:
    assert demo.prepare_bundle("tiny shop", home, Progress()).manifest.version == home.champion()


def test_a_home_that_serves_something_else_is_said_so(home: Home) -> None:
    with pytest.raises(TrainingError, match="serves tiny shop, not complete-journey"):
        demo.prepare_bundle("complete-journey", home, Progress())


def test_a_new_home_assumes_consent_to_messages_and_an_old_one_keeps_its_policy(tmp_path: Path) -> None:
    home = Home(tmp_path / "new")
    demo.write_demo_policy(home)
    assert parse_policy(home.policy_text()).consent.email
    home.policy_path.write_text("mine", encoding="utf-8")
    demo.write_demo_policy(home)
    assert home.policy_path.read_text(encoding="utf-8") == "mine"


def test_the_customer_whose_items_are_the_most_probable_together_is_asked_for(home: Home) -> None:
    bundle: Bundle = demo.prepare_bundle("tiny shop", home, Progress())
    engine, at = Engine(bundle), bundle.manifest.as_of
    rewarded = [
        [item["probability"] for item in answer["items"]]
        for each in bundle.customers.id
        if (answer := engine.challenge(ChallengeRequest(customer_id=each), at, ""))["reward"]
    ]
    chosen = engine.challenge(ChallengeRequest(customer_id=demo.pick_customer(bundle)), at, "")
    assert [item["probability"] for item in chosen["items"]] == max(rewarded, key=prod)


def test_a_port_that_is_taken_is_one_line_before_any_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status = demo.main(["synthetic", "--home", str(tmp_path / "home"), "--port", str(port)])
    out, err = capsys.readouterr()
    assert (status, out) == (1, "")
    assert err.startswith(f"tercet: TERCET_PORT: can't listen on 127.0.0.1:{port}")
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
def test_the_demo_tells_a_real_answer_and_ends(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    from serving.launch import free_port

    write_champion(home.folder, str(home.champion()))
    arguments = ["tiny shop", "--home", str(home.folder), "--port", str(free_port()), "--once"]
    assert demo.main(arguments) == 0
    out, _ = capsys.readouterr()
    assert "The challenge of customer" in out
    assert "curl -s http://127.0.0.1:" in out
