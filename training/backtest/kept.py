"""Each task's findings at each cutoff, kept on disk by what they came from: a run that was stopped goes on from there.

A file is NumPy's ``.npz`` (arrays, and one JSON text), sealed by its digest: half a file, or a damaged one, is none.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.backtest.files import read_sealed, write_sealed
from training.backtest.observation import Fact, Findings, Observation, Table
from training.costs import Cost

_PLAIN = "plain"
Array = npt.NDArray[Any]  # Any: floats or integers


@dataclass(frozen=True)
class KeptFindings:
    """A task's findings at one cutoff, and what finding them out took."""

    findings: Findings
    costs: tuple[Cost, ...] = ()


def keep_findings(path: Path, kept: KeptFindings) -> None:
    """Write findings whole."""
    arrays: dict[str, Array] = {}
    observations = [_taken_apart(each, f"{place}", arrays) for place, each in enumerate(kept.findings.observations)]
    plain = {
        "observations": observations,
        "facts": [asdict(each) | {"by_ranker": dict(each.by_ranker)} for each in kept.findings.facts],
        "tables": [asdict(each) for each in kept.findings.tables],
        "notes": list(kept.findings.notes),
        "costs": [asdict(each) for each in kept.costs],
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays, **{_PLAIN: np.array(json.dumps(plain))})
    write_sealed(path, buffer.getvalue())


def read_findings(path: Path) -> KeptFindings | None:
    """Return the findings of a file; None when it is not there, not whole, or not of this form."""
    payload = read_sealed(path)
    if payload is None:
        return None
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
            return _put_together({name: arrays[name] for name in arrays.files})
    except (KeyError, TypeError, ValueError, zipfile.BadZipFile):
        return None


def _taken_apart(each: Observation, place: str, arrays: dict[str, Array]) -> dict[str, Any]:  # Any: a JSON object
    """Return what is plain in an observation, and put its arrays under names that begin with `place`."""
    arrays[f"{place}.customers"] = each.customers
    for number, values in enumerate(each.values.values()):
        arrays[f"{place}.values.{number}"] = values
    for name, optional in (("outcomes", each.outcomes), ("groups", each.groups)):
        if optional is not None:
            arrays[f"{place}.{name}"] = optional
    plain = ("task", "metric", "statistic", "higher_is_better", "bins")
    return {name: getattr(each, name) for name in plain} | {"rankers": list(each.values)}


def _put_together(arrays: Mapping[str, Array]) -> KeptFindings:
    plain = json.loads(str(arrays[_PLAIN]))
    observations = [_observation(each, f"{place}", arrays) for place, each in enumerate(plain["observations"])]
    tables = [
        Table(each["task"], each["title"], tuple(each["header"]), tuple(tuple(row) for row in each["rows"]))
        for each in plain["tables"]
    ]
    findings = Findings(observations, [Fact(**each) for each in plain["facts"]], tables, tuple(plain["notes"]))
    return KeptFindings(findings, tuple(Cost(**each) for each in plain["costs"]))


def _observation(plain: dict[str, Any], place: str, arrays: Mapping[str, Array]) -> Observation:  # Any: a JSON object
    rankers = plain.pop("rankers")
    return Observation(
        **plain,
        values={name: arrays[f"{place}.values.{number}"] for number, name in enumerate(rankers)},
        customers=arrays[f"{place}.customers"],
        outcomes=arrays.get(f"{place}.outcomes"),
        groups=arrays.get(f"{place}.groups"),
    )
