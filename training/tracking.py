"""The one door to MLflow: an experiment a model, a run a fit, a registered model with `challenger` and `champion`.

The store is SQLite under the home (`mlflow.db`, artifacts in `mlartifacts/`) unless `MLFLOW_TRACKING_URI` is given.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import tempfile
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np

from training.errors import TrackingError

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

CHALLENGER = "challenger"
CHAMPION = "champion"
REGISTERED = "tercet-"
BUNDLE_TAG = "bundle"
MODEL_CODE = Path(__file__).with_name("registered_model.py")
MODEL_REQUIREMENTS = ("lightgbm", "numpy", "pandas")
"""Given by hand: letting MLflow infer them takes 7 to 20 seconds a model (measured.md)."""

Aliases = Mapping[str, Mapping[str, str]]
"""By registered model and alias, the version."""

_URI = "MLFLOW_TRACKING_URI"
_ANSWER_SECONDS = 5.0
_MAX_RUNS = 5000
_MAX_MODELS = 1000
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunLog:
    """An open run: what is logged through it belongs to one fit of one model."""

    client: MlflowClient
    run_id: str
    model: str

    def params(self, values: Mapping[str, object]) -> None:
        """Log parameters; nested tables become dotted names and long values are cut at MLflow's limit."""
        from mlflow.entities import Param

        flat = {name: str(value)[:5000] for name, value in _flat(values)}
        self.client.log_batch(self.run_id, params=[Param(name, value) for name, value in flat.items()])

    def metrics(self, values: Mapping[str, float]) -> None:
        """Log the finite numbers among the values."""
        from mlflow.entities import Metric

        logged = [Metric(name, float(value), 0, 0) for name, value in values.items() if np.isfinite(value)]
        for start in range(0, len(logged), 500):
            self.client.log_batch(self.run_id, metrics=logged[start : start + 500])

    def pictures(self, files: Mapping[str, bytes]) -> None:
        """Log pictures by file name, where the run's page shows them."""
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                (Path(folder) / name).write_bytes(content)
            if files:
                self.client.log_artifacts(self.run_id, folder, "pictures")

    def text(self, text: str, path: str) -> None:
        """Log a text under the run's artifacts."""
        self.client.log_text(self.run_id, text, path)

    def record(self, value: object, path: str) -> None:
        """Log a JSON record under the run's artifacts."""
        self.client.log_text(self.run_id, json.dumps(value, indent=1, default=str), path)

    def table(self, frame: pd.DataFrame, path: str) -> None:
        """Log a table that the MLflow page shows, under a path that ends in `.json`."""
        self.client.log_table(self.run_id, frame, path)

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags on the run."""
        for name, value in values.items():
            self.client.set_tag(self.run_id, name, value)


@dataclass
class Tracker:
    """Runs and registered models in one MLflow store."""

    uri: str
    artifacts: str | None
    _client: MlflowClient | None = field(default=None, repr=False)

    @classmethod
    def under(cls, home: Path) -> Tracker:
        """Return the tracker of a home, or of `MLFLOW_TRACKING_URI` where that is set."""
        given = os.environ.get(_URI)
        if given:
            return cls(given, None)
        home = home.resolve()
        home.mkdir(parents=True, exist_ok=True)
        return cls(f"sqlite:///{home / 'mlflow.db'}", (home / "mlartifacts").as_uri())

    @property
    def client(self) -> MlflowClient:
        """Return the client, made on first use: a new store migrates for a second or two."""
        if self._client is None:
            self._client = _quiet_client(self.uri)
        return self._client

    def check(self) -> None:
        """Return when a server of MLflow answers; TrackingError otherwise, before hours are spent in vain."""
        parts = urlsplit(self.uri)
        if parts.scheme not in ("http", "https"):
            return
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection((parts.hostname or "", port), timeout=_ANSWER_SECONDS).close()
        except OSError as error:
            raise TrackingError(
                f"{_URI}: nobody answers at {parts.hostname}:{port} ({error.strerror or error}): "
                "start MLflow there, or unset the variable to log under the home"
            ) from error

    @contextmanager
    def run(self, model: str, name: str, tags: Mapping[str, str] | None = None) -> Iterator[RunLog]:
        """Open a run in the experiment `tercet/<model>`; it is marked FAILED when the body raises.

        TrackingError when the store goes away meanwhile.
        """
        with _told():
            run = self.client.create_run(self._experiment(model), run_name=name, tags=dict(tags or {}))
            log = RunLog(self.client, run.info.run_id, model)
            try:
                yield log
            except BaseException:
                self.client.set_terminated(log.run_id, status="FAILED")
                raise
            self.client.set_terminated(log.run_id)

    def register(self, log: RunLog, artifacts: Mapping[str, str], *, inputs: Sequence[str], folder: Path) -> str:
        """Return the new registered version of `tercet-<model>`: texts beside code, no pickle.

        `inputs` are the feature names of a model of trees, all float; without any it is a model of tables, asked by
        file. The texts are written to `folder` first. The version gets the alias `challenger`.
        """
        import mlflow

        paths = _write_texts(artifacts, folder)
        with _environment_kept():
            mlflow.set_tracking_uri(self.uri)
        with warnings.catch_warnings(), mlflow.start_run(run_id=log.run_id):
            warnings.simplefilter("ignore")  # MLflow's own pandas and type-hint warnings, not ours to fix
            logged = mlflow.pyfunc.log_model(
                name=log.model,
                python_model=str(MODEL_CODE),
                artifacts=paths,
                signature=_signature(inputs),
                pip_requirements=list(MODEL_REQUIREMENTS),
            )
        name = f"{REGISTERED}{log.model}"
        if not self.client.search_registered_models(f"name = '{name}'"):
            self.client.create_registered_model(name)
        made = self.client.create_model_version(name, logged.model_uri, log.run_id, model_id=logged.model_id)
        self.client.set_registered_model_alias(name, CHALLENGER, made.version)
        return str(made.version)

    def forget_runs(self, model: str, tag: str, value: str) -> None:
        """Delete the runs of `tercet/<model>` with a tag of that value: what they say is about to be logged anew."""
        found = self.client.search_runs([self._experiment(model)], f"tags.`{tag}` = '{value}'", max_results=_MAX_RUNS)
        for run in found:
            self.client.delete_run(run.info.run_id)

    def promote_all(self, versions: Mapping[str, str], tags: Mapping[str, str] | None = None) -> None:
        """Give the alias `champion` to a version of each model, and tags to it and to the run that it comes from.

        A store that can't be reached is a warning.
        """
        from mlflow.exceptions import MlflowException

        for model, version in versions.items():
            name = f"{REGISTERED}{model}"
            try:
                self.client.set_registered_model_alias(name, CHAMPION, version)
                run_id = self.client.get_model_version(name, version).run_id
                for key, value in (tags or {}).items():
                    self.client.set_model_version_tag(name, version, key, value)
                    self.client.set_tag(run_id, key, value)
            except MlflowException as error:
                _log.warning("MLflow: %s %s did not get the alias %s: %s", model, version, CHAMPION, error.message)
                return

    def aliases(self) -> Aliases:
        """Return which version of each of our registered models has which alias."""
        found = self.client.search_registered_models(f"name LIKE '{REGISTERED}%'", max_results=_MAX_MODELS)
        return {each.name: {alias: str(version) for alias, version in each.aliases.items()} for each in found}

    def take_back(self, since_ms: int, bundles: Collection[str], before: Aliases) -> None:
        """Take out what was logged since a moment (epoch milliseconds) about bundles: runs, versions and their files.

        A model's aliases that such a version had go back to where they were.
        """
        gone: set[str] = set()
        for experiment in self.client.search_experiments(filter_string="name LIKE 'tercet/%'"):
            gone |= self._take_back_runs(str(experiment.experiment_id), since_ms, bundles)
        for name in self.aliases():
            self._take_back_versions(name, gone, before.get(name))

    def _take_back_runs(self, experiment: str, since_ms: int, bundles: Collection[str]) -> set[str]:
        """Delete an experiment's runs about bundles, with the models that they logged; return their ids."""
        since = f"attributes.start_time >= {since_ms}"
        runs = self.client.search_runs([experiment], since, max_results=_MAX_RUNS)
        found = [each for each in runs if each.data.tags.get(BUNDLE_TAG) in bundles]
        for run in found:
            for model in self.client.search_logged_models([experiment], f"source_run_id = '{run.info.run_id}'"):
                self.client.delete_logged_model(model.model_id)
                self._remove_files(model.artifact_location)
            self.client.delete_run(run.info.run_id)
            self._remove_files(run.info.artifact_uri)
        return {str(each.info.run_id) for each in found}

    def _take_back_versions(self, name: str, runs: Collection[str], before: Mapping[str, str] | None) -> None:
        versions = self.client.search_model_versions(f"name = '{name}'", max_results=_MAX_RUNS)
        gone = [each for each in versions if each.run_id in runs]
        for each in gone:
            self.client.delete_model_version(name, each.version)
        if before is None and len(gone) == len(versions):
            self.client.delete_registered_model(name)
        elif gone:
            for alias, version in (before or {}).items():
                self.client.set_registered_model_alias(name, alias, version)

    def _remove_files(self, place: str) -> None:
        """Remove artifacts that lie under the home; those of a server are its own to collect (`mlflow gc`)."""
        if self.artifacts is not None and place.startswith(self.artifacts + "/"):
            folder = Path(url2pathname(urlsplit(place).path))
            # A run's artifacts are a folder in the run's own.
            shutil.rmtree(folder.parent if folder.name == "artifacts" else folder, ignore_errors=True)

    def _experiment(self, model: str) -> str:
        name = f"tercet/{model}"
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        location = f"{self.artifacts}/{model}" if self.artifacts else None
        return str(self.client.create_experiment(name, artifact_location=location))


