"""Batch answers are the server's for the same arms; the ranking alone knows none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from serving.api import ChallengeRequest
from serving.arms import ExperimentEngine
from serving.batch import BatchJob, write_batch
from serving.bundle import Bundle
from serving.champion import write_champion
from serving.errors import ExperimentsError
from serving.experiments import HOLDOUT
from serving.experiments_toml import parse_experiments
from tests.serving.held_out import arms_by, text_that
from tests.serving.tiny import AS_OF, CUSTOMERS

TEXT = text_that(holds_out="anna", treats="cleo")


@pytest.fixture
def home(tiny_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_folder, tmp_path / "bundles" / tiny_folder.name)
    write_champion(tmp_path, tiny_folder.name)
    (tmp_path / "experiments.toml").write_text(TEXT)
    return tmp_path


def rows_of(home: Path, job: BatchJob) -> list[dict[str, Any]]:
    write_batch(home, job, home / "out.parquet", None, lambda _stage: None)
    rows: list[dict[str, Any]] = pq.read_table(home / "out.parquet").to_pylist()
    return rows


def test_each_customer_is_answered_by_their_arm_as_the_server_does(home: Path, tiny_bundle: Bundle) -> None:
    plan = parse_experiments(TEXT)
    arms = dict(zip(CUSTOMERS, arms_by(plan, CUSTOMERS), strict=True)) | {"ben": None}  # ben has refused
    engine = ExperimentEngine(tiny_bundle, plan)
    rows = rows_of(home, BatchJob("challenge"))
    assert {arms["anna"], arms["cleo"]} == {HOLDOUT, "treated"}
    for customer_id in {row["customer_id"] for row in rows}:
        mine = [row for row in rows if row["customer_id"] == customer_id]
        assert {row["experiment_arm"] for row in mine} == {arms[customer_id]}
        answer = engine.challenge(ChallengeRequest(customer_id=customer_id), AS_OF, "d")
        assert [row["product_id"] for row in mine] == [item["product_id"] for item in answer["items"]]
        assert {row["reward_kind"] for row in mine} == {answer["reward"] and answer["reward"]["kind"]}


def test_the_ranking_alone_knows_no_arm(home: Path) -> None:
    rows = rows_of(home, BatchJob("recommendations", with_rules=False))
    assert {row["experiment_name"] for row in rows} == {None}
    assert all(row["personalized"] for row in rows if row["customer_id"] == "anna")


def test_a_file_with_mistakes_stops_the_batch(home: Path) -> None:
    (home / "experiments.toml").write_text(TEXT.replace("share = 0.2 ", "share = 0.9 "))
    with pytest.raises(ExperimentsError, match="holdout.share"):
        write_batch(home, BatchJob("challenge"), home / "out.parquet", None, lambda _stage: None)
    assert not (home / "out.parquet").exists()
