"""What a bundle says of where shops are, when they are open, and since when products are sold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.build import FeatureStore
from serving.decisioning.policy import default_policy_text, parse_policy
from tests.features.tiny import Row, at, line, write_tables
from training.history import History
from training.publish_catalogue import Catalogue, minutes_of

LISTS = parse_policy(default_policy_text()).lists


def catalogue(folder: Path, stores: list[Row], products: list[Row]) -> Catalogue:
    types = [{"type_row": row, "product_type": f"t{row}", "category_row": row, "is_own": True} for row in range(2)]
    categories = [{"category_row": row, "category": f"c{row}", "is_own": True} for row in range(2)]
    tables = write_tables(
        folder / "t", [line(0, 90, 0)], products=products, types=types, categories=categories, stores=stores
    )
    return Catalogue(History(FeatureStore(tables, folder / "f"), at(100)), at(100), LISTS)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("07:00", 420), ("7:05", 425), ("22:30:00", 1350), ("00:00", 0), ("24:00", 1440), (" 08:15 ", 495)]
    + [(text, -1) for text in ("", "noon", "24:01", "12:60", "-1:00", "7", "07.00", "99:99")],
)
def test_times_of_day_are_minutes(text: str, minutes: int) -> None:
    assert minutes_of(text) == minutes


@given(st.text(max_size=12))
def test_any_text_is_a_time_or_none(text: str) -> None:
    assert -1 <= minutes_of(text) <= 1440


def test_shops_have_their_place_and_hours_where_these_are_known(tmp_path: Path) -> None:
    stores: list[Row] = [
        {"store_row": 0, "store_id": "a", "latitude": 52.5, "longitude": 13.4, "opens": "07:00", "closes": "22:00"},
        {"store_row": 1, "store_id": "b"},
        {"store_row": 2, "store_id": "c", "latitude": 91.0, "longitude": 181.0, "opens": "early", "closes": "24:00"},
    ]
    found = catalogue(tmp_path, stores, []).stores()
    assert found.latitude.tolist() == pytest.approx([52.5, np.nan, np.nan], nan_ok=True)
    assert found.longitude.tolist() == pytest.approx([np.float32(13.4), np.nan, np.nan], nan_ok=True)
    assert (found.opens.tolist(), found.closes.tolist()) == ([420, -1, -1], [1320, -1, 1440])


def test_launches_are_told_and_zero_where_nobody_knows(tmp_path: Path) -> None:
    products: list[Row] = [{"product_row": 0, "launched_us": at(50).us}, {"product_row": 1}]
    assert catalogue(tmp_path, [], products).products().launched_us.tolist() == [at(50).us, 0]
