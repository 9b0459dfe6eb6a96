"""What a trial's values are made of, by customer: kept for what ships and for the best, to tell a gain from noise.

Under ``<home>/results``, which `tercet erase` empties: a study goes on without them, and its gain has no interval then.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.sums import CustomerSums
from training.tuning.tunable import Reached, Term

_TERM = "{cutoff}.{term}.{part}"


def keep(folder: Path, number: int, reached: Sequence[Reached]) -> None:
    """Write what a trial reached, whole or not at all."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}  # Any: shapes and kinds differ
    for cutoff, each in enumerate(reached):
        for place, term in enumerate(each.terms):
            head = np.array([term.sums.base, term.weight, float(term.is_squared)])
            parts = {"head": head, "who": term.sums.customers, "tops": term.sums.tops, "bottoms": term.sums.bottoms}
            arrays |= {_TERM.format(cutoff=cutoff, term=place, part=part): value for part, value in parts.items()}
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{number}.tmp"
    with draft.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    draft.replace(_file(folder, number))


def kept(folder: Path, number: int) -> list[Reached] | None:
    """Return what a trial reached, or None when it isn't there in whole."""
    try:
        with _file(folder, number).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = dict(arrays)
    except (OSError, ValueError, zipfile.BadZipFile):
        return None
    cutoffs: dict[int, list[Term]] = {}
    for name in (name for name in found if name.endswith(".head")):
        cutoff, place, _ = name.split(".")
        base, weight, is_squared = found[name].tolist()
        who, tops, bottoms = (found[_TERM.format(cutoff=cutoff, term=place, part=part)] for part in _ARRAYS)
        cutoffs.setdefault(int(cutoff), []).append(
            Term(CustomerSums(base, who, tops, bottoms), weight, bool(is_squared))
        )
    return [Reached(tuple(cutoffs[cutoff])) for cutoff in sorted(cutoffs)]


_ARRAYS = ("who", "tops", "bottoms")


def forget_but(folder: Path, numbers: Sequence[int]) -> None:
    """Remove what is kept of other trials."""
    stay = {_file(folder, number) for number in numbers}
    for path in folder.glob("*"):
        if path not in stay:
            path.unlink(missing_ok=True)


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number}.npz"
