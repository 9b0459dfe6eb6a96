"""A training for the tests of `tercet retrain`: it leaves what a real one leaves, in no time, and fails where told."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from features.asof import Moment
from features.tables import TableSet
from serving.bundle import write_bundle
from tests.serving.tiny import tiny_contents
from training import gate, retrain_undo
from training import retrain as subject
from training.errors import NothingToLearn
from training.gate_record import GateRecord, verdict_of, write_record
from training.gate_rules import decide_alone
from training.home import Home
from training.judge import Judgement, MetricRow
from training.pipeline import Made, TrainingJob
from training.tracking import BUNDLE_TAG, CHALLENGER, CHAMPION, REGISTERED, Aliases, Tracker

MODELS = ("habit", "churn")
STEPS = ("tables", "bundle", "runs", "record")
LIVE = (".lock", ".training", "retrain.log", "mlflow.db", "state")
"""What a retraining may leave at the top of a home: locks, its log, MLflow's database (looked at by itself), state."""

AHEAD = MetricRow("habit", "types", "precision@2", 0.5, 0.4, 0.6, "P-TopFreq", 0.4, 0.1, 0.05, 0.15, is_primary=True)
BEHIND = replace(AHEAD, gain=-0.1, gain_low=-0.2, gain_high=-0.05)


@dataclass
class FakeTraining:
    """Stands in for `make_bundle`; `fails_after` a step it raises `error`. `recipe` makes bundles differ."""

    recipe: str = "first"
    row: MetricRow = AHEAD
    fails_after: str = ""
    error: BaseException = NothingToLearn("nothing to learn")  # noqa: RUF009  # an exception is no default to share by mistake

    def __call__(
        self, job: TrainingJob, home: Path, progress: Callable[[str], None], written: Callable[[str], None]
    ) -> Made:
        place = Home(home)
        self._tables(place)
        self._results(place)
        version = write_bundle(_contents(self.recipe), place.bundles)
        written(version)
        self._done("bundle")
        place.report(version).mkdir(parents=True, exist_ok=True)
        (place.report(version) / "report.md").write_text(f"trained as {self.recipe}")
        self._done("report")
        registered = self._runs(place, version)
        decision = decide_alone(Judgement("habit", ("2017-12-04",), (self.row,)))
        verdict = verdict_of([decision])
        record = GateRecord(version, place.champion() or "", (decision,), verdict, registered=registered)
        write_record(place.report(version), record)
        self._done("record")
        return Made(version, tables_of(place), Moment(0, 0))

    def _done(self, step: str) -> None:
        if step == self.fails_after:
            raise self.error

    def _tables(self, place: Home) -> None:
        place.policy_text()
        folder = place.features / "tables" / self.recipe
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "lines.parquet").write_text(self.recipe)
        (folder / "quarantine").mkdir(exist_ok=True)  # empty where no row was bad
        quarantine = place.folder / "quarantine"
        quarantine.mkdir(exist_ok=True)
        (quarantine / "transactions.parquet").write_text(self.recipe)
        (quarantine / f"{self.recipe}.parquet").write_text(self.recipe)
        self._done("tables")

    def _results(self, place: Home) -> None:
        folder = place.folder / "results" / "habit"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.recipe}.npz").write_text(self.recipe)
        self._done("results")

    def _runs(self, place: Home, version: str) -> dict[str, str]:
        store, registered = retrain_undo.Tracker.under(place.folder), {}
        for model in MODELS:
            log = store.log_pretended if isinstance(store, PretendedMlflow) else partial(_logged, store)
            registered[model] = log(model, version)
            self._done("runs")  # after the first model: halfway
        return registered


