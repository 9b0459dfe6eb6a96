"""What stages took: seconds that add up, and peaks that stay with the stage that made them."""

from __future__ import annotations

import time

import numpy as np
import pytest

from training.costs import Cost, Meter, costs_text, total


def busy(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_a_stage_that_works_takes_cpu_and_one_that_waits_takes_wall_time_only() -> None:
    meter = Meter()
    with meter.stage("works"):
        busy(0.05)
    with meter.stage("waits"):
        time.sleep(0.3)
    works, waits = meter.costs
    assert works.cpu_seconds >= 0.05
    assert waits.wall_seconds >= 0.3
    assert waits.cpu_seconds < 0.2


def test_a_stage_holds_those_within_it() -> None:
    meter = Meter()
    with meter.stage("all"):
        for _ in range(2):
            with meter.stage("part"):
                busy(0.02)
    assert [each.stage for each in meter.costs] == ["part", "part", "all"]
    assert meter.cost("part").cpu_seconds == sum(each.cpu_seconds for each in meter.costs[:2])
    assert meter.cost("all").wall_seconds >= meter.cost("part").wall_seconds


def test_memory_counts_for_the_stage_that_held_it_and_for_those_around_it() -> None:
    meter = Meter()
    with meter.stage("around"):
        with meter.stage("large"):
            np.ones(40 * 2**20 // 8).sum()
        with meter.stage("small"):
            pass
    large, small, around = meter.costs
    assert around.peak_mb >= large.peak_mb > 40
    if small.peak_mb < large.peak_mb:  # the system tells stages apart
        assert large.peak_mb - small.peak_mb > 20


def test_a_stage_that_raises_is_measured() -> None:
    meter = Meter()
    with pytest.raises(ValueError, match="broken"), meter.stage("breaks"):
        raise ValueError("broken")
    assert [each.stage for each in meter.costs] == ["breaks"]


def test_what_never_ran_costs_nothing() -> None:
    assert Meter().cost("fit") == Cost("fit", 0.0, 0.0, 0.0) == total("fit", [])


def test_the_table_has_a_line_a_stage() -> None:
    lines = costs_text([Cost("fit churn", 1.25, 2.0, 1500.0)]).splitlines()
    assert lines[0].split() == ["stage", "wall", "s", "CPU", "s", "peak", "MiB"]
    assert lines[2].split() == ["fit", "churn", "1.2", "2.0", "1,500"]
