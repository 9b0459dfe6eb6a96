"""The whole way on next to nothing: a folder with transactions alone, a few customers, no types, prices or times."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from serving.api import ChallengeRequest, RecommendationsRequest
from serving.bundle import Bundle, open_bundle
from serving.engine import Engine
from training.errors import NothingToLearn
from training.home import Home
from training.pipeline import train
from training.report import REPORT_FILE

pytestmark = pytest.mark.timeout(400)  # the training in `home` counts towards the first test

N_CUSTOMERS, N_WEEKS = 24, 14
FIRST_DAY = date(2024, 1, 1)


def write_transactions(folder: Path) -> Path:
    """Most weeks an order, on any day, of two of the customer's own five products and one of anybody's."""
    rng = np.random.default_rng(11)
    lines = []
    for customer in range(N_CUSTOMERS):
        for week in range(N_WEEKS):
            if rng.random() < 0.3:
                continue
            day = FIRST_DAY + timedelta(days=7 * week + int(rng.integers(7)))
            own = rng.choice(5, 2, replace=False) + 5 * (customer % 4)
            other = rng.choice(25, 1)
            for product in {*own.tolist(), *other.tolist()}:
                lines.append((f"c{customer}", f"o{customer}-{week}", f"p{product}", day.isoformat()))
    folder.mkdir()
    names = ["customer_id", "order_id", "product_id", "ordered_at"]
    pd.DataFrame(lines, columns=names).to_csv(folder / "transactions.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("shop")
    home = Home(folder / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        train(str(write_transactions(folder / "tables")), home.folder, None, "duckdb", True, lambda _: None)
    return home


@pytest.fixture(scope="module")
def bundle(home: Home) -> Bundle:
    return open_bundle(home.bundle(str(home.champion())))


def test_the_first_bundle_becomes_the_champion(home: Home, bundle: Bundle) -> None:
    assert bundle.manifest.version == home.champion()
    assert len(bundle.customers.id) == N_CUSTOMERS


def test_everyone_gets_a_challenge_that_says_what_is_missing(bundle: Bundle) -> None:
    engine = Engine(bundle)
    for customer_id in bundle.customers.id:
        answer = engine.challenge(ChallengeRequest(customer_id=customer_id), bundle.manifest.as_of, "0" * 32)
        items = answer["items"]
        assert len({item["product_id"] for item in items}) == len(items) == 3
        assert all(0 < item["probability"] < 1 and item["price"] is None for item in items)
        assert {item["counts"]["level"] for item in items} <= {"product", "category"}
        assert answer["notes"]


def test_what_is_bought_again_is_the_customers_own(bundle: Bundle) -> None:
    request = RecommendationsRequest(customer_id="c1", k=2, intent="buy_again")
    items = Engine(bundle).recommendations(request, bundle.manifest.as_of, "0" * 32)["items"]
    assert {item["product_id"] for item in items} <= {f"p{5 + product}" for product in range(5)}


def test_the_evidence_stands_beside_the_bundle_and_in_mlflow(home: Home, bundle: Bundle) -> None:
    folder = home.report(bundle.manifest.version)
    judged = json.loads((folder / "judgement.json").read_text())
    assert judged["passes"] is True
    assert {each["model"] for each in judged["judgements"]} >= {"habit_type", "stretch", "churn", "challenge"}
    assert "fewer than" in (folder / REPORT_FILE).read_text()
    client = mlflow.MlflowClient(f"sqlite:///{home.folder.resolve() / 'mlflow.db'}")
    version = client.get_model_version_by_alias("tercet-churn", "challenger")
    assert client.get_run(version.run_id).data.tags["bundle"] == bundle.manifest.version
    champion = client.get_model_version_by_alias("tercet-churn", "champion")
    assert champion.version == version.version


def test_a_moment_before_the_data_is_refused_and_changes_nothing(home: Home, tmp_path: Path) -> None:
    before = sorted(path.name for path in home.bundles.iterdir())
    source = write_transactions(tmp_path / "tables")
    with pytest.raises(NothingToLearn, match="--as-of"):
        train(str(source), home.folder, date(2023, 1, 1), "duckdb", True, lambda _: None)
    assert sorted(path.name for path in home.bundles.iterdir()) == before
