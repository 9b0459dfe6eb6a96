"""What a run of `make bench` found: numbers a round, the ratios between them, and on which machine, under which load.

A committed result is one JSON file a bundle: `results/<source>.json`. Absolute numbers are for reading; only ratios
within a run are held against those of another.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

SCHEMA = 1
FOLDER = Path(__file__).with_name("results")
HIGHER, LOWER = "higher", "lower"
_PACKAGES = (
    "bentoml",
    "starlette",
    "fastapi",
    "uvicorn",
    "uvloop",
    "httptools",
    "pydantic",
    "orjson",
    "numpy",
    "lightgbm",
)


class ResultsError(Exception):
    """A file of results that can't be read: names what is wrong."""


@dataclass(frozen=True)
class Series:
    """One quantity, a value for each round, in the order of the rounds."""

    values: tuple[float, ...]
    unit: str

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """How far the middle half of the rounds reaches to each side, as a share of the median."""
        low, _, high = statistics.quantiles(self.values, n=4) if len(self.values) > 1 else (self.median,) * 3
        return abs(high - low) / 2 / abs(self.median) if self.median else 0.0


@dataclass(frozen=True)
class Ratio(Series):
    """A ratio within each round; `better` is `higher` or `lower`."""

    better: str = HIGHER


@dataclass(frozen=True)
class Results:
    """What a run found. `about` says when, where and of what; `series` are absolute numbers, `ratios` are compared."""

    about: Mapping[str, Any]
    series: Mapping[str, Series] = field(default_factory=dict)
    ratios: Mapping[str, Ratio] = field(default_factory=dict)

    def number(self, name: str) -> float | None:
        """Return the median of a ratio or a series; None where the run has none of that name."""
        found = self.ratios.get(name) or self.series.get(name)
        return None if found is None else found.median


def ratio_of(above: Series, below: Series, better: str = HIGHER) -> Ratio:
    """Return one series over another, round by round.

    >>> ratio_of(Series((6.0, 8.0), "1/s"), Series((3.0, 2.0), "1/s")).values
    (2.0, 4.0)
    """
    return Ratio(tuple(a / b for a, b in zip(above.values, below.values, strict=True)), "ratio", better)


def to_json(results: Results) -> str:
    """Return the text of a file of results."""
    parts = {
        "schema": SCHEMA,
        "about": dict(results.about),
        "series": {name: _told(each) for name, each in sorted(results.series.items())},
        "ratios": {name: _told(each) for name, each in sorted(results.ratios.items())},
    }
    return json.dumps(parts, indent=1, ensure_ascii=False) + "\n"


def _told(series: Series) -> dict[str, Any]:
    return asdict(series) | {"values": [float(f"{value:.5g}") for value in series.values]}


def from_json(text: str) -> Results:
    """Return the results of a text; ResultsError where it is none."""
    try:
        parts = json.loads(text)
        if parts["schema"] != SCHEMA:
            raise ResultsError(f"the results have schema {parts['schema']!r}, {SCHEMA} expected: run with RECORD=1")
        return Results(
            dict(parts["about"]),
            {name: Series(_values(each), each["unit"]) for name, each in parts["series"].items()},
            {name: Ratio(_values(each), each["unit"], _better(each)) for name, each in parts["ratios"].items()},
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"the results can't be read: {error!r}") from error


def _values(told: Mapping[str, Any]) -> tuple[float, ...]:
    values = tuple(float(value) for value in told["values"])
    if not values:
        raise ResultsError("the results have a series without values")
    return values


def _better(told: Mapping[str, Any]) -> str:
    if told["better"] not in (HIGHER, LOWER):
        raise ResultsError(f"better is {told['better']!r}, {HIGHER} or {LOWER} expected")
    return str(told["better"])


def committed(name: str, folder: Path = FOLDER) -> Results | None:
    """Return the committed results of a name; None where there are none."""
    path = folder / f"{name}.json"
    return from_json(path.read_text("utf-8")) if path.is_file() else None


def surroundings(load_before: Sequence[float]) -> dict[str, Any]:
    """Return when and where this run is: date, commit, machine, versions, and the load before and after."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _commit(),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count() or 1,
            "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
            "system": f"{platform.system()} {platform.release()}",
        },
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        "load": {"before": [round(each, 2) for each in load_before], "after": [round(e, 2) for e in os.getloadavg()]},
    }


def _commit() -> str:
    told = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
