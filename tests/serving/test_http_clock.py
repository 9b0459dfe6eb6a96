from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from serving.http_clock import STEP_SECONDS, Clock

NEW_YEAR = datetime(2018, 1, 1, tzinfo=UTC)


def test_without_a_moment_it_is_the_machine_s_clock() -> None:
    assert Clock(seconds=lambda: NEW_YEAR.timestamp()).now() == NEW_YEAR


def test_a_clock_that_was_set_starts_there_and_runs_on() -> None:
    machine = [1_700_000_000.0]
    clock = Clock(NEW_YEAR, 1_700_000_000.0, seconds=lambda: machine[0])

    assert clock.now() == NEW_YEAR
    machine[0] += 90
    assert clock.now() == NEW_YEAR + timedelta(seconds=90)


def test_a_worker_that_starts_later_tells_the_same_time() -> None:
    def later() -> float:
        return 1_700_000_500.0

    assert Clock(NEW_YEAR, 1_700_000_000.0, seconds=later).now() == NEW_YEAR + timedelta(seconds=500)


@pytest.mark.parametrize(("by_seconds", "stepped"), [(0, False), (-60, False), (2 * STEP_SECONDS, True), (-1e9, True)])
def test_a_clock_that_was_set_by_much_is_known_by_the_one_that_nobody_can_set(by_seconds: float, stepped: bool) -> None:
    machine, boot = [1e9], [50.0]
    clock = Clock(seconds=lambda: machine[0], steady=lambda: boot[0])
    machine[0] += 86_400 + by_seconds
    boot[0] += 86_400

    assert clock.has_stepped() == stepped
