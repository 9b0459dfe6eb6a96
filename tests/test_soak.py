"""What `make soak` calls flat, and what it does not."""

from __future__ import annotations

from collections import Counter

from tests.soak import Row, faults, middle_and_tail

NONE: Counter[str] = Counter()


def row(worker: float, state: float = 10.0, n_descriptors: int = 100, pid: int = 7) -> Row:
    return Row(1.0, {pid: worker}, state, n_descriptors, 60.0, (1.0, 2.0), (1.0, 2.0))


def test_growth_that_ends_with_the_first_third_is_flat() -> None:
    assert faults([row(mb) for mb in (50, 90, 100, 100, 100, 100, 101, 101, 101)], NONE) == []


def test_growth_that_goes_on_is_found() -> None:
    assert faults([row(100 + 2 * n) for n in range(9)], NONE) == ["worker 7 grew from 108.0 to 114.0 MB"]
    assert faults([row(100, state=10 + 3 * n) for n in range(9)], NONE) == ["the state grew from 25.0 to 34.0 MB"]
    assert faults([row(100, n_descriptors=100 + n) for n in range(9)], NONE) == ["open files grew from 103 to 108"]


def test_a_worker_that_was_started_again_and_wrong_answers_are_found() -> None:
    rows = [row(100, pid=7 + n // 5) for n in range(9)]
    assert faults(rows, Counter({"/v1/scores 503": 2})) == [
        "2 answers were wrong: /v1/scores 503",
        "a worker ended, or was started again",
    ]


def test_times_are_the_middle_and_the_99th_percentile() -> None:
    assert middle_and_tail([]) == (0.0, 0.0)
    assert middle_and_tail(list(range(100, 0, -1))) == (51, 100)
