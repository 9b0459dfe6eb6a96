"""The stretch task on the seeded shop, beside a version that is written out customer by customer."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from features import columns as c
from features.asof import Moment
from features.tables import TableSet
from tests.training.backtest.asked import AskedFrames, Told, stretches_of
from training.backtest import stretch_task, stretch_worth
from training.backtest.observation import OURS, Findings
from training.history import History
from training.pairs import named_categories

Bought = dict[int, dict[int, int]]


@pytest.fixture(scope="module")
def served(shop_history: History, shop_cutoff: Moment) -> AskedFrames:
    """Everyone is shown the same categories in the order of their rows, ten of them, with falling chances."""
    categories = named_categories(shop_history)[:10]
    customers = shop_history.features("customers", shop_cutoff)[c.CUSTOMER_ROW].to_numpy()
    rows = pd.DataFrame(
        {
            c.CUSTOMER_ROW: np.repeat(customers, len(categories)),
            c.CATEGORY_ROW: np.tile(categories, len(customers)),
            "rank": np.tile(np.arange(1, len(categories) + 1), len(customers)),
        }
    )
    rows = rows.assign(probability=0.1 / rows["rank"], **{c.P28: 0.4 / rows["rank"]})
    n_products = len(shop_history.tables.read("products", [c.PRODUCT_ROW]))
    bundle = stretches_of(shop_history.tables, rows, n_products)
    return AskedFrames(shop_history, shop_cutoff, {("discover", "category"): rows}, bundle, {"stretch": Told(rows)})


@pytest.fixture(scope="module")
def findings(served: AskedFrames) -> Findings:
    return stretch_task.observe(served)


def observed(findings: Findings, metric: str, task: str = stretch_task.TASK) -> dict[str, float]:
    (found,) = [each for each in findings.observations if (each.task, each.metric) == (task, metric)]
    return {name: float(np.nanmean(values)) for name, values in found.values.items()}


def plain_purchases(tables: TableSet, today: int) -> list[tuple[int, int, int]]:
    """All that was bought and kept, as known today (before it) or four weeks on: day, customer, category."""
    lines = tables.read("lines").merge(tables.read("products", [c.PRODUCT_ROW, c.CATEGORY_ROW, c.IS_MERCHANDISE]))
    lines = lines[lines[c.IS_MERCHANDISE]]
    returned: dict[int, float] = {}
    ordered = dict(zip(lines["line_key"], lines[c.ORDERED_DAY], strict=True))
    for row in tables.read("returns").dropna(subset="line_key").itertuples():
        if row.returned_day < (today if ordered.get(row.line_key, today) < today else today + 28):
            returned[int(row.line_key)] = returned.get(int(row.line_key), 0.0) + row.quantity
    return [
        (row.ordered_day, row.customer_row, row.category_row)
        for row in lines.itertuples()
        if row.quantity - returned.get(row.line_key, 0.0) > 0
    ]


def slow_popularity(tables: TableSet, today: int) -> tuple[float, float, float]:
    """precision@1, recall@10 and nDCG@10 of the categories that most customers bought in 26 weeks, by loops."""
    trips: dict[int, dict[int, int]] = {}
    for row in tables.read("lines").itertuples():
        trips.setdefault(row.customer_row, {})[row.order_row] = row.ordered_day
    owned: dict[int, set[int]] = {}
    after: dict[int, set[int]] = {}
    for day, customer, category in plain_purchases(tables, today):
        if today - 182 <= day < today:
            owned.setdefault(customer, set()).add(category)
        if today <= day < today + 28:
            after.setdefault(customer, set()).add(category)
    categories = range(len(tables.read("categories")))
    buyers = {each: sum(each in own for own in owned.values()) for each in categories}
    tenure = min(182, max(today - tables.first_day - 28, 0))
    precisions, recalls, gains = [], [], []
    for customer, orders in trips.items():
        ages = [today - day for day in orders.values() if day < today]
        if not ages or max(ages) < tenure or min(ages) > 56 or sum(age <= 182 for age in ages) < 3:
            continue
        new = [each for each in categories if each not in owned.get(customer, set())]
        first = sorted(new, key=lambda each: (-buyers[each], each))[:10]
        truth = after.get(customer, set()) - owned.get(customer, set())
        precisions.append(float(first[:1] != [] and first[0] in truth))
        if truth:
            recalls.append(sum(each in truth for each in first) / len(truth))
            gain = sum(1 / math.log2(place + 2) for place, each in enumerate(first) if each in truth)
            gains.append(gain / sum(1 / math.log2(place + 2) for place in range(min(len(truth), 10))))
    return float(np.mean(precisions)), float(np.mean(recalls)), float(np.mean(gains))


def test_popularity_is_that_of_the_slow_version(findings: Findings, shop_history: History, shop_cutoff: Moment) -> None:
    slow = slow_popularity(shop_history.tables, shop_cutoff.day)
    found = [observed(findings, metric)["popularity"] for metric in ("precision@1", "recall@10", "nDCG@10")]
    assert found == pytest.approx(slow)
    assert 0 < slow[0] < 1  # or the comparison would prove nothing


def test_every_peer_ranks(findings: Findings) -> None:
    found = observed(findings, "recall@10")
    assert set(found) == {OURS, "popularity", *stretch_task._PEERS}
    assert all(value > 0 for value in found.values())


def test_both_chances_of_the_one_shown_are_judged(findings: Findings, served: AskedFrames) -> None:
    tasks = {each.task: each for each in findings.observations if each.statistic == "ece"}
    assert set(tasks) == {stretch_task.SHOWN_28, stretch_task.SHOWN_7}
    month, week = tasks[stretch_task.SHOWN_28], tasks[stretch_task.SHOWN_7]
    assert set(month.values[OURS].tolist()) <= {0.4 / rank for rank in range(1, 11)}
    assert np.allclose(week.values[OURS] * 4, month.values[OURS])
    assert month.outcomes is not None
    assert week.outcomes is not None
    assert (week.outcomes <= month.outcomes).all()


def test_what_is_shown_is_described(findings: Findings) -> None:
    names = {fact.name: fact.by_ranker for fact in findings.facts}
    assert names["share of customers without a list"][OURS] < 1
    assert 0 <= names["share never bought before (the others lapsed)"]["popularity"] <= 1
    (table,) = findings.tables
    assert len(table.rows) >= 1
    assert len(table.header) == len(table.rows[0])


def test_picks_by_worth_stand_beside_the_most_probable(findings: Findings) -> None:
    money = observed(findings, "spent there in 28 days", "stretch: what the one shown brings")
    assert len(money) == 3
    assert all(value >= 0 for value in money.values())


def test_a_source_without_amounts_or_old_customers_says_so(thin_history: History, new_history: History) -> None:
    for history, days in ((thin_history, -28), (new_history, 0)):
        moment = history.known_until.plus_days(days, history.tables.time_zone)
        rows = pd.DataFrame({c.CUSTOMER_ROW: [0], c.CATEGORY_ROW: [0], "rank": [1], "probability": [0.1], c.P28: [0.3]})
        bundle = stretches_of(history.tables, rows, len(history.tables.read("products")))
        told = stretch_task.observe(
            AskedFrames(history, moment, {("discover", "category"): rows}, bundle, {"stretch": Told(rows)})
        )
        assert told.notes


def test_of_more_categories_than_peers_can_weigh_the_most_bought_are_ranked(
    served: AskedFrames, shop_history: History, shop_cutoff: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretch_task, "N_CATEGORIES", 4)
    ranked = stretch_task.ranked_categories(served)
    buyers = shop_history.features("categories", shop_cutoff).set_index(c.CATEGORY_ROW)[c.N_CUSTOMERS]
    left_out = buyers.reindex(np.setdiff1d(named_categories(shop_history), ranked)).fillna(0)
    assert len(ranked) == 4
    assert ranked.tolist() == sorted(ranked)
    assert buyers.reindex(ranked).min() >= left_out.max()


def test_a_past_bundles_own_rows_are_the_tables_customers(served: AskedFrames) -> None:
    held = stretch_worth.held(served)
    listed = served.lists["discover", "category"]

    keys = [c.CUSTOMER_ROW, c.CATEGORY_ROW]
    both = held.merge(listed, on=keys, suffixes=("", "_listed"))
    assert len(both) == len(held) == len(listed)
    assert both[c.P28].to_numpy() == pytest.approx(both[f"{c.P28}_listed"].to_numpy())
    ids = served.history.tables.read("customers", [c.CUSTOMER_ROW, c.CUSTOMER_ID]).set_index(c.CUSTOMER_ROW)
    assert ids.loc[stretch_worth.customer_rows(served), c.CUSTOMER_ID].tolist() == served.bundle.customers.id
