"""How growth is told: exponents, bytes a customer, and what a process has for itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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


# Says that it is there, does what it is told when a line comes, says so, and ends with its input.
CHILD = """
import mmap, sys
print("here", flush=True)
sys.stdin.readline()
kept = {doing}
print("done", flush=True)
sys.stdin.read()
"""


def grown(doing: str) -> tuple[float, float]:
    """Return by how many MB a process of its own grew in what it has for itself, and in all that it maps."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD.format(doing=doing)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "here\n"
        private, mapped = private_mb(child.pid), memory_mb(child.pid)["Rss"]
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "done\n"
        return private_mb(child.pid) - private, memory_mb(child.pid)["Rss"] - mapped


def test_what_a_process_writes_is_its_own() -> None:
    private, mapped = grown("bytearray(b'1') * 40_000_000")
    assert private == pytest.approx(40, abs=4)
    assert mapped == pytest.approx(40, abs=4)


def test_what_a_process_reads_of_a_file_is_not_its_own(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(40_000_000))
    view = "mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)"
    private, mapped = grown(f"[file := open({str(path)!r}, 'rb'), view := {view}, sum(view[:: mmap.PAGESIZE])]")
    assert private < 5
    assert mapped > 30


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
