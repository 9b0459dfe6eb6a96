"""MLflow is gone: the server needs none of it, a promotion and the way back go through, a training says so at once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serving.champion import read_champion, write_champion
from tests.faults.conftest import Shop
from tests.faults.shop import Load, everywhere, post, publish_named, untouched
from tests.serving.running import RECOMMENDATIONS

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.timeout(180)]

NOBODY = "http://127.0.0.1:9"


def tercet(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command while MLflow is where nobody answers."""
    command = [str(Path(sys.executable).with_name("tercet")), *arguments]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": NOBODY}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_a_promotion_goes_through_and_the_server_takes_it_up(shop: Shop) -> None:
    second = publish_named(shop.home, "without-mlflow")
    write_champion(shop.home, shop.version)

    with untouched(shop.server), Load(shop.server, n=1, pause=0.02) as load:
        promoted = tercet("promote", "--force", second, "--home", str(shop.home))
        taken_up = everywhere(
            shop.server, lambda: bool(post(shop.server, RECOMMENDATIONS).body["model_version"] == second)
        )

    assert promoted.returncode == 0, promoted.stderr
    assert taken_up
    assert load.statuses() == {200: len(load.replies)}


def test_a_training_says_at_once_that_it_can_not_log_and_leaves_the_champion(shop: Shop) -> None:
    before = sorted(each.name for each in (shop.home / "bundles").iterdir())
    started = time.monotonic()

    trained = tercet("train", "synthetic:customers=50,weeks=20,seed=1", "--quick", "--home", str(shop.home))

    assert trained.returncode != 0
    assert "MLFLOW_TRACKING_URI: nobody answers at 127.0.0.1:9" in trained.stderr
    assert "Traceback" not in trained.stderr
    assert time.monotonic() - started < 60
    assert read_champion(shop.home) == shop.version
    assert sorted(each.name for each in (shop.home / "bundles").iterdir()) == before