@dataclass
class PretendedMlflow:
    """What `Tracker` does that a retraining asks for, in a JSON file: MLflow itself takes seconds to import."""

    home: Path
    artifacts: str | None = "here"

    @classmethod
    def under(cls, home: Path) -> PretendedMlflow:
        return cls(home)

    def read(self) -> dict[str, Any]:
        path = self.home / "mlflow.db"
        return json.loads(path.read_text()) if path.exists() else {"bundles": {}, "aliases": {}}

    def write(self, found: dict[str, Any]) -> None:
        (self.home / "mlflow.db").write_text(json.dumps(found))

    def log_pretended(self, model: str, bundle: str) -> str:
        found = self.read()
        versions = found["bundles"].setdefault(f"{REGISTERED}{model}", {})
        version = str(len(versions) + 1)
        versions[version] = [bundle, int(time.time() * 1000)]
        found["aliases"].setdefault(f"{REGISTERED}{model}", {})[CHALLENGER] = version
        self.write(found)
        return version

    def aliases(self) -> dict[str, dict[str, str]]:
        return self.read()["aliases"]

    def promote_all(self, versions: Mapping[str, str], _tags: Mapping[str, str]) -> None:
        found = self.read()
        for model, version in versions.items():
            found["aliases"][f"{REGISTERED}{model}"][CHAMPION] = version
        self.write(found)

    def take_back(self, since_ms: int, bundles: Collection[str], before: Aliases) -> None:
        found = self.read()
        for name, versions in found["bundles"].items():
            kept = {each: made for each, made in versions.items() if made[0] not in bundles or made[1] < since_ms}
            if kept != versions:
                found["bundles"][name], found["aliases"][name] = kept, before[name]
        self.write(found)


def _logged(tracker: Tracker, model: str, bundle: str) -> str:
    """Log and register a model for real."""
    with tracker.run(model, f"{model} {bundle}", {BUNDLE_TAG: bundle}) as log, TemporaryDirectory() as folder:
        log.text("a note", "notes.txt")
        return tracker.register(log, {"a.json": "{}"}, inputs=[], folder=Path(folder))


def _contents(recipe: str) -> object:
    contents = tiny_contents()
    return replace(contents, meta=replace(contents.meta, recipe={"name": recipe}))


def tables_of(place: Home) -> TableSet:
    """Tables of which nothing but the digest is asked."""
    return TableSet(
        folder=place.features / "tables" / "none",
        digest="none",
        time_zone="UTC",
        currency="",
        source_name="fake",
        first_day=0,
        last_day=1,
        has_hours=False,
        has_amounts=False,
        has_types=False,
        has_categories=False,
        has_prices=False,
        switched_off=(),
    )


def files_of(home: Path) -> dict[str, str]:
    """What a home holds, by path, but for what is live; folders that hold nothing count too."""
    found = {}
    for path in sorted(home.rglob("*")):
        name = str(path.relative_to(home))
        if name.partition("/")[0] not in LIVE and not (path.is_dir() and any(path.iterdir())):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "a folder"
    return found


def seen_in_mlflow(home: Path) -> dict[str, object]:
    """What a person sees in MLflow: runs, versions and aliases."""
    if not (home / "mlflow.db").is_file():
        return {}
    store = retrain_undo.Tracker.under(home)
    if isinstance(store, PretendedMlflow):
        return store.read()
    client = store.client
    experiments = [each.experiment_id for each in client.search_experiments()]
    return {
        "runs": sorted(run.info.run_id for run in client.search_runs(experiments)),
        "versions": sorted(f"{each.name} {each.version}" for each in client.search_model_versions()),
        "aliases": {each.name: dict(each.aliases) for each in client.search_registered_models()},
        "logged": sorted(each.model_id for each in client.search_logged_models(experiments)),
    }


def pretend_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let retrainings and promotions log to `PretendedMlflow`."""
    for place in (retrain_undo, gate):
        monkeypatch.setattr(place, "Tracker", PretendedMlflow)


def use(monkeypatch: pytest.MonkeyPatch, training: FakeTraining) -> FakeTraining:
    """Let `retrain` train so, and leave the state alone."""
    monkeypatch.setattr(subject, "make_bundle", training)
    monkeypatch.setattr(subject, "tend_state", lambda *_, **__: None)
    return training
