"""MLflow through its one door: runs, pictures, registered models and aliases, in a real SQLite store."""

from __future__ import annotations

import socket
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from training.boosting import BoostingConfig, fit_trees
from training.errors import TrackingError
from training.judging import drawn
from training.plots import importance_figure
from training.tracking import CHALLENGER, CHAMPION, Tracker


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Tracker:
    return Tracker.under(tmp_path_factory.mktemp("home"))


def test_a_run_keeps_what_was_logged(tracker: Tracker) -> None:
    pictures = drawn({"importance.png": importance_figure({"recency": 1.0}, title="habit")})
    with tracker.run("habit", "habit one", {"bundle": "b1"}) as log:
        log.params({"trees": {"n_trees": 5}, "n_cutoffs": 3})
        log.metrics({"recall": 0.5, "unknown": float("nan")})
        log.pictures(pictures)
        log.pictures({})
        log.text("a note", "notes.txt")
    run = tracker.client.get_run(log.run_id)
    assert run.data.params == {"trees.n_trees": "5", "n_cutoffs": "3"}
    assert run.data.metrics == {"recall": 0.5}
    assert run.info.status == "FINISHED"
    assert {each.path for each in tracker.client.list_artifacts(log.run_id)} == {"pictures", "notes.txt"}
    assert [each.path for each in tracker.client.list_artifacts(log.run_id, "pictures")] == ["pictures/importance.png"]


def test_a_run_whose_body_raises_is_marked_failed(tracker: Tracker) -> None:
    with pytest.raises(ValueError, match="broken"), tracker.run("habit", "habit two") as log:
        raise ValueError("broken")
    assert tracker.client.get_run(log.run_id).info.status == "FAILED"


def test_a_registered_model_predicts_what_the_trees_do(tracker: Tracker, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"a": rng.normal(size=400), "b": rng.normal(size=400)})
    trees = fit_trees(frame, (frame["a"] > 0).astype(float), BoostingConfig(n_trees=5, min_rows_per_leaf=10))
    with tracker.run("churn", "churn one") as log:
        version = tracker.register(log, {"trees.txt": trees.to_text()}, inputs=["a", "b"], folder=tmp_path)
    assert str(tracker.client.get_model_version_by_alias("tercet-churn", CHALLENGER).version) == version
    loaded = mlflow.pyfunc.load_model(f"models:/tercet-churn@{CHALLENGER}")
    np.testing.assert_allclose(loaded.predict(frame), trees.predict(frame))


def test_promotion_moves_the_champion_alias(tracker: Tracker, tmp_path: Path) -> None:
    with tracker.run("segments", "segments one") as log:
        version = tracker.register(log, {"segments.json": "{}"}, inputs=[], folder=tmp_path)
    tracker.promote_all({"segments": version}, {"promoted": "by force"})
    champion = tracker.client.get_model_version_by_alias("tercet-segments", CHAMPION)
    assert str(champion.version) == version
    assert champion.tags["promoted"] == "by force"
    assert tracker.client.get_run(log.run_id).data.tags["promoted"] == "by force"
    texts = mlflow.pyfunc.load_model(f"models:/tercet-segments@{CHAMPION}").predict(
        pd.DataFrame({"file": ["segments.json"]})
    )
    assert list(texts) == ["{}"]


def test_the_uri_of_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'other.db'}")
    assert Tracker.under(tmp_path).uri.endswith("other.db")


def test_a_server_that_nobody_answers_at_is_told_before_anything_is_made(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        tracker = Tracker(f"http://127.0.0.1:{nobody.getsockname()[1]}", None)

        with pytest.raises(TrackingError, match="MLFLOW_TRACKING_URI: nobody answers at 127.0.0.1"):
            tracker.check()
    Tracker.under(tmp_path).check()


def test_a_store_that_goes_away_is_told_in_a_line(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise MlflowException("API request failed\nwith a long story")

    def log_something() -> None:
        with tracker.run("churn", "a run") as log:
            monkeypatch.setattr(log.client, "log_batch", refuse)
            log.client.log_batch(log.run_id)

    with pytest.raises(TrackingError, match="API request failed$"):
        log_something()
