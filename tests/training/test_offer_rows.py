"""Rows of offers: past answers against those of others, known at the sending only, and the customer as of a Monday."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from training.history import History
from training.offer_rows import monday_of, with_answers, with_customers


def offers_of(n_customers: int, n_offers: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        [(who, offer) for who in range(n_customers) for offer in range(n_offers)], columns=["customer_row", "offer_row"]
    )
    days = rng.integers(100, 160, n_offers)
    return rows.assign(
        sent_day=days[rows["offer_row"]],
        offer_days=rng.integers(5, 40, n_offers)[rows["offer_row"]],
        is_sent=rng.random(len(rows)) < 0.7,
        is_over=True,
        n_redeemed=rng.integers(0, 2, len(rows)),
    )


def slow_ratio(row: pd.Series, offers: pd.DataFrame) -> float:
    """Count offer by offer what this customer redeemed, and how many of those who got it did."""
    done, expected = 0.5, 0.5
    for offer in sorted(set(offers["offer_row"])):
        got = offers[(offers["offer_row"] == offer) & offers["is_sent"]]
        mine = got[got["customer_row"] == row["customer_row"]]
        if len(mine) and got["sent_day"].min() + got["offer_days"].iloc[0] <= row["sent_day"]:
            done += float((mine["n_redeemed"] > 0).iloc[0])
            expected += float((got["n_redeemed"] > 0).mean())
    return done / expected


@pytest.mark.parametrize("seed", range(3))
def test_past_answers_are_held_against_those_of_all_who_got_the_same_offers(seed: int) -> None:
    offers = offers_of(5, 6, seed)
    found = with_answers(offers, offers)
    assert found["answer_ratio"].tolist() == pytest.approx([slow_ratio(row, offers) for _, row in offers.iterrows()])


def test_what_is_not_over_tells_nothing() -> None:
    offers = offers_of(3, 4, 1).assign(is_over=False)
    assert with_answers(offers, offers)["answer_ratio"].tolist() == [1.0] * len(offers)


def test_customers_are_seen_as_of_the_monday_before(shop_history: History) -> None:
    day = int(monday_of(np.array([shop_history.known_until.day - 10]))[0])
    customers = shop_history.features("customers", shop_history.known_until.plus_days(0, "UTC"))
    some = customers["customer_row"].head(3).to_numpy()
    rows = pd.DataFrame({"customer_row": np.tile(some, 2), "sent_day": [day] * 3 + [day + 6] * 3}, index=range(6, 12))
    found = with_customers(shop_history, rows)
    assert found.index.tolist() == list(range(6, 12))
    assert found["customer_recency_days"].head(3).tolist() == found["customer_recency_days"].tail(3).tolist()
    assert "customer_n_baskets" not in found  # grows without end


def test_nobody_is_no_error(shop_history: History) -> None:
    none = offers_of(1, 1, 0).head(0)
    assert with_customers(shop_history, with_answers(none, none)).empty
