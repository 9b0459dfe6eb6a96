"""The feature SQL against plain Python over the seeded shop: every row, and counts to the last one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from features.asof import Moment
from features.build import GROUPS, FeatureStore
from features.tables import TableSet
from tests.features.tiny import Row, at, line, returned, write_tables
from tests.oracles import features as oracle

ENOUGH = 3  # the least evidence of a pair in a shop with few baskets
Rows = Mapping[Any, Mapping[str, float | None]]  # keyed by a row, or by a tuple of them

ORACLES: dict[str, Callable[[TableSet, Moment], Rows]] = {
    "customers": oracle.customers,
    "customer_products": oracle.customer_products,
    "products": oracle.products,
    "product_pairs": lambda tables, moment: oracle.product_pairs(tables, moment, ENOUGH),
    "product_household_pairs": lambda tables, moment: oracle.product_household_pairs(tables, moment, ENOUGH),
}


def assert_agree(store: FeatureStore, group: str, moment: Moment) -> None:
    expected = pd.DataFrame.from_dict(dict(ORACLES[group](store.tables, moment)), orient="index").sort_index()
    grain = list(GROUPS[group].grain)
    built = store.read(group, moment, [*grain, *expected.columns]).set_index(grain)

    assert list(built.index) == list(expected.index)
    pd.testing.assert_frame_equal(
        built.reset_index(drop=True).astype(float), expected.reset_index(drop=True).astype(float), rtol=1e-9, atol=1e-7
    )


@pytest.mark.parametrize("group", ORACLES)
def test_the_shops_features_are_those_of_the_oracle(
    shop_features: FeatureStore, shop_moment: Moment, group: str
) -> None:
    assert_agree(shop_features, group, shop_moment)


LINES = st.lists(
    st.builds(
        lambda customer, order, on, item, quantity, amount: line(
            10 * customer + order,
            on,
            item,
            customer_row=customer,
            quantity=float(quantity),
            amount=float(amount),
            hour=12 + order,
        ),
        customer=st.integers(0, 2),
        order=st.integers(0, 4),
        on=st.integers(0, 40),
        item=st.integers(0, 3),
        quantity=st.integers(0, 3),
        amount=st.integers(0, 9),
    ),
    min_size=1,
    max_size=30,
)


def one_day_an_order(lines: list[Row]) -> list[Row]:
    """Return the lines with each order on the day of its first line, as an order is one trip."""
    first: dict[int, Row] = {}
    for each in lines:
        first.setdefault(each["order_row"], each)
    shared = ("ordered_us", "ordered_day", "ordered_hour")
    return [{**each, **{name: first[each["order_row"]][name] for name in shared}} for each in lines]


@given(lines=LINES, taken_back=st.lists(st.integers(0, 29), max_size=5, unique=True), until=st.integers(1, 60))
@settings(max_examples=6, deadline=None, phases=[Phase.explicit, Phase.generate])  # shrinking would take minutes
def test_any_shops_features_are_those_of_the_oracle(
    tmp_path_factory: pytest.TempPathFactory, lines: list[Row], taken_back: list[int], until: int
) -> None:
    folder: Path = tmp_path_factory.mktemp("any")
    lines = one_day_an_order(lines)
    returns = [
        returned(key, lines[key]["ordered_day"] - at(0).day + 1, customer_row=lines[key]["customer_row"], amount=0.0)
        for key in taken_back
        if key < len(lines) and lines[key]["quantity"] > 0
    ]
    store = FeatureStore(write_tables(folder / "t", lines, returns=returns), folder / "f")

    for group in ("customers", "customer_products", "product_pairs", "product_household_pairs"):
        if ORACLES[group](store.tables, at(until)):
            assert_agree(store, group, at(until))
        else:
            assert store.read(group, at(until)).empty
