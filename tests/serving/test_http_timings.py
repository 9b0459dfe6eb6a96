from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from serving.http_timings import Timings

BOUNDS = (0.25, 0.5, 1.0)
SECONDS = (0.0, 0.25, 0.375, 0.5, 0.75, 1.0, 2.0, 7.0)


def histogram() -> tuple[CollectorRegistry, Histogram]:
    registry = CollectorRegistry()
    made = Histogram("seconds", "Of something.", ["path"], buckets=BOUNDS, registry=registry)
    return registry, made.labels("/")


def shown(registry: CollectorRegistry) -> str:
    return "\n".join(line for line in generate_latest(registry).decode().splitlines() if "_created" not in line)


def test_many_at_once_are_what_one_after_the_other_is() -> None:
    registry, slow = histogram()
    for each in SECONDS:
        slow.observe(each)
    ours, fast = histogram()
    timings = Timings(fast, BOUNDS)
    for part in (SECONDS[:3], (), SECONDS[3:]):
        for each in part:
            timings.observe(each)
        timings.flush()
    assert shown(ours) == shown(registry)


def test_nothing_shows_before_it_is_carried_over() -> None:
    registry, fast = histogram()
    timings = Timings(fast, BOUNDS)
    timings.observe(0.5)
    assert 'seconds_count{path="/"} 0.0' in shown(registry)
    timings.flush()
    timings.flush()
    assert 'seconds_count{path="/"} 1.0' in shown(registry)
    assert float(shown(registry).split('seconds_sum{path="/"} ')[1].split()[0]) == pytest.approx(0.5)
