"""What counts as slower than before, and what as noise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.benchmarks.compare import FLOOR, compare, told, uncertainty, verdict
from tests.benchmarks.results import HIGHER, LOWER, Ratio, Results

ABOUT = {
    "bundle": "a shop",
    "client": "wrk",
    "quick": False,
    "load": {"before": [0.5, 0.5, 0.5]},
    "machine": {"cores": 2},
}


def ratio(*values: float, better: str = HIGHER) -> Ratio:
    return Ratio(values, "ratio", better)


def results(**ratios: Ratio) -> Results:
    return Results(ABOUT, {}, ratios)


def test_the_same_numbers_are_neither_worse_nor_better() -> None:
    found = verdict("a", ratio(1.0, 1.1, 0.9), ratio(1.0, 1.1, 0.9))
    assert (found.is_worse, found.is_better, found.change) == (False, False, 0.0)


@pytest.mark.parametrize(("better", "now"), [(HIGHER, 0.5), (LOWER, 2.0)])
def test_half_as_fast_is_worse_whichever_way_is_better(better: str, now: float) -> None:
    found = verdict("a", ratio(now, now, now, better=better), ratio(1.0, 1.0, 1.0, better=better))
    assert found.is_worse
    assert not found.is_better


@pytest.mark.parametrize(("better", "now"), [(HIGHER, 2.0), (LOWER, 0.5)])
def test_twice_as_fast_is_better(better: str, now: float) -> None:
    found = verdict("a", ratio(now, now, now, better=better), ratio(1.0, 1.0, 1.0, better=better))
    assert found.is_better
    assert not found.is_worse


@pytest.mark.parametrize(("now", "is_worse"), [(1 + FLOOR - 0.01, False), (1 + FLOOR + 0.01, True)])
def test_steady_rounds_are_held_to_the_floor(now: float, is_worse: bool) -> None:
    assert verdict("a", ratio(now, now, better=LOWER), ratio(1.0, 1.0, better=LOWER)).is_worse == is_worse


def test_a_change_that_is_clear_in_steady_rounds_is_noise_in_scattered_ones() -> None:
    before = ratio(1.0, 1.0, 1.0, 1.0, 1.0)
    assert verdict("a", ratio(0.7, 0.7, 0.7, 0.7, 0.7), before).is_worse
    assert not verdict("a", ratio(0.3, 0.5, 0.7, 1.0, 1.6), before).is_worse


def test_one_round_that_was_held_up_changes_nothing() -> None:
    assert not verdict("a", ratio(1.0, 1.0, 0.1, 1.0, 1.0), ratio(1.0, 1.0, 1.0, 1.0, 1.0)).is_worse


def test_more_rounds_are_more_certain() -> None:
    few, many = ratio(0.8, 1.0, 1.2), ratio(*(0.8, 1.0, 1.2) * 4)
    assert uncertainty(many) == pytest.approx(uncertainty(few) / 2)


def test_a_single_round_is_compared_by_the_floor_alone() -> None:
    assert uncertainty(ratio(0.7)) == 0.0


def test_only_ratios_that_both_runs_have_are_compared() -> None:
    found = compare(results(old=ratio(1.0), new=ratio(1.0)), results(old=ratio(1.0), gone=ratio(1.0)))
    assert [each.name for each in found.verdicts] == ["old"]


def test_runs_of_different_bundles_or_clients_are_not_compared() -> None:
    now = results(a=ratio(0.1))
    for what in ("bundle", "client"):
        before = replace(results(a=ratio(1.0)), about=ABOUT | {what: "another"})
        assert compare(now, before).worse == ()
        assert f"another {what}" in told(compare(now, before))[0]


def test_without_committed_results_nothing_is_worse() -> None:
    assert compare(results(a=ratio(0.1)), None).worse == ()


def test_a_quick_run_has_more_noise() -> None:
    before, now = results(a=ratio(1.0)), results(a=ratio(0.8))
    assert compare(now, before).worse
    assert not compare(replace(now, about=ABOUT | {"quick": True}), before).worse


def test_a_busy_machine_casts_doubt_on_what_is_told() -> None:
    before, now = results(a=ratio(1.0)), results(a=ratio(0.5))
    assert compare(now, before).doubt == ""
    busy = replace(now, about=ABOUT | {"load": {"before": [3.0, 0.0, 0.0]}})
    assert told(compare(busy, before))[0].startswith("this run began at a load of 3 on 2 cores")


def test_what_is_told_names_the_slowest_first() -> None:
    before = results(a=ratio(1.0), b=ratio(1.0), c=ratio(1.0))
    lines = told(compare(results(a=ratio(0.5), b=ratio(0.1), c=ratio(1.0)), before))
    assert [line.partition(" (")[0] for line in lines[:2]] == ["slower: b: 0.1, was 1", "slower: a: 0.5, was 1"]
    assert lines[-1].startswith("1 of 3")
