"""Shops near a customer: distances on the globe, and opening hours on the shop's own clock."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.bundle import Bundle
from serving.decisioning.shops_near import EARTH_KM, Hours, ShopsNear, haversine_km

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
HALF_ROUND = math.pi * EARTH_KM


def km(a: tuple[float, float], b: tuple[float, float]) -> float:
    (lat, lon), (lats, lons) = [tuple(map(math.radians, each)) for each in (a, b)]
    return float(haversine_km(lat, lon, np.array([lats]), np.array([lons]))[0])


def local(zone: ZoneInfo, year: int, month: int, day: int, hour: int, minute: int) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=zone)


def test_a_degree_of_latitude_is_a_360th_of_the_way_round() -> None:
    assert km((0.0, 0.0), (1.0, 0.0)) == pytest.approx(2 * HALF_ROUND / 360)


def test_berlin_and_paris_are_as_far_apart_as_published() -> None:
    assert km((52.5200, 13.4050), (48.8566, 2.3522)) == pytest.approx(878, abs=1)


def test_the_date_line_is_no_wall_and_the_antipode_is_half_way_round() -> None:
    assert km((0.0, 179.5), (0.0, -179.5)) == pytest.approx(2 * HALF_ROUND / 360)
    assert km((10.0, 20.0), (-10.0, -160.0)) == pytest.approx(HALF_ROUND)


@given(*[st.floats(-90, 90), st.floats(-180, 180)] * 2)
def test_distances_are_the_same_both_ways_and_at_most_half_round(a: float, b: float, c: float, d: float) -> None:
    there = km((a, b), (c, d))
    assert 0.0 <= there <= HALF_ROUND + 1e-6
    assert there == pytest.approx(km((c, d), (a, b)), abs=1e-6)


def test_hours_are_of_the_clock_on_the_wall() -> None:
    day = Hours(420, 1320)
    assert day.closing(local(BERLIN, 2018, 1, 2, 6, 59), BERLIN) is None
    assert day.closing(local(BERLIN, 2018, 1, 2, 7, 0), BERLIN) == local(BERLIN, 2018, 1, 2, 22, 0)
    assert day.closing(local(BERLIN, 2018, 1, 2, 22, 0), BERLIN) is None


def test_hours_may_run_past_midnight() -> None:
    night = Hours(1080, 120)
    assert night.closing(local(BERLIN, 2018, 1, 2, 23, 0), BERLIN) == local(BERLIN, 2018, 1, 3, 2, 0)
    assert night.closing(local(BERLIN, 2018, 1, 3, 1, 59), BERLIN) == local(BERLIN, 2018, 1, 3, 2, 0)
    assert night.closing(local(BERLIN, 2018, 1, 3, 2, 0), BERLIN) is None


@pytest.mark.parametrize("minute", [0, 420])
def test_opening_and_closing_at_the_same_minute_is_all_day(minute: int) -> None:
    always = Hours(minute, minute)
    assert all(always.closing(local(BERLIN, 2018, 1, 2, hour, 30), BERLIN) is not None for hour in range(24))


def test_a_clock_that_goes_forward_moves_no_closing_time() -> None:
    closes = Hours(60, 1200).closing(local(BERLIN, 2018, 3, 25, 1, 30), BERLIN)
    assert closes is not None
    assert closes.astimezone(UTC) == datetime(2018, 3, 25, 18, 0, tzinfo=UTC)


def test_shops_are_found_nearest_first_and_unknown_places_never(tiny_bundle: Bundle) -> None:
    shops = ShopsNear(tiny_bundle.stores, NEW_YORK)
    ids = tiny_bundle.stores.id
    assert [ids[row] for row, _ in shops.within(40.75, -73.99, 1.0)] == ["s-ny"]
    assert [ids[row] for row, _ in shops.within(40.75, -73.99, 10_000.0)] == ["s-ny", "s-berlin"]
    assert shops.within(0.0, 0.0, 1.0) == []


def test_a_shop_keeps_the_hours_of_its_own_zone(tiny_bundle: Bundle) -> None:
    shops = ShopsNear(tiny_bundle.stores, NEW_YORK)
    rows = {each: row for row, each in enumerate(tiny_bundle.stores.id)}
    at = datetime(2018, 1, 2, 18, 0, tzinfo=UTC)  # 13:00 in New York, 19:00 in Berlin
    assert shops.closing(rows["s-ny"], at) == datetime(2018, 1, 3, 3, 0, tzinfo=UTC)
    assert shops.closing(rows["s-berlin"], at) == datetime(2018, 1, 3, 1, 0, tzinfo=UTC)
    assert shops.closing(rows["s-plain"], at) is None
    assert not shops.knows_hours(rows["s-plain"])
