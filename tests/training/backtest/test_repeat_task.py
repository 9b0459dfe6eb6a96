from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.build import FeatureStore
from tests.features.tiny import at, line, write_tables
from tests.training.backtest.asked import AskedFrames
from training.backtest.observation import OURS, Findings, Observation
from training.backtest.repeat_task import PRODUCTS, REPEAT_PRODUCTS, REPEAT_TYPES, TYPES, observe, peers
from training.backtest.task import Served
from training.history import History
from training.peers.past_baskets import past_baskets

# Before day 30, customer 0 has bought 0 three times, 1 twice and 2 once; customer 1 has bought 3 three times.
LINES = [
    *(line(on, on, product=0) for on in (5, 15, 25)),
    *(line(on, on, product=1) for on in (15, 25)),
    line(5, 5, product=2),
    *(line(100 + on, on, product=3, customer_row=1) for on in (6, 16, 26)),
    line(200, 20, product=1, customer_row=2),
    line(60, 33, product=1),
    line(60, 33, product=2),
    line(60, 33, product=3),
    line(61, 34, product=0),
    line(160, 80, product=3, customer_row=1),
    line(260, 31, product=1, customer_row=2),
]
LISTS = [(0, 1, 1, 0.8), (0, 2, 2, 0.5), (0, 0, 3, 0.1), (1, 3, 1, 0.5), (2, 1, 1, 0.9)]


def served(folder: Path, lists: list[tuple[int, int, int, float]], day: int = 30) -> Served:
    frame = pd.DataFrame(lists, columns=["customer_row", "product_row", "rank", "probability"])
    by_level = {
        ("buy_again", "product"): frame,
        ("buy_again", "product_type"): frame.rename(columns={"product_row": "type_row"}),
    }
    tables = write_tables(folder / "tables", LINES)
    asked: Served = AskedFrames(History(FeatureStore(tables, folder / "features"), at(90)), at(day), by_level)
    return asked


def metric(findings: Findings, name: str, task: str = "") -> Observation:
    return next(each for each in findings.observations if each.metric == name and task in each.task)


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    return observe(PRODUCTS, served(tmp_path_factory.mktemp("shop"), LISTS))


def test_the_next_basket_is_recalled_from_served_lists(findings: Findings) -> None:
    recall = metric(findings, "recall@10")
    assert recall.customers.tolist() == [0, 1]  # customer 2 has one basket
    assert recall.values[OURS].tolist() == [2 / 3, 1.0]
    first, second, third = 1 / np.log2([2, 3, 4])
    assert metric(findings, "nDCG@10").values[OURS].tolist() == pytest.approx(
        [(first + second) / (first + second + third), 1.0]
    )


def test_what_was_new_stands_apart(findings: Findings) -> None:
    again = metric(findings, "recall@10, of what they had bought before").values
    new = metric(findings, "recall@10, of what was new to them").values
    assert again[OURS].tolist() == [1.0, 1.0]
    assert new[OURS][0] == 0
    assert new["GP-TopFreq"][0] == 1  # filled with what is popular
    assert np.isnan(new[OURS][1])


def test_two_slots_are_judged_among_shoppers_and_among_all_active(findings: Findings) -> None:
    precision, both = metric(findings, "precision@2"), metric(findings, "both hit")
    assert precision.customers.tolist() == [0]
    assert precision.values[OURS].tolist() == [1.0]
    assert precision.values["P-TopFreq"].tolist() == [1.0]  # 0 and 1
    assert both.customers.tolist() == [0, 1]
    assert both.values[OURS].tolist() == [1.0, 0.0]


def test_chances_are_of_all_pairs_and_of_the_two_shown(findings: Findings) -> None:
    everything = metric(findings, "ECE", "all pairs")
    shown = metric(findings, "Brier skill", "the two shown")
    assert everything.values[OURS].tolist() == [0.8, 0.5, 0.1, 0.5]
    assert everything.outcomes is not None
    assert everything.outcomes.tolist() == [1, 1, 1, 0]
    assert shown.values[OURS].tolist() == [0.8, 0.5, 0.5]
    assert list(shown.values) == [OURS]  # no peer gives a chance


def test_who_is_not_served_misses_and_is_counted(tmp_path: Path) -> None:
    findings = observe(PRODUCTS, served(tmp_path, LISTS[:3]))
    assert metric(findings, "recall@10").values[OURS].tolist() == [2 / 3, 0.0]
    unserved = next(fact for fact in findings.facts if "without a list" in fact.name)
    assert unserved.by_ranker[OURS] == 1 / 2
    assert unserved.by_ranker["P-TopFreq"] == 0


def test_altering_the_future_changes_no_peer(tmp_path: Path) -> None:
    asked = served(tmp_path, LISTS)
    rows = np.arange(3)
    early, late = (past_baskets(history, at(30), "product_row") for history in (asked.known, asked.history))
    for one, other in zip(peers(early, PRODUCTS.file).values(), peers(late, PRODUCTS.file).values(), strict=True):
        assert one.scores(rows).toarray().tolist() == other.scores(rows).toarray().tolist()


def test_without_anybody_to_judge_it_says_so(tmp_path: Path) -> None:
    findings = observe(TYPES, served(tmp_path, [], day=10))
    assert findings.observations == ()
    assert "nobody" in findings.notes[0]


def test_each_level_asks_for_its_own_model() -> None:
    assert REPEAT_TYPES.needs == ("habit_type",)
    assert REPEAT_PRODUCTS.needs == ("habit_product",)
