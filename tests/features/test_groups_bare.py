"""A source of nothing but customers, orders, products and days still has every group."""

from __future__ import annotations

import pandas as pd
import pytest

from features import columns as c
from features.asof import Moment, local_midnight
from features.build import GROUPS, FeatureStore
from features.catalogue import features_of
from tests.contracts.folders import prepared, write_folder

NEEDS_MORE = {
    "store_products",
    "customer_hours",
    "customer_offers",
    "customer_channels",
    "customer_sends",
    "customer_redemptions",
}
LINES = [f"c{n % 3},o{n},p{product},2024-03-{1 + n:02}" for n in range(20) for product in (n % 2, 2, 3)]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    folder = tmp_path_factory.mktemp("bare")
    text = "\n".join(["customer_id,order_id,product_id,ordered_at", *LINES]) + "\n"
    source = write_folder(folder / "shop", {"transactions.csv": text})
    return FeatureStore(prepared(source, folder / "home", None).tables, folder / "features")


def end_of(store: FeatureStore) -> Moment:
    return local_midnight(store.tables.last_day + 1, store.tables.time_zone)


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_is_there(bare: FeatureStore, group: str) -> None:
    frame = bare.read(group, end_of(bare))

    assert frame.empty == (group in NEEDS_MORE)


@pytest.mark.parametrize("group", sorted(GROUPS.keys() - NEEDS_MORE))
def test_money_is_unknown_and_never_nothing(bare: FeatureStore, group: str) -> None:
    frame = bare.read(group, end_of(bare))
    money = [feature.name for feature in features_of(GROUPS[group]) if feature.unit == "money"]

    assert frame[money].isna().all(axis=None)


def test_labels_have_no_money_and_all_lines(bare: FeatureStore) -> None:
    labels = bare.purchases_after(end_of(bare).plus_days(-7, bare.tables.time_zone), 7)

    assert len(labels) == 7 * 3
    assert labels[c.AMOUNT].isna().all()
    pd.testing.assert_series_equal(labels[c.QUANTITY], pd.Series(1.0, labels.index, name=c.QUANTITY))
