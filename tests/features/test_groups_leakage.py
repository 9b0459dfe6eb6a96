"""No feature moves when everything after its moment is altered: other buyers, returns, events, offers, products."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features import columns as c
from features.asof import Moment, at_utc, local_midnight
from features.build import GROUPS, FeatureStore
from features.conform import prepare
from features.sources.synthetic import Shop, ShopConfig, make_shop
from features.tables import TableSet

WEEKS_HELD_BACK = 5
ID_OF_ROW = {
    c.CUSTOMER_ROW: ("customers", c.CUSTOMER_ROW, c.CUSTOMER_ID),
    c.PRODUCT_ROW: ("products", c.PRODUCT_ROW, c.PRODUCT_ID),
    c.TYPE_ROW: ("types", c.TYPE_ROW, c.PRODUCT_TYPE),
    c.CATEGORY_ROW: ("categories", c.CATEGORY_ROW, c.CATEGORY),
    c.STORE_ROW: ("stores", c.STORE_ROW, c.STORE_ID),
    c.MAIN_STORE_ROW: ("stores", c.STORE_ROW, c.STORE_ID),
    c.OFFER_ROW: ("offers", c.OFFER_ROW, c.OFFER_ID),
}
OTHERS = {
    f"{level}_{pairs}": row
    for level, row in (("product", c.PRODUCT_ROW), ("category", c.CATEGORY_ROW))
    for pairs in ("pairs", "household_pairs")
}


def alter_after(shop: Shop, moment: pd.Timestamp) -> dict[str, pd.DataFrame]:
    """Return the shop's tables with another future: same rows before `moment`, hardly any the same after it."""
    rng = np.random.default_rng(1)
    tables = dict(shop.tables)
    sold, events, offers = tables["transactions"], tables["events"], tables["offers"]

    before, after = sold[sold["ordered_at"] < moment], sold[sold["ordered_at"] >= moment].copy()
    for column in ("customer_id", "product_id", "store_id", "channel"):
        after[column] = rng.permutation(after[column].to_numpy())
    after["order_id"] = "new-" + after["customer_id"] + after["ordered_at"].dt.strftime("%j%H")
    after["quantity"] = after["quantity"].abs() + 2
    after["amount"] = after["amount"].abs() * 3
    strangers = after.head(40).assign(
        customer_id=[f"stranger-{row}" for row in range(40)], order_id="strangers", product_id="novelty"
    )
    taken_back = before[before["quantity"] > 0].sample(200, random_state=1)
    taken_back = taken_back.assign(
        quantity=-taken_back["quantity"], ordered_at=moment, line_id=[f"back-{row}" for row in range(200)]
    )
    tables["transactions"] = pd.concat([before, after.iloc[::2], strangers, taken_back], ignore_index=True)

    later = events["at"] >= moment
    other = events.assign(
        type=events["type"].where(~later, "redeem"),
        customer_id=events["customer_id"].where(~later, rng.permutation(events["customer_id"].to_numpy())),
    )
    more = other[~later & (other["type"] == "send")].head(30)
    more = more.assign(at=moment, event_id=[f"more-{row}" for row in range(len(more))], type="click")
    used = more.assign(event_id=[f"used-{row}" for row in range(len(more))], type="redeem")
    tables["events"] = pd.concat([other, more, used], ignore_index=True)

    future = offers["starts_at"] >= moment
    tables["offers"] = offers.assign(value=offers["value"].where(~future, 99.0), category="milk").where(future, offers)
    return tables


def prepared(tables: Mapping[str, pd.DataFrame], folder: Path) -> TableSet:
    source = folder / "source"
    source.mkdir()
    for name, table in tables.items():
        table.to_parquet(source / f"{name}.parquet", index=False)
    return prepare(str(source), folder / "home", time_zone=None, progress=lambda _: None).tables


Stores = tuple[FeatureStore, FeatureStore, Moment]


@pytest.fixture(scope="module")
def two_futures(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    """The features of a shop and of the same shop with another future, and the moment at which they part."""
    shop = make_shop(ShopConfig(customers=60, weeks=24, seed=3))
    folders = [tmp_path_factory.mktemp(name) for name in ("real", "altered")]
    real = prepared(shop.tables, folders[0])
    moment = local_midnight(real.last_day + 1 - 7 * WEEKS_HELD_BACK, real.time_zone)
    altered = prepared(alter_after(shop, pd.Timestamp(at_utc(moment.us))), folders[1])
    return FeatureStore(real, folders[0]), FeatureStore(altered, folders[1]), moment


def by_ids(store: FeatureStore, group: str, moment: Moment) -> pd.DataFrame:
    """Return a group with the outside's ids instead of rows, sorted by them: rows shift when ids come and go."""
    frame = store.read(group, moment)
    lookups = dict(ID_OF_ROW)
    if group in OTHERS:
        lookups[c.OTHER_ROW] = lookups[OTHERS[group]]
    for column in lookups.keys() & set(frame.columns):
        table, row, name = lookups[column]
        ids = store.tables.read(table, [row, name]).set_index(row)[name]
        frame[column] = frame[column].map(ids)
    return frame.sort_values(list(GROUPS[group].grain), ignore_index=True)


@pytest.mark.parametrize("group", GROUPS)
def test_altering_the_future_moves_no_feature(two_futures: Stores, group: str) -> None:
    real, altered, moment = two_futures

    pd.testing.assert_frame_equal(by_ids(altered, group, moment), by_ids(real, group, moment), check_exact=True)


@pytest.mark.parametrize("group", GROUPS)
def test_the_alteration_would_be_seen_a_week_later(two_futures: Stores, group: str) -> None:
    real, altered, moment = two_futures
    later = moment.plus_days(7, real.tables.time_zone)

    assert not by_ids(altered, group, later).equals(by_ids(real, group, later))


def test_labels_that_ended_do_not_move(two_futures: Stores) -> None:
    real, altered, moment = two_futures
    start = moment.plus_days(-28, real.tables.time_zone)

    labels = [
        store.purchases_after(start, 28)[[c.DAY_OFFSET, c.QUANTITY, c.AMOUNT, c.IS_PURCHASE]].sum()
        for store in (real, altered)
    ]

    pd.testing.assert_series_equal(labels[0], labels[1])
