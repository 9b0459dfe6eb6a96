"""What a recipe showed on a data set, kept: a judgement with what it is made of, and its pictures, by digest.

A recipe is a model's config and the digest of the code that fits and judges it. Its results are kept under
``<home>/results/<model>/<digest>.npz``, whole or not at all, and read again instead of fitting when the same recipe
meets the same data and cutoffs. A file that can't be read counts as missing.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
import numpy.typing as npt

from training.judge import Calibration, Guard, Judgement, MetricRow
from training.sums import CustomerSums

KEPT_A_MODEL = 20
"""So many results of a model stay, the latest used."""

_SUMMARY, _PICTURE = "summary", "picture/"
_FIELDS = ("customers", "tops", "bottoms")


@dataclass(frozen=True)
class ModelRecipe:
    """A model's name, its config as plain values, and the digest of the code that fits and judges it."""

    model: str
    config: Mapping[str, Any]  # Any: config values of several types
    code: str


@dataclass(frozen=True)
class ResultsKey:
    """What results are known by: the recipe, the data up to a moment, and the days that it was judged on."""

    recipe: ModelRecipe
    data: str
    known_until_us: int
    cutoffs: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Return the name of the results, 16 hexadecimal digits."""
        return hashlib.sha256(_plain(asdict(self)).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class ModelResults:
    """What a recipe showed: its judgement with what it is made of, and pictures as PNG files by name."""

    key: ResultsKey
    judgement: Judgement
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
    """What was learned on the way, by name: the joint chance's coefficients."""


@dataclass(frozen=True)
class KeptResults:
    """The results under a home."""

    folder: Path

    @classmethod
    def under(cls, home: Path) -> KeptResults:
        """Return the results of a home; nothing is made until something is kept."""
        return cls(home / "results")

    def path(self, model: str, digest: str) -> Path:
        """Return the file of some results."""
        return self.folder / model / f"{digest}.npz"

    def load(self, key: ResultsKey) -> ModelResults | None:
        """Return the results of a key, or None where there are none, or they can't be read."""
        found = self.find(key.recipe.model, key.digest)
        return None if found is None else replace(found, key=key)

    def find(self, model: str, digest: str) -> ModelResults | None:
        """Return the results of a name, or None where there are none, or they can't be read."""
        path = self.path(model, digest)
        try:
            results = _read(path.read_bytes())
            os.utime(path)
        except _UNREADABLE:
            return None
        return results if results.key.digest == digest else None

    def keep(self, results: ModelResults) -> None:
        """Write results, and drop those of the model that were used longest ago."""
        path = self.path(results.key.recipe.model, results.key.digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(prefix=".", dir=path.parent, delete=False) as draft:
            draft.write(_written(results))
        Path(draft.name).replace(path)
        for old in sorted(path.parent.glob("[!.]*.npz"), key=_used_at)[:-KEPT_A_MODEL]:
            old.unlink(missing_ok=True)


_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)


def _plain(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _used_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:  # another training dropped it meanwhile
        return 0


def _written(results: ModelResults) -> bytes:
    parts: list[CustomerSums] = []
    judgement = results.judgement
    summary = {
        "key": asdict(results.key),
        "model": judgement.model,
        "cutoffs": judgement.cutoffs,
        "notes": judgement.notes,
        "rows": [_with_place(vars(row), parts) for row in judgement.rows],
        "calibration": [_with_place(vars(each), parts) for each in judgement.calibration],
        "guards": [_with_place(vars(each), parts) for each in judgement.guards],
        "bases": [each.base for each in parts],
        "numbers": dict(results.numbers),
    }
    arrays: dict[str, Any] = {  # Any: savez takes claims of its own by name as well
        _SUMMARY: _bytes(json.dumps(summary, default=str).encode())
    }
    arrays |= {f"{place}.{name}": getattr(each, name) for place, each in enumerate(parts) for name in _FIELDS}
    arrays |= {_PICTURE + name: _bytes(picture) for name, picture in results.pictures.items()}
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def _with_place(values: Mapping[str, Any], parts: list[CustomerSums]) -> dict[str, Any]:
    """Return plain values in which the sums are their place in `parts`; rows that share them share it."""
    sums = values["sums"]
    if sums is None:
        return dict(values)
    place = next((i for i, each in enumerate(parts) if each is sums), len(parts))
    if place == len(parts):
        parts.append(sums)
    return {**values, "sums": place}


def _read(content: bytes) -> ModelResults:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    summary = json.loads(arrays[_SUMMARY].tobytes())
    parts = [
        CustomerSums(float(base), *(arrays[f"{place}.{name}"] for name in _FIELDS))
        for place, base in enumerate(summary["bases"])
    ]
    judgement = Judgement(
        summary["model"],
        tuple(summary["cutoffs"]),
        tuple(MetricRow(**each) for each in _with_sums(summary["rows"], parts)),
        tuple(Calibration(**each) for each in _with_sums(summary["calibration"], parts)),
        tuple(summary["notes"]),
        tuple(Guard(**each) for each in _with_sums(summary["guards"], parts)),
    )
    pictures = {name.removeprefix(_PICTURE): each.tobytes() for name, each in arrays.items() if name[:8] == _PICTURE}
    return ModelResults(_key(summary["key"]), judgement, pictures, summary["numbers"])


def _with_sums(rows: Sequence[Mapping[str, Any]], parts: Sequence[CustomerSums]) -> list[dict[str, Any]]:
    return [{**row, "sums": None if row["sums"] is None else parts[row["sums"]]} for row in rows]


def _key(found: Mapping[str, Any]) -> ResultsKey:
    recipe = ModelRecipe(**found["recipe"])
    return ResultsKey(recipe, found["data"], int(found["known_until_us"]), tuple(found["cutoffs"]))


def _bytes(content: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(content, dtype=np.uint8)
