"""`tercet retrain`: it promotes what passes, keeps what waits, and where a step fails leaves everything as it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from serving.errors import HomeInUse
from serving.home_lock import retraining_in, training_in
from tests.training.retrain_shop import (
    BEHIND,
    STEPS,
    FakeTraining,
    PretendedMlflow,
    files_of,
    pretend_mlflow,
    seen_in_mlflow,
    use,
)
from training import cli, gate, retrain_undo
from training import retrain as subject
from training.errors import RetrainError
from training.home import Home
from training.pipeline import TrainingJob
from training.retrain import Outcome, RetrainJob, retrain
from training.tracking import CHALLENGER, CHAMPION

JOB = RetrainJob(TrainingJob("synthetic"))
ROOT = Path(__file__).resolve().parents[2]


def silent(_: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def served_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home as a first retraining has made it; to be copied."""
    home = tmp_path_factory.mktemp("served") / "home"
    with pytest.MonkeyPatch.context() as patch:
        pretend_mlflow(patch)
        use(patch, FakeTraining("first"))
        assert retrain(JOB, home, silent).outcome is Outcome.PROMOTED
    return home


@pytest.fixture
def home(served_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a shop that serves."""
    pretend_mlflow(monkeypatch)
    shutil.copytree(served_once, tmp_path / "home")
    return tmp_path / "home"


def as_it_is(home: Path) -> tuple[object, ...]:
    return Home(home).champion(), files_of(home), seen_in_mlflow(home)


def test_a_bundle_that_passes_becomes_the_champion(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Home(home).champion()
    use(monkeypatch, FakeTraining("second"))

    found = retrain(JOB, home, silent)

    assert (found.outcome, found.before) == (Outcome.PROMOTED, before)
    assert Home(home).champion() == found.version != before
    assert gate.Tracker.under(home).aliases()["tercet-habit"] == {CHALLENGER: "2", CHAMPION: "2"}
    line = json.loads((home / "retrain.log").read_text().splitlines()[-1])
    assert (line["outcome"], line["version"], line["before"]) == ("promoted", found.version, before)


def test_old_bundles_leave_the_disk_where_it_is_said_how_many_stay(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeTraining("second"))
    second = retrain(JOB, home, silent).version
    use(monkeypatch, FakeTraining("third"))
    third = retrain(RetrainJob(TrainingJob("synthetic"), n_kept=1), home, silent).version
    assert {each.name for each in (home / "bundles").iterdir()} == {second, third}


def test_what_the_gate_refuses_waits_and_the_champion_serves_on(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Home(home).champion()
    use(monkeypatch, FakeTraining("second", BEHIND))

    assert cli.run(["retrain", "synthetic", "--home", str(home)]) == 3

    said = capsys.readouterr().out
    assert "is refused by the gate" in said
    assert "precision@2" in said
    assert Home(home).champion() == before
    assert len(list((home / "bundles").iterdir())) == 2


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_leaves_everything_as_it_was(home: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    before = as_it_is(home)
    use(monkeypatch, FakeTraining("second", fails_after=step))

    with pytest.raises(RetrainError, match="nothing to learn"):
        retrain(JOB, home, silent)

    assert as_it_is(home) == before
    assert json.loads((home / "retrain.log").read_text().splitlines()[-1])["outcome"] == "failed"


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (subject, "tend_state"),
        (gate, "open_bundle"),
        (gate, "_leave_trace"),
        (gate, "write_champion"),
        (PretendedMlflow, "promote_all"),
    ],
)
def test_a_promotion_that_fails_leaves_everything_as_it_was(
    home: Path, monkeypatch: pytest.MonkeyPatch, place: object, name: str
) -> None:
    before = as_it_is(home)
    use(monkeypatch, FakeTraining("second"))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(place, name, full)
        with pytest.raises(RetrainError, match="No space left"):
            retrain(JOB, home, silent)

    assert as_it_is(home) == before


@pytest.mark.parametrize("step", ["tables", "record"])
def test_a_first_training_that_fails_leaves_an_empty_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    pretend_mlflow(monkeypatch)
    use(monkeypatch, FakeTraining("first", fails_after=step))

    with pytest.raises(RetrainError):
        retrain(JOB, tmp_path, silent)

    assert files_of(tmp_path) == {}
    assert not (tmp_path / "mlflow.db").exists()


def test_the_same_bundle_again_that_fails_has_its_old_report(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = Home(home).champion()
    report = home / "reports" / str(version) / "report.md"
    report.write_text("as a person has annotated it")
    before = as_it_is(home)
    use(monkeypatch, FakeTraining("first", fails_after="record"))

    with pytest.raises(RetrainError):
        retrain(JOB, home, silent)

    assert as_it_is(home) == before


def test_an_interruption_takes_everything_back_too(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = as_it_is(home)
    use(monkeypatch, FakeTraining("second", fails_after="runs", error=KeyboardInterrupt()))

    assert cli.run(["retrain", "synthetic", "--home", str(home)]) == cli.INTERRUPTED

    assert as_it_is(home) == before
    assert '"why": "it was stopped"' in (home / "retrain.log").read_text("utf-8")


def test_a_dry_run_says_what_would_come_of_it_and_keeps_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = as_it_is(home)
    use(monkeypatch, FakeTraining("second"))

    assert cli.run(["retrain", "synthetic", "--dry-run", "--home", str(home)]) == 0

    assert "passes: no model is worse" in capsys.readouterr().out
    assert as_it_is(home) == before


def test_of_two_at_once_the_second_says_so_and_does_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = as_it_is(home)
    use(monkeypatch, FakeTraining("second"))

    with retraining_in(home):
        assert cli.run(["retrain", "synthetic", "--home", str(home)]) == 4
        with pytest.raises(HomeInUse, match="a retraining is at work"), training_in(home):
            pass

    assert "another training is at work" in capsys.readouterr().err
    assert as_it_is(home) == before


def test_a_training_by_hand_keeps_a_retraining_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeTraining("second"))
    with training_in(home), training_in(home), pytest.raises(HomeInUse, match="another training"):
        retrain(JOB, home, silent)


@pytest.mark.parametrize("step", ["tables", "runs"])
def test_one_that_was_killed_is_settled_by_the_next(home: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    before = as_it_is(home)
    use(monkeypatch, FakeTraining("second", fails_after=step))
    with monkeypatch.context() as patch:
        patch.setattr(retrain_undo.Undo, "take_back", lambda _: None)  # as a kill has it: nothing is taken back
        patch.setattr(retrain_undo.Undo, "take_back_caches", lambda _: None)
        with pytest.raises(RetrainError):
            retrain(JOB, home, silent)
    assert as_it_is(home) != before

    assert retrain_undo.settle(Home(home))

    left = as_it_is(home)
    quarantine = [name for name in files_of(home) if name.startswith("quarantine/")]
    assert {name: each for name, each in left[1].items() if name not in quarantine} == {  # type: ignore[attr-defined]
        name: each
        for name, each in before[1].items()  # type: ignore[attr-defined]
        if not name.startswith("quarantine/")
    }
    assert (left[0], left[2]) == (before[0], before[2])
    assert not retrain_undo.settle(Home(home))


def test_one_that_was_killed_after_it_was_judged_waits(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Home(home).champion()
    use(monkeypatch, FakeTraining("second", fails_after="record"))
    with monkeypatch.context() as patch:
        patch.setattr(retrain_undo.Undo, "take_back", lambda _: None)
        patch.setattr(retrain_undo.Undo, "take_back_caches", lambda _: None)
        with pytest.raises(RetrainError):
            retrain(JOB, home, silent)

    assert retrain_undo.settle(Home(home))

    assert len(list((home / "bundles").iterdir())) == 2
    assert gate.promote(home).version != before


def test_what_others_have_promoted_meanwhile_stays(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeTraining("second"))
    second = retrain(JOB, home, silent).version
    first = next(each.name for each in (home / "bundles").iterdir() if each.name != second)

    class Meanwhile(FakeTraining):
        def _done(self, step: str) -> None:
            if step == "report":
                gate.promote(home, first)
            super()._done(step)

    use(monkeypatch, Meanwhile("third", fails_after="record"))
    with pytest.raises(RetrainError):
        retrain(JOB, home, silent)

    assert Home(home).champion() == first
    assert {each.name for each in (home / "bundles").iterdir()} == {first, second}


class Ready(BaseHTTPRequestHandler):
    """A server that goes by a home's champion, or by none."""

    home: Path
    takes_up = True

    def do_GET(self) -> None:
        version = Home(self.home).champion() if self.takes_up else "20000101-00000000"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"ready": True, "model_version": version}).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(home: Path) -> Iterator[tuple[str, type[Ready]]]:
    handler = type("ReadyHere", (Ready,), {"home": home})
    listening = HTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}/", handler
    listening.shutdown()
    thread.join()
    listening.server_close()


