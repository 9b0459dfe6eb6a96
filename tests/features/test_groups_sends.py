"""The group `customer_sends`: the messages of four weeks, and whether anything came of them, counted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from features import columns as c
from features.build import FeatureStore
from tests.features.tiny import DAY_0, DAY_US, Row, at, event, line, write_tables

OFFERS = [
    {"offer_row": row, "offer_id": f"o{row}", "kind": "discount", "starts_us": DAY_0 * DAY_US, "ends_us": None}
    for row in range(2)
]


def sends(tmp_path: Path, events: Sequence[Row], moment: int = 40) -> pd.DataFrame:
    tables = write_tables(tmp_path / "t", [line(0, 0)], events=events, offers=OFFERS)
    frame = FeatureStore(tables, tmp_path / "f").read("customer_sends", at(moment))
    return frame.sort_values([c.CUSTOMER_ROW, c.AT_US], ignore_index=True)


def sent(on: int, **values: object) -> Row:
    return event("send", on, **values)


def test_the_messages_of_the_last_28_days(tmp_path: Path) -> None:
    frame = sends(tmp_path, [sent(on, channel="email") for on in (11, 12, 39, 40, 41)])
    assert (frame[c.AT_US] // DAY_US - DAY_0).tolist() == [12, 39]


def test_a_message_says_its_channel_and_its_offer_where_they_are_known(tmp_path: Path) -> None:
    frame = sends(
        tmp_path, [sent(30, channel="email", offer_id="o1"), sent(31, channel="sms"), sent(32, offer_id="o9")]
    )
    assert frame[c.CHANNEL].fillna("").tolist() == ["email", "sms", ""]
    assert frame[c.OFFER_ROW].fillna(-1).tolist() == [1, -1, -1]


@pytest.mark.parametrize(
    ("answer", "is_answered"),
    [
        (event("open", 30, channel="email"), True),
        (event("open", 30, channel="EMAIL"), True),
        (event("open", 29, channel="email"), False),  # before it was sent
        (event("open", 45, channel="email"), False),  # not known yet
        (event("open", 31, channel="push"), False),
        (event("open", 31), False),
        (event("redeem", 31, channel="store", offer_id="o0"), True),
        (event("redeem", 31, offer_id="o1"), False),
        (event("view", 31, channel="email", offer_id="o0"), False),
        (event("click", 31, channel="email", customer_row=1), False),
    ],
)
def test_which_answer_answers_a_message(tmp_path: Path, answer: Row, is_answered: bool) -> None:
    frame = sends(tmp_path, [sent(30, channel="email", offer_id="o0"), answer])
    assert frame[c.IS_ANSWERED].tolist() == [is_answered]


def test_several_answers_do_not_multiply_a_message(tmp_path: Path) -> None:
    answers = [event("open", 31, channel="email"), event("click", 32, channel="email", offer_id="o0")]
    frame = sends(tmp_path, [sent(30, channel="email", offer_id="o0"), *answers, *answers])
    assert len(frame) == 1
