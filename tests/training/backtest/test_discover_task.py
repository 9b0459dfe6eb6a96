"""The discover task on the seeded shop, beside a version that is written out customer by customer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features import columns as c
from features.asof import Moment
from tests.training.backtest.asked import AskedFrames
from training.backtest import discover_task
from training.backtest.discover_task import BUYERS, task_of
from training.backtest.new_items import judged_customers
from training.backtest.observation import OURS, Findings
from training.history import History


@pytest.fixture(scope="module")
def served(shop_history: History, shop_cutoff: Moment) -> AskedFrames:
    """Everyone is shown products 0 to 9."""
    customers = shop_history.features("customers", shop_cutoff)[c.CUSTOMER_ROW].to_numpy()
    rows = pd.DataFrame(
        {
            c.CUSTOMER_ROW: np.repeat(customers, 10),
            c.PRODUCT_ROW: np.tile(np.arange(10), len(customers)),
            "rank": np.tile(np.arange(1, 11), len(customers)),
        }
    )
    return AskedFrames(
        shop_history, shop_cutoff, {("discover", "product"): rows.assign(probability=0.1 / rows["rank"])}
    )


@pytest.fixture(scope="module")
def findings(served: AskedFrames) -> Findings:
    return discover_task.observe(served)


def slow_recall(history: History, moment: Moment, days: int) -> float:
    """recall@10 of the products of most customers in 28 days that one never had, by loops."""
    known = history.until(moment)
    products = history.tables.read("products")
    goods = set(products.loc[products[c.IS_MERCHANDISE], c.PRODUCT_ROW])
    features = known.features("products", moment)
    buyers = dict(zip(features[c.PRODUCT_ROW], features[c.N_CUSTOMERS_4W], strict=True))
    sellers = sorted((row for row in buyers if buyers[row] > 0), key=lambda row: (-buyers[row], row))
    owned: dict[int, set[int]] = {}
    for row in known.features("customer_products", moment).itertuples():
        owned.setdefault(row.customer_row, set()).add(row.product_row)
    after: dict[int, set[int]] = {}
    for row in history.purchases_after(moment, 28).itertuples():
        if row.is_purchase and row.product_row in goods and row.day_offset < days:
            after.setdefault(row.customer_row, set()).add(row.product_row)
    recalls = []
    for customer in judged_customers(known, moment).tolist():
        truth = after.get(customer, set()) - owned[customer]
        first = [row for row in sellers if row not in owned[customer]][:10]
        if truth:
            recalls.append(sum(row in truth for row in first) / len(truth))
    return float(np.mean(recalls))


@pytest.mark.parametrize("days", [7, 28])
def test_popularity_by_buyers_is_that_of_the_slow_version(findings: Findings, served: AskedFrames, days: int) -> None:
    (found,) = [each for each in findings.observations if (each.task, each.metric) == (task_of(days), "recall@10")]
    assert float(np.nanmean(found.values[BUYERS])) == pytest.approx(slow_recall(served.history, served.moment, days))


def test_the_longer_window_has_at_least_as_many_customers_who_bought(findings: Findings) -> None:
    short, long = (each for each in findings.observations if each.metric == "recall@10")
    assert np.isfinite(short.values[OURS]).sum() <= np.isfinite(long.values[OURS]).sum()


def test_what_is_owned_is_passed_over(findings: Findings, served: AskedFrames) -> None:
    (variety,) = [fact for fact in findings.facts if fact.name.startswith("different")]
    assert variety.by_ranker[OURS] <= 10
    assert set(variety.by_ranker) == {OURS, "popularity", BUYERS, *discover_task._PEERS}


def test_the_chance_of_the_first_one_is_judged_on_a_week(findings: Findings) -> None:
    (calibration,) = [each for each in findings.observations if each.statistic == "ece"]
    assert set(calibration.values) == {OURS}
    assert calibration.values[OURS].max() <= 0.1


def test_nobody_to_judge_is_said(new_history: History) -> None:
    rows = pd.DataFrame({c.CUSTOMER_ROW: [0], c.PRODUCT_ROW: [0], "rank": [1], "probability": [0.1]})
    asked = AskedFrames(new_history, new_history.known_until, {("discover", "product"): rows})
    assert discover_task.observe(asked).notes == ("discover: nobody was a customer for long enough to be judged here",)


def test_thin_data_give_numbers_or_say_why_not(thin_history: History) -> None:
    moment = thin_history.known_until.plus_days(-28, thin_history.tables.time_zone)
    rows = pd.DataFrame({c.CUSTOMER_ROW: [0], c.PRODUCT_ROW: [1], "rank": [1], "probability": [0.1]})
    told = discover_task.observe(AskedFrames(thin_history, moment, {("discover", "product"): rows}))
    assert told.observations or told.notes
