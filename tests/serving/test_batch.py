from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.api import AlsoBoughtRequest, ChallengeRequest, RecommendationsRequest, ScoresRequest
from serving.api_codes import Intent, Level
from serving.batch import BatchJob, moment_of, write_batch
from serving.batch_tables import KINDS, flat, rows_of, schema_of
from serving.bundle import Bundle
from serving.champion import write_champion
from serving.decide import Decider
from serving.engine import Engine
from serving.errors import BatchError, InvalidRequest
from serving.live import epoch_us
from serving.state.events import Event, EventType
from serving.state_home import OpenState, open_state
from tests.serving.tiny import AS_OF, AS_OF_DAY, CUSTOMERS


@pytest.fixture(scope="module")
def home(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(tiny_folder, home / "bundles" / tiny_folder.name)
    write_champion(home, tiny_folder.name)
    return home


def run(home: Path, out: Path, job: BatchJob, customers: Path | None = None) -> list[dict[str, Any]]:
    n_rows = write_batch(home, job, out, customers, lambda _stage: None)
    table = pq.read_table(out)
    assert table.num_rows == n_rows
    assert table.schema.names == schema_of(job.kind).names
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def without_ids(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "decision_id" and value is not None}


@pytest.fixture
def own_home(home: Path, tmp_path: Path) -> Path:
    """Return a home of the test's own, with the same champion and nothing kept."""
    return Path(shutil.copytree(home / "bundles", tmp_path / "own" / "bundles")).parent


@pytest.fixture
def shop(own_home: Path, tiny_bundle: Bundle) -> Iterator[Shop]:
    """Return what the server would answer from: the same engine over the same state."""
    write_champion(own_home, tiny_bundle.folder.name)
    opened = open_state("file", own_home)
    yield Shop(own_home, opened, Engine(tiny_bundle))
    opened.close()


@dataclass
class Shop:
    home: Path
    opened: OpenState
    engine: Engine

    def challenge(self, customer_id: str, **more: Any) -> Any:
        decider = Decider(self.engine, self.opened, self.opened.ids)
        return decider.decide(ChallengeRequest(customer_id=customer_id, **more), AS_OF)

    def tell(self, event: Event) -> None:
        self.opened.state.accept([event], may_keep=lambda _live: True, kind_of=self.engine.kinds)


def told(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def test_challenges_are_the_servers_answers_ids_included(shop: Shop, tmp_path: Path) -> None:
    rows = run(shop.home, tmp_path / "out.parquet", BatchJob("challenge"))

    for customer in CUSTOMERS:
        answer = shop.challenge(customer, at=AS_OF.isoformat(), dry_run=True)
        expected = told(rows_of("customer_id", customer, answer))
        assert told([row for row in rows if row["customer_id"] == customer]) == expected


def test_a_batch_keeps_nothing_unless_it_is_told_to(shop: Shop, tmp_path: Path) -> None:
    for kind in KINDS:
        run(shop.home, tmp_path / "out.parquet", BatchJob(kind))
    assert shop.opened.state.challenge("anna", AS_OF_DAY) is None
    assert not shop.opened.store.scan("decision/")

    rows = run(shop.home, tmp_path / "out.parquet", BatchJob("challenge", issues=True))

    kept = shop.opened.state.challenge("anna", AS_OF_DAY)
    assert kept is not None
    assert not kept.is_shown
    assert kept.answer["decision_id"] in {row["decision_id"] for row in rows}
    assert shop.challenge("anna")["decision_id"] == kept.answer["decision_id"]


def test_a_challenge_that_is_kept_is_in_the_batch_with_its_progress(shop: Shop, tmp_path: Path) -> None:
    first = shop.challenge("anna", exclude=["milk-1"])
    bought = first["items"][0]
    at = AS_OF + timedelta(hours=2)
    us = epoch_us(AS_OF + timedelta(hours=1))
    shop.tell(
        Event("e1", "anna", EventType.PURCHASE, us, us, product_id=bought["product_id"], order_id="o1", quantity=5)
    )

    rows = run(shop.home, tmp_path / "out.parquet", BatchJob("challenge", at=at))

    anna = [row for row in rows if row["customer_id"] == "anna"]
    assert [row["product_id"] for row in anna] == [item["product_id"] for item in first["items"]]
    assert [row["done"] for row in anna] == [True, False, False]
    assert {row["progress_done"] for row in anna} == {1}


def test_a_customer_who_was_forgotten_is_in_no_batch(shop: Shop, tmp_path: Path) -> None:
    shop.opened.state.forget("anna", epoch_us(AS_OF + timedelta(hours=1)))

    for kind in ("challenge", "recommendations", "scores"):
        rows = run(shop.home, tmp_path / "out.parquet", BatchJob(kind))
        assert {row["customer_id"] for row in rows} == set(CUSTOMERS) - {"anna"}


def test_the_ranking_alone_can_not_be_issued(home: Path, tmp_path: Path) -> None:
    with pytest.raises(BatchError, match="--no-rules and --issue"):
        run(home, tmp_path / "out.parquet", BatchJob("challenge", with_rules=False, issues=True))


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("intent", list(Intent))
def test_recommendations_are_the_servers_answers(
    home: Path, tiny_bundle: Bundle, tmp_path: Path, intent: Intent, level: Level
) -> None:
    job = BatchJob("recommendations", k=3, intent=intent.value, level=level.value)
    rows = run(home, tmp_path / "out.parquet", job)
    engine = Engine(tiny_bundle)
    for customer in CUSTOMERS:
        request = RecommendationsRequest(customer_id=customer, k=3, intent=intent, level=level)
        expected = rows_of("customer_id", customer, engine.recommendations(request, AS_OF, "0"))
        found = [without_ids(row) for row in rows if row["customer_id"] == customer]
        assert found == [without_ids(row) for row in expected]


def test_scores_are_one_row_each_with_categories_as_a_list(home: Path, tiny_bundle: Bundle, tmp_path: Path) -> None:
    rows = run(home, tmp_path / "out.parquet", BatchJob("scores", k=2))
    assert sorted(row["customer_id"] for row in rows) == sorted(CUSTOMERS)
    anna = next(row for row in rows if row["customer_id"] == "anna")
    answer = Engine(tiny_bundle).scores(ScoresRequest(customer_ids=["anna"], k_categories=2), AS_OF, "0")
    assert anna["categories"] == answer["scores"][0]["categories"]
    assert len(anna["categories"]) == 2
    assert anna["lifetime_value_horizon_days"] == 84


def test_also_bought_answers_each_query_with_its_products(home: Path, tiny_bundle: Bundle, tmp_path: Path) -> None:
    queries = tmp_path / "queries.csv"
    queries.write_text("query_id,product_id\nq1,milk-1\nq1,bread-1\nq2,nothing\nq3,coffee-1\n")
    rows = run(home, tmp_path / "out.parquet", BatchJob("also-bought", k=2), queries)
    answer = Engine(tiny_bundle).also_bought(AlsoBoughtRequest(product_ids=["milk-1", "bread-1"], k=2), AS_OF, "0")
    assert [row["product_id"] for row in rows if row["query_id"] == "q1"] == [i["product_id"] for i in answer["items"]]
    assert [row["rank"] for row in rows if row["query_id"] == "q1"] == [1, 2]
    assert {row["query_id"] for row in rows} == {"q1", "q3"}


def test_also_bought_without_a_file_asks_about_every_product(home: Path, tmp_path: Path) -> None:
    rows = run(home, tmp_path / "out.parquet", BatchJob("also-bought"))
    assert {row["query_id"] for row in rows} == {"milk-1", "bread-1", "coffee-1"}


def test_customers_of_a_file_are_answered_once_each_and_keep_leading_zeros(home: Path, tmp_path: Path) -> None:
    customers = tmp_path / "customers.csv"
    customers.write_text("name,customer_id\nx,007\ny,anna\nz,007\n")
    rows = run(home, tmp_path / "out.parquet", BatchJob("challenge"), customers)
    assert [row["customer_id"] for row in rows] == ["007"] * 3 + ["anna"] * 3
    assert [row["cold_start"] for row in rows] == [True] * 3 + [False] * 3


def test_numbers_as_ids_in_parquet_are_read_as_text(home: Path, tmp_path: Path) -> None:
    customers = tmp_path / "customers.parquet"
    pq.write_table(pa.table({"customer_id": [12, 13]}), customers)
    rows = run(home, tmp_path / "out.parquet", BatchJob("scores"), customers)
    assert [row["customer_id"] for row in rows] == ["12", "13"]


def test_no_rules_is_the_ranking_alone(home: Path, tmp_path: Path) -> None:
    job = BatchJob("recommendations", intent="buy_again", k=2, level="product_type", with_rules=False)
    rows = [row for row in run(home, tmp_path / "out.parquet", job) if row["customer_id"] in {"fay", "ben"}]
    # fay has just bought both of hers, and ben has refused personalisation.
    assert sorted((row["customer_id"], row["product_type"]) for row in rows) == [
        ("ben", "Bread"),
        ("ben", "Milk"),
        ("fay", "Bread"),
        ("fay", "Milk"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("customer\nanna\n", "no column customer_id; it has customer"),
        ('customer_id\nanna\n""\n', "column customer_id is empty in row 2"),
        ("", "can't be read"),
    ],
)
def test_a_bad_file_of_customers_is_one_clear_line_and_leaves_no_output(
    home: Path, tmp_path: Path, text: str, message: str
) -> None:
    customers = tmp_path / "customers.csv"
    customers.write_text(text)
    with pytest.raises(BatchError, match=message) as caught:
        run(home, tmp_path / "out.parquet", BatchJob("challenge"), customers)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["customers.csv"]


def test_without_a_champion_the_next_step_is_named(tmp_path: Path) -> None:
    with pytest.raises(BatchError, match="tercet train"):
        run(tmp_path, tmp_path / "out.parquet", BatchJob("challenge"))


def test_a_moment_before_the_bundle_is_refused_and_nothing_is_written(home: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="as-of"):
        run(home, tmp_path / "out.parquet", BatchJob("challenge", at=date(2017, 12, 31)))
    assert not list(tmp_path.iterdir())


def test_a_date_is_that_days_local_midnight(tiny_bundle: Bundle) -> None:
    assert moment_of(date(2018, 1, 1), tiny_bundle) == AS_OF
    assert moment_of(None, tiny_bundle) == AS_OF


def test_every_kind_has_its_columns() -> None:
    assert set(KINDS) == {"challenge", "recommendations", "scores", "also-bought", "offers", "actions"}
    assert {"reason_code", "reward_value", "progress_done", "counts_level"} <= set(schema_of("challenge").names)


def test_nested_fields_are_joined_by_an_underscore() -> None:
    assert flat({"a": {"b": {"c": 1}}, "d": [{"e": 2}]}) == {"a_b_c": 1, "d": [{"e": 2}]}
