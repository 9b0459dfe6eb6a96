"""How growth is told: exponents, bytes a customer, and what a process has for itself."""

from __future__ import annotations

import gc
import mmap
import os
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.bench_big import run
from tests.benchmarks.big_bundle import Scale, write_big_bundle
from tests.benchmarks.goals import scale_goals, standings
from tests.benchmarks.pages import scale_page
from tests.benchmarks.results import FOLDER, Results, Series, from_json, to_json
from tests.benchmarks.scale import customer_bytes, exponent, memory_mb, private_mb

COMMITTED = sorted((FOLDER / "scale").glob("*.json"))


@pytest.mark.parametrize(("power", "values"), [(0.0, [5, 5, 5]), (1.0, [2, 20, 200]), (0.5, [1, 10**0.5, 10])])
def test_an_exponent_is_that_of_a_power(power: float, values: list[float]) -> None:
    assert exponent([10, 100, 1000], values) == pytest.approx(power)


def test_an_exponent_of_nothing_at_all_is_a_number() -> None:
    assert exponent([10, 100], [0.0, 0.0]) == 0.0


def test_bytes_of_customers_are_those_that_more_customers_add(tmp_path: Path) -> None:
    from serving.bundle import open_bundle

    bundles = [
        open_bundle(tmp_path / str(n) / write_big_bundle(Scale(n, products=500), tmp_path / str(n)), verify=False)
        for n in (50, 150)
    ]
    counted = [sum(customer_bytes(each.manifest).values()) for each in bundles]
    whole = [each.n_bytes for each in bundles]
    assert counted[1] - counted[0] == whole[1] - whole[0]
    assert 0 < counted[0] < whole[0]


def test_what_a_process_writes_is_its_own() -> None:
    gc.collect()  # what other tests left goes before it is measured
    before = private_mb("self")
    block = np.ones(40_000_000, dtype=np.uint8)
    assert private_mb("self") - before == pytest.approx(40, abs=4)
    assert block[-1] == 1


def test_what_a_process_reads_of_a_file_is_not_its_own(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(40_000_000))
    gc.collect()
    before, mapped_before = private_mb("self"), memory_mb(os.getpid())["Rss"]
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        assert sum(view[:: mmap.PAGESIZE]) == 0
        assert memory_mb(os.getpid())["Rss"] - mapped_before > 30
        assert private_mb("self") - before < 5


def test_the_largest_is_held_to_what_was_asked_for() -> None:
    found = Results({}, {"100: load s": Series((1.0, 3.0, 1.5), "s"), "100: bytes a customer": Series((4000.0,), "B")})
    held = {each.goal.says: each.is_met for each in standings(found, scale_goals(10, 100))}
    assert held == {"opened once its hashes were checked, s": True, "bytes a customer": False}


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_results_are_of_a_million_customers_and_tell_every_goal(path: Path) -> None:
    found = from_json(path.read_text("utf-8"))
    assert found.about["sizes"] == [10_000, 100_000, 1_000_000]
    text = scale_page(found)
    for goal in scale_goals(10_000, 1_000_000):
        assert goal.says in text


@pytest.mark.slow
@pytest.mark.long
def test_a_run_on_small_sizes_measures_everything(tmp_path: Path) -> None:
    found = run(tmp_path, [100, 200], n_products=600)
    assert {goal.says for goal in scale_goals(100, 200)} == {
        each.goal.says for each in standings(found, scale_goals(100, 200))
    }
    assert from_json(to_json(found)).about["sizes"] == [100, 200]
    assert "exponent" in scale_page(found)
