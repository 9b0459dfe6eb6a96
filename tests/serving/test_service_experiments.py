"""A running server takes up experiments.toml as it changes, on every worker, and refuses one with mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.experiments import HOLDOUT
from serving.experiments_toml import default_experiments_text
from serving.launch import Server
from tests.serving.held_out import text_that
from tests.serving.running import RECOMMENDATIONS, asked_of_all, eventually, publish, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def write(home: Path, text: str) -> None:
    draft = home / "experiments.draft"
    draft.write_text(text)
    draft.replace(home / "experiments.toml")


def is_held_out(server: Server) -> set[bool]:
    """Return what every worker, asked often, says of the same customer."""
    arms = [each.json()["experiment"] for each in asked_of_all(server, RECOMMENDATIONS)]
    return {arm is not None and arm["name"] == HOLDOUT for arm in arms}


def test_experiments_are_taken_up_and_those_with_mistakes_are_not(tmp_path: Path) -> None:
    publish(tmp_path)
    with running(tmp_path, workers=2) as server:
        server.wait_until_ready()
        assert (tmp_path / "experiments.toml").read_text() == default_experiments_text()
        assert is_held_out(server) == {False}
        sound = text_that(holds_out="anna", treats="cleo")
        write(tmp_path, sound)
        assert eventually(lambda: is_held_out(server) == {True})
        write(tmp_path, sound.replace("share = 0.2 ", "share = 0.9 "))
        assert not eventually(lambda: is_held_out(server) != {True}, seconds=2.0)
        write(tmp_path, default_experiments_text())
        assert eventually(lambda: is_held_out(server) == {False})
