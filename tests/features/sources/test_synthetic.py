from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from features.errors import SourceError
from features.sources.synthetic import (
    LAST_DAY,
    TIME_ZONE,
    Shop,
    ShopConfig,
    SyntheticSource,
    Truth,
    make_shop,
    parse_config,
)

SMALL = ShopConfig(customers=40, weeks=12, seed=3)


@pytest.fixture(scope="module")
def purchases(shop: Shop) -> pd.DataFrame:
    """Bought lines once each, with their local day and hour."""
    lines = shop.tables["transactions"].drop_duplicates()
    lines = lines[lines["quantity"] > 0]
    local = lines["ordered_at"].dt.tz_convert(TIME_ZONE)
    kinds = shop.tables["products"][["product_id", "product_type", "category"]]
    return lines.assign(day=local.dt.date, hour=local.dt.hour).merge(kinds, on="product_id")


def test_the_same_seed_gives_the_same_rows_and_another_seed_others() -> None:
    one, again, other = (make_shop(config).tables["transactions"] for config in (SMALL, SMALL, ShopConfig(40, 12, 4)))
    pd.testing.assert_frame_equal(one, again)
    assert not one.equals(other)


def test_the_digest_follows_the_rows() -> None:
    digests = [SyntheticSource(config).digest(Path()) for config in (SMALL, SMALL, ShopConfig(40, 12, 4))]
    assert digests[0] == digests[1] != digests[2]


def test_every_table_can_be_scanned_with_row_numbers_from_one() -> None:
    with duckdb.connect() as connection:
        for table in SyntheticSource(SMALL).tables(connection):
            rows = connection.execute(f"select min(_row), max(_row), count(*) from ({table.scan})").fetchall()
            assert rows[0][0] == 1
            assert rows[0][1] == rows[0][2]


@pytest.mark.parametrize(
    "source", ["synthetic:weeks=x", "synthetic:shops=3", "synthetic:customers=3", "synthetic:weeks"]
)
def test_a_wrong_option_is_refused_with_what_is_allowed(source: str) -> None:
    with pytest.raises(SourceError, match="customers"):
        parse_config(source)


def test_lines_are_keyed_once_but_for_the_planted_duplicates(shop: Shop) -> None:
    lines = shop.tables["transactions"]
    assert lines.duplicated().sum() == shop.truth.n_duplicates
    assert lines.drop_duplicates()["line_id"].is_unique
    assert (lines.drop_duplicates()["quantity"] < 0).sum() == shop.truth.n_returns


def test_habits_are_bought_about_as_often_as_planted(purchases: pd.DataFrame, truth: Truth) -> None:
    """On the first trip after the gap, so a little later than planted: within one to two gaps for nine of ten."""
    days = purchases.groupby(["customer_id", "product_type"])["day"].agg(["min", "max", "nunique"]).reset_index()
    habits = truth.habits.merge(days, on=["customer_id", "product_type"])
    habits = habits[habits["nunique"] >= 5]
    gap = [
        (last - first).days / (n - 1) for first, last, n in habits[["min", "max", "nunique"]].itertuples(index=False)
    ]
    ratio = np.array(gap) / habits["gap_days"]
    assert len(habits) > 1000
    assert ((ratio > 0.6) & (ratio < 2.0)).mean() > 0.9


def test_pairs_share_baskets_and_substitutes_do_not(purchases: pd.DataFrame, truth: Truth) -> None:
    orders = purchases.groupby("product_id")["order_id"].agg(set)
    together = [len(orders[a] & orders[b]) / len(orders[a]) for a, b in truth.pairs]
    instead = [len(orders[a] & orders[b]) / len(orders[a]) for a, b in truth.substitutes]
    assert min(together) > 0.5
    assert max(instead) < 0.1


def test_those_who_left_stay_away(purchases: pd.DataFrame, truth: Truth) -> None:
    last = purchases.groupby("customer_id")["day"].max()
    left = {customer: last[customer] for customer in truth.churned}
    assert 0.08 < len(left) / 300 < 0.3
    assert all(last_day <= truth.churned[customer] < LAST_DAY for customer, last_day in left.items())


def test_stretch_categories_are_new_to_those_who_come_to_them(purchases: pd.DataFrame, truth: Truth) -> None:
    first = truth.adopted.merge(purchases, on=["customer_id", "category"])
    before = first[first["day"] < first["adopted_on"]].groupby(["customer_id", "category"]).size()
    after = first[first["day"] >= first["adopted_on"]].groupby(["customer_id", "category"]).size()
    assert len(after) > 100
    assert before.sum() < 0.2 * after.sum()


def test_seven_trips_in_ten_are_at_the_best_hour(purchases: pd.DataFrame, truth: Truth) -> None:
    trips = purchases.drop_duplicates("order_id")
    at_best = trips["hour"] == trips["customer_id"].map(truth.best_hour)
    assert at_best.mean() == pytest.approx(0.7 + 0.3 / 12, abs=0.02)


def test_responders_redeem_and_the_others_hardly_do(shop: Shop) -> None:
    events = shop.tables["events"]
    events = events[events["offer_id"].str.startswith("offer-", na=False)]  # the campaigns that had ended
    responds = events["customer_id"].isin(shop.truth.responders)
    rate = {
        group: (events[mask]["type"] == "redeem").sum() / (events[mask]["type"] == "send").sum()
        for group, mask in (("responders", responds), ("others", ~responds))
    }
    assert rate["responders"] > 0.4
    assert rate["others"] < 0.1