def test_the_server_is_seen_to_take_it_up(
    home: Path, server: tuple[str, type[Ready]], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, FakeTraining("second"))
    found = retrain(RetrainJob(TrainingJob("synthetic"), server[0]), home, silent)
    assert found.outcome is Outcome.PROMOTED


def test_a_server_that_does_not_take_it_up_has_its_old_champion_back(
    home: Path, server: tuple[str, type[Ready]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = as_it_is(home)
    url, handler = server
    handler.takes_up = False
    use(monkeypatch, FakeTraining("second"))

    with pytest.raises(RetrainError, match="did not take up .* it says 20000101-00000000"):
        retrain(RetrainJob(TrainingJob("synthetic"), url, served_seconds=0.3), home, silent)

    assert as_it_is(home) == before


def test_mlflow_that_is_away_when_things_are_taken_back_is_settled_later(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = as_it_is(home)
    use(monkeypatch, FakeTraining("second", fails_after="runs"))

    def away(*_: object, **__: object) -> None:
        raise OSError(111, "Connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(PretendedMlflow, "take_back", away)
        with pytest.raises(RetrainError, match="nothing to learn"):
            retrain(JOB, home, silent)
    assert "the next retraining finishes it" in caplog.text
    assert Home(home).champion() == before[0]

    assert retrain_undo.settle(Home(home))
    assert as_it_is(home) == before


@pytest.mark.slow
def test_mlflow_itself_is_as_it_was_after_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeTraining("first"))
    retrain(JOB, tmp_path, silent)
    before = as_it_is(tmp_path)
    for step in ("runs", "record"):
        use(monkeypatch, FakeTraining("second", fails_after=step))
        with pytest.raises(RetrainError):
            retrain(JOB, tmp_path, silent)
        assert as_it_is(tmp_path) == before, step

    use(monkeypatch, FakeTraining("second"))
    version = retrain(JOB, tmp_path, silent).version
    assert Home(tmp_path).champion() == version
    assert all(each[CHAMPION] == each[CHALLENGER] > "2" for each in gate.Tracker.under(tmp_path).aliases().values())


@pytest.mark.slow
def test_a_store_of_mlflow_that_a_failure_made_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeTraining("first", fails_after="record"))
    with pytest.raises(RetrainError):
        retrain(JOB, tmp_path, silent)
    assert files_of(tmp_path) == {}
    assert not (tmp_path / "mlflow.db").exists()
