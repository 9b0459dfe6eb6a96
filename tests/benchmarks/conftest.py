"""What benchmarks share: the bundle that they measure, and the yardstick beside each."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.bundle import Bundle, open_bundle
from tests.benchmarks import yardstick
from tests.benchmarks.big_bundle import Scale, write_big_bundle
from tests.benchmarks.servers import champion_bundle

N_BLOCKS = 5
"""Parts of a benchmark's rounds, each of which gives a ratio."""

SMALL = Scale(customers=2_000, products=5_000)


@pytest.fixture(scope="session")
def bench_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return the champion of the home that `BENCH_HOME` names, else a drawn bundle."""
    if home := os.environ.get("BENCH_HOME"):
        found = champion_bundle(Path(home))
        if found is None:
            raise ValueError(f"BENCH_HOME: {home} has no champion")
        return found
    folder = tmp_path_factory.mktemp("bundles")
    return open_bundle(folder / write_big_bundle(SMALL, folder), verify=False)


@pytest.fixture(autouse=True)
def _beside_the_yardstick(request: pytest.FixtureRequest) -> Iterator[None]:
    """Note with each benchmark its ratios to the yardstick, a value for each part of its rounds."""
    if "benchmark" not in request.fixturenames:
        yield
        return
    benchmark = request.getfixturevalue("benchmark")
    before = yardstick.seconds() if benchmark.enabled else 0.0
    yield
    if benchmark.enabled and benchmark.stats is not None and "ratios" not in benchmark.extra_info:
        beside = (before + yardstick.seconds()) / 2
        benchmark.extra_info["ratios"] = [each / beside for each in blocks(benchmark.stats.stats.data)]


def blocks(times: list[float]) -> list[float]:
    """Return the median of each of some parts of the times, in their order."""
    size = max(len(times) // N_BLOCKS, 1)
    starts = range(0, size * min(N_BLOCKS, len(times)), size)
    return [statistics.median(times[start : start + size]) for start in starts]


def tell_tail(benchmark: Any) -> None:
    """Note the 99th percentile of a benchmark's single calls, in µs."""
    times = sorted(benchmark.stats.stats.data)
    benchmark.extra_info["p99_us"] = 1e6 * times[int(0.99 * len(times))]
