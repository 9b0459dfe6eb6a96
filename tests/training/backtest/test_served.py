"""What a past bundle answers is what `tercet batch` writes, by row instead of by id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features import columns as c
from features.asof import Moment
from serving.batch import BatchJob, write_batch
from serving.champion import bundle_folder, write_champion
from serving.decisioning.policy import default_policy_text
from serving.numbers import Numbers
from tests.training.backtest.small_bench import CountConfig
from training.backtest.bundles import PastBundles
from training.backtest.served import ROW_OF_LEVEL, ServedBundle
from training.history import History
from training.judge import Judgement
from training.learners import HABIT_PRODUCT, HABIT_TYPE, Learner


@dataclass(frozen=True)
class Counts:
    """A model that says what was counted, without learning."""

    says: Callable[[History, Moment], pd.DataFrame]
    windows: Any = Numbers.plain().habit_window
    notes: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    importance: Mapping[str, float] = field(default_factory=dict)

    def fit(self, _history: History) -> Counts:
        return self

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:
        return self.says(history, moment)

    def artifacts(self) -> dict[str, str]:
        return {}


def shares(level: str, row: str) -> Callable[[History, Moment], pd.DataFrame]:
    """Chances that rise with the baskets in which it was."""

    def says(history: History, moment: Moment) -> pd.DataFrame:
        found = history.features(f"customer_{level}s", moment, [c.CUSTOMER_ROW, row, c.N_BASKETS])
        counts = found.pop(c.N_BASKETS).to_numpy(dtype=np.float64)
        return found.assign(**{c.P7: counts / (counts + 10.0)})

    return says


def together(history: History, moment: Moment) -> pd.DataFrame:
    """What sold together, by how often."""
    pairs = history.features("product_pairs", moment)
    n = pairs["n_both"].to_numpy(dtype=np.float64)
    return pd.DataFrame(
        {c.PRODUCT_ROW: pairs[c.PRODUCT_ROW], c.OTHER_ROW: pairs[c.OTHER_ROW], c.SCORE: n, c.LIFT: 1.0, c.SUPPORT: n}
    )


MODELS = {
    HABIT_TYPE: Counts(shares("type", c.TYPE_ROW)),
    HABIT_PRODUCT: Counts(shares("product", c.PRODUCT_ROW)),
    "also_bought": Counts(together),
}


def learner_of(name: str) -> Learner:
    return Learner(name, CountConfig(), MODELS[name].fit, lambda *_: Judgement(name, (), ()), lambda *_: {})


@pytest.fixture(scope="module")
def served(tiny_history: History, tmp_path_factory: pytest.TempPathFactory) -> ServedBundle:
    folder = tmp_path_factory.mktemp("past")
    learners = {name: learner_of(name) for name in MODELS}
    bundles = PastBundles(tiny_history, learners, default_policy_text(), folder, lambda _: None)
    moment = tiny_history.known_until.plus_days(-28, tiny_history.tables.time_zone)
    return bundles.served(moment, tuple(MODELS))


@pytest.fixture(scope="module")
def home(served: ServedBundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose champion is the past bundle."""
    home = tmp_path_factory.mktemp("home")
    version = served.bundle.folder.name
    bundle_folder(home, version).parent.mkdir(parents=True)
    bundle_folder(home, version).symlink_to(served.bundle.folder, target_is_directory=True)
    write_champion(home, version)
    return home


def batch(home: Path, tmp_path: Path, job: BatchJob, asked: Path | None = None) -> pd.DataFrame:
    write_batch(home, job, tmp_path / "out.parquet", asked, lambda _: None)
    return pd.read_parquet(tmp_path / "out.parquet")


LEVELS = {"product": ("products", c.PRODUCT_ID), "product_type": ("types", c.PRODUCT_TYPE)}


