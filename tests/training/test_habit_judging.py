from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from features.asof import Moment
from features.build import FeatureStore
from tests.features.tiny import at, line, write_tables
from training.habit_judging import evidence, judge
from training.history import History
from training.judge import Judgement
from training.levels import PRODUCT, Level

# Customers 0 and 1 are regular, customer 2 came twice. As of day 30 both regulars have bought 0 most often.
PAST = [
    *(line(on, on, product=0) for on in (5, 15, 25)),
    line(50, 25, product=1),
    line(51, 24, product=2),
    *(line(100 + on, on, product=0, customer_row=1) for on in (6, 16, 26)),
    line(151, 26, product=1, customer_row=1),
    line(200, 10, product=1, customer_row=2),
    line(201, 20, product=1, customer_row=2),
]
FUTURE = [
    line(60, 33, product=1),
    line(60, 33, product=2),
    line(61, 34, product=0),
    line(160, 50, product=0, customer_row=1),
]


@dataclass(frozen=True)
class Says:
    """A model that gives each product the same chance for everyone who has bought it."""

    by_product: dict[int, float]
    level: Level = PRODUCT
    notes: tuple[str, ...] = ("a fake",)

    @property
    def importance(self) -> dict[str, float]:
        return {}

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:
        own = history.features("customer_products", moment, ["customer_row", "product_row"])
        return own.assign(p7=own["product_row"].map(self.by_product))


MODEL = Says({0: 0.1, 1: 0.8, 2: 0.7})


@pytest.fixture
def history(tmp_path: Path) -> History:
    tables = write_tables(tmp_path / "tables", [*PAST, *FUTURE])
    return History(FeatureStore(tables, tmp_path / "features"), at(60))


def metric(history: History, name: str) -> dict[str, list[float]]:
    values = next(each for each in evidence(MODEL, history, at(30)).values if each.metric == name)
    return {ranker: array.tolist() for ranker, array in values.by_ranker.items()}


def test_slots_are_judged_among_active_customers_and_shoppers(history: History) -> None:
    assert metric(history, "precision@2")["ours"] == [1.0]  # only customer 0 shops within 7 days: 1 and 2 hit
    assert metric(history, "both")["ours"] == [1.0, 0.0]
    assert metric(history, "precision@2")["personal top frequency"] == [1.0]  # 0 and then, of equal counts, 1


def test_the_next_basket_is_the_first_one_however_late(history: History) -> None:
    assert metric(history, "recall@10")["ours"] == [1.0, 1.0]
    best = metric(history, "ndcg@10")["ours"]
    assert best[0] == 1.0
    assert best[1] < 1.0


def test_chances_are_judged_for_all_pairs_and_for_the_two_shown(history: History) -> None:
    chances = evidence(MODEL, history, at(30)).chances
    assert chances["all pairs"]["n"].sum() == 3
    assert len(chances["all pairs"]) == 6
    assert chances["the two shown"]["p7"].tolist() == [0.8, 0.7, 0.8, 0.1]
    assert chances["the two shown"]["n"].tolist() == [1, 1, 0, 0]


def test_every_metric_stands_beside_every_baseline(history: History) -> None:
    judgement = judge({at(30): MODEL}, history)
    assert {row.baseline for row in judgement.rows} == {
        *("personal top frequency", "popularity", "decayed frequency"),
    }
    assert {row.metric for row in judgement.rows} == {"recall@10", "recall@20", "ndcg@10", "precision@2", "both"}
    assert {row.metric for row in judgement.primary} == {"recall@10"}
    assert judgement.notes == ("a fake",)


def test_cutoffs_are_pooled(history: History) -> None:
    judgement: Judgement = judge({at(23): MODEL, at(30): MODEL}, history)
    assert len(judgement.cutoffs) == 2
    assert next(each for each in judgement.calibration if each.task == "all pairs").n == 3 + 6


def test_nobody_to_judge_is_no_error(history: History) -> None:
    judgement = judge({at(1): MODEL}, history)
    assert judgement.rows == ()
    assert judgement.beats_baselines
