"""The groups `customer_offers` and `customer_channels`, on rows that can be counted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from features import columns as c
from features.asof import Moment
from features.build import FeatureStore
from tests.features.tiny import DAY_0, DAY_US, Row, at, event, line, write_tables


def read(group: str, tmp_path: Path, lines: Sequence[Row], moment: Moment, **tables: Sequence[Row]) -> pd.DataFrame:
    return FeatureStore(write_tables(tmp_path / "t", lines, **tables), tmp_path / "f").read(group, moment)


def offer(row: int, starts: int, ends: int, **values: object) -> Row:
    us = {"starts_us": (DAY_0 + starts) * DAY_US, "ends_us": (DAY_0 + ends) * DAY_US}
    return {"offer_row": row, "offer_id": f"o{row}", "kind": "discount", **us, **values}


def sent(row: int, on: int, customer: int = 0) -> Row:
    return event("send", on, offer_id=f"o{row}", customer_row=customer)


def redeemed(row: int, on: int, customer: int = 0) -> Row:
    return event("redeem", on, offer_id=f"o{row}", customer_row=customer)


def test_what_is_known_of_an_offer_is_as_of_its_sending(tmp_path: Path) -> None:
    lines = [line(0, 1, 7), line(1, 5, 8), line(2, 12, 7)]
    offers = [offer(0, 10, 20)]
    events = [sent(0, 10), redeemed(0, 12)]
    listed = [{"offer_row": 0, "product_row": 7}]
    frame = read(
        "customer_offers", tmp_path, lines, at(30), offers=offers, events=events, offer_products=listed
    )  # fmt: skip

    only = frame.iloc[0]
    assert len(frame) == 1
    assert only[c.IS_SENT]
    assert only[c.IS_OVER]
    assert only[c.N_REDEEMED] == 1
    assert only[c.N_BASKETS] == 2  # the trip of day 12 came after
    assert only[c.N_BASKETS_OWNED] == 1  # of product 7, on day 1
    assert only[c.OWNED_RECENCY_DAYS] == 10 - 1
    assert only[c.RECENCY_DAYS] == 10 - 5
    assert only[c.N_OFFER_PRODUCTS] == 1


def test_earlier_offers_count_and_later_ones_do_not(tmp_path: Path) -> None:
    offers = [offer(0, 0, 5), offer(1, 10, 20), offer(2, 30, 40)]
    events = [sent(0, 0), redeemed(0, 2), sent(1, 10), sent(2, 30), redeemed(2, 31)]
    frame = read("customer_offers", tmp_path, [line(0, 0)], at(50), offers=offers, events=events)

    second = frame.set_index(c.OFFER_ROW).loc[1]
    assert (second[c.N_SENT_BEFORE], second[c.N_REDEEMED_BEFORE], second[c.N_REDEEMS_BEFORE]) == (1, 1, 1)
    assert second[c.REDEEM_RATE] == 1 / 1
    assert second[c.REDEEM_RECENCY_DAYS] == 10 - 2
    assert second[c.N_REDEEMED] == 0


def test_running_offers_have_a_row_for_customers_who_did_not_get_them(tmp_path: Path) -> None:
    lines = [line(0, 0), line(1, 0, customer_row=1)]
    offers = [offer(0, 1, 99)]
    frame = read("customer_offers", tmp_path, lines, at(10), offers=offers, events=[sent(0, 1)])

    assert frame[c.CUSTOMER_ROW].tolist() == [0, 1]
    assert frame[c.IS_SENT].tolist() == [True, False]
    assert frame[c.SENT_DAY].tolist() == [DAY_0 + 1, DAY_0 + 10]
    assert not frame[c.IS_OVER].any()


def test_an_offer_for_a_category_is_for_its_products(tmp_path: Path) -> None:
    lines = [line(0, 0, 0), line(0, 0, 1)]
    categories = [{"category_row": row, "category": f"c{row}", "is_own": False} for row in (0, 1)]
    offers = [offer(0, 1, 99, category="c1")]
    frame = read(
        "customer_offers", tmp_path, lines, at(5), offers=offers, events=[sent(0, 1)], categories=categories
    )  # fmt: skip

    assert frame[c.N_OFFER_PRODUCTS].tolist() == [1]
    assert frame[c.N_PRODUCTS_OWNED].tolist() == [1]


def test_without_offers_there_are_no_rows(tmp_path: Path) -> None:
    assert read("customer_offers", tmp_path, [line(0, 0)], at(5)).empty


@pytest.mark.parametrize(("moment", "n_answered"), [(4, 0), (6, 1)])
def test_channels_count_trips_and_answers_before_the_moment(tmp_path: Path, moment: int, n_answered: int) -> None:
    lines = [line(0, 0, channel="web"), line(1, 1, channel="web"), line(2, 2)]
    events = [event("send", 3, channel="email"), event("open", 5, channel="email"), event("send", 3)]
    frame = read("customer_channels", tmp_path, lines, at(moment), events=events).set_index(c.CHANNEL)

    assert frame.index.tolist() == ["email", "web"]
    assert frame.loc["web", c.N_BASKETS] == 2
    assert frame.loc["email", c.N_SENT] == 1
    assert frame.loc["email", c.N_ANSWERED] == n_answered
