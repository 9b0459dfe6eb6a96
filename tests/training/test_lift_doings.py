"""Purchases with their margin, from the shop's log and from the tables of a source."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from features import columns as c
from features.tables import TableSet
from serving.bundle import open_bundle, write_bundle
from serving.state.events import EventType
from serving.state.person import Reward
from tests.serving.state.builders import event
from tests.serving.tiny import tiny_contents
from training.lift_doings import Doings, doings_of_log, doings_of_tables, is_leaving

RATE = 0.25  # the tiny shop's policy


@pytest.fixture(scope="module")
def of_log(tmp_path_factory: pytest.TempPathFactory) -> Doings:
    folder = tmp_path_factory.mktemp("bundles")
    bundle = open_bundle(folder / write_bundle(tiny_contents(), folder))
    log = [
        event("1", "milk-1", at=10, quantity=2.0, amount=3.5),  # costs 1.6 a piece
        event("2", "milk-1", at=20, quantity=-1.0, amount=1.75, order_id="o2"),
        event("3", "bread-2", at=30, amount=2.0, order_id="o3"),  # its cost is not known
        event("4", "milk-2", at=40, amount=None, order_id="o4"),  # priced 3.0, costs 2.1
        event("5", "who-knows", at=50, amount=None, order_id="o5"),
        event("6", None, at=60, type="unsubscribe", channel="email"),
        event("7", None, at=70, type="redeem"),
        event("8", "milk-1", at=80, type="view"),
    ]
    rewards = [(each.kind, each) for each in (reward("points"), reward("discount"))]
    return doings_of_log(log, rewards, bundle)


def reward(kind: str) -> Reward:
    return Reward("r", "d", kind, 2.0, 1.5, completed_us=90)


def test_a_purchase_brings_what_was_paid_less_what_it_cost(of_log: Doings) -> None:
    found = of_log.purchases
    assert found[c.AMOUNT].tolist() == pytest.approx([3.5, -1.75, 2.0, 3.0, 0.0])
    assert found[c.MARGIN].tolist() == pytest.approx(
        [3.5 - 2 * 1.6, -(1.75 - 1.6), RATE * 2.0, 3.0 - 2.1, 0.0], abs=1e-6
    )
    assert of_log.until_us == 50


def test_only_redemptions_and_left_channels_are_kept_of_other_events(of_log: Doings) -> None:
    assert of_log.events[c.TYPE].tolist() == ["unsubscribe", "redeem"]
    assert is_leaving(of_log.events).tolist() == [True, False]


def test_rewards_that_lower_the_price_are_not_charged_again(of_log: Doings) -> None:
    assert of_log.rewards[[c.CUSTOMER_ID, c.COST]].to_numpy().tolist() == [["points", 1.5]]


def test_a_purchase_of_tomorrow_does_not_make_today_whole(tmp_path: Path) -> None:
    bundle = open_bundle(tmp_path / write_bundle(tiny_contents(), tmp_path))
    log = [event("1", at=10), event("2", at=1000, accepted_us=30)]
    assert doings_of_log(log, [], bundle).until_us == 30


def test_an_empty_log_is_no_error(of_log: Doings, tmp_path: Path) -> None:
    bundle = open_bundle(tmp_path / write_bundle(tiny_contents(), tmp_path))
    found = doings_of_log([], [], bundle)
    assert (len(found.purchases), len(found.events), found.until_us) == (0, 0, 0)


def test_tables_say_the_same_as_their_lines_and_returns(shop_tables: TableSet) -> None:
    found = doings_of_tables(shop_tables, [], RATE)
    lines, returns = shop_tables.read("lines"), shop_tables.read("returns")
    assert len(found.purchases) == len(lines) + len(returns)
    assert found.purchases[c.AMOUNT].sum() == pytest.approx(lines[c.AMOUNT].sum() - returns[c.AMOUNT].sum())
    assert found.until_us == max(*lines[c.ORDERED_US], *returns[c.RETURNED_US])
    assert set(found.purchases[c.CUSTOMER_ID]) <= set(shop_tables.read("customers")[c.CUSTOMER_ID])
    costs = shop_tables.read("products").set_index(c.PRODUCT_ROW)[c.COST]
    expected = lines[c.AMOUNT] - lines[c.QUANTITY] * lines[c.PRODUCT_ROW].map(costs)
    known = expected.notna().to_numpy()
    ours = found.purchases[c.MARGIN].to_numpy()[: len(lines)]
    assert ours[known] == pytest.approx(expected[known].to_numpy(float))


def test_events_of_tables_are_those_that_count(shop_tables: TableSet) -> None:
    found = doings_of_tables(shop_tables, [], RATE).events
    kept = {EventType.REDEEM.value, EventType.UNSUBSCRIBE.value, EventType.NOTIFICATION_BLOCK.value}
    assert set(found[c.TYPE]) <= kept
    assert isinstance(found, pd.DataFrame)