@pytest.mark.parametrize("level", LEVELS)
def test_recommendations_are_those_of_the_batch_without_rules(
    served: ServedBundle, home: Path, tmp_path: Path, level: str
) -> None:
    written = batch(
        home, tmp_path, BatchJob("recommendations", k=20, intent="buy_again", level=level, with_rules=False)
    )
    found = served.recommendations("buy_again", level, 20)
    tables, row = served.history.tables, ROW_OF_LEVEL[level]
    ids = tables.read("customers").set_index(c.CUSTOMER_ROW)[c.CUSTOMER_ID]
    name = LEVELS[level][1]
    names = tables.read(LEVELS[level][0]).set_index(row)[name]
    told = found.assign(customer_id=found[c.CUSTOMER_ROW].map(ids), name=found[row].map(names))
    keys = ["customer_id", "rank"]
    ours = told.sort_values(keys)[[*keys, "name", "probability"]].reset_index(drop=True)
    column = {"product": "product_id", "product_type": "product_type"}[level]
    theirs = written[written["customer_id"].isin(set(ours["customer_id"]))].drop(columns="name")
    theirs = theirs.sort_values(keys)[[*keys, column, "probability"]].rename(columns={column: "name"})
    pd.testing.assert_frame_equal(ours, theirs.reset_index(drop=True), check_dtype=False)
    assert len(ours) > 50
    assert found["personalized"].all()


def test_also_bought_is_that_of_the_batch(served: ServedBundle, home: Path, tmp_path: Path) -> None:
    queries = [[3], [1, 5, 9], [2, 2]]
    ids = served.history.tables.read("products").set_index(c.PRODUCT_ROW)[c.PRODUCT_ID]
    asked = pd.DataFrame(
        [(str(q), ids[row]) for q, rows in enumerate(queries) for row in rows], columns=["query_id", "product_id"]
    )
    asked.to_csv(tmp_path / "asked.csv", index=False)
    written = batch(home, tmp_path, BatchJob("also-bought", k=5, with_rules=False), tmp_path / "asked.csv")
    found = served.also_bought(queries, 5)
    assert found["query"].astype(str).tolist() == written["query_id"].tolist()
    assert found[c.PRODUCT_ROW].map(ids).tolist() == written["product_id"].tolist()
    assert found["rank"].tolist() == written["rank"].tolist()
    assert len(found)
    assert len(served.also_bought([], 5)) == 0


def test_scores_and_challenges_have_the_columns_of_the_batch(served: ServedBundle, home: Path, tmp_path: Path) -> None:
    for kind, found in (("scores", served.scores()), ("challenge", served.challenges())):
        written = batch(home, tmp_path, BatchJob(kind, k=100, with_rules=kind == "challenge"))
        told = set(found.columns) - {
            c.CUSTOMER_ROW,
            c.PRODUCT_ROW,
            "counts_row",
            "experiment",
            "reward",
            "lifetime_value",
        }
        assert told <= set(written.columns)
        assert set(found[c.CUSTOMER_ROW]) <= set(served.customers.tolist())


def test_what_an_item_of_a_challenge_counts_has_its_row(served: ServedBundle) -> None:
    found = served.challenges()
    types = served.history.tables.read("types").set_index(c.TYPE_ROW)[c.PRODUCT_TYPE]
    of_type = found[found["counts_level"] == "product_type"]
    assert len(of_type)
    assert of_type["counts_row"].map(types).tolist() == of_type["counts_id"].tolist()


def test_a_sample_is_the_same_each_time_and_kept_apart(served: ServedBundle) -> None:
    some = replace(served, sample=7)
    assert len(some.customers) == 7
    np.testing.assert_array_equal(some.customers, replace(served, sample=7).customers)
    assert set(some.recommendations("buy_again", "product", 5)[c.CUSTOMER_ROW]) <= set(some.customers.tolist())
    assert served.recommendations("buy_again", "product", 5)[c.CUSTOMER_ROW].nunique() > 7
    assert some.is_quick
    assert not served.is_quick


def test_a_list_that_was_damaged_is_made_again(served: ServedBundle) -> None:
    first = served.recommendations("buy_again", "product", 3)
    path = served.folder / "recommendations-buy_again-product-3"
    path.write_bytes(path.read_bytes()[:100])
    pd.testing.assert_frame_equal(served.recommendations("buy_again", "product", 3), first)


def test_only_who_had_bought_before_is_asked(served: ServedBundle) -> None:
    known = served.known.features("customers", served.moment, [c.CUSTOMER_ROW])
    assert served.customers.tolist() == sorted(known[c.CUSTOMER_ROW])


def test_the_models_behind_the_answers_can_be_had(served: ServedBundle) -> None:
    assert isinstance(served.models[HABIT_TYPE], Counts)
