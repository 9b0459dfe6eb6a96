"""The whole way on the synthetic shop, whose truth is known: source, training, bundle, batch and server."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.sources.synthetic import Shop, ShopConfig, Truth, make_shop
from serving.bundle import Bundle, open_bundle
from serving.launch import free_port, start
from serving.settings import Settings
from tests.conftest import SHOP_SOURCE
from training import cli
from training.home import Home
from training.metrics import auc

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SHARED = (
    "decision_id",
    "model_version",
    "completion_probability",
    "expected_value",
    "valid_from",
    "valid_to",
    "currency",
)


@pytest.fixture(scope="module")
def bundle(trained_home: Path) -> Bundle:
    home = Home(trained_home)
    return open_bundle(home.bundle(str(home.champion())))


def answers(home: Path, *arguments: str) -> pd.DataFrame:
    """What `tercet batch` writes for everyone."""
    out = home / f"{'-'.join(arguments).replace('--', '')}.parquet"
    assert cli.run(["batch", *arguments, "--out", str(out), "--home", str(home)]) == 0
    return pd.read_parquet(out)


def stayed(frame: pd.DataFrame, truth: Truth) -> pd.DataFrame:
    return frame[~frame["customer_id"].isin(truth.churned)]


def test_the_planted_habits_are_what_is_bought_again(trained_home: Path, truth: Truth) -> None:
    ranked = answers(
        trained_home, "recommendations", "--intent", "buy_again", "--level", "product_type", "--k", "2", "--no-rules"
    )
    planted = set(zip(truth.habits["customer_id"], truth.habits["product_type"], strict=True))
    adopted = set(zip(truth.adopted["customer_id"], truth.adopted["category"], strict=True))
    shown = stayed(ranked, truth)
    is_habit = [
        (customer, kind) in planted or (customer, category) in adopted
        for customer, kind, category in shown[["customer_id", "product_type", "category"]].itertuples(index=False)
    ]
    assert sum(is_habit) / len(is_habit) > 0.9


def test_the_planted_pairs_are_also_bought_and_the_substitutes_are_not(trained_home: Path, truth: Truth) -> None:
    found = answers(trained_home, "also-bought", "--k", "5").groupby("query_id")["product_id"].agg(list)
    assert all(other in found[one] for one, other in truth.pairs)
    assert not any(other in found[one] for one, other in truth.substitutes)


def test_the_planted_substitutes_stand_in_for_each_other(bundle: Bundle, truth: Truth) -> None:
    ids = list(bundle.products.id)
    listed = {}
    for one, other in truth.substitutes:
        row = ids.index(one)
        start, end = bundle.substitute.offsets[row], bundle.substitute.offsets[row + 1]
        listed[one] = ids.index(other) in bundle.substitute.product[start:end][:3]
    assert sum(listed.values()) >= len(listed) - 1


def test_those_who_left_have_the_highest_chance_to_stay_away(trained_home: Path, truth: Truth) -> None:
    scores = answers(trained_home, "scores")
    left = scores["customer_id"].isin(truth.churned).to_numpy(dtype=float)
    assert auc(scores["churn_probability"].to_numpy(dtype=float), left) > 0.95


def test_the_planted_best_hours_are_found(trained_home: Path, truth: Truth) -> None:
    scores = answers(trained_home, "scores")
    assert (scores["best_hour"] == scores["customer_id"].map(truth.best_hour)).mean() > 0.9


def test_a_stretch_is_of_a_category_that_is_new_to_the_customer(trained_home: Path, shop: Shop) -> None:
    """Net of returns. Who buys of nearly all categories gets a product that is new to them, and the reason says so."""
    challenges = answers(trained_home, "challenge")
    lines = shop.tables["transactions"].drop_duplicates()
    recent = lines[lines["ordered_at"] > lines["ordered_at"].max() - pd.Timedelta(days=181)]
    net = (
        recent.groupby(["customer_id", "product_id"])["quantity"].sum().loc[lambda quantity: quantity > 0].reset_index()
    )
    bought = net.merge(shop.tables["products"][["product_id", "category"]], on="product_id")
    owned = set(zip(bought["customer_id"], bought["category"], strict=True))
    is_new_category = challenges["reason_code"].str.startswith("stretch_")
    stretch = challenges[(challenges["role"] == "stretch") & challenges["personalized"] & is_new_category]
    assert len(stretch) > 200
    assert not [pair for pair in zip(stretch["customer_id"], stretch["category"], strict=True) if pair in owned]


def test_the_server_answers_what_batch_writes(trained_home: Path, bundle: Bundle) -> None:
    written = answers(trained_home, "challenge").groupby("customer_id")
    settings = Settings(trained_home, port=free_port(), workers=1, now=bundle.manifest.as_of)
    as_of = bundle.manifest.as_of.isoformat()
    with start(settings) as server:
        server.wait_until_ready(120)
        for customer_id in list(bundle.customers.id)[:25]:
            answer = post(f"{server.url}/v1/challenge", {"customer_id": customer_id, "at": as_of})
            rows = written.get_group(customer_id)
            assert [item["product_id"] for item in answer["items"]] == rows["product_id"].tolist()
            assert [item["probability"] for item in answer["items"]] == rows["probability"].tolist()
            assert {name: answer[name] for name in SHARED} == rows.iloc[0][list(SHARED)].to_dict()


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        answer: dict[str, Any] = json.load(response)
        return answer


def test_sales_lines_alone_go_all_the_way_to_a_challenge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop: Shop = make_shop(ShopConfig(customers=60, weeks=32))
    folder = tmp_path / "lines-only"
    folder.mkdir()
    lines = shop.tables["transactions"][["customer_id", "order_id", "product_id", "ordered_at"]]
    lines.to_csv(folder / "transactions.csv", index=False)
    assert cli.run(["train", str(folder), "--quick", "--home", str(tmp_path)]) == 0
    version = capsys.readouterr().out.split("\n")[-2]
    assert (tmp_path / "champion").read_text("utf-8").strip() == version
    written = answers(tmp_path, "challenge")
    assert written.groupby("customer_id").size().eq(3).mean() > 0.9
    assert written["notes"].astype(str).str.contains("categor").all()


def test_evaluate_prints_every_task_beside_its_peers(trained_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["evaluate", SHOP_SOURCE, "--quick", "--home", str(trained_home)]) == 0
    report = capsys.readouterr().out
    assert all(name in report for name in ("next basket", "stretch", "churn", "challenge", "popularity", "P-TopFreq"))
    assert list((trained_home / "reports").glob("evaluation-*/report.html"))
