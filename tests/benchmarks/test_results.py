"""Results as files, what they are held to, and the page that is made of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks.goals import GOALS, Goal, standings
from tests.benchmarks.pages import INTRODUCTION, PAGE, page, whole_page
from tests.benchmarks.parts import found_in, name_of
from tests.benchmarks.results import (
    FOLDER,
    LOWER,
    Ratio,
    Results,
    ResultsError,
    Series,
    committed,
    from_json,
    surroundings,
    to_json,
)

COMMITTED = sorted(FOLDER.glob("*.json"))
SOME = Results(
    {"bundle": "a shop", "client": "wrk", "quick": False},
    {"a rate": Series((100.0, 110.0, 90.0), "1/s")},
    {"a ÷ b": Ratio((0.5, 0.6), "ratio", LOWER)},
)


def test_results_come_back_as_they_were_written() -> None:
    assert from_json(to_json(SOME)) == SOME


def test_the_middle_round_counts() -> None:
    assert SOME.number("a rate") == 100.0
    assert SOME.number("a ÷ b") == pytest.approx(0.55)
    assert SOME.number("nothing") is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": 0}, "schema 0"),
        ({"series": {"a": {"values": [], "unit": ""}}}, "without values"),
        ({"ratios": {"a": {"values": [1], "unit": "", "better": "red"}}}, "'red'"),
        ({"ratios": {"a": {"unit": "", "better": "lower"}}}, "values"),
    ],
)
def test_a_file_that_is_no_results_is_refused_in_one_line(change: dict[str, object], says: str) -> None:
    with pytest.raises(ResultsError, match=says):
        from_json(json.dumps(json.loads(to_json(SOME)) | change))


def test_no_results_are_none(tmp_path: Path) -> None:
    assert committed("nothing", tmp_path) is None


def test_surroundings_tell_machine_versions_and_load() -> None:
    told = surroundings((1.0, 2.0, 3.0))
    assert told["load"]["before"] == [1.0, 2.0, 3.0]
    assert told["machine"]["cores"] >= 1
    assert {"python", "bentoml", "starlette", "fastapi", "uvicorn"} <= set(told["versions"])


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_results_are_whole(path: Path) -> None:
    found = from_json(path.read_text("utf-8"))
    assert {"bundle", "client", "quick", "date", "commit", "machine", "versions", "load"} <= set(found.about)
    assert {goal.name for goal in GOALS} <= set(found.series) | set(found.ratios)
    assert not found.about["quick"]
    assert all(len(ratio.values) >= 5 for name, ratio in found.ratios.items() if "÷ starlette" in name)


def test_the_page_is_made_of_the_committed_results() -> None:
    assert PAGE.read_text("utf-8") == whole_page()


def test_the_page_is_made_anew_from_what_it_is_made_of(tmp_path: Path) -> None:
    assert whole_page(tmp_path) == INTRODUCTION.read_text("utf-8").strip() + "\n"


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_the_page_tells_every_goal_and_the_load(path: Path) -> None:
    found = from_json(path.read_text("utf-8"))
    text = page(found)
    for goal in GOALS:
        assert goal.says in text
    assert "Load averages" in text


def test_a_bound_holds_at_its_own_value() -> None:
    assert Goal("a", "", at_least=4).holds(4)
    assert Goal("a", "", at_most=4).holds(4)
    assert not Goal("a", "", at_least=4).holds(3.99)
    assert not Goal("a", "", at_most=4).holds(4.01)


def test_goals_that_were_not_measured_are_left_out() -> None:
    (found,) = standings(SOME, (Goal("a rate", "", at_least=101), Goal("b", "", at_least=1)))
    assert (found.number, found.is_met) == (100.0, False)


def test_parts_are_named_by_what_they_measure() -> None:
    assert name_of("tests/benchmarks/test_parts.py::test_engine[offers]") == "parts: engine, offers"
    assert name_of("tests/benchmarks/test_http_calls.py::test_a_call[/v1/offers]") == "http calls: a call, /v1/offers"


def test_what_pytest_benchmark_wrote_becomes_series_and_ratios() -> None:
    told = {
        "fullname": "tests/benchmarks/test_parts.py::test_engine[challenge]",
        "stats": {"median": 50e-6},
        "extra_info": {"ratios": [5.0, 4.0], "p99_us": 300.0},
    }
    found = found_in({"benchmarks": [told]})
    assert found.ratios["parts: engine, challenge ÷ yardstick"].values == (5.0, 4.0)
    assert found.series["engine challenge p50"].median == pytest.approx(50.0)
    assert found.series["engine challenge p99"].median == 300.0