@contextmanager
def _told() -> Iterator[None]:
    """Turn what MLflow raises into a TrackingError of one line."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        first = str(error).partition("\n")[0]
        raise TrackingError(f"MLflow's store does not answer, or refuses what is to be logged: {first}") from error


@contextmanager
def _environment_kept() -> Iterator[None]:
    """Leave MLFLOW_TRACKING_URI as it is: MLflow sets it to the store it is told of, and `Tracker.under` reads it."""
    given = os.environ.get(_URI)
    try:
        yield
    finally:
        os.environ.pop(_URI, None)
        if given is not None:
            os.environ[_URI] = given


def _quiet_client(uri: str) -> MlflowClient:
    """Return a client whose store's migration messages stay out of the user's sight."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # its own seven take over four minutes a call
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # nothing but the answer goes there
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SQLAlchemy's deprecations inside MLflow's store
        from mlflow import MlflowClient

        for name in ("alembic", "mlflow"):  # after the import, which sets levels of its own
            logging.getLogger(name).setLevel(logging.WARNING)
        return MlflowClient(tracking_uri=uri)


def _signature(inputs: Sequence[str]) -> ModelSignature:
    """Return what goes in and comes out: numbers by feature, or the text of a named file."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    if inputs:
        return ModelSignature(Schema([ColSpec("double", each) for each in inputs]), Schema([ColSpec("double")]))
    return ModelSignature(Schema([ColSpec("string", "file")]), Schema([ColSpec("string")]))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:  # Any: nested TOML values
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _write_texts(artifacts: Mapping[str, str], folder: Path) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name, text in artifacts.items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        paths[name] = str(path)
    return paths
