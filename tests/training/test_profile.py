"""Engagement tiers and best channels, by hand."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from features.build import FeatureStore
from tests.features.tiny import Row, at, event, line, write_tables
from training.history import History
from training.profile import best_channels, by_messages, by_visits, engagement_tiers


def history(tmp_path: Path, lines: list[Row], events: list[Row]) -> History:
    return History(FeatureStore(write_tables(tmp_path / "t", lines, events=events), tmp_path / "f"), at(30))


def test_tiers_by_messages() -> None:
    customers = pd.DataFrame(
        {"n_sent": [0, 2, 9, 9, 9, 9], "n_opened": [0, 0, 0, 1, 4, 9], "n_clicked": 0, "n_redeemed": 0}
    )
    assert by_messages(customers) == ["untested", "untested", "silent", "low", "medium", "high"]


def test_nobody_answering_makes_no_tier_of_answers() -> None:
    customers = pd.DataFrame({"n_sent": [1, 5], "n_opened": 0, "n_clicked": 0, "n_redeemed": 0})
    assert by_messages(customers) == ["untested", "silent"]


def test_tiers_by_visits() -> None:
    assert by_visits(pd.DataFrame({"n_baskets_12w": [12, 3, 1, 0]})) == ["high", "medium", "low", "silent"]


def test_a_source_without_messages_goes_by_visits(tmp_path: Path) -> None:
    tiers = engagement_tiers(history(tmp_path, [line(0, 1)], []), at(30))
    assert tiers["engagement_tier"].tolist() == ["low"]


def test_the_best_channel_is_where_they_answer_else_where_they_shop(tmp_path: Path) -> None:
    lines = [
        line(0, 1, channel="store"),
        *(line(order, order, customer_row=1, channel="web") for order in (1, 2)),
        line(3, 3, customer_row=1, channel="app"),
        line(4, 4, customer_row=2),
    ]
    events = [event("send", 5, channel="email"), event("open", 6, channel="email")]
    found = best_channels(history(tmp_path, lines, events), at(30))
    assert found.to_dict("list") == {"customer_row": [0, 1], "best_channel": ["email", "web"]}


def test_a_channel_that_was_left_is_not_the_best(tmp_path: Path) -> None:
    events = [event("open", 6, channel="email"), event("unsubscribe", 7, channel="email")]
    found = best_channels(history(tmp_path, [line(0, 1, channel="store")], events), at(30))
    assert found["best_channel"].tolist() == ["store"]


def test_unknown_channels_are_left_out(tmp_path: Path) -> None:
    assert best_channels(history(tmp_path, [line(0, 1)], []), at(30)).empty
