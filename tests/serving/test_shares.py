"""Chances in few bytes: how far what is read lies from what was meant, and that order and ends stay."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.shares import (
    DAY_STEPS,
    FALL_STEPS,
    LIFT_STEPS,
    SHARE,
    STEPS,
    UNKNOWN,
    Shares,
    fallen,
    falling,
    from_steps,
    in_steps,
)

chances = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(chances)
def test_a_share_is_off_by_its_root_in_steps_at_most(wanted: list[float]) -> None:
    found = [code**2 / SHARE for code in Shares.of(wanted).codes.tolist()]
    for read, meant in zip(found, wanted, strict=True):
        is_at_an_end = 0 < meant < (0.5 / STEPS) ** 2 or 1 > meant > (1 - 0.5 / STEPS) ** 2
        assert abs(read - meant) <= (2.1 / STEPS if is_at_an_end else math.sqrt(meant) / STEPS + 1 / STEPS**2)


def test_below_a_thousandth_nothing_changes_that_is_shown() -> None:
    wanted = np.linspace(0, 0.001, 5_000)
    assert np.abs(Shares.of(wanted)[:] - wanted).max() < 0.5e-6


@given(chances)
def test_shares_keep_their_order_and_their_ends(wanted: list[float]) -> None:
    rising = sorted([0.0, *wanted, 1.0])
    codes = Shares.of(rising).codes.astype(int)
    assert (np.diff(codes) >= 0).all()
    assert [share == 0 for share in rising] == [code == 0 for code in codes]
    assert [share == 1 for share in rising] == [code == STEPS for code in codes]


@pytest.mark.parametrize("wrong", [-0.001, 1.001, math.nan])
def test_what_is_no_share_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="not from 0 to 1"):
        Shares.of([0.5, wrong])


def test_rounding_moves_no_mean() -> None:
    wanted = np.random.default_rng(3).beta(1, 20, 100_000)
    shares = Shares.of(wanted)
    assert shares.means() == pytest.approx(wanted.mean(), rel=1e-6)
    assert Shares.of(np.zeros((0, 7))).means().shape == (7,)


def test_an_array_says_what_codes_do() -> None:
    shares = Shares(np.arange(0, STEPS + 1, 257, dtype="<u2").reshape(-1, 2))
    assert shares[:].tolist() == [[code * code / SHARE for code in row] for row in shares.codes.tolist()]
    assert (len(shares), shares[-1].tolist()[1]) == (128, 1.0)


@given(st.lists(chances, min_size=1, max_size=5))
def test_what_falls_is_off_by_little_of_the_highest(lists: list[list[float]]) -> None:
    lists = [sorted(each, reverse=True) for each in lists] + [[]]
    offsets = np.cumsum([0, *map(len, lists)])
    found = falling([each for row in lists for each in row], offsets)
    read = found.read(np.repeat(np.arange(len(lists)), np.diff(offsets)), slice(None))
    for row, start, top in zip(lists, offsets, found.top.codes.tolist(), strict=False):
        highest = top * top / SHARE
        told = list(fallen(top, found.fall[start : start + len(row)].tolist()))
        assert told == read[start : start + len(row)].tolist()
        for said, meant in zip(told, row, strict=True):
            assert abs(said - meant) <= math.sqrt(highest * meant) / FALL_STEPS + 2.1 * highest / FALL_STEPS**2 + 4e-5
            assert (meant > 0) <= (said > 0)
        assert (np.diff(found.fall[start : start + len(row)].astype(int)) <= 0).all()


@given(st.floats(0, 2047))
def test_steps_of_a_day_are_of_the_same_day(days: float) -> None:
    floor, nearest = (float(from_steps(in_steps([days], DAY_STEPS, is_floor=each), DAY_STEPS)[0]) for each in (1, 0))
    assert math.floor(floor) == math.floor(days)
    assert 0 <= days - floor < 1 / DAY_STEPS
    assert abs(nearest - days) <= 0.5 / DAY_STEPS


def test_what_is_not_known_is_told_so_and_what_is_too_much_is_the_most() -> None:
    steps = in_steps([np.nan, 1e6, 0.0], LIFT_STEPS)
    told = from_steps(steps, LIFT_STEPS)
    assert steps.tolist() == [UNKNOWN, UNKNOWN - 1, 0]
    assert math.isnan(told[0])
    assert told[1:].tolist() == [(UNKNOWN - 1) / LIFT_STEPS, 0.0]
