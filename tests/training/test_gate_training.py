"""The gate in a whole training: a second one with a harmful setting, its bundle, its table, MLflow and promotion."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from serving.bundle import open_bundle
from training import cli
from training.gate import latest, table_of
from training.gate_record import GateRecord, read_record
from training.gate_rules import Outcome
from training.home import Home
from training.learners import learners
from training.tracking import CHALLENGER, CHAMPION, Tracker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def home(twice_trained_home: Path) -> Home:
    return Home(twice_trained_home)


@pytest.fixture(scope="module")
def record(home: Home) -> GateRecord:
    found = read_record(home.report(latest(home)))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def client(home: Home) -> MlflowClient:
    return Tracker.under(home.folder).client


def run_of(client: MlflowClient, model: str, bundle: str, **tags: str) -> str:
    """Return the one run of a model in a training that has these tags."""
    experiment = client.get_experiment_by_name(f"tercet/{model}")
    wanted = " and ".join(f"tags.{key} = '{value}'" for key, value in {"bundle": bundle, **tags}.items())
    (run,) = client.search_runs([experiment.experiment_id], wanted)
    return str(run.info.run_id)


def test_one_bad_model_does_not_hold_back_the_others(home: Home, record: GateRecord) -> None:
    outcomes = {each.model: each.outcome for each in record.decisions}
    assert outcomes["also_bought"] is Outcome.STAYS
    assert outcomes["churn"] in (Outcome.PROMOTED, Outcome.STAYS)
    assert {outcome for name, outcome in outcomes.items() if name not in ("also_bought", "churn")} == {Outcome.SAME}
    assert record.verdict.passes
    assert record.champion == home.champion() != record.bundle


def test_the_bundle_is_made_of_the_winners(home: Home, record: GateRecord) -> None:
    recipe = open_bundle(home.bundle(record.bundle), verify=False).manifest.recipe
    shipped = {each.name: each for each in learners(is_quick=True)}
    assert recipe["models"]["also_bought"] == shipped["also_bought"].parameters
    assert recipe["settings"]["also_bought"] == {"from": f"champion {record.champion}"}
    assert set(recipe["code"]) == set(shipped)


def test_the_table_says_why_and_is_printed(home: Home, record: GateRecord) -> None:
    table = table_of(home.folder, record.bundle)
    assert "also_bought: the champion stays: also_bought, one product to the rest of its basket: recall@10" in table
    assert "also_bought: the champion stays" in (home.report(record.bundle) / "report.md").read_text()


def test_mlflow_has_both_recipes_under_the_same_names(client: MlflowClient, record: GateRecord) -> None:
    shipped = client.get_run(run_of(client, "also_bought", record.bundle, recipe_of="champion")).data
    beaten = client.get_run(run_of(client, "also_bought", record.bundle, recipe_of="challenger")).data
    assert (shipped.tags["gate"], beaten.tags["gate"]) == ("stays", "beaten")
    assert shipped.tags["champion_version"] == record.champion
    assert (shipped.params["max_basket_products"], beaten.params["max_basket_products"]) == ("250", "2")
    judged = {name for name in shipped.metrics if not name.startswith("cost.")}
    assert judged == set(beaten.metrics)
    pictures = [
        {
            file.path
            for file in client.list_artifacts(run_of(client, "also_bought", record.bundle, recipe_of=each), "pictures")
        }
        for each in ("champion", "challenger")
    ]
    assert pictures[0] == pictures[1] != set()


def test_mlflow_has_the_table_and_the_costs_of_the_training(client: MlflowClient, record: GateRecord) -> None:
    run_id = run_of(client, "train", record.bundle)
    data = client.get_run(run_id).data
    assert data.tags["gate_stays"].split(", ")[0] == "also_bought"
    assert data.metrics["cost.cpu_seconds"] > 0
    assert {"gate.json", "gate.txt", "costs.txt"} <= {file.path for file in client.list_artifacts(run_id)}


def test_what_was_kept_was_not_fitted_again(client: MlflowClient, record: GateRecord) -> None:
    kept = client.get_run(run_of(client, "stretch", record.bundle)).data.metrics
    assert kept["cost.judge.cpu_seconds"] == 0
    anew = client.get_run(run_of(client, "also_bought", record.bundle, recipe_of="champion")).data.metrics
    assert anew["cost.judge.cpu_seconds"] > 0


def test_promotion_moves_the_aliases_and_shows_the_table(
    home: Home, record: GateRecord, client: MlflowClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alias = [client.get_model_version_by_alias("tercet-also_bought", each).version for each in (CHAMPION, CHALLENGER)]
    assert alias[0] != alias[1]
    other = tmp_path / "home"  # the shared home's champion stays what it is
    for name in ("bundles", "reports", "results"):
        shutil.copytree(home.folder / name, other / name)
    for name in ("champion", "policy.toml", "mlflow.db"):
        shutil.copy(home.folder / name, other / name)
    assert cli.run(["promote", "--home", str(other)]) == 0
    said = capsys.readouterr().out
    assert "recall@10 *" in said
    assert said.splitlines()[-1] == f"{record.bundle} is the champion"
    moved = Tracker.under(other).client.get_model_version_by_alias("tercet-also_bought", CHAMPION)
    assert moved.version == alias[1]
    assert moved.tags["promoted"] == "yes"
    assert json.loads((other / "reports" / record.bundle / "gate.json").read_text())["models"]["also_bought"] == "stays"
