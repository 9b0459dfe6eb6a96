"""A real retraining beside a real server: taken up with no promise lost; and one that fails late leaves no trace."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from serving.bundle import open_bundle
from serving.launch import free_port, start
from serving.settings import Settings
from tests.conftest import SHOP_SOURCE
from tests.deploying.bentos import BIN
from tests.serving.running import eventually
from tests.training.retrain_shop import files_of, seen_in_mlflow
from training.config import shipped_text
from training.errors import RetrainError
from training.home import Home
from training.pipeline import TrainingJob
from training.retrain import Outcome, RetrainJob, retrain
from training.retrain_undo import settle
from training.tracking import CHAMPION, Tracker

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(1800)]

TRAINING = TrainingJob(SHOP_SOURCE, quick=True)


def test_a_new_champion_is_taken_up_and_a_failure_after_that_leaves_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    first = retrain(RetrainJob(TRAINING), tmp_path, print)
    assert first.outcome is Outcome.PROMOTED
    bundle = open_bundle(home.bundle(first.version))
    asked = {"customer_id": bundle.customers.id[0]}
    (tmp_path / "configs").mkdir()
    other = shipped_text("churn").replace("n_cutoffs = 8", "n_cutoffs = 6")
    (tmp_path / "configs" / "churn.toml").write_text(other)

    with start(Settings(tmp_path, port=free_port(), now=bundle.manifest.as_of)) as server:
        server.wait_until_ready(120)
        promised = httpx.post(f"{server.url}/v1/challenge", json=asked, verify=False).json()
        second = retrain(RetrainJob(TRAINING, server.url), tmp_path, print)
        assert (second.outcome, second.before) == (Outcome.PROMOTED, first.version)
        assert second.version != first.version
        told = httpx.post(f"{server.url}/v1/recommendations", json=asked, verify=False).json()
        assert told["model_version"] == second.version
        kept = httpx.post(f"{server.url}/v1/challenge", json=asked, verify=False).json()
        assert (kept["decision_id"], kept["items"]) == (promised["decision_id"], promised["items"])

        before = home.champion(), files_of(tmp_path), seen_in_mlflow(tmp_path)
        (tmp_path / "configs" / "churn.toml").write_text(other.replace("n_cutoffs = 6", "n_cutoffs = 5"))
        settings = files_of(tmp_path)["configs/churn.toml"]
        promote_all = Tracker.promote_all

        def lost(tracker: Tracker, *arguments: object) -> None:
            promote_all(tracker, *arguments)  # type: ignore[arg-type]  # handed on as they are
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(Tracker, "promote_all", lost)
        with pytest.raises(RetrainError, match="Input/output error"):
            retrain(RetrainJob(TRAINING, server.url), tmp_path, print)

        left = files_of(tmp_path)
        assert left == before[1] | {"configs/churn.toml": settings}
        assert (home.champion(), seen_in_mlflow(tmp_path)) == (before[0], before[2])
        assert httpx.get(f"{server.url}/readyz", verify=False).json()["model_version"] == second.version
    assert all(CHAMPION in each for each in Tracker.under(tmp_path).aliases().values())


@contextmanager
def at_work(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A retraining in a process of its own, once it has begun to judge."""
    log = home.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(command(home), stdout=output, stderr=output)
    try:
        assert eventually(lambda: "judge " in log.read_text() or process.poll() is not None, 180)
        yield process
    finally:
        process.kill()
        process.wait(20)


def command(home: Path) -> list[str]:
    source = "synthetic:customers=60,weeks=32,seed=1"
    return [str(BIN / "tercet"), "retrain", source, "--quick", "--home", str(home)]


def test_a_process_that_is_stopped_or_killed_leaves_no_trace_and_keeps_others_out(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with at_work(home) as process:
        second = subprocess.run(command(home), capture_output=True, text=True, check=False)
        assert (second.returncode, second.stdout) == (4, "")
        assert "another training is at work" in second.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130
    assert files_of(home) == {}

    with at_work(home) as process:
        process.kill()
        process.wait(20)
    assert files_of(home) != {}
    assert settle(Home(home))
    assert files_of(home) == {}
