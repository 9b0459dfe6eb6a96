"""The parts' benchmarks, by pytest-benchmark in a process of its own, as ratios to the yardstick."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks.results import LOWER, Ratio, Series
from tests.benchmarks.servers import ROOT
from tests.benchmarks.whole import Found

_TEST = re.compile(r"test_(?P<what>\w+)(?:\[(?P<case>.+)\])?")
_QUICK = ("--benchmark-max-time", "0.1", "-k", "test_parts or test_http_calls")
_FULL = ("--benchmark-max-time", "0.5")
_ENGINE = "tests/benchmarks/test_parts.py::test_engine["
SCORES = "tests/benchmarks/test_parts.py::test_engine_scores_of_1000"


class PartsError(Exception):
    """The parts' benchmarks failed; has what pytest said."""


def measure_parts(home: Path | None, *, is_quick: bool) -> Found:
    """Return what each part takes, in µs and beside the yardstick; the bundle is the champion of the home, if given."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "parts.json"
        options = ["--benchmark-enable", "--benchmark-only", "--benchmark-quiet", "--benchmark-json", str(found)]
        command = [sys.executable, "-m", "pytest", "-q", "-m", "bench", "-p", "no:cacheprovider", *options]
        ended = subprocess.run(
            [*command, *(_QUICK if is_quick else _FULL), "tests/benchmarks"],
            cwd=ROOT,
            env=os.environ | ({} if home is None else {"BENCH_HOME": str(home.absolute())}),
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode or not found.is_file():
            raise PartsError(f"the parts' benchmarks ended with status {ended.returncode}:\n{ended.stdout[-6000:]}")
        return found_in(json.loads(found.read_text("utf-8")))


def found_in(told: Mapping[str, Any]) -> Found:
    """Return the numbers in what pytest-benchmark has written."""
    series: dict[str, Series] = {}
    ratios: dict[str, Ratio] = {}
    for each in told["benchmarks"]:
        name = name_of(each["fullname"])
        microseconds = 1e6 * each["stats"]["median"]
        series[name] = Series((microseconds,), "µs")
        ratios[f"{name} ÷ yardstick"] = Ratio(tuple(each["extra_info"]["ratios"]), "ratio", LOWER)
        if each["fullname"].startswith(_ENGINE):
            call = each["fullname"].removeprefix(_ENGINE).removesuffix("]")
            series[f"engine {call} p50"] = Series((microseconds,), "µs")
            series[f"engine {call} p99"] = Series((each["extra_info"]["p99_us"],), "µs")
        elif each["fullname"] == SCORES:
            series["engine scores ms"] = Series((microseconds / 1000,), "ms")
    return Found(series, ratios)


def name_of(fullname: str) -> str:
    """Return what a benchmark is called in results.

    >>> name_of("tests/benchmarks/test_stores.py::test_reads[file]")
    'stores: reads, file'
    """
    path, _, test = fullname.rpartition("::")
    module = Path(path).stem.removeprefix("test_").replace("_", " ")
    parts = _TEST.fullmatch(test)
    if parts is None:
        return f"{module}: {test}"
    case = f", {parts['case']}" if parts["case"] else ""
    return f"{module}: {parts['what'].replace('_', ' ')}{case}"
