"""Moments and their days, and what is known at one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import columns as c
from features.asof import Moment, at_utc, local_midnight, moment_at
from features.build import FeatureStore
from tests.features.tiny import DAY_0, at, line, returned, write_tables

NEW_YORK = "America/New_York"
ZONES = st.sampled_from([NEW_YORK, "Europe/Berlin", "Asia/Kolkata", "America/Sao_Paulo", "Pacific/Apia", "UTC"])
DAYS = st.integers(min_value=10_000, max_value=25_000)


def test_local_midnight_is_five_hours_after_utc_in_a_new_york_winter() -> None:
    moment = local_midnight(date(2018, 1, 1), NEW_YORK)

    assert at_utc(moment.us) == datetime(2018, 1, 1, 5, tzinfo=UTC)
    assert moment == local_midnight(moment.day, NEW_YORK)


def test_a_day_after_the_clocks_go_forward_is_23_hours_long() -> None:
    before = local_midnight(date(2017, 3, 12), NEW_YORK)

    after = before.plus_days(1, NEW_YORK)

    assert after.us - before.us == 23 * 3_600_000_000
    assert after == local_midnight(date(2017, 3, 13), NEW_YORK)


def test_noon_stays_noon_across_a_clock_change() -> None:
    noon = moment_at(datetime(2017, 3, 11, 17, tzinfo=UTC), NEW_YORK)

    assert at_utc(noon.plus_days(1, NEW_YORK).us) == datetime(2017, 3, 12, 16, tzinfo=UTC)


def test_the_day_of_a_moment_is_the_local_one() -> None:
    late = moment_at(datetime(2018, 1, 1, 2, tzinfo=UTC), NEW_YORK)

    assert late.day == local_midnight(date(2017, 12, 31), NEW_YORK).day


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        moment_at(datetime(2018, 1, 1), NEW_YORK)  # that it has no zone is what is tested


@given(day=DAYS, n=st.integers(-800, 800), zone=ZONES)
def test_midnights_plus_days_are_midnights(day: int, n: int, zone: str) -> None:
    assert local_midnight(day, zone).plus_days(n, zone) == local_midnight(day + n, zone)


@given(day=DAYS, zone=ZONES)
def test_midnights_are_in_order_and_in_their_day(day: int, zone: str) -> None:
    midnight = local_midnight(day, zone)

    assert midnight < local_midnight(day + 1, zone)
    assert moment_at(at_utc(midnight.us) - timedelta(microseconds=1), zone).day < day
    # Apia left out 2011-12-30: the day that wasn't has the midnight of the next
    assert moment_at(at_utc(midnight.us), zone).day == day or (zone, day) == ("Pacific/Apia", 15_338)


def net(tmp_path: Path, moment: Moment) -> list[tuple[float, float, bool]]:
    """Return quantity, amount and is_purchase of the lines as `purchases_after` sees them up to `moment`."""
    tables = write_tables(
        tmp_path / "t",
        [line(0, 0, quantity=3.0, amount=6.0), line(1, 5)],
        returns=[returned(0, 2, quantity=1.0, amount=2.0), returned(0, 7, quantity=2.0, amount=4.0)],
    )
    frame = FeatureStore(tables, tmp_path / "f").purchases_after(at(0), moment.day - DAY_0)
    return list(zip(frame[c.QUANTITY], frame[c.AMOUNT], frame[c.IS_PURCHASE], strict=True))


def test_only_returns_before_the_moment_are_netted(tmp_path: Path) -> None:
    assert net(tmp_path, at(2)) == [(3.0, 6.0, True)]
    assert net(tmp_path, at(3)) == [(2.0, 4.0, True)]


def test_what_was_taken_back_whole_is_no_purchase(tmp_path: Path) -> None:
    assert net(tmp_path, at(8)) == [(0.0, 0.0, False), (1.0, 1.0, True)]


def test_a_row_at_the_moment_itself_is_not_known(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "t", [line(0, 3, hour=0), line(1, 2, hour=23)])

    customers = FeatureStore(tables, tmp_path / "f").read("customers", at(3))

    assert list(customers[c.N_BASKETS]) == [1]


def test_the_label_window_holds_its_first_instant_and_not_its_last(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "t", [line(0, 2, hour=23), line(1, 3, hour=0), line(2, 9, hour=23), line(3, 10)])

    labels = FeatureStore(tables, tmp_path / "f").purchases_after(at(3), 7)

    assert list(labels[c.ORDER_ROW]) == [1, 2]
    assert list(labels[c.DAY_OFFSET]) == [0, 6]
